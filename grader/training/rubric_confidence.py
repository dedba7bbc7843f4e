"""How sure a mark under a rubric is: fitted on marks that the scorer itself gave, because no public set has human marks
for single criteria. The points of a reference answer stand in for them; people gave the total.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from grader.exam.exam import ShortAnswerItem
from grader.scoring.encoder import EncoderScorer
from grader.scoring.stacking import Stack
from grader.scoring.text import look
from grader.training import metrics, validation
from grader.training.rows import Row
from grader.training.stacking import Judged, plain, sure_weights

_LEAST = 200  # decisions to fit a kind on


def decisions(scorer: EncoderScorer, rows: Sequence[Row], most: int) -> list[Judged]:
    """Up to `most` rows whose one reference has several points, marked under a rubric made of them, beside the
    human's total: the points of a reference stand for criteria, at one mark and at two marks each."""
    found = []
    suited = [row for row in rows if len(row.references) == 1 and look(row.text).tokens]
    suited = [row for row in suited if len(validation.points_of(row.references[0])) > 1][:most]
    for number, row in enumerate(suited):
        points = validation.points_of(row.references[0])
        for each in (1, 2):
            item = ShortAnswerItem.model_validate({
                "id": "1", "type": "short_answer", "max_mark": each * len(points), "prompt": row.question,
                "rubric": [{"id": str(n), "marks": each, "criterion": point} for n, point in enumerate(points)],
            })  # fmt: skip
            masses, seen = scorer.weighed(item, row.language, row.text)
            one = validation.decide(number, masses, row.score, True, row.language)
            found.append(Judged(one, replace(seen, agreement=one.raw), row.source))
    return found


def add(numbers: dict[str, Any], judged: Sequence[Judged]) -> dict[str, Any]:
    """Fit the confidence of rubric marks into `numbers`; returns figures of both kinds. With few decisions the
    numbers of holistic marks stay."""
    report: dict[str, Any] = {}
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
