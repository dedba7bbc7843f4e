"""Fitting one item's head: a Gaussian process on frozen features, and cuts from its value to marks. numpy only.

Kernel ridge regression (the mean of a Gaussian process; Rasmussen & Williams 2006, chapter 2) of the mark's share
on the blocks of a description, around the scorer's own proposal or the sample's mean; leave-one-out values in closed
form (section 5.4.2 there) choose among a few settings. Cuts between marks are placed where the leave-one-out values
have as many answers below as people gave, drawn towards even spacing while answers are few. With few answers every
part shrinks to what the scorer proposes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from grader.scoring.description import BUCKETS, Description, Grams

Columns = tuple[np.ndarray, np.ndarray, float]

_TF = np.array([0.0, *(1 + math.log(count) for count in range(1, 256))])  # math.log: the same on every processor
# Of the answers' own words most is learnt: 5 rather than 1 for them gained 0.02 to 0.04 of kappa with 30 and 100 marked
# answers to a question (benchmarks/calibrate.py, the training part), 3 and 9 about as much.
_WEIGHTS = {"length": 1.0, "proposal": 1.0, "measures": 0.3, "outputs": 1.0, "state": 1.0, "grams": 5.0}
_POOL = 50  # answers that the exam's other items count for when an item's setting is chosen
_EVEN = 10  # answers that even spacing of the cuts counts for


@dataclass(frozen=True)
class Setting:
    """around: share of the scorer's proposal in the mean that the process is drawn to (the rest is the sample's
    mean). signal: how much the blocks may explain, against noise 1."""

    around: float
    signal: float

    def weights(self) -> dict[str, float]:
        """The weight of each block's kernel."""
        return {name: self.signal * weight for name, weight in _WEIGHTS.items()}


SETTINGS = tuple(Setting(around, signal) for around in (0.0, 1.0) for signal in (0.0, 0.5, 2.0, 6.0))


def gram_vector(places: np.ndarray, counts: np.ndarray, idf: np.ndarray) -> np.ndarray:
    """TF-IDF weights of one answer's buckets, of unit length."""
    weights = _TF[counts] * idf[places]
    length = math.sqrt(float((weights * weights).sum()))
    return np.asarray(weights / length if length else weights)


def scaled(block: np.ndarray, columns: Columns) -> np.ndarray:
    """Standardised, and cut at four deviations so that no odd answer can pull a mark far."""
    mean, deviation, scale = columns
    safe = np.where(deviation > 0, deviation, 1.0)
    return np.asarray(np.where(deviation > 0, np.clip((block - mean) / safe, -4, 4), 0.0) * scale)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A marked sample of one item with its kernels, which are made without looking at any mark.

    share: the human's mark as a share of the full mark. steps: steps from 0 to the full mark. columns: mean,
    deviation (0 drops a column) and scale of each block.
    """

    description: Description
    share: np.ndarray
    steps: int
    columns: dict[str, Columns]
    idf: np.ndarray
    kernels: dict[str, np.ndarray]

    @classmethod
    def of(cls, description: Description, share: np.ndarray, steps: int) -> Prepared:
        """Prepare a sample for fitting."""
        columns = {name: _columns(block) for name, block in description.blocks.items()}
        idf = _idf(description.grams)
        matrix = _gram_matrix(description.grams, idf)
        kernels = {"grams": (matrix @ matrix.T).astype(np.float64)}
        for name, block in description.blocks.items():
            unit = scaled(block, columns[name])
            kernels[name] = unit @ unit.T
        centred = 2 * description.prior - 1
        kernels["prior"] = np.outer(centred, centred)
        return cls(description, share, steps, columns, idf, kernels)

    def __len__(self) -> int:
        return len(self.share)

    def kernel(self, setting: Setting) -> np.ndarray:
        """The covariance between all answers under a setting, with a bias and a slope on the proposal."""
        total = 1.0 + self.kernels["prior"]
        for name, weight in setting.weights().items():
            if name in self.kernels and weight:
                total = total + weight * self.kernels[name]
        return np.asarray(total)


def _columns(block: np.ndarray) -> Columns:
    """Mean, deviation, and the scale that gives the block unit length."""
    mean, deviation = block.mean(0), block.std(0)
    deviation = np.where(deviation > 1e-6, deviation, 0.0)
    used = int((deviation > 0).sum())
    return mean, deviation, 1 / math.sqrt(used) if used else 0.0


def _idf(grams: Grams) -> np.ndarray:
    seen = np.bincount(grams.places, minlength=BUCKETS)
    table = {n: math.log((1 + len(grams)) / (1 + n)) + 1 for n in np.unique(seen).tolist()}
    return np.array([table[n] for n in seen.tolist()])


def _gram_matrix(grams: Grams, idf: np.ndarray) -> np.ndarray:
    used = np.unique(grams.places)
    matrix = np.zeros((len(grams), len(used)), np.float32)
    for i in range(len(grams)):
        places, counts = grams.row(i)
        matrix[i, np.searchsorted(used, places)] = gram_vector(places, counts, idf)
    return matrix


@dataclass(frozen=True, eq=False)
class Solved:
    """The process under one setting on some of a sample's answers. alone: leave-one-out value of each."""

    rows: np.ndarray
    setting: Setting
    centre: float
    alpha: np.ndarray
    alone: np.ndarray


def solve(sample: Prepared, rows: np.ndarray, setting: Setting) -> Solved:
    """Fit the process to the answers `rows`."""
    share, prior = sample.share[rows], sample.description.prior[rows]
    centre = float((share.sum() + 0.5) / (len(rows) + 1))
    around = setting.around * prior + (1 - setting.around) * centre
    inverse = np.linalg.inv(sample.kernel(setting)[np.ix_(rows, rows)] + np.eye(len(rows)))
    alpha = inverse @ (share - around)
    return Solved(rows, setting, centre, alpha, share - alpha / np.diag(inverse))


def choose(samples: Mapping[str, Prepared], rows: Mapping[str, np.ndarray]) -> dict[str, Solved]:
    """The best setting of each item by leave-one-out error, items with few answers leaning on the others.

    The error of a setting is taken relative to the spread of the item's marks and averaged over the exam's items;
    an item's own error counts with its number of answers, the exam's with `_POOL` answers.
    """
    solved = {name: [solve(sample, rows[name], one) for one in SETTINGS] for name, sample in samples.items()}
    losses = {}
    for name, ones in solved.items():
        share = samples[name].share[rows[name]]
        errors = np.array([float(((one.alone - share) ** 2).mean()) for one in ones])
        losses[name] = errors / max(1e-4, float(share.var()))
    pooled = np.mean(list(losses.values()), axis=0)
    return {
        name: ones[int(np.argmin(len(rows[name]) * losses[name] + _POOL * pooled))] for name, ones in solved.items()
    }


@dataclass(frozen=True)
class Cuts:
    """places: rising values at which the mark goes up a step. slope: how sharply, in logits a unit (proportional
    odds, McCullagh 1980)."""

    places: tuple[float, ...]
    slope: float

    def masses(self, value: float) -> np.ndarray:
        """Probability of each mark 0, step, ... full."""
        logits = (max(-40.0, min(40.0, self.slope * (value - place))) for place in self.places)
        passes = np.array([1 / (1 + math.exp(-logit)) for logit in logits])
        return np.asarray(-np.diff(passes, prepend=1.0, append=0.0))

    def place(self, value: float) -> int:
        """The mark, in steps: the median of the masses."""
        return sum(value >= place for place in self.places)


def cut(values: np.ndarray, share: np.ndarray, steps: int) -> Cuts:
    """Cuts that fit leave-one-out values to the marks that people gave."""
    ordered = np.sort(values)
    even = (np.arange(steps) + 0.5) / steps
    weight = len(values) / (len(values) + _EVEN)
    places = []
    for middle in even.tolist():
        below = float((share < middle - 1e-9).mean())
        matched = float(np.quantile(ordered, below)) if 0 < below < 1 else middle
        places.append(weight * matched + (1 - weight) * middle)
    rising = np.maximum.accumulate(np.array(places))
    reached = share[:, None] > even[None] - 1e-9
    slopes = np.geomspace(2, 60, 30)
    fits = [_log_loss(values, rising, reached, slope) for slope in slopes]
    return Cuts(tuple(rising.tolist()), float(slopes[int(np.argmin(fits))]))


def _log_loss(values: np.ndarray, places: np.ndarray, reached: np.ndarray, slope: float) -> float:
    logits = slope * (values[:, None] - places[None])
    return float(np.logaddexp(0, np.where(reached, -logits, logits)).mean())


def values_of(sample: Prepared, solved: Solved, others: np.ndarray) -> np.ndarray:
    """The process at other answers of the same sample."""
    prior = sample.description.prior[others]
    around = solved.setting.around * prior + (1 - solved.setting.around) * solved.centre
    return np.asarray(around + sample.kernel(solved.setting)[np.ix_(others, solved.rows)] @ solved.alpha)


def cross_validate(
    samples: Mapping[str, Prepared], folds: Sequence[Mapping[str, np.ndarray]]
) -> dict[str, tuple[np.ndarray, list[Cuts]]]:
    """Value and cuts of every answer from heads that never saw its mark: settings, process and cuts are all made
    anew without each fold. folds: item → answers of the fold."""
    values = {name: np.zeros(len(sample)) for name, sample in samples.items()}
    cuts: dict[str, list[Cuts]] = {name: [Cuts((), 1.0)] * len(sample) for name, sample in samples.items()}
    for fold in folds:
        rows = {name: np.setdiff1d(np.arange(len(sample)), fold[name]) for name, sample in samples.items()}
        for name, solved in choose(samples, rows).items():
            sample, held = samples[name], fold[name]
            values[name][held] = values_of(sample, solved, held)
            placed = cut(solved.alone, sample.share[solved.rows], sample.steps)
            for row in held.tolist():
                cuts[name][row] = placed
    return {name: (values[name], cuts[name]) for name in samples}
