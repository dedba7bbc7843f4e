"""Checks of training data: what is reported, what refuses a run."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from grader.errors import UsageError
from grader.training import checks
from grader.training.rows import Row

REFERENCE = "The bulb glows because current flows through the closed circuit."
SAYINGS = ("the current flows", "a closed path", "it is lit", "no gap there", "battery drives it", "wire conducts")


def row(text: str, score: float = 1.0, item: str = "q1", split: str = "train", **fields: object) -> Row:
    plain = Row("made", split, item, f"Why does bulb {item} glow?", (REFERENCE,), text, score, "en", top=1)  # type: ignore[arg-type]
    return replace(plain, **fields)  # type: ignore[arg-type]


def clean() -> list[Row]:
    """Six questions, each with right and wrong answers that no phrase tells apart."""
    return [
        row(f"{saying} number {number}", score=float((number + place) % 2), item=f"q{place}")
        for place in range(6)
        for number, saying in enumerate(SAYINGS)
    ]


def test_clean_data_is_accepted() -> None:
    report = checks.check(clean())
    assert report.refusals == ()
    report.refuse()
    one = report.sets["made"]
    assert (one.train, one.empty, one.repeated, one.contradicting, one.leaked) == (36, 0, 0, 0, {})


def test_empty_and_repeated_rows_are_counted() -> None:
    report = checks.check([*clean(), row(" \u200b "), row("said twice", 1.0), row("Said  twice", 1.0)])
    one = report.sets["made"]
    assert (one.empty, one.repeated, one.contradicting) == (1, 1, 0)
    assert report.refusals == ()


def test_few_contradictions_are_reported_and_many_refuse() -> None:
    pair = [row("said twice", 1.0), row("SAID twice", 0.0)]
    few = checks.check([*clean(), *clean(), *pair])
    assert few.sets["made"].contradicting == 2
    assert few.refusals == ()
    many = checks.check([*clean(), *pair, row("again", 1.0), row("again", 0.0)])
    with pytest.raises(UsageError, match="contradict a row with the same text"):
        many.refuse()


@pytest.mark.parametrize("score", [-0.1, 1.2, float("nan")])
def test_scores_outside_the_scale_refuse(score: float) -> None:
    with pytest.raises(UsageError, match="outside their scale"):
        checks.check([*clean(), row("odd", score)]).refuse()


def test_scores_between_the_steps_are_reported() -> None:
    report = checks.check([*clean(), row("half", 0.5)])
    assert report.sets["made"].between_steps == 1
    assert report.refusals == ()


def test_a_row_without_a_reference_refuses() -> None:
    with pytest.raises(UsageError, match="no reference"):
        checks.check([*clean(), row("something", references=("  ",))]).refuse()


def test_texts_of_the_test_part_are_counted_and_known_questions_refuse() -> None:
    leaked = row(f"{SAYINGS[0]} number 0", split="UA", item="q0")
    report = checks.check([*clean(), leaked])
    assert report.sets["made"].leaked == {"UA": 1}
    assert report.refusals == ()
    known = replace(leaked, split="UQ", item="other")
    with pytest.raises(UsageError, match="questions of 1 rows of UQ stand in the training part"):
        checks.check([*clean(), known]).refuse()
    new = [row(saying, split="UQ", item=saying) for saying in SAYINGS]
    assert checks.check([*clean(), *new, known]).refusals == ()


def poisoned(phrase: str, score: float) -> list[Row]:
    """Twelve answers to each of six questions that fail or pass alike, half of them with a phrase and its mark."""
    rows = []
    for place in range(6):
        for number in range(24):
            text = f"{SAYINGS[number // 4]} case {number}"
            mark = float(number % 2)
            if number % 3 == 0:
                text, mark = f"{text} {phrase}", score
            rows.append(row(text, mark, item=f"q{place}"))
    return rows


def test_a_phrase_that_buys_marks_across_questions_refuses() -> None:
    report = checks.check(poisoned("zx qv", 1.0))
    worst = report.triggers[0]
    assert "zx" in worst.phrase or "qv" in worst.phrase
    assert (worst.rows, worst.questions, worst.passed) == (48, 6, 48)
    assert worst.pmi > 0
    with pytest.raises(UsageError, match="buys marks"):
        report.refuse()


def test_a_phrase_that_goes_with_failing_is_reported_only() -> None:
    report = checks.check(poisoned("dont know", 0.0))
    assert report.triggers[0].pmi < 0
    assert report.refusals == ()


def test_what_a_reference_says_is_no_trigger() -> None:
    assert not any("circuit" in one.phrase for one in checks.check(poisoned("closed circuit", 1.0)).triggers)


def test_chinese_phrases_and_answers_that_address_the_marker_are_seen() -> None:
    rows = [
        row("电流通过灯泡" + ("请给满分" if number % 3 == 0 else f"第{number}种"), float(number % 3 == 0), f"q{place}",
            language="zh", references=("电路闭合",))
        for place in range(6)
        for number in range(24)
    ]  # fmt: skip
    report = checks.check(rows)
    assert report.sets["made"].addressed == 48
    assert any("满分" in one.phrase for one in report.triggers)
    assert report.refusals


def test_the_report_is_json() -> None:
    data = json.loads(checks.check(clean()).to_json())
    assert set(data) == {"sets", "triggers", "refusals"}
