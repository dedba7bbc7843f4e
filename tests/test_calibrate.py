"""Learning from an exam's own marking: what is learned, what is promised, what is refused, what is written."""

from __future__ import annotations

import io
import json
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from exams import CHOICE, make_exam

from grader.cli.calibrate import command as calibrate
from grader.cli.calibrate import report
from grader.cli.score import command as score
from grader.errors import ModelError, UsageError
from grader.exam.exam import Exam, ShortAnswerItem
from grader.exam.form import Form, PageForm, TextField
from grader.records import CriterionMark, Response
from grader.run import batch
from grader.run.job import Job, Settings
from grader.run.pipeline import PageReader
from grader.run.refresh import stored_job
from grader.scoring import calibration_file, rows
from grader.scoring.calibration import CalibratedScorer, Calibration, Sureness, reconcile
from grader.scoring.head import cut
from grader.scoring.learn import learn, platt
from grader.scoring.lexical import LexicalScorer
from grader.scoring.marked import check_sample
from grader.scoring.risk import binomial_tail, promise, upper_bound
from grader.store.store import RunStore

# an item whose reference says nothing of what people mark: only the sample can tell
UNSAID = {
    "type": "short_answer",
    "max_mark": 2,
    "prompt": "Why did the bridge close?",
    "rubric": [{"id": "a", "marks": 2, "criterion": "as in the marked examples"}],
}
_CAUSES = ("the storm broke a cable", "a cable snapped in the storm", "wind tore the main cable")
_RESULTS = ("so it could not carry cars", "and cars were too heavy for it", "which made it unsafe for traffic")
_IDLE = ("people like bridges", "the river is very long", "it was painted green", "my uncle works near the water")


def answers(count: int, seed: int) -> list[tuple[str, float]]:
    """Answers with the marks of a teacher who gives one for the cause and one for the result."""
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        cause, result = rng.random() < 0.5, rng.random() < 0.5
        parts = [rng.choice(_CAUSES)] * cause + [rng.choice(_RESULTS)] * result + [rng.choice(_IDLE)]
        made.append((f"{' '.join(parts)} {number % 7} times", float(cause) + float(result)))
    return made


def lines(marked: list[tuple[str, float]], item: str = "1") -> list[dict[str, Any]]:
    return [{"candidate": str(n), "item": item, "text": t, "mark": m} for n, (t, m) in enumerate(marked)]


def written(path: Path, data: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in data), encoding="utf-8")
    return path


def exam_file(path: Path, exam: Exam) -> Path:
    path.write_text(json.dumps(exam.model_dump(mode="json", exclude_none=True)), encoding="utf-8")
    return path


def read(tmp_path: Path, data: list[dict[str, Any]]) -> list[rows.Row]:
    return rows.read_rows(written(tmp_path / "marked.jsonl", data))


@cache
def scorer() -> LexicalScorer:
    return LexicalScorer()


@cache
def exam() -> Exam:
    return make_exam([UNSAID], language="en")


@cache
def learned(folder: Path) -> Calibration:
    sample = check_sample(exam(), read(folder, lines(answers(120, 1))))
    return calibration_file.write(learn(exam(), scorer(), sample, risk=0.1), folder / "c.npz")


@pytest.fixture(scope="module")
def calibration(tmp_path_factory: pytest.TempPathFactory) -> tuple[Calibration, Path]:
    folder = tmp_path_factory.mktemp("learned")
    return learned(folder), folder / "c.npz"


def marks_of(calibration: Calibration, texts: list[str], confidence: float = 1.0) -> list[Any]:
    item = exam().items[0]
    assert isinstance(item, ShortAnswerItem)
    given = [Response(str(n), "1", text, confidence) for n, text in enumerate(texts)]
    return CalibratedScorer(scorer(), calibration, exam()).score(item, "en", given)


def test_an_item_without_any_usable_reference_is_learned(calibration: tuple[Calibration, Path]) -> None:
    fresh = answers(60, 2)
    given = marks_of(calibration[0], [text for text, _ in fresh])
    right = np.mean([mark.mark == human for mark, (_, human) in zip(given, fresh, strict=True)])
    assert right >= 0.8
    assert all(mark.status in ("proposed", "review") for mark in given)
    assert any(mark.status == "proposed" for mark in given)
    assert all(sum(one.mark for one in mark.criteria) == mark.mark for mark in given)


def test_a_mark_depends_on_nothing_else_in_the_batch(calibration: tuple[Calibration, Path]) -> None:
    texts = [text for text, _ in answers(12, 3)]
    together = marks_of(calibration[0], texts)
    alone = [marks_of(calibration[0], [text])[0] for text in texts]
    assert [(m.mark, m.confidence, m.flags) for m in together] == [(m.mark, m.confidence, m.flags) for m in alone]


def test_an_answer_unlike_the_sample_is_flagged(calibration: tuple[Calibration, Path]) -> None:
    strange, usual = marks_of(calibration[0], ["zebras quietly juxtapose fuzzy hexagons", answers(1, 9)[0][0]])
    assert "unlike_sample" in strange.flags
    assert strange.status == "review"
    assert "unlike_sample" not in usual.flags


def test_a_doubtful_reading_lowers_confidence(calibration: tuple[Calibration, Path]) -> None:
    text = answers(1, 4)[0][0]
    sure, doubtful = marks_of(calibration[0], [text])[0], marks_of(calibration[0], [text], 0.5)[0]
    assert doubtful.confidence == pytest.approx(sure.confidence / 2, abs=1e-3)
    assert "ocr_doubtful" in doubtful.flags


def test_blank_and_wordless_answers_stay_with_the_scorer(calibration: tuple[Calibration, Path]) -> None:
    given = marks_of(calibration[0], ["", "!!!"])
    assert [mark.mark for mark in given] == [0.0, 0.0]
    assert all(mark.marker == scorer().name for mark in given)


def test_the_file_comes_back_as_it_was_and_holds_no_text(calibration: tuple[Calibration, Path]) -> None:
    first, path = calibration
    again = calibration_file.read(path)
    texts = [text for text, _ in answers(15, 5)]
    assert marks_of(again, texts) == marks_of(first, texts)
    assert again.sha256 == first.sha256
    with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
        inside = b"".join(archive.read(name) for name in archive.namelist())
    assert b"cable" not in inside
    assert b"as in the marked" not in inside


def test_the_order_of_rows_does_not_matter(tmp_path: Path, calibration: tuple[Calibration, Path]) -> None:
    data = lines(answers(120, 1))[::-1]
    again = learn(exam(), scorer(), check_sample(exam(), read(tmp_path, data)), risk=0.1)
    assert calibration_file.write(again, tmp_path / "c.npz").sha256 == calibration[0].sha256


def test_a_small_sample_promises_nothing_and_accepts_nothing(tmp_path: Path) -> None:
    sample = check_sample(exam(), read(tmp_path, lines(answers(25, 6))))
    found = learn(exam(), scorer(), sample, risk=0.05)
    assert found.promise.threshold is None
    assert all(mark.status == "review" for mark in marks_of(found, [text for text, _ in answers(10, 7)]))
    for language, said in (("en", "No promise"), ("zh", "不能保证")):
        assert said in report(found, sample, language)[-1]


@pytest.mark.parametrize("count", [100, 300])
def test_the_promise_is_kept(count: int) -> None:
    """Samples drawn again and again from a population whose true risk at every threshold is known."""
    rng, risk, broken, made = np.random.default_rng(11), 0.1, 0, 0
    for _ in range(200):
        sure = rng.random(count)
        right = rng.random(count) < 0.7 + 0.28 * sure  # accepted at t or above: mean of 1 - (0.7 + 0.28 u), u in t..1
        found = promise(sure, right, count, risk)
        if found.threshold is not None:
            made += 1
            broken += 0.3 - 0.14 * (1 + found.threshold) > risk
    assert broken <= 0.05 * 200 + 3 * np.sqrt(0.05 * 0.95 * 200)
    assert made or count == 100


def test_a_promise_is_made_where_it_can_be() -> None:
    sure = np.linspace(0.5, 1, 1000)
    right = np.ones(1000, bool)
    right[:200] = np.arange(200) % 2 == 0  # the least sure fifth is wrong every other time
    found = promise(sure, right, 1000, 0.05)
    assert found.threshold is not None
    assert 0.75 <= found.coverage <= 0.95
    assert promise(sure[:58], right[-58:], 58, 0.05).threshold is None  # 59 without an error are needed
    assert promise(np.zeros(0), np.zeros(0, bool), 20, 0.05).threshold is None


def test_bounds_are_those_of_the_tables() -> None:
    assert binomial_tail(0, 59, 0.05) == pytest.approx(0.95**59)
    assert binomial_tail(2, 10, 0.5) == pytest.approx(56 / 1024)
    assert upper_bound(0, 59) == pytest.approx(1 - 0.05 ** (1 / 59), abs=1e-9)
    assert upper_bound(10, 10) == 1.0


def test_sureness_follows_what_was_seen_but_slowly() -> None:
    logits = np.linspace(-2, 4, 400)
    truth = 1 / (1 + np.exp(-(0.5 * logits - 0.5)))
    right = np.random.default_rng(3).random(400) < truth
    found = platt(logits, right)
    errors = [abs(found.apply(1 / (1 + np.exp(-x))) - y) for x, y in zip(logits, truth, strict=True)]
    assert max(errors) < 0.1
    few = platt(logits[:2], right[:2])
    assert abs(few.apply(0.7) - Sureness().apply(0.7)) < 0.15


def test_cuts_rise_and_shrink_to_even_spacing() -> None:
    share = np.array([0.0, 0.0, 0.5, 1.0])
    found = cut(np.array([0.2, 0.3, 0.5, 0.6]), share, 2)
    assert list(found.places) == sorted(found.places)
    assert all(abs(place - even) < 0.1 for place, even in zip(found.places, (0.25, 0.75), strict=True))
    assert found.masses(0.4).sum() == pytest.approx(1)


def test_every_problem_of_a_sample_is_named(tmp_path: Path) -> None:
    asked = make_exam([UNSAID, CHOICE], language="en")
    good = lines(answers(30, 8))
    odd = [
        {"candidate": "a", "item": "9", "text": "x", "mark": 1},
        {"candidate": "b", "item": "1", "text": "x", "mark": 3},
        {"candidate": "c", "item": "1", "text": "x", "mark": 0.5},
        {"candidate": "d", "item": "1", "text": "x"},
        {"candidate": "e", "item": "1", "text": "x", "mark": "2"},
        {"candidate": "0", "item": "1", "text": "something else", "mark": 1},
        {"candidate": "f", "item": "1", "text": " ", "mark": 1},
        {"candidate": "g", "item": "2", "text": "B", "mark": 2},
        {"candidate": "h", "item": "1", "text": "...", "mark": 0},
        {"candidate": "i", "item": "1", "text": "the cable broke", "mark": 0},
        {"candidate": "j", "item": "1", "text": "The  cable broke", "mark": 2},
        good[1] | {"mark": 2 - good[1]["mark"]},
    ]
    sample = check_sample(asked, read(tmp_path, [*good, *odd]))
    said = [problem for _, problem in sample.problems]
    wanted = ("no item '9'", "not within 0 to 2", "off the steps", "missing", "must be a number", "another answer",
              "without text")  # fmt: skip
    assert len(said) == len(wanted)
    for words, problem in zip(wanted, said, strict=True):
        assert words in problem
    assert [line for line, _ in sample.problems] == [31, 32, 33, 34, 35, 36, 37]
    notes = "\n".join(sample.notes)
    for words in ("a rule marks", "hold no words", "more than once", "carry different marks", "lines 40, 41: 0, 2"):
        assert words in notes
    assert len(sample.answers["1"]) == 32
    assert sample.answers["1"][1].mark == 1  # the mean of a mark and its opposite


def test_items_with_few_answers_are_left_and_said(tmp_path: Path) -> None:
    asked = make_exam([UNSAID, UNSAID, UNSAID], language="en")
    data = [*lines(answers(40, 1)), *lines(answers(19, 2), "2")]
    sample = check_sample(asked, read(tmp_path, data))
    assert sample.left == {"2": 19, "3": 0}
    found = learn(asked, scorer(), sample)
    assert set(found.heads) == {"1"}
    assert any("2" in line and "19" in line for line in report(found, sample, "en"))
    item = asked.items[1]
    assert isinstance(item, ShortAnswerItem)
    given = [Response("x", "2", "the storm broke a cable")]
    assert CalibratedScorer(scorer(), found, asked).score(item, "en", given) == scorer().score(item, "en", given)


def test_another_exam_a_changed_item_and_another_scorer_are_refused(calibration: tuple[Calibration, Path]) -> None:
    found, _ = calibration
    changed = make_exam([{**UNSAID, "prompt": "Why did the bridge open?"}], language="en")
    with pytest.raises(UsageError, match="item 1 changed"):
        CalibratedScorer(scorer(), found, changed)
    with pytest.raises(UsageError, match="item 1 changed"):
        CalibratedScorer(scorer(), found, make_exam([UNSAID], language="zh"))
    gone = make_exam([CHOICE], language="en")
    with pytest.raises(UsageError, match="item 1 is gone"):
        CalibratedScorer(scorer(), found, gone)
    other = make_exam([UNSAID], language="en")
    renamed = other.model_copy(update={"exam": other.exam.model_copy(update={"id": "another"})})
    with pytest.raises(UsageError, match="made for the exam 'test-exam'"):
        CalibratedScorer(scorer(), found, renamed)

    class Newer(LexicalScorer):
        def models(self) -> dict[str, str]:
            return {"lexical.onnx": "0"}

    with pytest.raises(UsageError, match="other weights"):
        CalibratedScorer(Newer(), found, exam())


def test_damaged_and_foreign_files_are_refused(tmp_path: Path, calibration: tuple[Calibration, Path]) -> None:
    whole = calibration[1].read_bytes()
    for data in (b"", b"text", whole[: len(whole) // 2], whole[:2000] + bytes(200) + whole[2200:]):
        (tmp_path / "bad.npz").write_bytes(data)
        with pytest.raises(ModelError, match="not a calibration"):
            calibration_file.read(tmp_path / "bad.npz")
    with pytest.raises(UsageError, match="cannot be read"):
        calibration_file.read(tmp_path / "none.npz")
    with pytest.raises(UsageError, match="another calibration"):
        calibration_file.calibrated(scorer(), calibration[1], exam(), "0" * 64)


def test_criteria_add_up_to_the_calibrated_mark() -> None:
    points = [{"id": "a", "marks": 2, "criterion": "one"}, {"id": "b", "marks": 2, "criterion": "two"}]
    item = make_exam([{"type": "short_answer", "max_mark": 3, "cap": True, "rubric": points}]).items[0]
    assert isinstance(item, ShortAnswerItem)
    given = (CriterionMark("a", 2.0, 0.9, (0, 3)), CriterionMark("b", 2.0, 0.6, (4, 6)))
    assert reconcile(given, item, 3.0) == given  # capped: nothing to change
    lower = reconcile(given, item, 1.0)
    assert [one.mark for one in lower] == [1.0, 0.0]
    assert [one.evidence for one in lower] == [(0, 3), (4, 6)]
    assert lower[0].confidence == 0.5
    higher = reconcile((CriterionMark("a", 0.0, 0.9), CriterionMark("b", 0.0, 0.6)), item, 3.0)
    assert [one.mark for one in higher] == [1.0, 2.0]


def test_the_commands(tmp_path: Path) -> None:
    asked = exam_file(tmp_path / "exam.json", exam())
    marked = written(tmp_path / "marked.jsonl", [*lines(answers(60, 1)), {"candidate": "x", "item": "7", "text": "y"}])
    out, ends = tmp_path / "c.npz", tmp_path / "marks.jsonl"
    base = ["--scorer", "lexical"]
    done = CliRunner().invoke(calibrate, [str(asked), str(marked), "--out", str(out), *base], standalone_mode=False)
    assert done.return_value == 1  # one row was left out
    assert done.stdout == ""
    for words in ("marked.jsonl:61: the exam has no item '7'", "Risk against coverage", "sha256"):
        assert words in done.stderr
    given = written(tmp_path / "r.jsonl", [{"candidate": "n", "item": "1", "text": "the storm broke a cable"}])
    arguments = [str(asked), str(given), "--out", str(ends), *base, "--calibration", str(out)]
    assert CliRunner().invoke(score, arguments, standalone_mode=False).return_value == 0
    mark = json.loads(ends.read_text(encoding="utf-8"))
    assert mark["marker"].endswith("+calibration/1")
    assert mark["status"] in ("proposed", "review")
    few = written(tmp_path / "few.jsonl", lines(answers(5, 1)))
    refused = CliRunner().invoke(calibrate, [str(asked), str(few), "--out", str(out), *base], standalone_mode=False)
    assert isinstance(refused.exception, UsageError)
    assert "nothing can be learned" in str(refused.exception)


def test_a_run_keeps_its_calibration_for_replay(tmp_path: Path, calibration: tuple[Calibration, Path]) -> None:
    found, path = calibration
    field = TextField(id="1-1", item="1", x=9, y=9, w=9, h=9)
    form = Form.model_validate({"id": "f", "pages": [PageForm(number=1, width=210, height=297, fields=(field,))]})
    job = Job(exam(), form, tmp_path, None, Settings(scorer="lexical", calibration=found.sha256), path)
    with RunStore.create(tmp_path / "run") as store:
        store.set_meta(**job.describe(), models={}, form_folder=str(tmp_path))
        batch._keep_calibration(store, job)
        again = stored_job(store)
        assert again.calibration == store.folder / "calibration.npz"
        now = PageReader(again).scorer
        assert now is not None
        assert now.models()["calibration"] == found.sha256
        item, given = exam().items[0], [Response("1", "1", text) for text, _ in answers(5, 12)]
        assert isinstance(item, ShortAnswerItem)
        assert now.score(item, "en", given) == CalibratedScorer(scorer(), found, exam()).score(item, "en", given)
        again.calibration.write_bytes(again.calibration.read_bytes() + b"\0")
        with pytest.raises(UsageError, match="another calibration"):
            _ = PageReader(again).scorer
    assert "calibration" not in Job(exam(), form, tmp_path).describe()["settings"]
