"""Which stretch of an answer meets a criterion, and whether another stretch says the opposite.

A criterion is read beside single clauses, then beside runs of them: the smallest run that carries as much as the
answer gives is the evidence. Where the whole answer carries more than any run grown from one clause, runs are cut from
the whole instead. One network looks for the evidence, because that takes tens of readings; all of them judge what it
found. Readings are functions of text alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from grader.scoring.features import Extractor
from grader.scoring.network import Output
from grader.scoring.stacking import Stack
from grader.scoring.text import View

CLAUSES = 8  # read one by one, those closest to the criterion; a short answer has fewer
_GAIN = 0.02  # of the mean step probability: less is no reason to take in, or keep, another clause
_RIGHT = 0.5  # probability of passing the third step from which a stretch says the right thing
_SUSPECT = 0.5  # probability, to the network that looks, from which all are asked whether a clause contradicts


@dataclass(frozen=True, eq=False)
class Reading:
    """What both judges say of one stretch. steps: their 4 summed step probabilities; lexical: its own 5."""

    steps: np.ndarray
    output: Output
    lexical: np.ndarray

    @property
    def value(self) -> float:
        """The mean step probability: the expected score, in shares of the full one."""
        return float(np.mean(self.steps))


@dataclass(frozen=True)
class Met:
    """How far a criterion is met. reading: None where nothing could be read. span: evidence, [start, end) in the
    raw text. conflict: probability that another stretch contradicts it, 0 below the limit. most: share of the marks
    that is left where a part of what was said is taken back."""

    reading: Reading | None
    span: tuple[int, int] | None
    conflict: float = 0.0
    most: float = 1.0


Read = Callable[[View], Reading]


def meets(look: Read, read: Read, texts: Sequence[View], answer: View, extractor: Extractor, stack: Stack) -> Met:
    """One criterion. texts: any of them says it. look: the word of the network that looks for evidence, on a stretch
    of the answer beside them; read: that of all networks."""
    clauses = answer.clauses
    if len(clauses) < 2:
        return Met(read(answer), _trimmed(answer, *clauses[0]) if clauses else None)
    runs = _Runs(look, answer)
    singles = {place: runs.read(place, place) for place in _closest(texts, answer, extractor)}
    first, last = runs.grown(max(singles, key=lambda place: (singles[place].value, -place)))
    whole = look(answer).value
    if whole > runs.read(first, last).value + _GAIN:
        first, last = runs.cut(whole)
    start, end = clauses[first][0], clauses[last][1]
    found = read(answer.part(start, end))
    opposed = 0.0
    if found.steps[2] >= _RIGHT:
        others = [place for place in singles if not first <= place <= last]
        suspects = [place for place in others if stack.classes(singles[place].output.classes)[1] >= _SUSPECT]
        opposed = _opposed([read(answer.part(*clauses[place])) for place in suspects], stack)
    return Met(found, _trimmed(answer, start, end), opposed)


def conflict(read: Read, reading: Reading, answer: View, stack: Stack) -> float:
    """Probability that one clause contradicts the reference while another, or the answer as a whole, is right."""
    if len(answer.clauses) < 2:
        return 0.0
    singles = [read(answer.part(*clause)) for clause in answer.clauses[:CLAUSES]]
    if max(reading.steps[2], *(one.steps[2] for one in singles)) < _RIGHT:
        return 0.0
    return _opposed([one for one in singles if one.steps[2] < _RIGHT], stack)


def _trimmed(answer: View, start: int, end: int) -> tuple[int, int]:
    """A stretch of clauses as [start, end) of the raw text, without the blanks around it."""
    first, last = answer.span(start, end)
    text = answer.raw[first:last]
    return first + len(text) - len(text.lstrip()), first + len(text.rstrip())


def _opposed(readings: Sequence[Reading], stack: Stack) -> float:
    worst = max((float(stack.classes(one.output.classes)[1]) for one in readings), default=0.0)
    return worst if worst >= stack.clause else 0.0


def _closest(texts: Sequence[View], answer: View, extractor: Extractor) -> list[int]:
    """Places of the clauses to read, at most CLAUSES: the closest by words where there are more."""
    places = list(range(len(answer.clauses)))
    if len(places) <= CLAUSES:
        return places
    total = extractor.weights.sum

    def shared(place: int) -> float:
        units = answer.clause_units[place]
        return max(total(units & text.small) for text in texts)

    return sorted(sorted(places, key=shared, reverse=True)[:CLAUSES])


class _Runs:
    """Runs of clauses of one answer, each read once."""

    def __init__(self, read: Read, answer: View) -> None:
        self._read, self._answer = read, answer
        self._known: dict[tuple[int, int], Reading] = {}

    def read(self, first: int, last: int) -> Reading:
        """Clauses first to last, both included."""
        if (first, last) not in self._known:
            clauses = self._answer.clauses
            self._known[first, last] = self._read(self._answer.part(clauses[first][0], clauses[last][1]))
        return self._known[first, last]

    def grown(self, place: int) -> tuple[int, int]:
        """From one clause, neighbours are taken in while that gains."""
        first = last = place
        while True:
            wider = [(first - 1, last)] * (first > 0) + [(first, last + 1)] * (last + 1 < len(self._answer.clauses))
            better = max(wider, key=lambda run: self.read(*run).value, default=(first, last))
            if self.read(*better).value <= self.read(first, last).value + _GAIN or last - first >= CLAUSES:
                return first, last
            first, last = better

    def cut(self, value: float) -> tuple[int, int]:
        """From the whole answer, clauses at its ends are left out while the rest carries as much."""
        first, last = 0, len(self._answer.clauses) - 1
        for _ in range(CLAUSES):
            if first == last:
                break
            shorter = max(((first + 1, last), (first, last - 1)), key=lambda run: self.read(*run).value)
            if self.read(*shorter).value < value - _GAIN:
                break
            first, last = shorter
        return first, last
