"""What the plain pages of one candidate say together: which page holds an item, and what is in doubt.

A page by itself cannot know that an item stands on none of the candidate's pages, or on two, or goes on at the
top of the next one. Each of these is for a person, who is shown all the pictures that matter, one below the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grader.exam.plain import LEAD
from grader.records import PageRef, Reading

PAGE = "(page)"  # names the crop of a whole plain page


@dataclass(frozen=True)
class PlainPage:
    """One page of a candidate's script, as it was read. crops: names of its crops."""

    ref: PageRef
    readings: Mapping[str, Reading]
    crops: frozenset[str]


@dataclass(frozen=True)
class Found:
    """An item of a candidate. ref: the page that holds it, or his first page; missing: no page does.

    text: what follows on later pages. pictures: the crops that show it, in the order of reading.
    """

    item: str
    ref: PageRef
    missing: bool
    flags: tuple[str, ...]
    text: str
    pictures: tuple[tuple[PageRef, str], ...]


def gather(items: Sequence[str], pages: Sequence[PlainPage]) -> list[Found]:
    """Every item of the exam, for the pages of one candidate in their order. Each item comes once."""
    places: dict[str, list[PlainPage]] = {item: [] for item in items}
    for page in pages:
        for item in items:
            if item in page.readings:
                places[item].append(page)
    continued = _continued(items, pages)
    unsure = _may_hold_another(items, places)
    found = []
    for item in items:
        if not places[item]:
            everything = tuple((page.ref, PAGE) for page in pages)
            found.append(Found(item, pages[0].ref, True, ("item_not_found",), "", everything))
            continue
        first, *others = places[item]
        flags, text = ["item_twice"] if others else [], [page.readings[item].value for page in others]
        pictures = [(page.ref, item) for page in places[item]]
        for page in continued.get((first.ref, item), ()):
            flags.append("answer_continues")
            text.append(page.readings[LEAD].value)
            pictures.append((page.ref, LEAD))
        if item in unsure:
            flags.append("item_doubtful")
        found.append(Found(item, first.ref, False, tuple(flags), "\n".join(text), tuple(pictures)))
    return found


def _continued(items: Sequence[str], pages: Sequence[PlainPage]) -> dict[tuple[PageRef, str], list[PlainPage]]:
    """The last item of a page → the pages after it that begin without a number."""
    found: dict[tuple[PageRef, str], list[PlainPage]] = {}
    last: tuple[PageRef, str] | None = None
    for page in pages:
        if last is not None and LEAD in page.readings:
            found.setdefault(last, []).append(page)
        own = [name for name in page.readings if name in items]
        if own:
            last = page.ref, own[-1]
    return found


def _may_hold_another(items: Sequence[str], places: Mapping[str, Sequence[PlainPage]]) -> set[str]:
    """Items of several lines that stand before one that was not found: it may be among those lines."""
    doubtful: set[str] = set()
    before = ""
    for item in items:
        if places[item]:
            before = item
        elif before and "\n" in places[before][0].readings[before].value:
            doubtful.add(before)
    return doubtful
