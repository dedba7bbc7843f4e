"""The lexical scorer as exams use it: ranges, spans, independence of the batch, confidence, flags."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader import flags
from grader.errors import ModelError
from grader.exam.exam import ShortAnswerItem
from grader.records import Mark, Response
from grader.resources import model_path
from grader.scoring import confidence as odds
from grader.scoring.lexical import LexicalScorer
from grader.scoring.task import statement

TOWEL = "Why does a wet towel dry faster on a windy day?"
ITEMS = {
    "holistic-en": ("en", ShortAnswerItem(
        id="1", type="short_answer", max_mark=4, prompt=TOWEL,
        reference_answers=(
            "Wind carries away the water vapour above the towel, so water evaporates faster.",
            "Moving air removes humid air and increases the rate of evaporation.",
        ),
    )),
    "rubric-en": ("en", ShortAnswerItem.model_validate({
        "id": "2", "type": "short_answer", "max_mark": 3, "prompt": TOWEL,
        "rubric": [
            {"id": "a", "marks": 1.5, "criterion": "wind carries away the water vapour"},
            {"id": "b", "marks": 1.5, "criterion": "the water evaporates faster"},
        ],
    })),
    "holistic-zh": ("zh", ShortAnswerItem(
        id="3", type="short_answer", max_mark=1, prompt="盘点方式有哪些？",
        reference_answers=("盘点方式包括：定期盘点和临时盘点。",),
    )),
    "rubric-zh": ("zh", ShortAnswerItem.model_validate({
        "id": "4", "type": "short_answer", "max_mark": 4, "prompt": "用力推箱子没有推动，摩擦力多大？为什么？",
        "reference_answers": ["摩擦力等于推力。箱子静止，处于平衡状态，所以二力平衡。"],
        "rubric": [
            {"id": "a", "marks": 2, "criterion": "摩擦力等于推力"},
            {"id": "b", "marks": 2, "criterion": "箱子静止，处于平衡状态"},
        ],
    })),
}  # fmt: skip
ANSWERS = [
    "The wind blows the vapour away, so the water evaporates faster", "because of the sun", "wind", "", " \n ",
    "wind does not carry away the vapour", TOWEL,
    "摩擦力等于推力，因为箱子静止，处于平衡状态", "摩擦力大于推力", "定期盘点和临时盘点", "it is 3.5 m/s",
    "？！", "[SEP] [MASK] </s>", "\u200b\u202e水\u0000", "\ud800", "😀😀", "١٢٣", "a" * 3000, "，" * 500,
]  # fmt: skip


@pytest.fixture(scope="module")
def scorer() -> LexicalScorer:
    return LexicalScorer()


def marks_of(scorer: LexicalScorer, name: str, texts: list[str], reading: float = 1.0) -> list[Mark]:
    language, item = ITEMS[name]
    return scorer.score(item, language, [Response(str(n), item.id, text, reading) for n, text in enumerate(texts)])


def check(mark: Mark, item: ShortAnswerItem, text: str) -> None:
    assert mark.mark is not None
    assert 0 <= mark.mark <= item.max_mark == mark.max_mark
    assert 0 <= mark.confidence <= 1
    assert mark.flags == flags.check(mark.flags)
    assert "model_proposal" in mark.flags
    assert mark.status == ("review" if flags.blocking(mark.flags) else "proposed")
    step = odds.mark_step([item.max_mark, *(c.marks for c in item.rubric)])
    for given_mark in (mark.mark, *(c.mark for c in mark.criteria)):
        assert given_mark / step == pytest.approx(round(given_mark / step))
    assert [c.id for c in mark.criteria] == [c.id for c in item.rubric]
    if item.rubric:
        assert mark.mark == pytest.approx(min(item.max_mark, sum(c.mark for c in mark.criteria)))
    for criterion, of in zip(mark.criteria, item.rubric, strict=True):
        assert 0 <= criterion.mark <= of.marks
        assert criterion.mark == 0 or criterion.evidence is not None
        if criterion.evidence is not None:
            start, end = criterion.evidence
            assert 0 <= start < end <= len(text)


@pytest.mark.parametrize("name", ITEMS)
def test_marks_keep_every_promise(scorer: LexicalScorer, name: str) -> None:
    for text, mark in zip(ANSWERS, marks_of(scorer, name, ANSWERS), strict=True):
        check(mark, ITEMS[name][1], text)


@settings(deadline=None)
@given(st.text(max_size=200), st.sampled_from(sorted(ITEMS)))
def test_no_text_breaks_a_promise(scorer: LexicalScorer, text: str, name: str) -> None:
    check(marks_of(scorer, name, [text])[0], ITEMS[name][1], text)


@pytest.mark.parametrize("name", ITEMS)
def test_a_mark_is_bitwise_the_same_alone_and_in_any_batch(scorer: LexicalScorer, name: str) -> None:
    language, item = ITEMS[name]
    alone = {text: marks_of(scorer, name, [text])[0] for text in ANSWERS}
    chance = random.Random(3)
    for _ in range(4):
        batch = chance.sample(ANSWERS, len(ANSWERS)) + chance.choices(ANSWERS, k=5)
        got = LexicalScorer().score(item, language, [Response("0", item.id, text) for text in batch])
        assert got == [alone[text] for text in batch]


def test_each_mark_is_addressed_to_its_candidate(scorer: LexicalScorer) -> None:
    marks = marks_of(scorer, "holistic-en", ["wind", "sun", "wind"])
    assert [mark.candidate for mark in marks] == ["0", "1", "2"]
    assert {mark.marker for mark in marks} == {"model:lexical/1"}


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("holistic-en", "the wind takes away the vapour so the water evaporates faster", "because towels are soft"),
        ("rubric-en", "wind carries the water vapour away. So water evaporates faster", "towels are made of cotton"),
        ("holistic-zh", "盘点方式有定期盘点和临时盘点", "出库盘点"),
        ("rubric-zh", "摩擦力等于推力，因为箱子静止，处于平衡状态", "因为太重了"),
    ],
)
def test_a_good_answer_earns_more_than_a_bad_one(scorer: LexicalScorer, name: str, good: str, bad: str) -> None:
    best, worst = (mark.mark or 0.0 for mark in marks_of(scorer, name, [good, bad]))
    assert best >= 0.75 * ITEMS[name][1].max_mark
    assert worst <= 0.25 * ITEMS[name][1].max_mark


def test_evidence_is_the_clause_that_meets_the_criterion(scorer: LexicalScorer) -> None:
    text = "我认为箱子很大。摩擦力等于推力。因为箱子静止，处于平衡状态。"
    first, second = marks_of(scorer, "rubric-zh", [text])[0].criteria
    assert first.evidence is not None
    assert second.evidence is not None
    assert "摩擦力等于推力" in text[slice(*first.evidence)]
    assert "静止" in text[slice(*second.evidence)]
    assert "很大" not in text[slice(*first.evidence)]


@pytest.mark.parametrize(
    ("criterion", "wanted"),
    [
        ("说明箱子静止", "箱子静止"), ("能指出：摩擦力等于推力", "摩擦力等于推力"), ("摩擦力大", "摩擦力大"),
        ("States that wind removes vapour", "wind removes vapour"), ("explains", "explains"), ("说明", "说明"),
        ("The student explains why ice floats", "ice floats"), ("Statement of the law", "Statement of the law"),
    ],
)  # fmt: skip
def test_a_criterion_is_read_for_what_it_wants_said(criterion: str, wanted: str) -> None:
    assert statement(criterion) == wanted


def test_blank_earns_nothing_with_the_confidence_of_the_reading(scorer: LexicalScorer) -> None:
    sure, doubtful = (marks_of(scorer, "rubric-zh", [""], reading)[0] for reading in (1.0, 0.5))
    assert (sure.mark, sure.confidence, sure.status) == (0.0, 1.0, "proposed")
    assert "blank" in sure.flags
    assert doubtful.confidence == 0.5
    assert doubtful.status == "review"


def test_doubt_of_the_reading_lowers_confidence_and_is_flagged(scorer: LexicalScorer) -> None:
    text = "定期盘点和临时盘点"
    sure, doubtful = (marks_of(scorer, "holistic-zh", [text], reading)[0] for reading in (1.0, 0.6))
    assert doubtful.mark == sure.mark
    assert doubtful.confidence < sure.confidence
    assert "ocr_doubtful" in doubtful.flags
    assert "ocr_doubtful" not in sure.flags


def test_low_confidence_is_flagged_below_the_documented_limit(scorer: LexicalScorer) -> None:
    for name in ITEMS:
        for mark in marks_of(scorer, name, ANSWERS):
            if "blank" not in mark.flags:
                unsure = mark.confidence < scorer.limits.confidence
                assert ("low_confidence" in mark.flags) == unsure


@pytest.mark.parametrize("key", ["holistic/zh/exact", "rubric/en/tolerant"])
def test_calibration_never_falls_and_is_a_probability(scorer: LexicalScorer, key: str) -> None:
    values = [scorer.calibration.apply(key, raw / 100) for raw in range(101)]
    assert values == sorted(values)
    assert values[0] >= 0
    assert values[-1] <= 1


def test_steps_of_marks() -> None:
    assert odds.mark_step([4, 2, 2]) == 1
    assert odds.mark_step([3, 1.5]) == 0.5
    assert odds.mark_step([1, 0.25]) == 0.25
    assert odds.mark_step([1, 0.3]) == 0.1
    assert odds.mark_step([1 / 3]) == 0.01


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.integers(1, 20))
def test_a_distribution_sums_to_one(passes: list[float], full: int) -> None:
    import numpy as np

    masses = odds.distribution(np.array(sorted(passes, reverse=True)), full, 1.0)
    assert len(masses) == full + 1
    assert masses.sum() == pytest.approx(1)
    assert (masses >= -1e-12).all()
    assert len(odds.total([masses, masses])) == 2 * full + 1


def test_damaged_or_foreign_weights_are_refused(tmp_path: Path) -> None:
    for name in ("lexical.onnx", "lexical.json", "lexical-words.json"):
        shutil.copy(model_path(f"scorer/{name}"), tmp_path)
    assert LexicalScorer(tmp_path).models() == LexicalScorer().models()
    numbers = json.loads((tmp_path / "lexical.json").read_text())
    (tmp_path / "other").mkdir()
    for damage in ({"version": "lexical/0"}, {"features": ["recall"]}, {"sha256": {"graph": "0", "words": "0"}}):
        (tmp_path / "lexical.json").write_text(json.dumps(numbers | damage))
        with pytest.raises(ModelError):
            LexicalScorer(tmp_path)
    (tmp_path / "lexical.json").unlink()
    with pytest.raises(ModelError):
        LexicalScorer(tmp_path)
