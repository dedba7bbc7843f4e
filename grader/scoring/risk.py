"""How often accepted marks are wrong, and the threshold that keeps a promise about it.

The promise: among marks accepted at or above a confidence, at most a share `risk` is off by more than the
tolerance, with probability 95% over the draw of the sample. Learn-then-test (Angelopoulos, Bates, Candès, Jordan
& Lei 2021, "Learn then Test") with exact binomial tails, for selective prediction as in Geifman & El-Yaniv 2017
("Selective Classification for Deep Neural Networks", SGR). Candidate thresholds are fixed by how many answers they
accept, before any error is looked at; they are tested from strict to generous in fixed sequences that start at
several places and share the 5% (multi-start, section 3.2 of the former). A sum of unequal Bernoulli trials has a
lighter lower tail than the binomial of its mean (Hoeffding 1956), so the tails hold given the confidences.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

SURENESS = 0.95
_LEVELS = 20  # rows of the table: every 1/20 of the answers
_STARTS = (0.1, 0.25, 0.5, 0.75)  # share of answers accepted where a sequence of tests begins


@dataclass(frozen=True)
class Level:
    """Accepting at or above `confidence`: how many of the sample, how many of them wrong, and the 95% upper
    bound (Clopper & Pearson 1934) on the rate of wrong ones if this level alone had been looked at."""

    confidence: float
    accepted: int
    coverage: float
    wrong: int
    rate: float
    upper: float


@dataclass(frozen=True)
class Promise:
    """threshold: least confidence of an accepted mark; None where nothing can be promised. needed: the fewest
    accepted answers, all right, that could have carried the promise. candidates: answers that no flag blocks."""

    risk: float
    threshold: float | None
    coverage: float
    needed: int
    candidates: int
    sample: int
    levels: tuple[Level, ...]

    def describe(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)

    @classmethod
    def read(cls, data: dict[str, Any]) -> Promise:
        """The inverse of `describe`."""
        return cls(**{**data, "levels": tuple(Level(**level) for level in data["levels"])})

    def holds(self, confidence: float) -> bool:
        """True where a mark of this confidence may be accepted under the promise."""
        return self.threshold is not None and confidence >= self.threshold


def promise(sure: np.ndarray, right: np.ndarray, sample: int, risk: float) -> Promise:
    """The most generous threshold that keeps the promise. sure, right: confidence and whether the mark was within
    tolerance, of the `sample` answers that no flag blocks; both from models that did not see the answer."""
    order = np.argsort(-sure, kind="stable")
    sure, wrong = sure[order], np.cumsum(1 - right[order].astype(int))
    counts = _counts(sure)
    tails = 1 - SURENESS
    levels = tuple(
        Level(
            float(sure[n - 1]), n, n / sample, int(wrong[n - 1]), float(wrong[n - 1] / n),
            upper_bound(int(wrong[n - 1]), n),
        )
        for n in counts
    )  # fmt: skip
    starts = _starts(counts, len(sure), risk)
    best = -1
    for start in starts:
        for place in range(start, len(counts)):
            if binomial_tail(levels[place].wrong, counts[place], risk) > tails / len(starts):
                break
            best = max(best, place)
    threshold = levels[best].confidence if best >= 0 else None
    coverage = levels[best].coverage if best >= 0 else 0.0
    return Promise(risk, threshold, coverage, _fewest(risk, tails), len(sure), sample, levels)


def _counts(sure: np.ndarray) -> list[int]:
    """Numbers of answers that the levels accept; answers of equal confidence are accepted together."""
    found = []
    for level in range(1, _LEVELS + 1):
        count = round(level * len(sure) / _LEVELS)
        while 0 < count < len(sure) and sure[count] == sure[count - 1]:
            count += 1
        if count and count not in found:
            found.append(count)
    return found


def _fewest(risk: float, tail: float) -> int:
    """The fewest answers, all right, that show a risk at a level."""
    return math.ceil(math.log(tail) / math.log1p(-risk))


def _starts(counts: list[int], answers: int, risk: float) -> list[int]:
    """Levels where the sequences begin, none so strict that even without an error it shows nothing. A sample too
    small for several has one."""
    for shares in (_STARTS, _STARTS[:1]):
        least = _fewest(risk, (1 - SURENESS) / len(shares))
        found = [next((p for p, n in enumerate(counts) if n >= max(least, share * answers)), -1) for share in shares]
        if found[0] >= 0:
            return [place for place in dict.fromkeys(found) if place >= 0]
    return []


def binomial_tail(wrong: int, count: int, rate: float) -> float:
    """Probability of at most `wrong` errors among `count` at an error rate `rate`."""
    if wrong >= count:
        return 1.0
    whole = math.lgamma(count + 1)
    logs = (
        whole - math.lgamma(k + 1) - math.lgamma(count - k + 1) + k * math.log(rate) + (count - k) * math.log1p(-rate)
        for k in range(wrong + 1)
    )
    return min(1.0, math.fsum(map(math.exp, logs)))


def upper_bound(wrong: int, count: int) -> float:
    """Clopper and Pearson's one-sided 95% upper bound on an error rate."""
    if wrong >= count:
        return 1.0
    low, high = wrong / count, 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if binomial_tail(wrong, count, middle) < 1 - SURENESS else (middle, high)
    return high
