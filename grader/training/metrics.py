"""Figures of agreement and of calibration, in numpy. Each is defined as in the work it is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def qwk(human: Sequence[int] | np.ndarray, given: Sequence[int] | np.ndarray, top: int) -> float:
    """Quadratic weighted kappa over marks 0..top (Cohen 1968)."""
    one, two = np.asarray(human, int), np.asarray(given, int)
    observed = np.zeros((top + 1, top + 1))
    np.add.at(observed, (one, two), 1)
    weight = (np.arange(top + 1)[:, None] - np.arange(top + 1)[None]) ** 2
    expected = np.outer(observed.sum(1), observed.sum(0)) / max(1, len(one))
    chance = float((weight * expected).sum())
    return 1.0 - float((weight * observed).sum()) / chance if chance else 1.0


def f1_scores(human: Sequence[str], given: Sequence[str]) -> tuple[float, float]:
    """(macro-F1, F1 weighted by class size) over the classes that humans gave."""
    one, two = np.array(human), np.array(given)
    classes = sorted(set(human))
    scores = [2 * ((one == c) & (two == c)).sum() / ((one == c).sum() + (two == c).sum()) for c in classes]
    sizes = [(one == c).sum() for c in classes]
    return float(np.mean(scores)), float(np.average(scores, weights=sizes))


def expected_calibration_error(sure: np.ndarray, right: np.ndarray, bins: int = 10) -> float:
    """ECE over equal-width bins (Guo et al. 2017)."""
    place = np.minimum((sure * bins).astype(int), bins - 1)
    gaps = [
        (place == b).mean() * abs(sure[place == b].mean() - right[place == b].mean())
        for b in range(bins)
        if (place == b).any()
    ]
    return float(sum(gaps))


def brier(sure: np.ndarray, right: np.ndarray) -> float:
    """Mean squared distance of confidence from the outcome (Brier 1950)."""
    return float(np.mean((sure - right) ** 2))


def reliability(sure: np.ndarray, right: np.ndarray, bins: int = 10) -> list[tuple[float, float, int]]:
    """(mean confidence, observed rate, n) of each equal-width bin that holds an answer."""
    place = np.minimum((sure * bins).astype(int), bins - 1)
    held = [place == b for b in range(bins) if (place == b).any()]
    return [(float(sure[one].mean()), float(right[one].mean()), int(one.sum())) for one in held]


def risk_coverage(sure: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """(coverage, share of wrong marks among the surest answers of that coverage, area under the curve): the
    selective risk of El-Yaniv & Wiener 2010. Equal confidences are accepted together."""
    order = np.argsort(-sure, kind="stable")
    ends = np.append(sure[order][:-1] > sure[order][1:], True)
    count = np.arange(1, len(order) + 1)
    coverage, risk = (count / len(order))[ends], (np.cumsum(1 - right[order]) / count)[ends]
    widths = np.diff(coverage, prepend=0.0)
    return coverage, risk, float((widths * risk).sum())


def isotonic(raw: np.ndarray, right: np.ndarray, bins: int = 15) -> tuple[list[float], list[float]]:
    """Knots of a rising map from raw to the observed rate: bins of equal size, pooled while they fall
    (pool adjacent violators), each drawn a little towards the overall rate so that no knot is 0 or 1."""
    order = np.argsort(raw, kind="stable")
    blocks: list[list[float]] = []  # sum of raw, sum of right, count
    prior = float(right.mean())
    for chunk in np.array_split(order, min(bins, max(2, len(raw) // 40))):
        blocks.append([float(raw[chunk].sum()), float(right[chunk].sum()), len(chunk)])
        while len(blocks) > 1 and _rate(blocks[-2], prior) >= _rate(blocks[-1], prior):
            last = blocks.pop()
            blocks[-1] = [a + b for a, b in zip(blocks[-1], last, strict=True)]
    x = [round(total / count, 5) for total, _, count in blocks]
    return x, [round(_rate(block, prior), 5) for block in blocks]


def _rate(block: Sequence[float], prior: float) -> float:
    return (block[1] + 2 * prior) / (block[2] + 2)


def accept_threshold(sure: np.ndarray, right: np.ndarray, weight: np.ndarray, risk: float) -> float:
    """The least confidence at which at most `risk` (by weight) of the answers at or above it are wrong; 1.0
    if there is none."""
    order = np.argsort(-sure, kind="stable")
    wrong = np.cumsum((1 - right[order]) * weight[order]) / np.cumsum(weight[order])
    ends = np.append(sure[order][:-1] > sure[order][1:], True)  # equal confidences are accepted together
    good = np.flatnonzero((wrong <= risk) & ends)
    return float(sure[order][good[-1]]) if len(good) else 1.0
