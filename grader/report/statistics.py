"""Item and test statistics of classical test theory, as pure functions.

A mark matrix is float64, candidates x items, NaN where an item has no mark yet. Every result is None where
the data does not carry it (too few candidates, no variance): a report shows a dash, never a made-up number.
Terms as in Crocker & Algina, Introduction to Classical and Modern Test Theory (1986), chapters 7 and 14.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MIN_CANDIDATES = 5  # for correlations and alpha: below it they say nothing


@dataclass(frozen=True)
class ItemStatistics:
    """facility: mean mark / max mark, of the `marked` candidates. discrimination: corrected item-total
    correlation over the candidates whose every item is marked. full, zero: shares with full and with no marks.
    """

    item: str
    max_mark: float
    marked: int
    mean: float | None
    facility: float | None
    discrimination: float | None
    full: float | None
    zero: float | None


@dataclass(frozen=True)
class ExamStatistics:
    """Of the totals of candidates whose every item is marked. alpha: Cronbach's, over these candidates.

    standard_error: of measurement, sd * sqrt(1 - alpha), in marks.
    """

    complete: int
    mean: float | None
    sd: float | None
    median: float | None
    lowest: float | None
    highest: float | None
    alpha: float | None
    standard_error: float | None


def item_statistics(items: Sequence[tuple[str, float]], marks: np.ndarray) -> list[ItemStatistics]:
    """One row an item. items: id and max mark, in the order of the matrix's columns."""
    discriminations = item_rest_correlations(marks)
    rows = []
    for column, (item, max_mark) in enumerate(items):
        given = marks[:, column][~np.isnan(marks[:, column])]
        mean = float(given.mean()) if given.size else None
        rows.append(
            ItemStatistics(
                item,
                max_mark,
                int(given.size),
                mean,
                mean / max_mark if mean is not None else None,
                discriminations[column],
                float((given >= max_mark).mean()) if given.size else None,
                float((given <= 0).mean()) if given.size else None,
            )
        )
    return rows


def exam_statistics(marks: np.ndarray) -> ExamStatistics:
    """Of the candidates whose every item is marked; sd is that of a sample (n - 1)."""
    totals = complete_rows(marks).sum(axis=1)
    if not totals.size:
        return ExamStatistics(0, None, None, None, None, None, None, None)
    sd = float(totals.std(ddof=1)) if totals.size > 1 else None
    alpha = cronbach_alpha(marks)
    error = sd * math.sqrt(max(0.0, 1 - alpha)) if sd is not None and alpha is not None else None
    return ExamStatistics(
        int(totals.size),
        float(totals.mean()),
        sd,
        float(np.median(totals)),
        float(totals.min()),
        float(totals.max()),
        alpha,
        error,
    )


def complete_rows(marks: np.ndarray) -> np.ndarray:
    """The candidates whose every item is marked."""
    rows: np.ndarray = marks[~np.isnan(marks).any(axis=1)] if marks.size else marks[:0]
    return rows


def item_rest_correlations(marks: np.ndarray) -> list[float | None]:
    """For each item, the correlation of its marks with the total of the other items."""
    rows = complete_rows(marks)
    totals = rows.sum(axis=1)
    return [pearson(rows[:, column], totals - rows[:, column]) for column in range(marks.shape[1])]


def pearson(one: np.ndarray, other: np.ndarray) -> float | None:
    """Product-moment correlation; None below MIN_CANDIDATES pairs or without variance."""
    if one.size < MIN_CANDIDATES:
        return None
    x, y = one - one.mean(), other - other.mean()
    spread = math.sqrt(float(x @ x)) * math.sqrt(float(y @ y))
    return float(x @ y) / spread if spread > 1e-12 else None


def cronbach_alpha(marks: np.ndarray) -> float | None:
    """Cronbach's alpha (Psychometrika 16, 1951) over the candidates whose every item is marked."""
    rows = complete_rows(marks)
    count, items = rows.shape
    if count < MIN_CANDIDATES or items < 2:
        return None
    total_variance = float(rows.sum(axis=1).var(ddof=1))
    if total_variance <= 1e-12:
        return None
    return items / (items - 1) * (1 - float(rows.var(axis=0, ddof=1).sum()) / total_variance)


@dataclass(frozen=True)
class Bin:
    """Candidates with low <= total < high (the last bin includes high)."""

    low: float
    high: float
    count: int


def distribution(totals: np.ndarray, max_total: float, most_bins: int = 20) -> list[Bin]:
    """Totals in bins of a round width (1, 2, 2.5 or 5 times a power of ten) from 0 to at least max_total."""
    width = _round_width(max_total / most_bins)
    number = max(1, math.ceil(max_total / width - 1e-9))
    edges = np.arange(number + 1) * width
    counts, _ = np.histogram(np.clip(totals, 0, edges[-1]), edges)
    return [Bin(float(edges[i]), float(edges[i + 1]), int(counts[i])) for i in range(number)]


def _round_width(least: float) -> float:
    power = 10.0 ** math.floor(math.log10(least)) if least > 0 else 1.0
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= least - 1e-9)


@dataclass(frozen=True)
class OptionCount:
    """How often an option was chosen. label "" means no answer; rest_mean: mean total of the other items of
    those who chose it, as a share of what the others can give; None where nobody complete chose it."""

    label: str
    count: int
    share: float
    key: bool
    rest_mean: float | None


def option_counts(options: str, key: str, responses: Sequence[str], rests: Sequence[float | None]) -> list[OptionCount]:
    """Frequencies of the options of a choice item, and of no answer.

    responses: chosen labels of each candidate; several labels count for each. rests: of the same candidates,
    the share of the other items' marks, None where it is not known yet.
    """
    rows = []
    for label in [*options, ""]:
        chosen = [label in given if label else not given for given in responses]
        known = [rest for rest, yes in zip(rests, chosen, strict=True) if yes and rest is not None]
        count = sum(chosen)
        share = count / len(responses) if responses else 0.0
        rest_mean = sum(known) / len(known) if known else None
        rows.append(OptionCount(label, count, share, bool(label) and label in key, rest_mean))
    return rows
