"""What held-out questions teach beside the weights: calibration maps, limits of flags, validation figures.

Every probability here was given by members that never saw the answer's question.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.exam.exam import ShortAnswerItem
from grader.scoring import confidence as odds
from grader.scoring import triage
from grader.scoring.features import Extractor
from grader.scoring.text import look
from grader.training import metrics
from grader.training.rows import Row, source_weights

RISK = 0.10  # at most this share of accepted validation marks is off by more than the tolerance
EXACT_RISK = 0.15  # the same in a single set where nothing but the very mark will do
TELLING = 200  # answers from which a set tells
RIGHT_FLAGGED = 0.01  # at most this share of fully right validation answers carries each measured flag
SCALES = (2, 4, 10)  # maximum marks at which graded sets are judged again, so that any item is covered
_MOST_CRITERIA = 4
_POINT = re.compile(r"[。；;\n！？!?]|[，,、]|(?<=\w)\.\s")


@dataclass(frozen=True)
class Decision:
    """One proposed mark beside a human's. reach: steps that still agree; raw: the model's own probability."""

    row: int
    kind: str
    raw: float
    place: int
    human: int
    top: int
    reach: int
    gap: float

    @property
    def right(self) -> bool:
        return abs(self.place - self.human) <= self.reach


def decide(row: int, parts: Sequence[np.ndarray], human: float, rubric: bool, language: str) -> Decision:
    """The scorer's decision on the distributions of its criteria, on a scale of whole marks."""
    masses = odds.total(parts)
    top = len(masses) - 1
    place = sum(odds.median(part) for part in parts)
    reach = int(tolerance_of(top))
    kind = odds.Calibration.key(rubric, language, reach)
    raw, gap = odds.agreement(masses, place, reach), odds.boundary_gap(masses, place)
    return Decision(row, kind, raw, place, int(np.floor(human * top + 0.5)), top, reach, gap)


def tolerance_of(top: float) -> float:
    """How far from a human's mark still agrees, out of `top`: the exam's own rule."""
    return ShortAnswerItem(id="1", type="short_answer", max_mark=top, reference_answers=("1",)).mark_tolerance


def natural(rows: Sequence[Row], passes: np.ndarray) -> list[Decision]:
    """Each row on the scale that its humans used."""
    return [_holistic(n, row, passes[n], row.top) for n, row in enumerate(rows)]


def rescaled(rows: Sequence[Row], passes: np.ndarray) -> list[Decision]:
    """Each row on its own scale where that is right or wrong, else on every one of SCALES."""
    return [_holistic(n, row, passes[n], top) for n, row in enumerate(rows) for top in ((1,) if row.label else SCALES)]


def _holistic(place: int, row: Row, passes: np.ndarray, top: int) -> Decision:
    return decide(place, [odds.distribution(passes[:4], top, 1.0)], row.score, False, row.language)


def points_of(reference: str) -> tuple[str, ...]:
    """A reference answer as a rubric: its clauses, joined to at most four criteria of similar length."""
    clauses = [clause.strip() for clause in _POINT.split(reference) if len(look(clause).tokens) >= 2]
    count = min(_MOST_CRITERIA, len(clauses))
    groups = np.array_split(np.arange(len(clauses)), count) if count else []
    return tuple("；".join(clauses[place] for place in group) for group in groups)


@dataclass(frozen=True)
class PointRow:
    """One criterion of a reference treated as a rubric: features None where the answer shares nothing."""

    row: int
    features: np.ndarray | None


def point_rows(rows: Sequence[Row], extractor: Extractor) -> list[PointRow]:
    """Criteria for the graded rows whose one reference has at least two points (humans gave the total)."""
    found = []
    for number, row in enumerate(rows):
        points = points_of(row.references[0]) if not row.label and len(row.references) == 1 else ()
        if len(points) < 2:
            continue
        answer = look(row.text)
        for point in points:
            span = extractor.closest([extractor.sight(point)], answer)
            part = None if span is None else extractor.holistic(row.question, [point], answer.part(*span))
            found.append(PointRow(number, part))
    return found


def rubric_decisions(rows: Sequence[Row], points: Sequence[PointRow], passes: np.ndarray) -> list[Decision]:
    """The total of the criteria beside the human's mark, at one mark and at two marks a criterion."""
    by_row: dict[int, list[np.ndarray]] = {}
    for place, point in enumerate(points):
        by_row.setdefault(point.row, []).append(np.zeros(4) if point.features is None else passes[place, :4])
    return [
        decide(number, [odds.distribution(one, each, 1.0) for one in parts], row.score, True, row.language)
        for number, parts in by_row.items()
        for row in (rows[number],)
        for each in (1, 2)
    ]


def calibrate(decisions: Sequence[Decision]) -> dict[str, tuple[list[float], list[float]]]:
    """Knots for each kind. A kind with too few rows borrows those of the same reach in the other language."""
    kinds = [f"{p}/{lang}/{r}" for p in ("holistic", "rubric") for lang in ("zh", "en") for r in ("exact", "tolerant")]
    knots = {}
    for kind in kinds:
        path, _, reach = kind.split("/")
        chosen = [d for d in decisions if d.kind == kind]
        if len(chosen) < 200:
            chosen = [d for d in decisions if d.kind.startswith(path) and d.kind.endswith(reach)]
        if chosen:
            raw = np.array([d.raw for d in chosen])
            knots[kind] = metrics.isotonic(raw, np.array([d.right for d in chosen], float))
    return knots


def choose_limits(
    rows: Sequence[Row],
    measures: Sequence[triage.Measures],
    decisions: Sequence[Decision],
    sure: np.ndarray,
    each_set: bool = False,
) -> triage.Limits:
    """Limits of the flags. decisions: on the natural scales; sure: their calibrated confidences. A measured flag is
    placed where it meets at most RIGHT_FLAGGED of the fully right answers; the confidence limit where accepted
    marks keep RISK, sets weighing alike; with each_set, in every set that tells: an easy subject does not pay for a
    hard one, if there is a limit that does this at all."""
    right = np.array([d.right for d in decisions], float)
    full = [measure for row, measure in zip(rows, measures, strict=True) if row.score >= 0.999]

    def high(name: str, least: float) -> float:
        values = np.array([getattr(measure, name) for measure in full])
        return round(max(least, float(np.quantile(values, 1 - RIGHT_FLAGGED)) + 1e-6), 4)

    topical = np.array([measure.topical for measure in full])
    return triage.Limits(
        confidence=_confidence(rows, decisions, sure, right, each_set),
        boundary=_boundary(decisions),
        copied=min(1.0, high("copied", 0.6)),
        off_topic=round(float(np.quantile(topical, RIGHT_FLAGGED)), 4),
        unknown=high("unknown", 0.7),
        polarity=high("polarity", 0.2),
        both=high("both", 0.2),
        contradiction=high("contradiction", 0.2),
        reversed=high("reversed", 0.3),
        scrambled=high("scrambled", 0.1),
        silent=high("silent", 0.8),
    )


def _confidence(
    rows: Sequence[Row], decisions: Sequence[Decision], sure: np.ndarray, right: np.ndarray, each_set: bool
) -> float:
    sources = np.array([rows[one.row].source for one in decisions])
    telling = [source for source in np.unique(sources) if each_set and (sources == source).sum() >= TELLING]
    parts = [sources == source for source in telling] or [np.ones(len(sources), bool)]
    weight = source_weights([rows[one.row] for one in decisions], 1.0)
    exact = np.array([not one.reach for one in decisions])
    risks = [EXACT_RISK if telling and exact[part].all() else RISK for part in parts]
    limits = (
        metrics.accept_threshold(sure[part], right[part], weight[part], risk)
        for part, risk in zip(parts, risks, strict=True)
    )
    return round(max(limits), 4)


def flag_rates(rows: Sequence[Row], measures: Sequence[triage.Measures], limits: triage.Limits) -> dict[str, float]:
    """Share of the fully right answers that carry each flag of triage: what honest candidates pay for it."""
    found: Counter[str] = Counter()
    right = [(row, one) for row, one in zip(rows, measures, strict=True) if row.score >= 0.999]
    for row, one in right:
        references = [look(text) for text in row.references]
        codes = triage.text_flags(row.text, look(row.text), look(row.question), references, row.language)
        found.update({*codes, *triage.model_flags(one, limits)})
    return {code: found[code] / len(right) for code in sorted(found)}


def _boundary(decisions: Sequence[Decision]) -> float:
    """The gap below which the neighbouring mark was right about as often: the 5% of least gaps. Sets on wide scales
    only have tolerances instead, and say nothing of it."""
    exact = [d for d in decisions if not d.reach] or decisions  # where every scale is fine, the gap of any mark
    gaps = np.array([max(0.0, d.gap) for d in exact])
    return round(float(np.quantile(gaps, 0.05)), 4) if len(gaps) else 0.0


def contradiction_limit(rows: Sequence[Row], passes: np.ndarray) -> float:
    """The probability of contradiction (given that it is not correct) that gives the best 3-way macro-F1."""
    judged = [n for n, row in enumerate(rows) if row.label]
    human = [rows[n].label for n in judged]
    grid = np.arange(0.1, 0.7, 0.02)
    scores = [metrics.f1_scores(human, [three_way(passes[n], limit) for n in judged])[0] for limit in grid]
    return round(float(grid[int(np.argmax(scores))]), 3)


def three_way(passes: np.ndarray, limit: float) -> str:
    """correct, contradictory or incorrect."""
    if passes[3] >= 0.5:
        return "correct"
    return "contradictory" if passes[4] >= limit else "incorrect"


def figures(
    rows: Sequence[Row], passes: np.ndarray, decisions: Sequence[Decision], sure: np.ndarray, numbers: dict[str, Any]
) -> dict[str, Any]:
    """Figures of one set on held-out questions. sure: confidences from a calibration that never saw them."""
    right = np.array([d.right for d in decisions], float)
    accepted = sure >= numbers["limits"]["confidence"]
    found: dict[str, Any] = {"n": len(rows), "questions": len({row.group for row in rows})}
    if rows[0].label:
        given = [three_way(one, numbers["three_way"]) for one in passes]
        found["macro_f1_3way"], _ = metrics.f1_scores([row.label for row in rows], given)
    else:
        top = rows[0].top
        found["qwk"] = metrics.qwk([d.human for d in decisions], [d.place for d in decisions], top)
    found["within_tolerance"] = float(right.mean())
    found["ece"] = metrics.expected_calibration_error(sure, right)
    found["sure_enough"] = float(accepted.mean())
    found["error_sure_enough"] = float(1 - right[accepted].mean()) if accepted.any() else None
    return found
