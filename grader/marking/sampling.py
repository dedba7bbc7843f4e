"""Accepting in bulk what the model is sure of: a random sample is looked at first, as pure rules."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from grader.errors import UsageError
from grader.marking.scheme import within


@dataclass(frozen=True)
class Judged:
    """A sample and what a person made of it. looked: answers marked so far; beyond: marks more than T from the
    model's; mean: mean difference person - model in marks, None where nothing was looked at."""

    size: int
    looked: int
    beyond: int
    mean: float | None
    disagree: float

    @property
    def complete(self) -> bool:
        """Whether the whole sample was looked at."""
        return self.looked == self.size

    @property
    def acceptable(self) -> bool:
        """Whether the rest may be accepted: all was looked at, and few enough marks lay beyond T."""
        return self.complete and self.beyond <= self.disagree * self.size + 1e-9


def draw(population: Iterable[str], size: int, seed: str) -> tuple[str, ...]:
    """A simple random sample without replacement, the same for the same population and seed.

    Raises UsageError for an empty population.
    """
    names = sorted(population)
    if not names:
        raise UsageError("there is nothing that the model is sure enough of", "lower the limit, or mark one by one")
    return tuple(random.Random(seed).sample(names, min(size, len(names))))


def judge(
    names: Sequence[str],
    model: Mapping[str, float],
    person: Mapping[str, float],
    tolerance: float,
    disagree: float,
) -> Judged:
    """What a person's marks for the sample say about the model's.

    model, person: name → mark; of the person those that stand. disagree: the share that may lie beyond T.
    """
    looked = [name for name in names if name in person]
    beyond = sum(not within(tolerance, person[name], model[name]) for name in looked)
    mean = sum(person[name] - model[name] for name in looked) / len(looked) if looked else None
    return Judged(len(names), len(looked), beyond, mean, disagree)
