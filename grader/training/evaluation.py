"""Figures of a scorer on a set, through the same path that marks exams."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from grader.errors import UsageError
from grader.exam.exam import ShortAnswerItem
from grader.records import Mark, Response
from grader.scoring.encoder import EncoderScorer
from grader.scoring.lexical import LexicalScorer
from grader.scoring.protocol import Scorer
from grader.scoring.text import look
from grader.training import metrics
from grader.training.rows import Label, Row
from grader.training.validation import three_way, tolerance_of

LABELS: tuple[Label, ...] = ("correct", "contradictory", "incorrect")


def mark_rows(scorer: Scorer, rows: Sequence[Row]) -> list[Mark]:
    """The scorer's mark of each row, on the scale that its humans used."""
    marks: list[Mark | None] = [None] * len(rows)
    questions: dict[tuple[str, tuple[str, ...]], list[int]] = {}
    for place, row in enumerate(rows):
        questions.setdefault((row.group, row.references), []).append(place)
    for places in questions.values():
        row = rows[places[0]]
        item = ShortAnswerItem(
            id=row.item, type="short_answer", max_mark=row.top, prompt=row.question, reference_answers=row.references
        )
        responses = [Response(str(place), row.item, rows[place].text) for place in places]
        for place, mark in zip(places, scorer.score(item, row.language, responses), strict=True):
            marks[place] = mark
    return [mark for mark in marks if mark is not None]


def agreement(rows: Sequence[Row], marks: Sequence[Mark], tolerance: Sequence[float]) -> np.ndarray:
    """1.0 where a mark lies within the tolerance of the human's, else 0.0."""
    human = np.array([row.score * row.top for row in rows])
    given = np.array([mark.mark or 0.0 for mark in marks])
    right: np.ndarray = (np.abs(human - given) <= np.array(tolerance) + 1e-6).astype(float)
    return right


def figures(rows: Sequence[Row], marks: Sequence[Mark], tolerance: Sequence[float]) -> dict[str, Any]:
    """n, agreement, calibration, and what would be accepted without a person's look."""
    human = np.array([row.score * row.top for row in rows])
    given = np.array([mark.mark or 0.0 for mark in marks])
    sure = np.array([mark.confidence for mark in marks])
    right = agreement(rows, marks, tolerance)
    accepted = np.array([mark.status == "proposed" for mark in marks])
    top = rows[0].top
    half = np.argsort(-sure, kind="stable")[: len(rows) // 2]
    found: dict[str, Any] = {"n": len(rows), "scale": f"0..{top}", "within_tolerance": float(right.mean())}
    if top > 1:
        whole = np.floor(human + 0.5).astype(int), np.floor(given + 0.5).astype(int)
        found["qwk"] = metrics.qwk(*whole, top)
        found["qwk_surest_half"] = metrics.qwk(whole[0][half], whole[1][half], top)
        found["mean_absolute_error"] = float(np.abs(human - given).mean() / top)
        found["accuracy_parts"] = float(np.mean(_part(human / top) == _part(given / top)))
    found["ece"] = metrics.expected_calibration_error(sure, right)
    found["brier"] = metrics.brier(sure, right)
    found["area_risk_coverage"] = metrics.risk_coverage(sure, right)[2]
    found["mean_confidence"] = float(sure.mean())
    found["coverage"] = float(accepted.mean())
    found["error_unflagged"] = float(1 - right[accepted].mean()) if accepted.any() else None
    found["within_tolerance_surest_half"] = float(right[half].mean())
    return found


def _part(share: np.ndarray) -> np.ndarray:
    """2 fully right, 0 worth nothing, 1 in between: the classes of the SAF paper."""
    return np.where(share > 0.9999, 2, np.where(share < 0.0001, 0, 1))


def most_likely_part(steps: np.ndarray) -> np.ndarray:
    """The likeliest of the same classes, from n x 4 probabilities of passing each step: a mark, which is to lie near
    the human's, keeps to the middle where this names an end."""
    nothing, full = 1 - steps[..., 0], steps[..., 3]
    named: np.ndarray = np.stack([nothing, 1 - nothing - full, full], axis=-1).argmax(-1)
    return named


def label(scorer: Scorer, row: Row) -> Label:
    """correct, contradictory or incorrect. Raises UsageError for a scorer that does not tell them apart."""
    answer = look(row.text)
    if not answer.tokens:
        return "incorrect"
    if isinstance(scorer, EncoderScorer):
        reading, _, _ = scorer.reading(row.question, row.references, answer)
        return LABELS[int(scorer.bundle.stack.named(reading.output.classes, reading.steps[3]).argmax())]
    if isinstance(scorer, LexicalScorer):
        named = three_way(scorer.probabilities(row.question, row.references, answer)[1], scorer.three_way)
        return cast(Label, named)
    raise UsageError(f"the scorer {scorer.name} does not name classes", "judge it by its marks")


def parts(scorer: Scorer, rows: Sequence[Row]) -> dict[str, float]:
    """How often the likeliest of fully right, in between and worth nothing is the human's; of scorers that say how
    likely each is."""
    steps = np.zeros((len(rows), 4))
    for place, row in enumerate(rows):
        answer = look(row.text)
        if isinstance(scorer, EncoderScorer) and answer.tokens:
            steps[place] = scorer.reading(row.question, row.references, answer)[0].steps
        elif isinstance(scorer, LexicalScorer) and answer.tokens:
            steps[place] = scorer.probabilities(row.question, row.references, answer)[1][:4]
        elif answer.tokens:
            return {}
    human = _part(np.array([row.score for row in rows]))
    return {"accuracy_named": float(np.mean(human == most_likely_part(steps)))}


def labels(scorer: Scorer, rows: Sequence[Row]) -> dict[str, float]:
    """Two-way and three-way figures of a set that grades in words."""
    human, given = [row.label for row in rows], [label(scorer, row) for row in rows]
    macro, weighted = metrics.f1_scores(human, given)
    two = [["correct" if label == "correct" else "incorrect" for label in one] for one in (human, given)]
    macro_2, weighted_2 = metrics.f1_scores(*two)
    same = np.mean([a == b for a, b in zip(human, given, strict=True)])
    same_2 = np.mean([a == b for a, b in zip(*two, strict=True)])
    return {
        "accuracy_3way": float(same), "macro_f1_3way": macro, "weighted_f1_3way": weighted,
        "accuracy_2way": float(same_2), "macro_f1_2way": macro_2, "weighted_f1_2way": weighted_2,
    }  # fmt: skip


def split_figures(scorer: Scorer, rows: Sequence[Row]) -> dict[str, Any]:
    """All figures of one split. A set of several scales (one a question) is judged scale by scale and averaged."""
    marks = mark_rows(scorer, rows)
    tolerance = [tolerance_of(row.top) for row in rows]
    items = sorted({row.item for row in rows})
    if len({row.top for row in rows}) > 1:
        return _mean_over_items(rows, marks, tolerance, items)
    found = figures(rows, marks, tolerance)
    return found | (labels(scorer, rows) if rows[0].label else parts(scorer, rows))


def _mean_over_items(
    rows: Sequence[Row], marks: Sequence[Mark], tolerance: Sequence[float], items: Sequence[str]
) -> dict[str, Any]:
    parts = {}
    for item in items:
        chosen = [place for place, row in enumerate(rows) if row.item == item]
        parts[item] = figures([rows[n] for n in chosen], [marks[n] for n in chosen], [tolerance[n] for n in chosen])
    keys = ("within_tolerance", "qwk", "ece", "coverage")
    mean = {key: float(np.mean([part[key] for part in parts.values()])) for key in keys}
    return {"n": len(rows), "scale": "per question", **mean, "questions": parts}
