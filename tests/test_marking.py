"""From responses to marks: policy, readings in doubt, and `grader score` from the outside."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader import flags
from grader.exam.exam import Exam, ShortAnswerItem
from grader.exam.load import load_exam
from grader.records import Character, Mark, Response, TextLine, Transcription
from grader.resources import rubrics_dir
from grader.scoring.marking import Settings, mark_responses

EXAM = Exam.model_validate(
    {
        "exam": {"id": "e", "title": "T", "language": "zh"},
        "items": [
            {"id": "c", "type": "choice", "options": "ABCD", "answer": "B", "max_mark": 2},
            {"id": "b", "type": "blank", "answers": ["光合作用"], "max_mark": 2},
            {"id": "h", "type": "blank", "answers": ["H2O"], "max_mark": 2},
            {"id": "n", "type": "numeric", "answer": "17", "unit": "cm", "max_mark": 3},
            {
                "id": "s",
                "type": "short_answer",
                "max_mark": 4,
                "rubric": [{"id": "a", "marks": 4, "criterion": "x"}],
            },
            {"id": "m", "type": "blank", "answers": ["x^2-1"], "math": True, "max_mark": 2},
            {"id": "k", "type": "multi_choice", "options": "ABC", "answer": "AB", "max_mark": 2},
        ],
    }
)
TEXTS = [
    "",
    " ",
    "B",
    "AB",
    "光合作用",
    "光和作用",
    "呼吸作用",
    "H20",
    "17cm",
    "17",
    "x2-1",
    "(x+1)(x-1)",
    "E",
    "1/0",
    "植物",
]


def one(item: str, text: str, **more: object) -> Mark:
    (mark,) = mark_responses(EXAM, [Response("007", item, text, **more)], None)  # type: ignore[arg-type]
    return mark


def written(text: str, *sureness: float) -> Transcription:
    characters = tuple(Character(c, p) for c, p in zip(text, sureness, strict=True))
    return Transcription(text, min(sureness), (TextLine(text, min(sureness), (0, 0, 1, 1), characters),))


class Recorder:
    """A scorer that proposes full marks for long answers and remembers what it was asked."""

    name = "model:recorder/1"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def models(self) -> dict[str, str]:
        return {}

    def score(self, item: ShortAnswerItem, language: str, responses: Sequence[Response]) -> list[Mark]:
        self.asked += [response.text for response in responses]
        return [
            Mark(
                r.candidate,
                item.id,
                min(float(len(r.text)), item.max_mark),
                item.max_mark,
                0.9,
                "proposed",
                ("model_proposal",),
            )
            for r in responses
        ]


@pytest.mark.parametrize(
    ("item", "text", "mark", "status", "codes"),
    [
        ("c", "b", 2, "final", ()),
        ("c", "A", 0, "final", ()),
        ("c", "", 0, "final", ("blank",)),
        ("c", "AB", 0, "review", ("multiple_marks",)),
        ("b", "光合作用。", 2, "final", ()),
        ("b", "光和作用", 0, "review", ("near_miss",)),
        ("b", "呼吸作用", 0, "final", ()),
        ("n", "170 mm", 3, "final", ()),
        ("n", "17", 0, "review", ("unit_missing",)),
        ("n", "abc", None, "review", ("not_a_number",)),
        ("m", "x2-1", None, "review", ("unparsed",)),
        ("s", "", 0, "proposed", ("blank",)),
        ("s", "因为", None, "review", ("no_scorer",)),
        ("zz", "B", None, "review", ("unknown_item",)),
    ],
)
def test_policy(item: str, text: str, mark: float | None, status: str, codes: tuple[str, ...]) -> None:
    got = one(item, text)
    assert (got.mark, got.status, got.flags) == (mark, status, codes)


@pytest.mark.parametrize("code", sorted(code for code in flags.FLAGS if flags.FLAGS[code].blocks))
def test_no_blocking_flag_of_the_reading_is_ever_final(code: str) -> None:
    for item, text in (("c", "B"), ("c", ""), ("b", "光合作用"), ("s", "")):
        got = one(item, text, flags=(code,))
        assert got.status == "review"
        assert code in got.flags
        assert "blank" not in got.flags


def test_an_answer_that_nobody_saw_gets_no_mark() -> None:
    assert one("c", "", flags=("missing_page",)).mark is None
    assert one("c", "", flags=("mark_doubtful",)).mark == 0


def test_a_doubtful_reading_is_not_final() -> None:
    assert one("b", "光合作用", confidence=0.59).flags == ("ocr_doubtful",)
    assert one("c", "B", confidence=0.59).flags == ("mark_doubtful",)
    assert one("b", "光合作用", confidence=0.6).status == "final"
    assert one("b", "光合作用", confidence=0.7).confidence == 0.7


def test_look_alikes_that_decide_the_mark_are_flagged() -> None:
    sure, unsure = 0.99, 0.7
    assert one("n", "17cm", transcription=written("17cm", sure, unsure, sure, sure)).flags == ("ocr_ambiguous",)
    assert one("n", "11cm", transcription=written("11cm", sure, unsure, sure, sure)).flags == ("ocr_ambiguous",)
    assert one("n", "17cm", transcription=written("17cm", sure, sure, sure, sure)).status == "final"
    assert (
        one("n", "99cm", transcription=written("99cm", sure, unsure, sure, sure)).status == "final"
    )  # wrong either way
    assert one("c", "8", transcription=written("8", unsure)).status == "review"
    # 胜 is no look-alike that we list, but the reader doubted it and everything else is right.
    doubted = one("b", "光合胜用", transcription=written("光合胜用", sure, sure, unsure, sure))
    assert doubted.flags == ("ocr_ambiguous",)
    assert one("b", "光合胜用", transcription=written("光合胜用", *[sure] * 4)).status == "final"


def test_look_alikes_are_found_across_lines_and_spaces() -> None:
    first = TextLine("x=", 0.99, (0, 0, 1, 1), (Character(" ", 0.9), Character("x", 0.99), Character("=", 0.99)))
    second = TextLine("17 cm", 0.7, (0, 1, 1, 1), tuple(Character(c, 0.7 if c == "7" else 0.99) for c in "17 cm "))
    got = one("n", "x=\n17 cm", transcription=Transcription("x=\n17 cm", 0.7, (first, second)))
    assert (got.mark, got.flags) == (3, ("ocr_ambiguous",))


def test_the_thresholds_are_settings() -> None:
    response = Response("1", "n", "17cm", 0.7, transcription=written("17cm", 0.9, 0.7, 0.9, 0.9))
    (relaxed,) = mark_responses(EXAM, [response], None, Settings(doubtful_below=0.5, ambiguous_below=0.5))
    (strict,) = mark_responses(EXAM, [response], None, Settings(doubtful_below=0.8))
    assert relaxed.status == "final"
    assert strict.flags == ("ocr_doubtful",)


def test_a_scorer_proposes_and_never_decides() -> None:
    scorer = Recorder()
    texts = ["因为光", "", "因为光", "光", "  "]
    responses = [Response(str(i), "s", text) for i, text in enumerate(texts)]
    marks = mark_responses(EXAM, responses, scorer)
    assert scorer.asked == ["因为光", "光"]  # the same answer once, nothing for nothing
    assert [mark.candidate for mark in marks] == list("01234")
    assert [mark.mark for mark in marks] == [3, 0, 3, 1, 0]
    assert {mark.status for mark in marks} == {"proposed"}
    (doubtful,) = mark_responses(EXAM, [Response("1", "s", "光", 0.3)], scorer)
    (struck,) = mark_responses(EXAM, [Response("1", "s", "光", flags=("struck_out",))], scorer)
    assert doubtful.status == struck.status == "review"
    assert struck.flags == ("struck_out", "model_proposal")


RESPONSES = st.lists(
    st.builds(
        Response,
        candidate=st.sampled_from("123"),
        item=st.sampled_from("cbhnsmkz"),
        text=st.sampled_from(TEXTS) | st.text(max_size=12),
        confidence=st.sampled_from([0.0, 0.5, 0.9, 1.0]),
        flags=st.sampled_from([(), ("mark_doubtful",), ("blank",), ("missing_page",)]),
    ),
    max_size=12,
)


@given(RESPONSES, st.randoms(use_true_random=False))
@settings(max_examples=120, deadline=None)
def test_marks_are_within_range_and_do_not_depend_on_order(responses: list[Response], chance: random.Random) -> None:
    marks = mark_responses(EXAM, responses, Recorder())
    order = list(range(len(responses)))
    chance.shuffle(order)
    shuffled = mark_responses(EXAM, [responses[i] for i in order], Recorder())
    assert [marks[i] for i in order] == shuffled
    for response, mark in zip(responses, marks, strict=True):
        assert (mark.candidate, mark.item) == (response.candidate, response.item)
        assert mark.mark is None or 0 <= mark.mark <= mark.max_mark
        assert 0 <= mark.confidence <= 1
        assert flags.check(mark.flags) == mark.flags
        assert (mark.status == "review") == (mark.mark is None or flags.blocking(mark.flags))
        assert not (mark.item == "s" and mark.status == "final")


@pytest.mark.parametrize("path", sorted(rubrics_dir().glob("*.yaml")), ids=lambda p: p.stem)
def test_the_answers_of_the_example_exams_earn_their_marks(path: Path) -> None:
    exam = load_exam(path)
    for item in exam.items:
        answers: Sequence[str] = ()
        if item.type == "blank":
            answers = item.answers
        elif item.type in ("choice", "multi_choice"):
            answers = [item.answer]
        elif item.type == "numeric":
            answers = [f"{item.answer} {item.unit or ''}"]
        for mark in mark_responses(exam, [Response("1", item.id, answer) for answer in answers], None):
            assert (mark.mark, mark.status) == (item.max_mark, "final"), (item.id, mark)


# the command


def score(
    tmp_path: Path, content: str | bytes, *options: str
) -> tuple[subprocess.CompletedProcess[str], list[dict[str, object]]]:
    responses, out = tmp_path / "responses.jsonl", tmp_path / "marks.jsonl"
    responses.write_bytes(content if isinstance(content, bytes) else content.encode())
    exam = rubrics_dir() / "physics-g8-zh.yaml"
    command = [
        sys.executable,
        "-m",
        "grader",
        "score",
        str(exam),
        str(responses),
        "--out",
        str(out),
        *options,
    ]
    result = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    assert "Traceback" not in result.stderr
    assert result.stdout == ""
    return result, [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] if out.exists() else []


def row(item: object, text: object, **more: object) -> str:
    return json.dumps({"candidate": "007", "item": item, "text": text, **more}, ensure_ascii=False) + "\n"


def test_rows_in_rows_out(tmp_path: Path) -> None:
    result, rows = score(
        tmp_path,
        row("1", "b") + row("12", "120 cm/s", note="kept") + "\n" + row(9, "贯性") + row("10", "1.5v") + row("18", ""),
        "--scorer",
        "none",
    )
    assert result.returncode == 0
    assert [r["mark"] for r in rows] == [2, 4, 0, 3, 0]
    assert [r["status"] for r in rows] == ["final", "final", "review", "final", "proposed"]
    assert rows[1]["note"] == "kept"
    assert {
        "candidate",
        "item",
        "text",
        "mark",
        "max_mark",
        "confidence",
        "status",
        "flags",
        "criteria",
    } <= set(rows[0])
    assert [c["id"] for c in rows[4]["criteria"]] == ["a", "b", "c"]  # type: ignore[union-attr, index]


def test_short_answers_through_the_shipped_scorer(tmp_path: Path) -> None:
    good = "吸气时吸管内的空气减少，气压变小，饮料在外界大气压的作用下被压进吸管。"
    result, rows = score(tmp_path, row("19", good) + row("19", "因为吸管很长") + row("19", good))
    assert result.returncode == 0, result.stderr
    assert {r["status"] for r in rows} <= {"proposed", "review"}
    assert rows[0] == rows[2]
    assert rows[0]["mark"] > rows[1]["mark"]  # type: ignore[operator]


def test_bad_rows_cost_themselves_only(tmp_path: Path) -> None:
    bad = [
        "not json\n",
        "[1]\n",
        "{}\n",
        row("1", None),
        row("1", "B", confidence="high"),
        row("1", "B", confidence=float("nan")),
        row("1", "B", flags=["invented"]),
        row(True, "B"),
        '{"candidate": "1", "item": "1", "text": "\\ud800"}\n',
        "[" * 100_000 + "\n",
        '{"candidate": 1' + "0" * 5000 + "}\n",
    ]
    result, rows = score(tmp_path, row("1", "B") + "".join(bad) + row("404", "B") + row("1", "B"))
    assert result.returncode == 1
    assert len(rows) == len(bad) + 3
    assert [r["flags"] for r in rows[1:-2]] == [["unreadable_row"]] * len(bad)
    assert rows[-2]["flags"] == ["unknown_item"]
    assert rows[0]["mark"] == rows[-1]["mark"] == 2
    for line in range(2, len(bad) + 3):
        assert f"responses.jsonl:{line}:" in result.stderr


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe{\x00", b"nonsense\n"])
def test_unusable_responses(tmp_path: Path, content: bytes) -> None:
    result, rows = score(tmp_path, content)
    assert result.returncode == 2
    assert "remedy" in result.stderr
    assert rows == []


def test_other_unusable_input(tmp_path: Path) -> None:
    assert score(tmp_path, row("18", "惯性"), "--scorer", "oracle")[0].returncode == 2
    command = [
        sys.executable,
        "-m",
        "grader",
        "score",
        str(tmp_path / "no.yaml"),
        "x",
        "--out",
        str(tmp_path / "o"),
    ]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 2


def test_an_input_is_never_overwritten(tmp_path: Path) -> None:
    responses = tmp_path / "responses.jsonl"
    result, _ = score(tmp_path, row("1", "B"), "--out", str(responses))
    assert result.returncode == 2
    assert json.loads(responses.read_text())["text"] == "B"
