"""The class list: candidate numbers in an order, and the names that go to the vault."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select, update

from grader.homework import schema
from grader.reading.roster import Entry, Roster
from grader.service import vault

MAX_PUPILS = 500
_NUMBER = re.compile(r"[0-9A-Za-z一-鿿][0-9A-Za-z一-鿿_.-]{0,31}")  # also the name of a folder of ours
_HEADERS = {"candidate", "考生号", "准考证号", "学号", "id", "number", "no", "no."}


@dataclass(frozen=True)
class Pupil:
    """One line of a class list. name: "" where none is given."""

    candidate: str
    name: str = ""


@dataclass(frozen=True)
class Bad:
    """A line that cannot be used. what: key of the words that say why."""

    line: int
    what: str


def parse(text: str) -> tuple[list[Pupil], list[Bad]]:
    """The pupils in a text: one a line, number and name with a comma, tab or blanks between; a header is skipped."""
    pupils: list[Pupil] = []
    bad: list[Bad] = []
    seen: set[str] = set()
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        cells = _cells(line)
        if not cells or (not pupils and cells[0].lower() in _HEADERS):
            continue
        if not _NUMBER.fullmatch(cells[0]):
            bad.append(Bad(number, "bad_number"))
        elif cells[0] in seen:
            bad.append(Bad(number, "number_twice"))
        else:
            seen.add(cells[0])
            pupils.append(Pupil(cells[0], cells[1][:64] if len(cells) > 1 else ""))
    if len(pupils) > MAX_PUPILS:
        bad.append(Bad(MAX_PUPILS + 1, "too_many_pupils"))
    return pupils, bad


def _cells(line: str) -> list[str]:
    separated = "," in line or "\t" in line or ";" in line
    cells = next(csv.reader(io.StringIO(re.sub(r"[\t;]", ",", line))), []) if separated else line.split(maxsplit=1)
    return [cell.strip() for cell in cells] if any(cell.strip() for cell in cells) else []


def written(pupils: Sequence[str], names: Mapping[str, str]) -> str:
    """The class list as `parse` reads it."""
    return "".join(f"{candidate} {names.get(candidate, '')}".rstrip() + "\n" for candidate in pupils)


def keep(connection: Connection, exam: str, pupils: Sequence[Pupil]) -> None:
    """Replace the class list, and the names of those who are on it."""
    c = schema.pupil.c
    gone = set(candidates(connection, exam)) - {pupil.candidate for pupil in pupils}
    connection.execute(delete(schema.pupil).where(c.exam == exam))
    rows = [{"exam": exam, "place": place, "candidate": p.candidate} for place, p in enumerate(pupils, start=1)]
    if rows:
        connection.execute(insert(schema.pupil), rows)
    vault.keep(connection, exam, {pupil.candidate: pupil.name for pupil in pupils})
    for candidate in gone:
        vault.forget(connection, exam, candidate)


def candidates(connection: Connection, exam: str) -> list[str]:
    """The candidate numbers, in the list's order."""
    c = schema.pupil.c
    return list(connection.scalars(select(c.candidate).where(c.exam == exam).order_by(c.place)))


def roster(pupils: Sequence[str], names: Mapping[str, str]) -> Roster:
    """The list as the engine takes it."""
    return Roster([Entry(candidate, names.get(candidate, "")) for candidate in pupils])


def paper(connection: Connection, exam: str) -> str:
    """ "plain" or "sheets"; "plain" where nothing was chosen."""
    return connection.scalar(select(schema.homework.c.paper).where(schema.homework.c.exam == exam)) or "plain"


def set_paper(connection: Connection, exam: str, chosen: str) -> None:
    """Choose the paper."""
    c = schema.homework.c
    if connection.execute(update(schema.homework).where(c.exam == exam).values(paper=chosen)).rowcount == 0:
        connection.execute(insert(schema.homework).values(exam=exam, paper=chosen))
