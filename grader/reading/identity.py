"""Whose page this is. Several sources may say so, and none of them is believed against another.

    page code   printed, with a check: certain
    barcode     printed: certain
    bubbles     certain where no digit is doubtful; else a pattern that other sources may or may not fit
    written     handwritten digits as recognised: a source only where the recogniser is sure of every digit; not
                read where two of the others agree

A doubt is resolved by another source that fits it and, for anything a hand wrote, by the roster; never
by what is most likely.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from grader.exam.form import CodeField, MarksField, PageForm, TextField
from grader.flags import blocking
from grader.paper.pagecode import parse
from grader.reading.roster import Roster
from grader.records import Bubble, Identity, Reading, Registration

_SURE_WRITING = 0.95  # of the least certain digit
_ALONE = 0.98  # the same, where handwriting is the only source that the form has


@dataclass(frozen=True)
class _Source:
    """What one source says. pattern: for each position the characters that it may be ("" among them: none),
    where the text is not certain."""

    name: str
    text: str
    confidence: float
    pattern: tuple[frozenset[str], ...] | None = None

    def fits(self, candidate: str) -> bool:
        if self.pattern is None:
            return candidate == self.text
        return _fits(self.pattern, candidate)


def identify(
    registration: Registration, readings: Sequence[Reading], roster: Roster | None, page_form: PageForm | None = None
) -> Identity:
    """The candidate of a page.

    readings: of this page, with recognised text fields where the caller has them. page_form: says which
    fields have the role "candidate"; without it these are the fields whose id begins with "candidate".
    Flags: identity_unread (no source), identity_doubtful, identity_conflict (then the candidate is ""),
    identity_unknown (clearly read, but not on the roster).
    """
    sources = _sources(registration, readings, page_form, roster)
    said = tuple((source.name, source.text) for source in sources)
    candidate, flag = _judge(sources, roster, page_form)
    if flag:
        return Identity(candidate, 0.0, (flag,), said)
    return Identity(candidate, max(source.confidence for source in sources if source.pattern is None), (), said)


def agreed(registration: Registration, readings: Sequence[Reading], page_form: PageForm) -> bool:
    """True if print and bubbles name the same candidate without doubt: then the number need not be read as written,
    which costs more than all else on a page of bubbles. Either alone is checked against the handwriting."""
    sources = _sources(registration, readings, page_form, None)
    return len(sources) > 1 and all(s.pattern is None and s.text == sources[0].text for s in sources)


def _judge(sources: list[_Source], roster: Roster | None, page_form: PageForm | None) -> tuple[str, str]:
    """The candidate, or "", and the flag, or ""."""
    certain = [source for source in sources if source.pattern is None]
    doubtful = [source for source in sources if source.pattern is not None]
    if not certain:
        return "", "identity_doubtful" if doubtful else "identity_unread"
    candidate = certain[0].text
    if not all(source.fits(candidate) for source in sources):
        return "", "identity_conflict"
    if roster is not None and candidate not in roster:
        return candidate, "identity_unknown"
    settled = _settled(certain, doubtful, roster is not None, page_form)
    return (candidate, "") if settled else ("", "identity_doubtful")


def _settled(certain: list[_Source], doubtful: list[_Source], known: bool, page_form: PageForm | None) -> bool:
    """True if the certain sources, which agree with all others, are enough. known: the candidate is on a roster.

    Print is enough, and so are bubbles. Handwriting is enough to resolve a doubtful bubble of a candidate on
    the roster, and alone only where the form has no bubbles for the number.
    """
    if any(source.name != "written" for source in certain):
        return True
    if not known:
        return False
    only_written = page_form is not None and not any(
        isinstance(field, MarksField) and field.role == "candidate" for field in page_form.fields
    )
    return bool(doubtful) or (only_written and certain[0].confidence >= _ALONE)


# --- sources --------------------------------------------------------------------------------------------


def _sources(
    registration: Registration, readings: Sequence[Reading], page_form: PageForm | None, roster: Roster | None
) -> list[_Source]:
    sources = []
    code = parse(registration.code) if registration.code else None
    if code is not None and code.candidate:
        sources.append(_Source("code", code.candidate, 1.0))
    fields = {field.id: field for field in page_form.fields} if page_form is not None else {}
    for reading in readings:
        field = fields.get(reading.field)
        if isinstance(field, CodeField) and field.page_code:
            continue
        if field.role != "candidate" if field is not None else not reading.field.startswith("candidate"):
            continue
        source = _source(reading, field.cells if isinstance(field, TextField) else 0, roster)
        if source is not None:
            sources.append(source)
    return sources


def _source(reading: Reading, cells: int, roster: Roster | None) -> _Source | None:
    if reading.kind == "code":
        return _Source("barcode", reading.value.strip(), reading.confidence) if reading.value.strip() else None
    if reading.kind == "marks":
        return _bubbles(reading, roster)
    text = "".join(reading.value.split())
    if not text or reading.confidence < _SURE_WRITING or blocking(reading.flags):
        return None
    if cells and (len(text) > cells or (roster is None and len(text) != cells)):
        return None
    return _Source("written", text, reading.confidence)


def _bubbles(reading: Reading, roster: Roster | None) -> _Source | None:
    """The bubbled number; None where nothing is marked at all."""
    columns = [list(group) for _, group in groupby(reading.bubbles, key=lambda bubble: bubble.position)]
    if not any(bubble.marked is not False for bubble in reading.bubbles):
        return None
    pattern = tuple(_possible(column) for column in columns)
    text = "".join("".join(b.label for b in column if b.marked) for column in columns)
    if not blocking(reading.flags):
        return _Source("bubbles", text, reading.confidence)
    if roster is not None and _only_short(reading, columns):
        # fewer digits than positions: certain if the roster knows this number and no longer one that fits
        fitting = [candidate for candidate in roster.candidates if _fits(pattern, candidate)]
        if fitting == [text]:
            return _Source("bubbles", text, reading.confidence)
    return _Source("bubbles", reading.value, reading.confidence, pattern)


def _possible(column: list[Bubble]) -> frozenset[str]:
    """The characters that a position may hold: those marked or doubtful; any, or none, where all are blank."""
    seen = frozenset(bubble.label for bubble in column if bubble.marked is not False)
    return seen or frozenset(bubble.label for bubble in column) | {""}


def _only_short(reading: Reading, columns: list[list[Bubble]]) -> bool:
    """True if the only doubt is that the first or last positions are empty."""
    if set(reading.flags) != {"mark_doubtful"} or any(bubble.marked is None for bubble in reading.bubbles):
        return False
    filled = [any(bubble.marked for bubble in column) for column in columns]
    return filled == sorted(filled) or filled == sorted(filled, reverse=True)


def _fits(pattern: tuple[frozenset[str], ...], candidate: str) -> bool:
    """True if the candidate can be spelled with one possibility of each position."""
    ends = {0}
    for possible in pattern:
        ends = {end + len(label) for end in ends for label in possible if candidate.startswith(label, end)}
    return len(candidate) in ends
