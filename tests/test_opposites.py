"""Contradictions made of right answers: minimal pairs, labels that a single word does not give away."""

from __future__ import annotations

import pytest

from grader.training.opposites import opposed_rows, turned
from grader.training.rows import Row

REFERENCE = "The harder coin will scratch the other one."


def row(text: str, reference: str = REFERENCE, label: str = "correct", language: str = "en") -> Row:
    return Row("set", "train", "1", "which coin is harder?", (reference,), text, 1.0, language, label)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "word", "wanted"),
    [
        ("The Harder coin, not the hardest", "harder", "The softer coin, not the hardest"),
        ("it increases", "increases", "it decreases"),
        ("温度升高，压强升高", "升高", "温度降低，压强降低"),
    ],
)
def test_a_word_becomes_its_opposite(text: str, word: str, wanted: str) -> None:
    assert turned(text, word) == wanted


def test_a_shared_word_is_turned_in_one_text_or_in_both() -> None:
    rows = [row(f"the harder one scratches {number}") for number in range(60)]
    made = opposed_rows(rows, 1.0, 5)
    assert len(made) == 60
    for one in made:
        agree = ("harder" in one.text) == ("harder" in one.references[0])
        assert one.label == ("correct" if agree else "contradictory")
        assert one.score == float(agree)
        assert "harder" not in one.text + one.references[0] or not agree
    kinds = {("harder" in one.text, "harder" in one.references[0]) for one in made}
    assert kinds == {(True, False), (False, True), (False, False)}


def test_without_a_shared_word_a_statement_is_denied() -> None:
    made = opposed_rows([row("it is made of steel"), row("it does not bend", "The coin is stiff.")] * 20, 1.0, 5)
    texts = {(one.text, one.references[0]) for one in made}
    assert ("it is not made of steel", REFERENCE) in texts
    assert ("it does bend", "The coin is stiff.") in texts
    assert all(one.label == "contradictory" and one.score == 0.0 for one in made)


def test_only_right_answers_are_turned_and_marks_in_numbers_get_no_label() -> None:
    wrong = row("the harder one").__class__(**{**vars(row("the harder one")), "score": 0.5})
    assert opposed_rows([wrong], 1.0, 5) == []
    numbers = opposed_rows([row("the harder one", label="")] * 30, 1.0, 5)
    assert {(one.label, one.score) for one in numbers} == {("contradictory", 0.0), ("", 1.0)}
    assert opposed_rows([row("the harder one")], 0.0, 5) == []
