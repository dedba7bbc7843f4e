"""What the scorer sees of a text: total on any Unicode, spans that point into what was written."""

from __future__ import annotations

import random
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.resources import model_path
from grader.scoring.features import COUNT, NAMES, Extractor, Weights, lcs
from grader.scoring.lexicon import cues, opposed, verdict
from grader.scoring.text import LIMIT, look, stem


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return Extractor(Weights.load(model_path("scorer/lexical-words.json")))


def measured(extractor: Extractor, question: str, references: list[str], answer: str) -> dict[str, float]:
    return dict(zip(NAMES, extractor.holistic(question, references, look(answer)).tolist(), strict=True))


@pytest.mark.parametrize(
    ("word", "others"),
    [("terminal", ["terminals"]), ("evaporate", ["evaporates", "evaporated", "evaporating"]), ("stop", ["stopped"])],
)
def test_stem_joins_the_forms_of_a_word(word: str, others: list[str]) -> None:
    assert {stem(other) for other in others} == {stem(word)}


def test_stem_keeps_different_words_apart() -> None:
    assert [stem(word) for word in ("glass", "bus", "this")] == ["glass", "bus", "this"]
    assert stem("open") != stem("opera")


def test_invisible_characters_and_lookalikes_read_as_what_they_imitate() -> None:
    assert look("wa\u200bter").text == "water"
    assert look("wаter").tokens == look("water").tokens  # the second letter is Cyrillic
    assert look("ＴＣＰ１２").text == "tcp12"


@given(st.text(max_size=300))
def test_any_text_gives_a_view_whose_spans_lie_within_it(raw: str) -> None:
    view = look(raw)
    assert len(view.text) == len(view.origin)
    assert list(view.origin) == sorted(view.origin)
    for start, end in view.clauses:
        left, right = view.span(start, end)
        assert 0 <= left < right <= len(raw)
    covered = [place for start, end in view.clauses for place in range(start, end)]
    assert len(covered) == len(set(covered))
    assert sum(map(len, view.clause_units)) >= len(view.small)


def test_a_span_survives_characters_that_were_dropped_or_unfolded() -> None:
    raw = "\u200bﬁne；水蒸气"
    view = look(raw)
    assert [raw[slice(*view.span(*clause))] for clause in view.clauses] == ["ﬁne；", "水蒸气"]


def test_only_the_first_characters_are_read() -> None:
    assert len(look("水" * 10_000).text) == LIMIT


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("不是", 1),
        ("不仅如此", 0),
        ("没有区别", 1),
        ("特别好", 0),
        ("无论怎样", 0),
        ("It is not so", 1),
        ("it isn't", 1),
    ],
)
def test_negations_are_counted_and_words_that_hold_one_are_not(text: str, count: int) -> None:
    assert look(text).negations == count


def test_polarity_reaches_the_words_after_a_negation_in_the_clause() -> None:
    negated = {token.text for token in look("water does not evaporate, it freezes").tokens if token.negated}
    assert stem("evaporate") in negated
    assert not negated & {"water", stem("freezes")}


def test_opposites_and_verdicts() -> None:
    assert opposed(cues(look("温度降低")), cues(look("温度升高"))) == 1
    assert opposed(cues(look("温度升高，然后降低")), cues(look("温度升高"))) == 0
    said = ("错误。不一定", "正确，因为", "Yes, it does", "栈是先进后出")
    assert [verdict(look(text)) for text in said] == [-1, 1, 1, 0]


def test_lcs_agrees_with_exhaustive_search() -> None:
    chance = random.Random(5)
    for _ in range(60):
        one, two = ([chance.choice("abc") for _ in range(chance.randint(0, 7))] for _ in range(2))
        subsequences = {c for n in range(len(one) + 1) for c in combinations(one, n)}
        others = {c for n in range(len(two) + 1) for c in combinations(two, n)}
        assert lcs(one, two) == max(map(len, subsequences & others))


def test_an_identical_answer_overlaps_wholly(extractor: Extractor) -> None:
    seen = measured(extractor, "为什么？", ["水蒸发吸收热量，所以温度降低"], "水蒸发吸收热量，所以温度降低")
    assert all(seen[name] == pytest.approx(1) for name in ("recall", "precision", "pair_recall", "lcs_recall", "order"))
    assert seen["polarity_mismatch"] == seen["opposites"] == 0


def test_the_closest_of_several_references_counts(extractor: Extractor) -> None:
    references = ["it is separated by a gap", "it is not connected to the positive terminal"]
    seen = measured(extractor, "", references, "not connected to the positive terminal")
    assert seen["recall"] > 0.8
    assert seen["mean_recall"] < seen["recall"]


def test_what_the_question_gave_away_counts_apart(extractor: Extractor) -> None:
    references = ["The water in the wet towel evaporates"]
    copied = measured(extractor, "Why does the wet towel dry?", references, "the wet towel")
    assert copied["recall"] > 0.2
    assert copied["new_recall"] == 0


def test_misspelling_is_tolerated(extractor: Extractor) -> None:
    seen = measured(extractor, "", ["evaporation of water"], "evaporatoin of water")
    assert seen["fuzzy_recall"] > seen["recall"] + 0.1


@given(st.text(max_size=120), st.text(min_size=1, max_size=60), st.text(max_size=60))
def test_features_are_finite_for_any_text(extractor: Extractor, answer: str, reference: str, question: str) -> None:
    vector = extractor.holistic(question, [reference], look(answer))
    assert vector.shape == (COUNT,)
    assert np.isfinite(vector).all()
