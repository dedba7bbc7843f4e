"""What a change of the exam's answers, rubrics or marks does to marking that has begun, as pure rules.

Objective items are marked again by rule from the stored responses, short answers are proposed again by the model.
What a person decided stays until a person decides again. What would orphan or falsify marks is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from grader.errors import UsageError
from grader.exam.exam import Exam, Item, ShortAnswerItem
from grader.marking.errors import Destroys


@dataclass(frozen=True)
class Held:
    """An answer before the change. mark: what counts now, final or proposed. by_person: people's marks stand for it;
    highest: the greatest of these; criteria: criterion id → the greatest of people's marks for it."""

    name: str
    candidate: str
    item: str
    mark: float | None
    final: bool
    by_person: bool
    highest: float = 0.0
    criteria: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class New:
    """What the rule or model says under the new version. final: a rule is sure of it."""

    name: str
    mark: float | None
    final: bool


@dataclass(frozen=True)
class ItemPreview:
    """What changes at one item. answers: all; kept: people's marks that stay; changed: final marks that get another
    value; reproposed: proposals that get another value; to_people: final marks that a person must now look at;
    settled: waiting answers that a rule is now sure of."""

    item: str
    answers: int
    kept: int
    changed: int
    reproposed: int
    to_people: int
    settled: int


@dataclass(frozen=True)
class Crossing:
    """A candidate who crosses the pass line. Totals as shares of full marks, before and after."""

    candidate: str
    before: float
    after: float


@dataclass(frozen=True)
class Preview:
    """What a change would do. full: the exam's marks before and after; changed: candidates whose total changes."""

    items: tuple[ItemPreview, ...]
    full: tuple[float, float]
    candidates: int
    changed: int
    up: tuple[Crossing, ...]
    down: tuple[Crossing, ...]


def changed_items(old: Exam, new: Exam) -> tuple[str, ...]:
    """Ids of the items that are not the same, in the new exam's order."""
    before = {item.id: item for item in old.items}
    return tuple(item.id for item in new.items if before.get(item.id) != item)


def check(old: Exam, new: Exam, held: Iterable[Held]) -> None:
    """Raises Destroys, naming every item, where marks that were given would be orphaned or lie above the new
    highest; UsageError for another exam, or items that sheets in hand do not have."""
    if old.exam.id != new.exam.id or old.exam.language != new.exam.language:
        raise UsageError("this is another exam", "change the exam that is being marked, keep its id and language")
    answers: dict[str, list[Held]] = {}
    for one in held:
        answers.setdefault(one.item, []).append(one)
    items = {item.id: item for item in new.items}
    added = sorted(items.keys() - {item.id for item in old.items})
    if added:
        raise UsageError(f"the sheets have no item {', '.join(added)}", "print a new paper for new items")
    wrong = [what for item in old.items for what in _destroyed(item, items.get(item.id), answers.get(item.id, []))]
    if wrong:
        raise Destroys("; ".join(wrong), "keep these, or let a person mark the answers again first")


def _destroyed(item: Item, new: Item | None, held: Sequence[Held]) -> list[str]:
    marked = [one for one in held if one.by_person]
    if new is None:
        return [f"item {item.id} has {len(held)} answers and would be gone"] if held else []
    if type(new) is not type(item):
        return [f"item {item.id} would be {new.type} instead of {item.type}"]
    found = []
    above = sum(one.highest > new.max_mark + 1e-9 for one in marked)
    if above:
        found.append(f"item {item.id}: {above} marks of people lie above the new highest mark {new.max_mark:g}")
    if isinstance(new, ShortAnswerItem):
        most = {criterion.id: criterion.marks for criterion in new.rubric}
        lost = sorted({name for one in marked for name, mark in one.criteria.items() if mark > most.get(name, -1)})
        if lost:
            found.append(f"item {item.id}: people's marks for the criteria {', '.join(lost)} would no longer fit")
    return found


def preview(
    old: Exam, new: Exam, held: Sequence[Held], again: Mapping[str, New], pass_line: float | None = None
) -> Preview:
    """What the change would do. again: name → what is found under the new version, for the answers of changed items.

    pass_line: share of full marks (0 to 1) that passes; a total exactly on the line passes. Raises UsageError for a
    line that is no share.
    """
    if pass_line is not None and not 0 <= pass_line <= 1:
        raise UsageError(f"a pass line of {pass_line:g} is no share", "give a number from 0 to 1, such as 0.6")
    items = changed_items(old, new)
    full = sum(item.max_mark for item in old.items), sum(item.max_mark for item in new.items)
    before, after = _totals(held, {}), _totals(held, again)
    shares = {c: (before[c] / full[0], after[c] / full[1]) for c in before}
    crossing = [Crossing(c, one, two) for c, (one, two) in sorted(shares.items()) if _crosses(pass_line, one, two)]
    return Preview(
        items=tuple(_item(item, held, again) for item in items),
        full=full,
        candidates=len(before),
        changed=sum(abs(before[c] - after[c]) > 1e-9 for c in before),
        up=tuple(one for one in crossing if one.after > one.before),
        down=tuple(one for one in crossing if one.after <= one.before),
    )


def mark_after(held: Held, again: Mapping[str, New]) -> float | None:
    """What counts after the change: a person's mark stays."""
    new = again.get(held.name)
    return held.mark if held.by_person or new is None else new.mark


def _item(item: str, held: Sequence[Held], again: Mapping[str, New]) -> ItemPreview:
    own = [one for one in held if one.item == item]
    free = [(one, again[one.name]) for one in own if not one.by_person and one.name in again]
    return ItemPreview(
        item=item,
        answers=len(own),
        kept=sum(one.by_person for one in own),
        changed=sum(one.final and new.final and one.mark != new.mark for one, new in free),
        reproposed=sum(not one.final and not new.final and one.mark != new.mark for one, new in free),
        to_people=sum(one.final and not new.final for one, new in free),
        settled=sum(not one.final and new.final for one, new in free),
    )


def _totals(held: Iterable[Held], again: Mapping[str, New]) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in held:
        if not one.candidate:  # on a page that nobody claims
            continue
        found[one.candidate] = found.get(one.candidate, 0.0) + (mark_after(one, again) or 0.0)
    return found


def _crosses(line: float | None, before: float, after: float) -> bool:
    return line is not None and (before >= line - 1e-9) != (after >= line - 1e-9)
