"""The one shape that every set of graded answers takes, and how its training part is divided by question."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

Split = Literal["train", "test", "UA", "UQ", "UD"]
Label = Literal["", "correct", "contradictory", "incorrect"]


@dataclass(frozen=True)
class Row:
    """One graded answer.

    source: name of the set. item: the question's id within the set. references: any one of them is a full
    answer. score: the human's mark divided by the maximum, 0 to 1. label: for sets that grade in words;
    there, "incorrect" says only that the answer is not fully right (it may be partly right).
    top: the number of steps on the scale that the human used (1 where graded in words).
    """

    source: str
    split: Split
    item: str
    question: str
    references: tuple[str, ...]
    text: str
    score: float
    language: Literal["zh", "en"]
    label: Label = ""
    top: int = 1

    @property
    def group(self) -> str:
        """Rows with one group answer one question: they are held out together."""
        return f"{self.source}/{self.item}"


def balanced_folds(rows: Sequence[Row], folds: int, seed: int) -> list[int]:
    """The fold of each row: questions of each set dealt out in the order of their keyed hash, so that every
    fold holds its share of every set, small ones too."""
    groups: dict[str, list[str]] = {}
    for group, source in sorted({(row.group, row.source) for row in rows}):
        groups.setdefault(source, []).append(group)
    fold: dict[str, int] = {}
    for members in groups.values():
        dealt = sorted(members, key=lambda group: (_key(group, seed), group))
        fold.update({group: place % folds for place, group in enumerate(dealt)})
    return [fold[row.group] for row in rows]


def _key(group: str, seed: int) -> bytes:
    return hashlib.sha256(f"{seed}:{group}".encode()).digest()


def shared_answers(train: Iterable[Row], test: Iterable[Row]) -> int:
    """How many test rows repeat a training row's question and text exactly: leakage to be reported."""
    seen = {(row.group, row.text.strip()) for row in train}
    return sum((row.group, row.text.strip()) in seen for row in test)


def source_weights(rows: Sequence[Row], balance: float) -> np.ndarray:
    """Row weights that keep a large set from drowning the small ones; mean 1.
    balance: 0 = every row alike, 1 = every set alike."""
    sizes = Counter(row.source for row in rows)
    weight = np.array([sizes[row.source] ** -balance for row in rows])
    return (weight / weight.mean()).astype(np.float32)
