"""Where on the picture of an answer its evidence stands.

The journal keeps, of every transcription, the boxes of its lines and where along the line each character was
seen. A span of the response's text is followed back to its characters; where that cannot be done (text joined
from several boxes, a correction by hand) there is no box, never a guessed one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from grader.records import Box, CriterionMark, TextLine, Transcription

_PNG = b"\x89PNG\r\n\x1a\n"
_MARGIN = 0.06  # of the line's height: a box that touches the strokes hides them
_SKIPPED = 2  # signs of the text that the picture need not hold: "^" of an exponent, a space between words


@dataclass(frozen=True)
class EvidenceBox:
    """A box on the crop, in its pixels. place: of the criterion in the rubric, from 0."""

    place: int
    box: Box


def png_size(png: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the header (PNG 1.2, 11.2.2). Raises ValueError for what is no PNG."""
    if len(png) < 24 or not png.startswith(_PNG):
        raise ValueError("not a PNG")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def evidence_boxes(
    text: str, transcription: Transcription | None, marks: Iterable[CriterionMark], places: dict[str, int]
) -> tuple[EvidenceBox, ...]:
    """The boxes of the evidence for `marks`, one a line of writing that it covers.

    text: the response. places: criterion id → place in the rubric. Empty where the geometry does not allow it.
    """
    if transcription is None or not transcription.lines:
        return ()
    where = _extents(text, transcription.lines)
    found = []
    for mark in marks:
        if mark.evidence is None or mark.mark <= 0 or mark.id not in places:
            continue
        found += [EvidenceBox(places[mark.id], box) for box in _boxes(where, mark.evidence, transcription.lines)]
    return tuple(found)


# index in the text → line, and the character's left and right end as shares of the line
_Extents = dict[int, tuple[int, float, float]]


def _extents(text: str, lines: tuple[TextLine, ...]) -> _Extents:
    where: _Extents = {}
    cursor = 0
    for number, line in enumerate(lines):
        for sign, left, right in _signs(line):
            at = text.find(sign, cursor, cursor + len(sign) + _SKIPPED)
            if at < 0:
                continue  # the text was corrected here
            for index in range(at, at + len(sign)):
                where[index] = (number, left, right)
            cursor = at + len(sign)
    return where


def _signs(line: TextLine) -> Iterator[tuple[str, float, float]]:
    """Characters of a line with the stretch that is theirs.

    A recogniser says where it saw a character, which is a point within it rather than its width: the border
    between two characters is taken half way.
    """
    seen = [c for c in line.characters if c.text.strip()]
    if not seen:
        return
    centres = [(c.start + c.end) / 2 for c in seen]
    borders = [0.0, *((a + b) / 2 for a, b in pairwise(centres)), 1.0]
    for character, (left, right) in zip(seen, pairwise(borders), strict=True):
        yield character.text.strip(), left, right


def _boxes(where: _Extents, evidence: tuple[int, int], lines: tuple[TextLine, ...]) -> Iterator[Box]:
    covered: dict[int, tuple[float, float]] = {}
    for index in range(*evidence):
        if index in where:
            number, left, right = where[index]
            before = covered.get(number, (left, right))
            covered[number] = min(before[0], left), max(before[1], right)
    for number, (left, right) in covered.items():
        x, y, w, h = lines[number].box
        margin = _MARGIN * h
        yield x + left * w - margin, y - margin, (right - left) * w + 2 * margin, h + 2 * margin
