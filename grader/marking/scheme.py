"""How the marks of several markers become one: schemes of marking, as pure rules.

single: one person. double: two, blind to each other; within the tolerance T their mean counts, beyond it the
leader adjudicates. two_plus_one (2+1+1): beyond T a third marks, blind; the closest pair within T counts, and
without such a pair the leader adjudicates. The model is marker 0 and has one of four roles: it is off, it proposes
(its mark is shown to the first person and never counts), it is the second marker (its mark counts as any other),
or the checker (a settled mark that lies beyond T from the model's gets a third look by a person; only people's
marks count). A leader's mark stands above all of these, and so does the one given on appeal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from itertools import combinations
from typing import Literal

from grader.errors import UsageError

Kind = Literal["single", "double", "two_plus_one"]
ModelRole = Literal["off", "proposes", "second", "checker"]
Rounding = Literal["none", "half_up", "half_even"]
Tie = Literal["higher", "lower", "adjudicate"]
Role = Literal["first", "second", "third"]
By = Literal["person", "model", "leader", "appeal"]
How = Literal["single", "agreed", "closest_pair", "adjudicated", "appeal"]

MODEL = "model"  # the name of marker 0


@dataclass(frozen=True)
class Scheme:
    """How an item is marked.

    tolerance: T, in marks. step: what marks are multiples of; the highest mark is always allowed. rounding: how
    the mean of two marks comes to a multiple of step. tie: which pair counts when the third mark is equally near
    to both.
    """

    kind: Kind = "single"
    tolerance: float = 0.0
    step: float = 0.5
    rounding: Rounding = "half_up"
    tie: Tie = "higher"
    model: ModelRole = "proposes"

    @property
    def needed(self) -> int:
        """Marks that are needed before anything can be settled."""
        return 1 if self.kind == "single" else 2


@dataclass(frozen=True)
class Given:
    """A mark that stands. marker: who gave it. criteria: criterion id → mark, None where only the whole was given."""

    marker: str
    mark: float
    by: By = "person"
    criteria: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Awaiting:
    """A mark by one more person is needed."""

    role: Role


@dataclass(frozen=True)
class Final:
    """The mark is settled. of: the markers whose marks it is made of.

    criteria: kept where every one of them gave criteria; means are not rounded, so they may add up to the mark as
    it was before rounding.
    """

    mark: float
    how: How
    of: tuple[str, ...]
    criteria: Mapping[str, float] | None = None


@dataclass(frozen=True)
class Adjudication:
    """The leader must decide. why: the marks differ too much, or a third one is equally near to both."""

    why: Literal["difference", "tie"]


Resolution = Awaiting | Final | Adjudication


def check(scheme: Scheme, max_mark: float) -> None:
    """Raises UsageError for settings that contradict each other or the item's highest mark (in marks)."""
    if not 0 <= scheme.tolerance < max_mark:
        what = f"a tolerance of {scheme.tolerance:g} of {max_mark:g} marks would call any two marks equal"
        raise UsageError(what, "give a tolerance from 0 to less than the item's highest mark")
    if not 0 < scheme.step <= max_mark:
        raise UsageError(f"marks in steps of {scheme.step:g} do not fit {max_mark:g} marks", "give a smaller step")
    if scheme.model == "second" and scheme.kind == "single":
        remedy = "choose double or two_plus_one, or let the model check instead"
        raise UsageError("with single marking there is no second marker for the model to be", remedy)


def allowed_mark(scheme: Scheme, mark: float, max_mark: float) -> bool:
    """Whether a marker may give this mark: 0 to max_mark, a multiple of the step or the highest mark itself."""
    if not 0 <= mark <= max_mark:
        return False
    return mark == max_mark or _exact(mark) % _exact(scheme.step) == 0


def resolve(scheme: Scheme, marks: Sequence[Given]) -> Resolution:
    """What the marks that stand, in the order in which they were given, amount to. Marks of the model may stand
    anywhere in the list; only its last one counts."""
    above = next((given for given in reversed(marks) if given.by in ("leader", "appeal")), None)
    if above is not None:
        how: How = "appeal" if above.by == "appeal" else "adjudicated"
        return Final(above.mark, how, (above.marker,), above.criteria)
    model = next((given for given in reversed(marks) if given.by == "model"), None)
    people = [given for given in marks if given.by == "person"]
    votes = _votes(scheme, people, model)
    if not people or len(votes) < scheme.needed:
        return Awaiting("second" if people else "first")
    settled = _settle(scheme, votes[: scheme.needed])
    disputed = isinstance(settled, Final) and _model_disputes(scheme, settled, model)
    if isinstance(settled, Adjudication) and scheme.kind == "double":
        return settled
    if isinstance(settled, Final) and not disputed:
        return settled
    if len(votes) == scheme.needed:
        return Awaiting("third")
    return _closest_pair(scheme, votes[: scheme.needed + 1])


def within(tolerance: float, one: float, two: float) -> bool:
    """Whether two marks differ by at most the tolerance, in exact decimals."""
    return abs(_exact(one) - _exact(two)) <= _exact(tolerance)


def round_to_step(value: float, step: float, rounding: Rounding) -> float:
    """The multiple of step that rounding gives; the value itself for "none". Exact in decimals."""
    if rounding == "none":
        return value
    way = ROUND_HALF_UP if rounding == "half_up" else ROUND_HALF_EVEN
    return float((_exact(value) / _exact(step)).quantize(Decimal(1), way) * _exact(step))


def roles_of(scheme: Scheme) -> tuple[Role, ...]:
    """The roles in which people may be asked for a mark, the last first: what was begun is finished first."""
    third: tuple[Role, ...] = ("third",) if scheme.kind == "two_plus_one" or scheme.model == "checker" else ()
    second: tuple[Role, ...] = ("second",) if scheme.needed == 2 else ()
    return (*third, *second, "first")


def shows_proposal(scheme: Scheme, role: Role) -> bool:
    """Whether the model's mark is shown to a person who marks in this role: only where it proposes, and only to
    the first, so that a second or third marker stays blind."""
    return scheme.model == "proposes" and role == "first"


def may_accept_in_bulk(scheme: Scheme) -> bool:
    """Only what a person sees beforehand can be accepted in bulk: elsewhere marking is blind to the model."""
    return scheme.model == "proposes"


def _votes(scheme: Scheme, people: Sequence[Given], model: Given | None) -> list[Given]:
    """The marks that count. Where the model is to be second but has no mark, a person takes its place."""
    if scheme.model == "second" and model is not None and people:
        return [people[0], model, *people[1:]]
    return list(people)


def _settle(scheme: Scheme, votes: Sequence[Given]) -> Final | Adjudication:
    if scheme.kind == "single":
        (one,) = votes
        return Final(one.mark, "single", (one.marker,), one.criteria)
    one, two = votes
    if within(scheme.tolerance, one.mark, two.mark):
        return _mean(scheme, one, two, "agreed")
    return Adjudication("difference")


def _model_disputes(scheme: Scheme, settled: Final, model: Given | None) -> bool:
    checks = scheme.model == "checker" and model is not None
    return checks and model is not None and not within(scheme.tolerance, settled.mark, model.mark)


def _closest_pair(scheme: Scheme, votes: Sequence[Given]) -> Final | Adjudication:
    pairs = [(a, b) for a, b in combinations(votes, 2) if within(scheme.tolerance, a.mark, b.mark)]
    if not pairs:
        return Adjudication("difference")
    nearest = min(_distance(a, b) for a, b in pairs)
    finals = [_mean(scheme, a, b, "closest_pair") for a, b in pairs if _distance(a, b) == nearest]
    highest, lowest = max(finals, key=lambda f: f.mark), min(finals, key=lambda f: f.mark)
    if highest.mark == lowest.mark or scheme.tie == "higher":
        return highest
    return lowest if scheme.tie == "lower" else Adjudication("tie")


def _distance(one: Given, two: Given) -> Decimal:
    return abs(_exact(one.mark) - _exact(two.mark))


def _mean(scheme: Scheme, one: Given, two: Given, how: How) -> Final:
    mean = float((_exact(one.mark) + _exact(two.mark)) / 2)
    # Equal marks are never moved, even where the highest mark is no multiple of the step.
    mark = one.mark if one.mark == two.mark else round_to_step(mean, scheme.step, scheme.rounding)
    return Final(mark, how, (one.marker, two.marker), _mean_criteria(one.criteria, two.criteria))


def _mean_criteria(one: Mapping[str, float] | None, two: Mapping[str, float] | None) -> dict[str, float] | None:
    if one is None or two is None or set(one) != set(two):
        return None
    return {name: float((_exact(one[name]) + _exact(two[name])) / 2) for name in one}


def _exact(value: float) -> Decimal:
    """The decimal a person wrote: 0.3 - 0.1 is 0.2 in marks."""
    return Decimal(str(value))
