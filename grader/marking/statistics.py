"""What marks say about those who gave them, as pure functions. The model is marker 0 and stands beside people.

Every figure comes with its n, and is None where the marks do not carry it: a page shows a dash, never a made-up
number.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean, median, stdev

from grader.marking.scheme import MODEL, within
from grader.training.metrics import qwk

HEDGE, HEDGE_WIDTH = 0.71, 0.03  # a mark of about 71% of full offends nobody and decides nothing


@dataclass(frozen=True)
class Row:
    """One mark that stands. text: of the normalised answer, "" where nothing was read. definitive: of a seed, None
    for another answer. third: it took a third marker to settle the answer."""

    marker: str
    item: str
    answer: str
    mark: float
    max_mark: float
    tolerance: float
    step: float
    seconds: float | None = None
    text: str = ""
    definitive: float | None = None
    third: bool = False


@dataclass(frozen=True)
class Agreement:
    """How far marks for the same answers agree. n: pairs of marks. exact, within: shares, the latter within T.
    qwk: quadratic weighted kappa, over marks in steps; mean: mean difference, the one minus the other, in marks."""

    n: int
    exact: float | None
    within: float | None
    qwk: float | None
    mean: float | None


@dataclass(frozen=True)
class MarkerFigures:
    """One marker. seconds: median for an answer. severity: mean difference to the others' marks and to definitive
    ones, as a share of full marks, over severity_n pairs; below 0 is severe. spread: standard deviation of the marks
    given, as a share of full. hedging: share of marks within 71% ± 3% of full. third_rate: share of the answers
    that took a third marker. itself: with his own marks for the same answer or the same text; seeds: with definitive
    marks."""

    marker: str
    count: int
    seconds: float | None
    severity: float | None
    severity_n: int
    spread: float | None
    hedging: float | None
    third_rate: float | None
    itself: Agreement
    seeds: Agreement


def marker_figures(rows: Sequence[Row]) -> list[MarkerFigures]:
    """One row a marker, the model first, then by name."""
    by_answer: dict[tuple[str, str], list[Row]] = defaultdict(list)
    own: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_answer[row.item, row.answer].append(row)
        own[row.marker].append(row)
    return [_figures(name, own[name], by_answer) for name in sorted(own, key=lambda name: (name != MODEL, name))]


def people_with_people(rows: Iterable[Row]) -> Agreement:
    """Agreement between different people on the same answers, every pair once (first given minus later)."""
    return agreement(
        (one, two)
        for group in _by_answer(row for row in rows if row.marker != MODEL)
        for one, two in combinations(group, 2)
        if one.marker != two.marker
    )


def model_with_people(rows: Iterable[Row]) -> Agreement:
    """Agreement between the model and people on the same answers (model minus person)."""
    found = []
    for group in _by_answer(rows):
        models = [row for row in group if row.marker == MODEL]
        found += [(models[-1], row) for row in group if models and row.marker != MODEL]
    return agreement(found)


def agreement(pairs: Iterable[tuple[Row, Row]]) -> Agreement:
    """Of pairs of marks for the same answer or text; T and step are those of the first."""
    held = list(pairs)
    if not held:
        return Agreement(0, None, None, None, None)
    exact = fmean(one.mark == two.mark for one, two in held)
    close = fmean(within(one.tolerance, one.mark, two.mark) for one, two in held)
    mean = fmean(one.mark - two.mark for one, two in held)
    return Agreement(len(held), exact, close, _kappa(held), mean)


def hedges(row: Row) -> bool:
    """Whether the mark is about 71% of full."""
    return abs(row.mark / row.max_mark - HEDGE) <= HEDGE_WIDTH + 1e-9


def _figures(name: str, own: Sequence[Row], by_answer: dict[tuple[str, str], list[Row]]) -> MarkerFigures:
    differences = [value for row in own for value in _differences(row, by_answer[row.item, row.answer])]
    shares = [row.mark / row.max_mark for row in own]
    times = [row.seconds for row in own if row.seconds is not None]
    live = [row for row in own if row.definitive is None]
    return MarkerFigures(
        marker=name,
        count=len(own),
        seconds=median(times) if times else None,
        severity=fmean(differences) if differences else None,
        severity_n=len(differences),
        spread=stdev(shares) if len(shares) > 1 else None,
        hedging=fmean(hedges(row) for row in own) if own else None,
        third_rate=fmean(row.third for row in live) if live else None,
        itself=agreement(_repeats(own)),
        seeds=agreement((row, _definitive(row)) for row in own if row.definitive is not None),
    )


def _differences(row: Row, others: Iterable[Row]) -> list[float]:
    """To the definitive mark where there is one, else to every other person's mark."""
    if row.definitive is not None:
        return [(row.mark - row.definitive) / row.max_mark]
    people = [one for one in others if one.marker not in (row.marker, MODEL)]
    return [(row.mark - one.mark) / row.max_mark for one in people]


def _repeats(own: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Each mark with the marker's earlier one for the same answer or, where something was read, the same text."""
    last: dict[tuple[str, str], Row] = {}
    found = []
    for row in own:
        key = row.item, row.text or f"answer {row.answer}"
        if key in last:
            found.append((last[key], row))
        last[key] = row
    return found


def _definitive(row: Row) -> Row:
    assert row.definitive is not None
    return Row("", row.item, row.answer, row.definitive, row.max_mark, row.tolerance, row.step)


def _by_answer(rows: Iterable[Row]) -> list[list[Row]]:
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        groups[row.item, row.answer].append(row)
    return list(groups.values())


def _kappa(pairs: Sequence[tuple[Row, Row]]) -> float | None:
    """Of the marks counted in steps; None for marks of several scales, which have no common kappa."""
    if len({(one.max_mark, one.step) for one, _ in pairs}) != 1:
        return None
    step, most = pairs[0][0].step, pairs[0][0].max_mark
    first, second = ([round(row.mark / step) for row in side] for side in zip(*pairs, strict=True))
    if len(set(first) | set(second)) < 2:
        return None  # one mark for everything: chance agreement is all there is
    return qwk(first, second, round(most / step))
