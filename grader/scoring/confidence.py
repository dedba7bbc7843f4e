"""From probabilities of "the score passes step k" to a mark, its distribution and a calibrated confidence.

The four steps lie at 1/8, 3/8, 5/8, 7/8 of the full mark; between them the distribution is taken as linear.
An item that is marked all or nothing gets the mark where the last step is passed: only a full answer counts.
Calibration maps the model's own probability of agreeing with a human to the rate observed on questions that
were held out of training: isotonic regression (Zadrozny & Elkan 2002), stored as plain knots.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

STEPS = (0.125, 0.375, 0.625, 0.875)
_KNOTS = (-0.125, *STEPS, 1.125)
_FINENESS = (1.0, 0.5, 0.25, 0.2, 0.1, 0.05)


def mark_step(marks: Sequence[float]) -> float:
    """The step between marks: whole marks if every one of `marks` is whole, else halves, quarters, fifths,
    tenths or twentieths, the coarsest that fits; else hundredths."""
    for step in _FINENESS:
        if all(abs(mark / step - round(mark / step)) < 1e-9 for mark in marks):
            return step
    return 0.01


def distribution(passes: np.ndarray, full: float, step: float) -> np.ndarray:
    """Probability of each mark 0, step, ... full. passes: 4 probabilities that the score passes step k."""
    count = max(1, round(full / step))
    bounds = (np.arange(count) + 0.5) / count if count > 1 else np.array([STEPS[-1]])
    below = np.interp(bounds, _KNOTS, [0.0, *(1.0 - passes.astype(np.float64)), 1.0])
    return np.diff(below, prepend=0.0, append=1.0)


def median(masses: np.ndarray) -> int:
    """Place of the median of a distribution: the mark with the least expected absolute error."""
    return min(int(np.searchsorted(np.cumsum(masses), 0.5)), len(masses) - 1)


def total(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Distribution of the sum of criteria, taken as independent."""
    masses = np.ones(1)
    for part in parts:
        masses = np.convolve(masses, part)
    return masses


def agreement(masses: np.ndarray, place: int, reach: int) -> float:
    """Probability that the mark lies within `reach` steps of `place`."""
    return float(min(1.0, masses[max(0, place - reach) : place + reach + 1].sum()))


def boundary_gap(masses: np.ndarray, place: int) -> float:
    """Distance of the nearer edge of the chosen mark from even odds: near 0, the next mark is as likely."""
    cumulative = np.cumsum(masses)
    below = cumulative[place - 1] if place else 0.0
    return float(min(0.5 - below, cumulative[place] - 0.5))


@dataclass(frozen=True)
class Calibration:
    """Knots by kind of decision: "<holistic|rubric>/<zh|en>/<exact|tolerant>" → (raw, observed)."""

    knots: Mapping[str, tuple[Sequence[float], Sequence[float]]]

    @staticmethod
    def key(rubric: bool, language: str, reach: int) -> str:
        """The kind of a decision. reach: steps by which the mark may differ and still agree."""
        path = "rubric" if rubric else "holistic"
        return f"{path}/{language}/{'tolerant' if reach else 'exact'}"

    def apply(self, kind: str, raw: float) -> float:
        """The calibrated probability."""
        x, y = self.knots[kind]
        return float(np.interp(raw, x, y))
