"""A crop to the lines that have to be recognised, and what was recognised in them to a Transcription.

struck-out writing away → line(s) | recognised elsewhere | characters → confidence, flags

The two halves stand on either side of the network, so that an engine can have the lines of many crops recognised
together. Nothing here depends on what else is recognised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from grader.flags import check
from grader.ocr import confidence
from grader.ocr.alphabet import parse
from grader.ocr.ctc import Symbol
from grader.ocr.detection import Quad, straighten
from grader.ocr.layout import mark_superscripts, stacked_fraction
from grader.ocr.preprocess import Prepared, bounds, line_box
from grader.ocr.recognition import Line, Recognised
from grader.ocr.strikeout import struck_out
from grader.records import Box, Character, TextLine, Transcription

_FLAT = frozenset("一-—–−_ー~")  # alone in a box, one flat stroke may be any of these
_TINY = 0.14  # writing smaller than this part of the box's height may be a dot that was not meant
_UNREAD = 0.9  # ink without a character, in heights of the line, from which the reading is doubtful
_SHORT = 12  # characters up to which every one counts, however many lines the box has
_MISSED = 0.15  # share of the ink outside every detected line from which the reading is doubtful


@dataclass(frozen=True)
class Waiting:
    """A crop of which everything is known but what its lines say.

    lines: to be recognised. finish: what was recognised in each, in their order → the crop's Transcription.
    """

    lines: tuple[Line, ...]
    finish: Callable[[Sequence[Recognised]], Transcription]


def known(transcription: Transcription) -> Waiting:
    """A crop that needs no network."""
    return Waiting((), lambda _: transcription)


def one_line(page: Prepared, alphabet: str) -> Waiting:
    """A crop that holds one line of writing within `alphabet` (see grader.ocr.alphabet)."""
    restricted = parse(alphabet).characters is not None
    gray, ink, deleted = without_deletions(page, bounds(page.ink)[3], narrow=restricted)
    if not ink.any():
        return known(Transcription("", 0.5, (), ("struck_out",)))
    x, y, w, h = line_box(ink)
    box = (float(x), float(y), float(w), float(h))

    def finish(read: Sequence[Recognised]) -> Transcription:
        line, symbols = _characters(read[0], box)
        flags = confidence.flags_of(symbols, exact=True) + deleted
        if alphabet in ("number", "any") and stacked_fraction(ink):
            flags.append("ocr_ambiguous")
        if not line.text or unread(line, ink) > _UNREAD or _tiny(ink):
            flags.append("ocr_doubtful")
        if line.text in _FLAT:
            flags.append("ocr_ambiguous")
        raised = mark_superscripts(line, ink) if alphabet == "number" else line
        if raised is not line:
            line = raised
            flags.append("ocr_ambiguous")
        return Transcription(line.text, line.confidence, (line,), check(tuple(flags)))

    return Waiting((Line(gray[y : y + h, x : x + w], alphabet),), finish)


def several_lines(page: Prepared, detected: Sequence[Sequence[Quad]], alphabet: str) -> Waiting:
    """A crop with the lines that were detected in it, each its pieces from left to right. Without any, it is read as
    one line, with doubt."""
    if not detected:
        single = one_line(page, alphabet)
        return replace(single, finish=lambda read: _doubted(single.finish(read)))
    quads = [quad for line in detected for quad in line]
    usual = float(np.median([q.bottom - q.top for q in quads]))
    writing = replace(page, ink=page.ink & _covered(page.ink.shape, quads))
    missed = (page.ink & ~writing.ink).sum() > _MISSED * page.ink.sum()
    gray, ink, deleted = without_deletions(writing, round(0.7 * usual))
    inked = [[quad for quad in line if ink[_slice(_box(quad))].any()] for line in detected]

    def finish(read: Sequence[Recognised]) -> Transcription:
        recognised = iter(read)
        found = [_joined([_characters(next(recognised), _box(quad)) for quad in line]) for line in inked]
        return _text([(line, symbols) for line, symbols in found if line.text], deleted, missed)

    return Waiting(tuple(Line(straighten(gray, quad), alphabet) for line in inked for quad in line), finish)


def _text(found: Sequence[tuple[TextLine, list[Symbol]]], deleted: Sequence[str], missed: bool) -> Transcription:
    """The lines of a crop as one text."""
    flags = list(deleted)
    short = sum(len(line.text) for line, _ in found) <= _SHORT
    for _, symbols in found:
        flags += confidence.flags_of(symbols, exact=short)
    if not found or missed:
        flags.append("ocr_doubtful")
    # running text bears single errors: its confidence is that of the mean character of its weakest line
    sure = [line.confidence if short else confidence.mean_character(symbols) for line, symbols in found]
    text = "\n".join(line.text for line, _ in found)
    return Transcription(text, min(sure, default=0.0), tuple(line for line, _ in found), check(tuple(flags)))


def _doubted(read: Transcription) -> Transcription:
    return replace(read, flags=check((*read.flags, "ocr_doubtful")))


def _characters(read: Recognised, box: Box) -> tuple[TextLine, list[Symbol]]:
    """What was recognised in the picture of a line; spans are fractions of `box`."""
    characters = tuple(
        Character(s.text, s.probability, min(1.0, s.start / read.steps), min(1.0, s.end / read.steps))
        for s in read.symbols
        if s.text
    )
    symbols = [s for s in read.symbols if s.text.strip() or s.foreign]
    text = "".join(c.text for c in characters).strip()
    return TextLine(text, confidence.line_confidence(symbols), box, characters), symbols


def _joined(pieces: Sequence[tuple[TextLine, list[Symbol]]]) -> tuple[TextLine, list[Symbol]]:
    """The pieces of one line joined, less those that say nothing."""
    pieces = [(line, symbols) for line, symbols in pieces if line.text]
    return join([line for line, _ in pieces]), [s for _, symbols in pieces for s in symbols]


def blankness(page: Prepared) -> Transcription | None:
    """A Transcription if nothing (or nearly nothing) was written, else None."""
    if page.ink.any():
        return None
    if page.faint > 0.01 * page.ink.size:
        return Transcription("", 0.5, (), check(("blank", "ocr_doubtful")))
    return Transcription("", 1.0, (), ("blank",))


def without_deletions(
    page: Prepared, text_height: int, *, narrow: bool = False
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """The gray picture and the ink without struck-out writing, and the flag if there was any."""
    boxes = struck_out(page.ink, text_height, narrow=narrow)
    if not boxes:
        return page.gray, page.ink, []
    gray, ink = page.gray.copy(), page.ink.copy()
    paper = np.uint8(np.median(gray[~ink])) if not ink.all() else np.uint8(255)
    for box in boxes:
        area = _slice(box)
        gray[area], ink[area] = paper, False
    return gray, ink, ["struck_out"]


def join(lines: list[TextLine]) -> TextLine:
    """Pieces of one line as one TextLine; a space goes between words of Latin script and digits."""
    if not lines:
        return TextLine("", 0.0, (0.0, 0.0, 0.0, 0.0))
    if len(lines) == 1:
        return lines[0]
    text = lines[0].text
    for before, after in pairwise(lines):
        spaced = before.text[-1].isascii() and after.text[0].isascii()
        text += (" " if spaced else "") + after.text
    left, top = min(p.box[0] for p in lines), min(p.box[1] for p in lines)
    right = max(p.box[0] + p.box[2] for p in lines)
    bottom = max(p.box[1] + p.box[3] for p in lines)
    width = max(right - left, 1.0)
    characters = tuple(
        Character(
            c.text,
            c.confidence,
            (p.box[0] - left + c.start * p.box[2]) / width,
            (p.box[0] - left + c.end * p.box[2]) / width,
        )
        for p in lines
        for c in p.characters
    )
    return TextLine(
        text, float(np.prod([p.confidence for p in lines])), (left, top, right - left, bottom - top), characters
    )


def _box(quad: Quad) -> Box:
    return quad.left, quad.top, quad.right - quad.left, quad.bottom - quad.top


def _slice(box: Box) -> tuple[slice, slice]:
    x, y, w, h = box
    left, top = max(0, int(x)), max(0, int(y))
    return slice(top, max(top, int(np.ceil(y + h)))), slice(left, max(left, int(np.ceil(x + w))))


def unread(line: TextLine, ink: np.ndarray) -> float:
    """Longest stretch with ink along the line in which no character was read, in heights of the line."""
    x, y, w, h = (round(v) for v in line.box)
    columns: np.ndarray = np.array(ink[y : y + h, x : x + w].any(axis=0), np.int8)
    for character in line.characters:
        # The network places a character by its strongest evidence, which may be anywhere within it.
        left, right = character.start * w - 0.5 * h, character.end * w + 0.5 * h
        columns[max(0, round(left)) : max(0, round(right))] = 0
    edges = np.flatnonzero(np.diff(np.concatenate([[0], columns, [0]])))
    return float(max(edges[1::2] - edges[::2], default=0) / max(1, h))


def _tiny(ink: np.ndarray) -> bool:
    _, _, w, h = bounds(ink)
    return max(w, h) < _TINY * ink.shape[0]


def _covered(shape: tuple[int, ...], quads: Sequence[Quad]) -> np.ndarray:
    """Mask (bool) of what the detected pieces cover."""
    covered: np.ndarray = np.zeros(shape, np.uint8)
    for quad in quads:
        covered[_slice(_box(quad))] = 1
    return covered > 0
