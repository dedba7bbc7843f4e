"""The list of candidates. Names stay in it: nothing but the candidate number is compared or written on."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path

from grader.errors import Problem, RosterError

_CANDIDATE = ("candidate", "考生号", "准考证号", "id")
_NAME = ("name", "姓名")
_CLASS = ("class", "班级")


@dataclass(frozen=True)
class Entry:
    """One candidate. name and class_ are "" where the roster has none."""

    candidate: str
    name: str = field(default="", repr=False)
    class_: str = field(default="", repr=False)


class Roster:
    """Who may hand in, in the file's order."""

    def __init__(self, entries: list[Entry]) -> None:
        self._entries = {entry.candidate: entry for entry in entries}
        self.candidates = tuple(self._entries)  # in the file's order

    @classmethod
    def load(cls, path: Path) -> Roster:
        """Read a CSV file with a header and a column `candidate` (or 考生号, 准考证号, id).

        UTF-8, or GB 18030 as Chinese spreadsheets write it. Raises RosterError with every problem at once.
        """
        text = _text(path)
        try:
            if "\0" in text:
                raise csv.Error("it holds NUL characters")
            rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
        except csv.Error as error:
            raise RosterError(str(path), [Problem("file", str(error), "save it as CSV UTF-8 again")]) from error
        entries, problems = _entries(rows)
        if problems:
            raise RosterError(str(path), problems)
        return cls(entries)

    def name(self, candidate: str) -> str:
        """The candidate's name, "" where it is not known. For printing on paper only."""
        entry = self._entries.get(candidate)
        return entry.name if entry else ""

    def __contains__(self, candidate: object) -> bool:
        return candidate in self._entries

    def __len__(self) -> int:
        return len(self._entries)


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RosterError(str(path), [Problem("file", str(error), "give a readable CSV file")]) from error
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise RosterError(str(path), [Problem("file", "it is neither UTF-8 nor GB 18030", "save it as CSV UTF-8")])


def _entries(rows: list[list[str]]) -> tuple[list[Entry], list[Problem]]:
    header = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = _column(header, _CANDIDATE)
    if column is None:
        remedy = f"name one column of the first line {' or '.join(_CANDIDATE)}"
        return [], [Problem("header", "there is no column of candidate numbers", remedy, 1)]
    name, class_ = _column(header, _NAME), _column(header, _CLASS)
    entries: list[Entry] = []
    problems: list[Problem] = []
    first_line: dict[str, int] = {}
    for line, row in enumerate(rows[1:], start=2):
        if not any(cell.strip() for cell in row):
            continue
        candidate = _cell(row, column)
        if not candidate:
            problems.append(Problem("candidate", "the number is empty", "fill it in, or delete the line", line))
        elif candidate in first_line:
            message = f"{candidate} already stands in line {first_line[candidate]}"
            problems.append(Problem("candidate", message, "keep one of the lines", line))
        else:
            first_line[candidate] = line
            entries.append(Entry(candidate, _cell(row, name), _cell(row, class_)))
    if not entries and not problems:
        problems.append(Problem("file", "it lists nobody", "add a line for every candidate"))
    return entries, problems


def _column(header: list[str], names: tuple[str, ...]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _cell(row: list[str], column: int | None) -> str:
    return row[column].strip() if column is not None and column < len(row) else ""
