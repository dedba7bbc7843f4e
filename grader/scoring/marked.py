"""A human-marked sample of an exam's short answers: reading it, and every check before anything is learned.

A row that cannot be used costs itself only and is named with its line; what is odd but usable becomes a note.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from grader.exam.exam import Exam, ShortAnswerItem
from grader.scoring.confidence import mark_step
from grader.scoring.rows import Row
from grader.scoring.text import look

LEAST = 20  # fewer marked answers than this teach more noise than habit: the item is left as it is
_NAMED = 5  # contradictions that are named one by one


@dataclass(frozen=True)
class Marked:
    """One answer as people marked it; the mean where it was marked more than once. line: where it stands."""

    text: str
    mark: float
    line: int


@dataclass(frozen=True)
class Sample:
    """answers: by item, in the order of the file. problems: (line, what is wrong) of rows that were left out.
    notes: what a person should know, in words. left: items with too few answers → how many they have."""

    answers: dict[str, tuple[Marked, ...]]
    problems: tuple[tuple[int, str], ...]
    notes: tuple[str, ...]
    left: dict[str, int]


def step_of(item: ShortAnswerItem) -> float:
    """The step between two marks of the item."""
    return mark_step([item.max_mark, *(criterion.marks for criterion in item.rubric)])


def check_sample(exam: Exam, rows: Sequence[Row], least: int = LEAST) -> Sample:
    """Sort the rows of a marked sample into what can be learned from and what cannot."""
    items = {item.id: item for item in exam.items}
    problems: list[tuple[int, str]] = []
    ruled = empty = repeated = 0
    given: dict[tuple[str, str], list[Marked]] = {}
    for row in rows:
        problem = row.problem or _problem(items, row)
        if problem or row.response is None:
            problems.append((row.line, problem))
            continue
        response, mark = row.response, float(row.data["mark"])
        if not isinstance(items[response.item], ShortAnswerItem):
            ruled += 1
            continue
        if not look(response.text).tokens:
            empty += 1
            continue
        before = given.setdefault((response.item, response.candidate), [])
        if before and before[0].text != response.text:
            problems.append((row.line, f"{response.candidate} already has another answer to item {response.item}"))
            continue
        repeated += bool(before)
        before.append(Marked(response.text, mark, row.line))
    answers: dict[str, list[Marked]] = defaultdict(list)
    for (name, _), same in given.items():
        answers[name].append(Marked(same[0].text, sum(one.mark for one in same) / len(same), same[0].line))
    notes = [
        *([f"{ruled} rows are of items that a rule marks; nothing is learned from them"] if ruled else []),
        *([f"{empty} answers hold no words; nothing is learned from them"] if empty else []),
        *([f"{repeated} answers are marked more than once; the mean of their marks is learned"] if repeated else []),
        *(note for name, ones in answers.items() for note in _contradictions(name, ones)),
    ]
    enough = {name: tuple(ones) for name, ones in answers.items() if len(ones) >= least}
    short = [item.id for item in exam.items if isinstance(item, ShortAnswerItem) and item.id not in enough]
    return Sample(enough, tuple(problems), tuple(notes), {name: len(answers.get(name, ())) for name in short})


def _problem(items: Mapping[str, object], row: Row) -> str:  # noqa: PLR0911 - a case a return
    """What keeps a readable row from being a marked answer, "" if nothing."""
    assert row.response is not None
    item, mark = items.get(row.response.item), row.data.get("mark")
    if item is None:
        return f"the exam has no item {row.response.item!r}"
    if mark is None:
        return "mark is missing"
    if isinstance(mark, bool) or not isinstance(mark, int | float):
        return "mark must be a number"
    full = float(item.max_mark)  # type: ignore[attr-defined]
    if not 0 <= mark <= full:
        return f"mark {mark:g} is not within 0 to {full:g}, the marks of item {row.response.item}"
    if isinstance(item, ShortAnswerItem):
        step = step_of(item)
        if abs(mark / step - round(mark / step)) > 1e-6:
            return f"mark {mark:g} is off the steps of item {item.id}, which are {step:g}"
        if not row.response.text.strip() and mark:
            return f"mark {mark:g} for an answer without text"
    return ""


def _contradictions(name: str, answers: Sequence[Marked]) -> list[str]:
    """The same words marked differently: people disagree there, and the mean is what is learned."""
    same: dict[str, list[Marked]] = defaultdict(list)
    for one in answers:
        same[" ".join(look(one.text).text.split())].append(one)
    found = [ones for ones in same.values() if len({one.mark for one in ones}) > 1]
    if not found:
        return []
    shown = "; ".join(
        "lines " + ", ".join(str(one.line) for one in ones) + ": " + ", ".join(f"{one.mark:g}" for one in ones)
        for ones in found[:_NAMED]
    )
    more = " ..." if len(found) > _NAMED else ""
    return [f"item {name}: {len(found)} texts carry different marks, their mean is learned ({shown}{more})"]
