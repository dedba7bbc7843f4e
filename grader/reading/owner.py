"""Whose plain page it is. Nothing is printed on it: the folder or the file says so, or the candidate wrote it.

    folder    the page's file lies in a folder named as a candidate of the class list
    file      its name begins with one: 1003.jpg, 1003_2.jpg, 1003-2.jpg
    written   one candidate's number or name stands above the first item, read without doubt

Each counts only if the class list knows the candidate, and where two disagree nobody is taken.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Sequence
from pathlib import PurePath

from grader.reading.roster import Roster
from grader.records import Identity, TextLine

_SURE = 0.9  # of a written name or number: that every character is right
_NUMBER_IS = re.compile(r"(?:学号|考号|考生号|准考证号|编号|座号|\bno|\bid|number|candidate)\W*([0-9a-z-]+)")
_LONG = 4  # digits of a number that is a candidate's also without a word that says so


def owner(file: str, lead: Sequence[TextLine], roster: Roster) -> Identity:
    """The candidate of a plain page. lead: the lines above its first item.

    Flags: identity_unread (no source), identity_doubtful (several could be meant), identity_conflict.
    """
    places = ("folder", _folder(file, roster)), ("file", _file(file, roster))
    given = [(name, value) for name, value in places if value]
    written, confidence = _written(lead, roster)
    said = tuple(given + [("written", candidate) for candidate in sorted(written)])
    placed = {value for _, value in given}
    if len(placed) > 1 or (placed and written and not placed & written):
        return Identity("", 0.0, ("identity_conflict",), said)
    if placed:
        return Identity(placed.pop(), 1.0, (), said)
    if len(written) == 1:
        return Identity(next(iter(written)), confidence, (), said)
    return Identity("", 0.0, ("identity_doubtful" if written else "identity_unread",), said)


def owner_lines(lead: Sequence[TextLine], roster: Roster | None) -> list[TextLine]:
    """The lines that name somebody: they are shown to no marker and kept in no store."""
    return [
        line
        for line in lead
        if _NUMBER_IS.search(_folded(line.text))
        or re.search(r"姓名|name", _folded(line.text))
        or (roster is not None and _named((line,), roster))
    ]


def placed_by_name(file: str, candidates: Container[str]) -> str:
    """The candidate that the folder or the name of a file says, or "" where they say none, or two."""
    found = {name for name in (_folder(file, candidates), _file(file, candidates)) if name}
    return found.pop() if len(found) == 1 else ""


def _folder(file: str, roster: Container[str]) -> str:
    name = PurePath(file).parent.name
    return name if name in roster else ""


def _file(file: str, roster: Container[str]) -> str:
    stem = PurePath(file).stem
    if stem in roster:
        return stem
    head = re.match(r"(.+?)[_\-\s.]+(?:p|page|第)?\s*[0-9]{1,3}页?$", stem)
    return head[1] if head and head[1] in roster else ""


def _written(lead: Sequence[TextLine], roster: Roster) -> tuple[set[str], float]:
    sure = [line for line in lead if line.confidence >= _SURE]
    return _named(sure, roster), min((line.confidence for line in sure), default=0.0)


def _named(lines: Sequence[TextLine], roster: Roster) -> set[str]:
    """Candidates whose number or name stands in the lines. Two of the same name are both meant."""
    found: set[str] = set()
    for line in lines:
        text = _folded(line.text)
        numbers = set(_NUMBER_IS.findall(text))
        numbers |= {n for n in re.findall(r"(?<![0-9a-z])[0-9a-z-]+(?![0-9a-z])", text) if len(n) >= _LONG}
        squeezed = re.sub(r"\s", "", text)
        for candidate in roster.candidates:
            name = re.sub(r"\s", "", _folded(roster.name(candidate)))
            if _folded(candidate) in numbers or (len(name) >= 2 and name in squeezed):
                found.add(candidate)
    return found


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).lower()
