"""Contradictions found by rule: a clause that says the opposite of the reference's clause, in both languages."""

import pytest

from grader.resources import model_path
from grader.scoring.features import Weights
from grader.scoring.reversal import clauses, reversal
from grader.scoring.text import look

WIND = "风带走了毛巾表面的水蒸气，使水分蒸发加快。"
HEAT = "The metal expands because heat makes its particles move faster."


@pytest.fixture(scope="module")
def weights() -> Weights:
    return Weights.load(model_path("scorer/lexical-words.json"))


def share(weights: Weights, answer: str, *references: str) -> float:
    return reversal(look(answer), [look(one) for one in references], weights).share


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("水分蒸发减慢。", WIND),
        ("风没有带走水蒸气。", WIND),
        ("风带走了水蒸气。风没有带走水蒸气。", WIND),
        ("The metal contracts because heat makes its particles move faster.", HEAT),
        ("Heat does not make the particles of the metal move faster", HEAT),
        ("heat makes its particles move slower", HEAT),
    ],
)
def test_the_opposite_of_a_clause_is_seen(weights: Weights, answer: str, reference: str) -> None:
    assert share(weights, answer, reference) >= 0.3


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("风带走了水蒸气，水分蒸发加快。", WIND),
        ("因为太阳很大。", WIND),
        ("", WIND),
        ("温度越低，溶解越慢。", "温度越高，溶解越快。"),
        ("heat makes particles move faster, so the metal expands", HEAT),
        ("the particles do not move slower when heat reaches them", HEAT),
        ("it is not made of wood", HEAT),
    ],
)
def test_what_agrees_or_speaks_of_something_else_is_left_alone(weights: Weights, answer: str, reference: str) -> None:
    assert share(weights, answer, reference) == 0.0


def test_two_turns_in_one_clause_cancel_out(weights: Weights) -> None:
    assert share(weights, "温度越低溶解越慢", "温度越高溶解越快") == 0.0
    assert share(weights, "温度越低溶解越快", "温度越高溶解越快") > 0.5


def test_another_reference_that_the_clause_is_closer_to_speaks_for_it(weights: Weights) -> None:
    slow = "水分蒸发减慢"
    assert share(weights, slow, WIND) > 0.5
    assert share(weights, slow, WIND, "夜里水分蒸发减慢") == 0.0


def test_the_more_alike_the_higher(weights: Weights) -> None:
    close, far = "使水分蒸发减慢", "夜里水分蒸发减慢"
    assert share(weights, close, WIND) > share(weights, far, WIND) > 0.0


@pytest.mark.parametrize(
    ("answer", "unsaid"),
    [
        ("风带走了水蒸气。风没有带走水蒸气。水分蒸发加快。", True),
        ("水分蒸发加快，水分蒸发减慢。", True),
        ("水分蒸发减慢。", False),
        ("风带走了水蒸气，水分蒸发加快。", False),
    ],
)
def test_a_right_statement_beside_its_opposite_is_told_from_a_wrong_one(
    weights: Weights, answer: str, unsaid: bool
) -> None:
    found = reversal(look(answer), [look(WIND)], weights)
    assert (found.unsaid >= 0.3) == unsaid


def test_a_long_answer_is_looked_at_in_part(weights: Weights) -> None:
    assert share(weights, "风没有带走水蒸气，" * 300, WIND) > 0.0
    assert len(clauses(look("风没有带走水蒸气，" * 300))) == 64
