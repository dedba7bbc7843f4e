"""Attacks by rule: what they are built from, that they are repeatable, and that triage sees what it must."""

from __future__ import annotations

import random

import pytest

from grader.flags import blocking
from grader.scoring import triage
from grader.scoring.text import look
from grader.training import attacks
from grader.training.rows import Row

ENGLISH = Row(
    "made", "train", "q1", "Why does the bulb in this circuit glow?",
    ("The bulb is glowing because it is in a closed path with the battery and the current can flow.",),
    "it was switched on by my friend", 0.0, "en", "incorrect",
)  # fmt: skip
CHINESE = Row(
    "made", "train", "q2", "为什么电路中的灯泡会发光？",
    ("因为灯泡和电池处在一个闭合的回路中，所以电流可以通过灯泡。",), "因为朋友把它打开了", 0.0, "zh", top=10,
)  # fmt: skip
ROWS = (ENGLISH, CHINESE)
NO_PLACE = {("homoglyphs", "zh")}  # a Chinese text without Latin letters has no twins


def made(name: str, row: Row) -> str:
    text = attacks.ATTACKS[name](row, random.Random(1))
    assert text is not None
    return text


def flags_of(row: Row, text: str) -> list[str]:
    references = [look(reference) for reference in row.references]
    return triage.text_flags(text, look(text), look(row.question), references, row.language)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.language)
@pytest.mark.parametrize("name", attacks.ATTACKS)
def test_every_attack_changes_the_answer(name: str, row: Row) -> None:
    if (name, row.language) in NO_PLACE:
        assert attacks.ATTACKS[name](row, random.Random(1)) is None
    else:
        assert made(name, row) not in ("", row.text, *row.references)


def test_the_same_seed_gives_the_same_attacks_whatever_else_is_attacked() -> None:
    alone = {one.attack: one.text for one in attacks.attacked([CHINESE], 7)}
    beside = {one.attack: one.text for one in attacks.attacked(ROWS, 7) if one.row is CHINESE}
    assert alone == beside
    assert alone != {one.attack: one.text for one in attacks.attacked([CHINESE], 8)}


def test_only_answers_below_the_pass_level_are_attacked() -> None:
    scores = (0.0, 0.59, 0.6, 1.0)
    rows = [Row("made", "train", "q", "", ("b c",), f"text {n}", score, "en") for n, score in enumerate(scores)]
    assert [row.score for row in attacks.wrong_answers(rows)] == [0.0, 0.59]


def test_a_negated_reference_says_the_opposite() -> None:
    assert "not" in made("negated", ENGLISH).split()
    assert "不" in made("negated", CHINESE)


def test_shuffling_keeps_the_words() -> None:
    assert sorted(made("shuffled", ENGLISH).split()) == sorted(ENGLISH.references[0].rstrip(".").split())


def test_keywords_are_the_words_that_mean_something() -> None:
    words = made("keywords", ENGLISH).split(", ")
    assert "battery" in words
    assert "the" not in words


def test_a_reference_that_is_a_list_is_no_keyword_attack() -> None:
    row = Row("made", "train", "q", "", ("真实、准确、完整、清楚",), "完善", 0.0, "zh")
    assert attacks.keywords(row, random.Random(1)) is None


def test_lengths() -> None:
    assert len(made("very_long", ENGLISH)) == attacks.LONG
    assert len(made("long_reference", CHINESE)) > 5 * len(CHINESE.references[0])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.language)
@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("begging_en", "control_text"),
        ("begging_zh", "control_text"),
        ("special_tokens", "control_text"),
        ("zero_width", "control_text"),
        ("very_long", "too_long"),
    ],
)
def test_what_addresses_the_marker_or_hides_is_flagged_by_rule(name: str, code: str, row: Row) -> None:
    for seed in range(20):
        text = attacks.ATTACKS[name](row, random.Random(seed))
        assert text is not None
        assert code in flags_of(row, text), text


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.language)
@pytest.mark.parametrize("name", ["orders_en", "orders_zh"])
def test_orders_to_the_model_are_flagged_by_rule(name: str, row: Row) -> None:
    for seed in range(20):
        text = attacks.ATTACKS[name](row, random.Random(seed))
        assert text is not None
        assert blocking(tuple(flags_of(row, text))), text


def test_letters_of_other_alphabets_are_flagged_by_rule() -> None:
    assert "control_text" in flags_of(ENGLISH, made("homoglyphs", ENGLISH))
