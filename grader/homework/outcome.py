"""What a homework came to: each pupil's answers, and the class item by item. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from grader.exam.exam import Exam, Item, ShortAnswerItem
from grader.store.store import ResultRow


@dataclass(frozen=True)
class Answer:
    """One item of one pupil; row None: nothing came in that holds it."""

    item: Item
    row: ResultRow | None

    @property
    def mark(self) -> float | None:
        """The mark as it stands, None where there is none."""
        return self.row.mark if self.row is not None else None

    @property
    def settled(self) -> bool:
        """Whether the mark is final."""
        return self.row is not None and self.row.status == "final"

    @property
    def missing(self) -> tuple[Missing, ...]:
        """The criteria that did not earn all their marks."""
        if self.row is None or not isinstance(self.item, ShortAnswerItem):
            return ()
        held = {criterion.id: criterion.mark for criterion in self.row.criteria}
        return tuple(
            Missing(c.id, c.criterion, held[c.id], c.marks)
            for c in self.item.rubric
            if c.id in held and held[c.id] < c.marks
        )


@dataclass(frozen=True)
class Missing:
    """A criterion that an answer did not meet, or in part."""

    id: str
    criterion: str
    mark: float
    marks: float


@dataclass(frozen=True)
class Pupil:
    """One pupil. place: in the class list, from 1; came: whether any page did."""

    place: int
    candidate: str
    answers: tuple[Answer, ...]

    @property
    def came(self) -> bool:
        return any(answer.row is not None for answer in self.answers)

    @property
    def total(self) -> float:
        """What the marks come to as they stand."""
        return sum(answer.mark or 0.0 for answer in self.answers)

    @property
    def open(self) -> int:
        """Answers that a person has still to decide."""
        return sum(answer.row is not None and not answer.settled for answer in self.answers)


@dataclass(frozen=True)
class CriterionView:
    """How the class met a criterion. short: places of the pupils who did not meet it in full."""

    criterion: str
    marks: float
    mean: float | None
    short: tuple[int, ...]


@dataclass(frozen=True)
class ItemView:
    """How the class did an item. marked: answers with a mark; full, part, none: places of pupils by what they got."""

    item: Item
    marked: int
    mean: float | None
    full: tuple[int, ...]
    part: tuple[int, ...]
    none: tuple[int, ...]
    criteria: tuple[CriterionView, ...]

    @property
    def share(self) -> float:
        """Mean share of the marks, 0 where there are none."""
        return (self.mean or 0.0) / self.item.max_mark


def pupils(exam: Exam, candidates: Sequence[str], rows: Iterable[ResultRow]) -> list[Pupil]:
    """Every pupil of the class list, and after them whoever else handed something in, by number."""
    held: dict[str, dict[str, ResultRow]] = {}
    for row in rows:
        if row.candidate and not any(flag.startswith("identity_") for flag in row.flags):
            held.setdefault(row.candidate, {}).setdefault(row.item, row)
    order = [*candidates, *sorted(held.keys() - set(candidates))]
    return [
        Pupil(place, candidate, tuple(Answer(item, held.get(candidate, {}).get(item.id)) for item in exam.items))
        for place, candidate in enumerate(order, start=1)
    ]


def items(exam: Exam, everybody: Sequence[Pupil]) -> list[ItemView]:
    """The class, item by item."""
    return [_item_view(n, item, everybody) for n, item in enumerate(exam.items)]


def _item_view(number: int, item: Item, everybody: Sequence[Pupil]) -> ItemView:
    given = [(p.place, p.answers[number]) for p in everybody if p.answers[number].mark is not None]
    marks = [(place, answer.mark or 0.0) for place, answer in given]
    criteria = []
    if isinstance(item, ShortAnswerItem):
        for criterion in item.rubric:
            held = [(place, c.mark) for place, answer in given if answer.row for c in answer.row.criteria
                    if c.id == criterion.id]  # fmt: skip
            short = tuple(place for place, mark in held if mark < criterion.marks)
            criteria.append(CriterionView(criterion.criterion, criterion.marks, _mean([m for _, m in held]), short))
    return ItemView(
        item,
        len(marks),
        _mean([mark for _, mark in marks]),
        tuple(place for place, mark in marks if mark >= item.max_mark),
        tuple(place for place, mark in marks if 0 < mark < item.max_mark),
        tuple(place for place, mark in marks if mark <= 0),
        tuple(criteria),
    )


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
