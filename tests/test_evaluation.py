"""Figures of a scorer: what a mark says of an answer, and what the scorer holds likeliest."""

from __future__ import annotations

import numpy as np
import pytest

from grader.scoring import confidence as odds
from grader.scoring.lexical import LexicalScorer
from grader.training import evaluation
from grader.training.rows import Row

REFERENCE = "Wind carries away the water vapour above the towel, so the water evaporates faster."


def row(text: str, score: float) -> Row:
    question = "Why does a wet towel dry faster on a windy day?"
    return Row("saf", "train", "1", question, (REFERENCE,), text, score, "en", top=8)


def test_the_likeliest_class_may_be_an_end_where_the_mark_keeps_to_the_middle() -> None:
    steps = np.array([[0.9, 0.8, 0.7, 0.6], [0.3, 0.2, 0.1, 0.05], [0.9, 0.6, 0.4, 0.2]])
    assert evaluation.most_likely_part(steps).tolist() == [2, 0, 1]
    assert odds.median(odds.distribution(steps[0], 8, 1.0)) < 8  # in shares of 1/8 the mark stays below full
    for passes in np.sort(np.random.default_rng(1).random((50, 4)))[:, ::-1]:
        nothing, full = 1 - passes[0], passes[3]
        chances = [nothing, passes[0] - full, full]
        assert chances[evaluation.most_likely_part(passes)] == pytest.approx(max(chances))


def test_named_classes_are_counted_against_the_humans() -> None:
    rows = [row(REFERENCE, 1.0), row("football", 0.0), row("", 0.0)]
    scorer = LexicalScorer()
    assert evaluation.parts(scorer, rows) == {"accuracy_named": 1.0}
    turned = [row(REFERENCE, 0.0), row("football", 0.5), row("", 0.0)]
    assert evaluation.parts(scorer, turned) == {"accuracy_named": pytest.approx(1 / 3)}
    figures = evaluation.split_figures(scorer, rows)
    assert figures["accuracy_named"] == 1.0
    assert figures["n"] == 3
