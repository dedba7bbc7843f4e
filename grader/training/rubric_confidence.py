"""How the judges of a criterion are summed, and how sure a mark under a rubric is: fitted on what the scorer itself
read, because no public set has human marks for single criteria. The points of a reference answer stand in for them;
people gave the total.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from grader.exam.exam import ShortAnswerItem
from grader.scoring import confidence as odds
from grader.scoring.encoder import EncoderScorer
from grader.scoring.evidence import Reading
from grader.scoring.stacking import Signals, Stack
from grader.scoring.text import look
from grader.training import metrics, validation
from grader.training.rows import Row
from grader.training.stacking import Judged, plain, sure_weights

# Weights of encoder and lexical judge: a coarse grid, because the points come from few questions. No bias: an answer
# can be fully right without every point of a reference, so totals of them do not say how easily a point is earned.
GRID = tuple(product((0.0, 0.1, 0.2, 0.3, 0.4, 0.5), (0.1, 0.3, 0.5, 0.7, 0.9)))
_WORTH = 0.05  # of surprise: what weighing the encoder less must gain, because it tells a statement from its words
_LEAST = 200  # answers, or decisions, to fit on
_RARE = 1e-4  # no total is held less likely


@dataclass(frozen=True, eq=False)
class Weighed:
    """An answer under a rubric made of its reference: what was read for each criterion, and the signals of confidence
    but for agreement."""

    row: Row
    readings: Sequence[Reading]
    found: Signals


def weigh(scorer: EncoderScorer, rows: Sequence[Row], most: int) -> list[Weighed]:
    """About `most` rows graded in marks, of every set alike as far as it goes, whose one reference has several
    points."""
    by_set: dict[str, list[Row]] = {}
    for row in rows:
        if row.label or len(row.references) > 1 or not look(row.text).tokens:
            continue
        if len(validation.points_of(row.references[0])) > 1:
            by_set.setdefault(row.source, []).append(row)
    found = []
    for row in (row for own in by_set.values() for row in own[: -(-most // len(by_set))]):
        points = validation.points_of(row.references[0])
        item = ShortAnswerItem.model_validate({
            "id": "1", "type": "short_answer", "max_mark": len(points), "prompt": row.question,
            "rubric": [{"id": str(n), "marks": 1, "criterion": point} for n, point in enumerate(points)],
        })  # fmt: skip
        readings, signals = scorer.weighed(item, row.language, row.text)
        if len(readings) == len(points):
            found.append(Weighed(row, readings, signals))
    return found


def best_weights(weighed: Sequence[Weighed], stack: Stack) -> tuple[float, float]:
    """Of the grid, what makes the humans' totals likeliest, or nearly so with more weight on the encoder; with few
    answers the stack's own."""
    if len(weighed) < _LEAST:
        return stack.criterion
    found = {one: surprise(weighed, replace(stack, criterion=one)) for one in GRID}
    good = [one for one in GRID if found[one] <= min(found.values()) + _WORTH]
    return min(good, key=lambda one: (-one[0], found[one]))


def surprise(weighed: Sequence[Weighed], stack: Stack) -> float:
    """The mean over sets of the mean negative log probability of the humans' totals, at one mark a criterion."""
    by_set: dict[str, list[float]] = {}
    for one in weighed:
        likely = odds.total(_parts(one, stack, 1))[int(np.floor(one.row.score * len(one.readings) + 0.5))]
        by_set.setdefault(one.row.source, []).append(-float(np.log(max(_RARE, likely))))
    return float(np.mean([np.mean(own) for own in by_set.values()]))


def _parts(one: Weighed, stack: Stack, each: int) -> list[np.ndarray]:
    """Mark distributions of the criteria, at `each` marks."""
    steps = (stack.steps(reading.output.steps, reading.lexical[:4], criterion=True) for reading in one.readings)
    return [odds.distribution(passes, each, 1.0) for passes in steps]


def decisions(weighed: Sequence[Weighed], stack: Stack) -> list[Judged]:
    """The totals beside the humans' marks, at one mark and at two marks a criterion."""
    found = []
    for number, one in enumerate(weighed):
        for each in (1, 2):
            decided = validation.decide(number, _parts(one, stack, each), one.row.score, True, one.row.language)
            found.append(Judged(decided, replace(one.found, agreement=decided.raw), one.row.source))
    return found


def add(numbers: dict[str, Any], weighed: Sequence[Weighed]) -> dict[str, Any]:
    """Fit the weights and the confidence of criteria into `numbers`; returns figures of both kinds. With few decisions
    the numbers of holistic marks stay."""
    report: dict[str, Any] = {}
    numbers["criterion"] = list(best_weights(weighed, Stack.read(numbers)))
    judged = decisions(weighed, Stack.read(numbers))
    for kind in ("rubric/exact", "rubric/tolerant"):
        chosen = [one for one in judged if one.kind == kind]
        if len(chosen) < _LEAST:
            continue
        before = Stack.read(numbers)
        right = np.array([one.decision.right for one in chosen], float)
        off = np.array([(one.decision.place - one.decision.human) / one.decision.top for one in chosen])
        borrowed = np.array([before.sure(kind, one.found) for one in chosen])
        numbers["confidence"][kind] = [plain(one) for one in sure_weights(chosen)]
        sure = np.array([Stack.read(numbers).sure(kind, one.found) for one in chosen])
        report[kind] = {
            "n": len(chosen), "within_tolerance": float(right.mean()),
            "ece_borrowed": metrics.expected_calibration_error(borrowed, right),
            "ece": metrics.expected_calibration_error(sure, right),
            "mean_error": float(np.abs(off).mean()),
            "bias": float(off.mean()),
        }  # fmt: skip
    return report
