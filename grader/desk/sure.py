"""Accepting in bulk what the model is sure of, after a look at a random sample. Pure.

The sample is drawn by a hash of the answers' opaque names, so it is random in what it shows and the same when
the page is loaded again; a bound on what the rest may hold follows from it (the rule of three: with no mistake
among n of a sample, at most 3/n of the whole is wrong, at 95%; Hanley and Lippman-Hand, JAMA 249, 1983).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from grader.records import Status

LEVELS = (0.99, 0.95, 0.9, 0.8)
SAMPLE = 12


@dataclass(frozen=True)
class Proposed:
    """A proposal that waits. name: opaque."""

    name: str
    mark: float | None
    confidence: float
    status: Status


def sure(proposals: Iterable[Proposed], least: float) -> list[Proposed]:
    """Those that may be accepted together: proposed, without a flag that asks for a person, sure enough."""
    return [one for one in proposals if one.status == "proposed" and one.mark is not None and one.confidence >= least]


def level(proposals: Sequence[Proposed], asked: float | None) -> float:
    """The confidence asked for if it is one of the levels, else the highest one that holds anything."""
    if asked is not None and asked in LEVELS:
        return asked
    return next((least for least in LEVELS if sure(proposals, least)), LEVELS[0])


def sample(names: Iterable[str], size: int = SAMPLE) -> list[str]:
    """A random `size` of them, the same ones every time."""
    return sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())[:size]


def most_wrong(shown: int, of: int) -> float:
    """The largest share of mistakes that a clean sample leaves possible, 0 to 1; 0 where all were shown."""
    return 0.0 if shown >= of else min(1.0, 3 / shown) if shown else 1.0
