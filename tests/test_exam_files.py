"""Exam files: every problem at once, hostile files, the schema for editors."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from grader.errors import ExamError, Problem
from grader.exam.exam import Exam, NumericItem, ShortAnswerItem, json_schema
from grader.exam.load import load_exam
from grader.resources import rubrics_dir

HEAD = "exam: {id: e, title: T, language: en}\nitems:\n"
RUBRICS = sorted(rubrics_dir().glob("*.yaml"))


def problems(tmp_path: Path, text: str | bytes) -> list[Problem]:
    path = tmp_path / "exam.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ExamError) as error:
        load_exam(path)
    assert all(p.message and p.remedy and p.field for p in error.value.problems)
    return list(error.value.problems)


def one_item(tmp_path: Path, item: str) -> Problem:
    found = problems(tmp_path, HEAD + f"  - {item}\n")
    assert len(found) == 1, [str(p) for p in found]
    assert found[0].line == 3
    return found[0]


def exam(tmp_path: Path, item: str) -> Exam:
    path = tmp_path / "exam.yaml"
    path.write_text(HEAD + f"  - {item}\n", encoding="utf-8")
    return load_exam(path)


def test_the_contract_example(tmp_path: Path) -> None:
    path = tmp_path / "exam.yaml"
    path.write_text(
        """\
exam: {id: physics-g8-unit3, title: 八年级物理 第三单元, language: zh}     # language: zh | en
items:
  - {id: "1", type: choice, options: ABCD, answer: B, max_mark: 2}
  - {id: "2", type: multi_choice, options: ABCDE, answer: ACD, max_mark: 4, partial: {subset: 2}}
  - {id: "3", type: blank, answers: [光合作用], max_mark: 2}
  - {id: "4", type: numeric, answer: 3.2, unit: m/s, tolerance: 1%, max_mark: 3}
  - id: "5"
    type: short_answer
    max_mark: 4
    prompt: ...
    reference_answers: [one]
    rubric:
      - {id: a, marks: 2, criterion: one}
      - {id: b, marks: 2, criterion: two}
    tolerance: 1
""",
        encoding="utf-8",
    )
    loaded = load_exam(path)
    assert [item.type for item in loaded.items] == [
        "choice",
        "multi_choice",
        "blank",
        "numeric",
        "short_answer",
    ]
    numeric, short = loaded.item("4"), loaded.item("5")
    assert isinstance(numeric, NumericItem)
    assert isinstance(short, ShortAnswerItem)
    assert numeric.value_tolerance == pytest.approx(0.032)
    assert short.mark_tolerance == 1


def test_every_problem_is_reported_at_once_with_line_field_and_remedy(tmp_path: Path) -> None:
    text = """\
exam: {id: e, title: T, langauge: zh}
items:
  - {id: "1", type: choice, options: ABCD, answer: E, max_mark: 2}
  - {id: "1", type: multi_choice, options: ABC, answer: AB, max_mark: 4, partial: {subset: 4}}
  - {id: "3", type: blank, answers: [], max_mark: -2}
  - id: "4"
    type: short_answer
    max_mark: 4
    rubric:
      - {id: a, marks: two, criterion: x}
  - {id: "5", type: short_answr, max_mark: 4}
  - {id: "6", type: numeric, answer: 3.2, unit: m/s, tolerance: about, max_mark: 3}
"""
    found = [(p.line, p.field) for p in problems(tmp_path, text)]
    assert found == [
        (1, "exam.langauge"),
        (1, "exam.language"),
        (3, "items[0].answer"),
        (4, "items[1].id"),
        (4, "items[1].partial"),
        (5, "items[2].answers"),
        (5, "items[2].max_mark"),
        (10, "items[3].rubric[0].marks"),
        (11, "items[4].type"),
        (12, "items[5].tolerance"),
    ]


@pytest.mark.parametrize(
    ("item", "field", "says"),
    [
        ("{id: 1, type: choice, options: ABCD, answer: E, max_mark: 2}", "answer", "not among the options"),
        ("{id: 1, type: choice, options: ABCD, answer: AB, max_mark: 2}", "answer", "one answer"),
        ("{id: 1, type: choice, options: ABCA, answer: B, max_mark: 2}", "options", "stands twice"),
        ("{id: 1, type: choice, options: [], answer: B, max_mark: 2}", "options", "no option"),
        ('{id: 1, type: choice, options: "A,B", answer: B, max_mark: 2}', "options", "cannot be an option"),
        ("{id: 1, type: choice, options: AB, answer: A, max_mark: 0}", "max_mark", "greater than 0"),
        ("{id: 1, type: choice, options: AB, answer: A, max_mark: .nan}", "max_mark", "number"),
        ("{id: 1, type: choice, options: AB, answer: A, max_mark: 1e99}", "max_mark", "less than"),
        ("{id: '', type: choice, options: AB, answer: A, max_mark: 1}", "id", "is empty"),
        ("{id: 1, type: choice, options: AB, answer: A, max_mark: 1, optoins: AB}", "optoins", "unknown key"),
        (
            "{id: 1, type: multi_choice, options: ABC, answer: AB, max_mark: 2, partial: {subset: 3}}",
            "partial",
            "not less",
        ),
        ("{id: 1, type: blank, answers: [], max_mark: 1}", "answers", "is empty"),
        ("{id: 1, type: blank, answers: ['(x'], math: true, max_mark: 1}", "answers", "mathematics"),
        ("{id: 1, type: blank, answers: [1/2x], math: true, max_mark: 1}", "answers", "two readings"),
        ("{id: 1, type: numeric, answer: 3.2 m, max_mark: 1}", "answer", "not a number"),
        ("{id: 1, type: numeric, answer: 3, unit: m/ss, max_mark: 1}", "unit", "not a unit"),
        ("{id: 1, type: numeric, answer: 3, tolerance: -1%, max_mark: 1}", "tolerance", "negative"),
        ("{id: 1, type: numeric, answer: 3, tolerance: 100%, max_mark: 1}", "tolerance", "anything"),
        ("{id: 1, type: numeric, answer: 0, tolerance: 1%, max_mark: 1}", "tolerance", "percentage of 0"),
        (
            "{id: 1, type: numeric, answer: 3, unit: m, tolerance: 1 kg, max_mark: 1}",
            "tolerance",
            "does not fit",
        ),
        (
            "{id: 1, type: numeric, answer: 3, unit: m, tolerance: 1 zz, max_mark: 1}",
            "tolerance",
            "not a unit",
        ),
        ("{id: 1, type: short_answer, max_mark: 1}", "rubric", "neither"),
        (
            "{id: 1, type: short_answer, max_mark: 3, rubric: [{id: a, marks: 2, criterion: x}]}",
            "rubric",
            "carry 2",
        ),
        (
            "{id: 1, type: short_answer, max_mark: 1, rubric: [{id: a, marks: 2, criterion: x}]}",
            "rubric",
            "carry 2",
        ),
        (
            "{id: 1, type: short_answer, max_mark: 2, rubric: "
            "[{id: a, marks: 1, criterion: x}, {id: a, marks: 1, criterion: y}]}",
            "rubric",
            "stands twice",
        ),
        (
            "{id: 1, type: short_answer, max_mark: 2, reference_answers: [x], tolerance: 2}",
            "tolerance",
            "equal",
        ),
    ],
)
def test_each_rule(tmp_path: Path, item: str, field: str, says: str) -> None:
    problem = one_item(tmp_path, item)
    assert problem.field == f"items[0].{field}"
    assert says in problem.message


def test_misspelt_keys_are_recognised(tmp_path: Path) -> None:
    text = HEAD + "  - {id: 1, type: choice, options: AB, answer: A, max_mark: 1, max_marks: 1}\n"
    (problem,) = problems(tmp_path, text)
    assert problem.remedy == "did you mean max_mark?"


@pytest.mark.parametrize(
    ("tolerance", "expected"),
    [
        ("1%", 0.032),
        ("0.05", 0.05),
        ("0.05 m/s", 0.05),
        ("5 cm/s", 0.05),
        ("±0.1", 0.1),
        ("1", 1.0),
        ("０．５％", 0.016),
    ],
)
def test_forms_of_tolerance(tmp_path: Path, tolerance: str, expected: float) -> None:
    item = exam(
        tmp_path, f"{{id: 1, type: numeric, answer: 3.2, unit: m/s, tolerance: {tolerance}, max_mark: 1}}"
    ).items[0]
    assert isinstance(item, NumericItem)
    assert item.value_tolerance == pytest.approx(expected)


def test_a_temperature_tolerance_is_a_difference(tmp_path: Path) -> None:
    item = exam(tmp_path, "{id: 1, type: numeric, answer: 25, unit: ℃, tolerance: 2 K, max_mark: 1}").items[0]
    assert isinstance(item, NumericItem)
    assert item.value_tolerance == pytest.approx(2)


def test_scalars_keep_their_spelling(tmp_path: Path) -> None:
    item = exam(tmp_path, "{id: 007, type: blank, answers: [3.20, no, 1e3, 0x1F], max_mark: 1}").items[0]
    assert item.id == "007"
    assert item.model_dump()["answers"] == ("3.20", "no", "1e3", "0x1F")


def test_ids_written_1_and_quoted_1_are_the_same(tmp_path: Path) -> None:
    item = "  - {{id: {}, type: choice, options: AB, answer: A, max_mark: 1}}\n"
    (problem,) = problems(tmp_path, HEAD + item.format("1") + item.format('"1"'))
    assert problem.field == "items[1].id"
    assert problem.line == 4


def test_options_as_a_list_and_the_answer_in_any_order(tmp_path: Path) -> None:
    item = exam(tmp_path, "{id: 1, type: multi_choice, options: [a, b, c], answer: cA, max_mark: 2}").items[0]
    assert item.model_dump()["options"] == "ABC"
    assert item.model_dump()["answer"] == "AC"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b" \n\n", "empty"),
        ("exam: 物理".encode("gbk"), "UTF-8"),
        ("exam: T".encode("utf-16"), "UTF-8"),
        (b"exam: [1,\nb: }", "not YAML"),
        (b"exam:\n\t- x", "not YAML"),
        (b"\x00\x01", "not YAML"),
        (b"a: &x [1]\nb: *x", "anchor"),
        (b"a: !!python/object/apply:os.system [echo]", "tag"),
        (b"--- {a: 1}\n--- {b: 2}", "several documents"),
        (b"? {a: 1}\n: 2", "key must be plain text"),
        (b"[" * 5000, "nested too deeply"),
        (b"- " * 5000, "nested too deeply"),
        (b"just text", "not a mapping"),
        (b"#" * (1 << 19) + b"##", "larger than"),
        (b"a: [" + b"1," * 60_000 + b"]", "more than 50000 values"),
        (HEAD.encode() + b"  - {typ: choice}\n" * 300, "more problems"),
        (b"!" * 20_000, "tag"),
    ],
)
def test_hostile_files(tmp_path: Path, content: bytes, says: str) -> None:
    assert any(says in problem.message for problem in problems(tmp_path, content))


def test_an_expansion_bomb_is_refused_before_it_grows(tmp_path: Path) -> None:
    levels = zip("abcdefgh", "bcdefghi", strict=True)
    bomb = "a: &a [x,x,x]\n" + "".join(f"{c}: &{c} [{','.join([f'*{p}'] * 9)}]\n" for p, c in levels)
    (problem,) = problems(tmp_path, bomb)
    assert problem.line == 1


def test_a_key_that_stands_twice(tmp_path: Path) -> None:
    problem = one_item(tmp_path, "{id: 1, type: choice, options: AB, answer: A, max_mark: 1, answer: B}")
    assert problem.field == "items[0].answer"


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "absent.yaml"):
        with pytest.raises(ExamError, match="cannot be read"):
            load_exam(path)


@given(st.text(max_size=200) | st.binary(max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_content_gives_an_exam_or_problems(content: str | bytes) -> None:
    raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass")
    with tempfile.NamedTemporaryFile() as file:
        file.write(raw)
        file.flush()
        with pytest.raises(ExamError) as error:
            load_exam(Path(file.name))
    assert error.value.problems


def test_the_hash_is_of_the_meaning_not_the_layout(tmp_path: Path) -> None:
    one = exam(tmp_path, "{id: 1, type: choice, options: ABCD, answer: b, max_mark: 2}")
    other = exam(tmp_path, "{max_mark: 2.0, answer: B, id: '1', options: [A, B, C, D], type: choice}")
    third = exam(tmp_path, "{id: 1, type: choice, options: ABCD, answer: C, max_mark: 2}")
    assert one.sha256 == other.sha256 != third.sha256


@pytest.mark.parametrize("path", RUBRICS, ids=lambda p: p.stem)
def test_the_example_exams_are_sound_and_fit_the_json_schema(path: Path) -> None:
    loaded = load_exam(path)
    assert 10 <= len(loaded.items) <= 20
    assert Exam.model_validate_json(loaded.canonical()).sha256 == loaded.sha256
    jsonschema.Draft202012Validator.check_schema(json_schema())
    jsonschema.validate(YAML(typ="safe", pure=True).load(path), json_schema())


def test_there_are_example_exams_in_both_languages() -> None:
    assert {load_exam(path).exam.language for path in RUBRICS} == {"zh", "en"}
    assert len(RUBRICS) >= 3


def test_an_exam_built_in_code_obeys_the_same_rules() -> None:
    item = {"id": "1", "type": "choice", "options": "AB", "answer": "C", "max_mark": 1}
    with pytest.raises(ValidationError, match="not among the options"):
        Exam.model_validate({"exam": {"id": "e", "title": "t", "language": "en"}, "items": [item]})


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "grader", *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_the_check_command(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(HEAD + "  - {id: 1}\n")
    result = run("exam", "check", str(RUBRICS[0]), str(bad))
    assert result.returncode == 2
    assert result.stdout.startswith("OK ")
    assert len(result.stdout.splitlines()) == 1
    assert "items[0].type" in result.stderr
    assert "line 3" in result.stderr
    assert run("exam", "check", str(RUBRICS[0])).returncode == 0


def test_the_schema_command(tmp_path: Path) -> None:
    out = tmp_path / "schema.json"
    assert run("exam", "schema", "--out", str(out)).returncode == 0
    assert json.loads(out.read_text()) == json.loads(run("exam", "schema").stdout)
