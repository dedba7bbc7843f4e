"""From a marked sample to a calibration: fit, cross-validate, and see what can be promised.

Every figure and the threshold come from predictions by heads that never saw the answer's mark: ten folds, and inside
each everything that is fitted is fitted anew. The final heads learn from all of the sample. The same sample in any
order of rows gives the same calibration.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader import flags
from grader.exam.exam import Exam, ShortAnswerItem
from grader.scoring.calibration import (
    COMPARING,
    REPLACED,
    Calibration,
    Head,
    Sureness,
    decide,
    item_hash,
    kept_flags,
    logit_of,
    strangeness_limit,
)
from grader.scoring.description import dependencies, describe
from grader.scoring.head import Prepared, choose, cross_validate, cut
from grader.scoring.marked import Marked, Sample, step_of
from grader.scoring.protocol import Scorer
from grader.scoring.risk import promise
from grader.training.metrics import expected_calibration_error, qwk

FOLDS = 10
MOST = 600  # answers of an item that are learned from; more would only take longer
_COMMON, _COMMON_LEAST = 0.1, 5  # share and number of marked answers from which a comparing flag says nothing


@dataclass(frozen=True, eq=False)
class _Judged:
    """Cross-validated decisions on one item's sample. own: the scorer's marks without a calibration, in steps."""

    item: ShortAnswerItem
    human: np.ndarray  # in steps; not whole where several people's marks were averaged
    place: np.ndarray
    agreement: np.ndarray
    right: np.ndarray
    own: np.ndarray
    open: np.ndarray  # no flag blocks it
    fold: np.ndarray


def learn(
    exam: Exam, scorer: Scorer, sample: Sample, risk: float = 0.05, show: Callable[[str], None] = lambda _: None
) -> Calibration:
    """Learn how the exam is marked. sample: with at least one item. risk: the most that accepted marks may be off
    by more than the tolerance, as a share. show: is told the item that is being looked at."""
    items = {item.id: item for item in exam.items if isinstance(item, ShortAnswerItem) and item.id in sample.answers}
    prepared = {}
    for name, item in items.items():
        show(name)
        prepared[name] = _prepare(scorer, item, exam.exam.language, sample.answers[name])
    folds = [{name: _fold(name, len(one), fold) for name, one in prepared.items()} for fold in range(FOLDS)]
    checked = cross_validate(prepared, folds)
    muted = {name: _muted(one) for name, one in prepared.items()}
    judged = {
        name: _judge(items[name], one, *checked[name], muted[name], [fold[name] for fold in folds])
        for name, one in prepared.items()
    }
    everything = list(judged.values())
    sureness, sure = _sureness(everything)
    right, open_ = (np.concatenate([getattr(one, key) for one in everything]) for key in ("right", "open"))
    applied = np.array([round(sureness.apply(raw), 4) for one in everything for raw in one.agreement.tolist()])
    solved = choose(prepared, {name: np.arange(len(one)) for name, one in prepared.items()})
    heads = {
        name: Head.of(one, solved[name], cut(solved[name].alone, one.share, one.steps), muted[name])
        for name, one in prepared.items()
    }
    return Calibration(
        exam=exam.exam.id,
        items={name: item_hash(exam, item) for name, item in items.items()},
        depends=dependencies(scorer),
        heads=heads,
        sureness=sureness,
        promise=promise(applied[open_], right[open_], len(right), risk),
        figures=_figures(judged, sure, right),
    )


def _prepare(scorer: Scorer, item: ShortAnswerItem, language: str, answers: Sequence[Marked]) -> Prepared:
    kept = sorted(answers, key=lambda one: (_digest(one.text), one.mark))[:MOST]
    description = describe(scorer, item, language, [one.text for one in kept])
    steps = max(1, round(item.max_mark / step_of(item)))
    return Prepared.of(description, np.array([one.mark / item.max_mark for one in kept]), steps)


def _digest(text: str) -> str:
    """An order of answers that has nothing to do with what they say, nor with the order of the file."""
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()


def _fold(name: str, count: int, fold: int) -> np.ndarray:
    """The answers of one fold; items start at different folds so that folds are of even size."""
    start = int(_digest(name)[:8], 16)
    return np.flatnonzero((np.arange(count) + start) % FOLDS == fold)


def _muted(sample: Prepared) -> tuple[str, ...]:
    """Flags that compare with the reference and sit on so many marked answers that they say nothing here."""
    seen = Counter(code for mark in sample.description.marks for code in mark.flags if code in COMPARING)
    least = max(_COMMON_LEAST, _COMMON * len(sample))
    return tuple(code for code in flags.FLAGS if seen[code] >= least)


def _judge(
    item: ShortAnswerItem,
    sample: Prepared,
    values: np.ndarray,
    cuts: Sequence[Any],
    muted: tuple[str, ...],
    folds: Sequence[np.ndarray],
) -> _Judged:
    step = step_of(item)
    decisions = [
        decide(one, float(value), int(item.mark_tolerance / step + 1e-9))
        for one, value in zip(cuts, values, strict=True)
    ]
    place = np.array([decision[0] for decision in decisions])
    human = sample.share * sample.steps
    off = np.abs(place - human) * step
    near = (sample.kernels["grams"] - 2 * np.eye(len(sample))).max(1)
    like = near >= strangeness_limit(sample)
    unblocked = [not flags.blocking(tuple(kept_flags(mark.flags, muted))) for mark in sample.description.marks]
    fold = np.zeros(len(sample), int)
    for number, rows in enumerate(folds):
        fold[rows] = number
    return _Judged(
        item=item, human=human, place=place, agreement=np.array([decision[1] for decision in decisions]),
        right=off <= item.mark_tolerance + 1e-6,
        own=np.array([round((mark.mark or 0.0) / step) for mark in sample.description.marks]),
        open=like & np.array(unblocked), fold=fold,
    )  # fmt: skip


def _sureness(judged: Sequence[_Judged]) -> tuple[Sureness, np.ndarray]:
    """(the map from all of the sample, confidences by maps that did not see the fold)."""
    logits = np.array([logit_of(raw) for one in judged for raw in one.agreement.tolist()])
    right, fold = (np.concatenate([getattr(one, key) for one in judged]) for key in ("right", "fold"))
    sure = np.zeros(len(logits))
    for number in range(FOLDS):
        held = fold == number
        crossed = platt(logits[~held], right[~held])
        sure[held] = 1 / (1 + np.exp(-np.clip(crossed.offset + crossed.slope * logits[held], -40, 40)))
    return platt(logits, right), sure


def platt(logits: np.ndarray, right: np.ndarray) -> Sureness:
    """Logistic map with an offset and a slope (Platt 1999), drawn to the identity as by ten answers; Newton steps."""
    columns = np.stack([np.ones(len(logits)), logits], 1)
    start = np.array([0.0, 1.0])
    weights, draw = start.copy(), np.array([1.0, 10.0])
    for _ in range(30):
        given = 1 / (1 + np.exp(-np.clip(columns @ weights, -40, 40)))
        slope = columns.T @ (given - right) + draw * (weights - start)
        bend = (columns * (given * (1 - given))[:, None]).T @ columns + np.diag(draw)
        weights = weights - np.linalg.solve(bend, slope)
    return Sureness(float(weights[0]), max(0.05, float(weights[1])))


def _figures(judged: Mapping[str, _Judged], sure: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """Cross-validated figures: of each item, before and after, and of confidence."""
    items = {}
    for name, one in judged.items():
        human, steps = np.floor(one.human + 0.5).astype(int), round(one.item.max_mark / step_of(one.item))
        before = np.abs(one.own - one.human) * step_of(one.item) <= one.item.mark_tolerance + 1e-6
        items[name] = {
            "answers": len(human),
            "within_tolerance_before": float(before.mean()),
            "within_tolerance": float(one.right.mean()),
            "qwk_before": qwk(human, one.own, steps) if steps > 1 else None,
            "qwk": qwk(human, one.place, steps) if steps > 1 else None,
            "blocked": float(1 - one.open.mean()),
        }
    return {
        "answers": len(right),
        "within_tolerance": float(right.mean()),
        "mean_confidence": float(sure.mean()),
        "ece": expected_calibration_error(sure, right.astype(float)),
        "brier": float(((sure - right) ** 2).mean()),
        "items": items,
    }


assert not COMPARING & REPLACED
