"""The default engine: PP-OCRv6 small on ONNX Runtime, called on boxes whose place is known.

crop → rules and frame away → blank? → struck-out writing away → line(s) → characters → confidence, flags
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from grader.flags import check
from grader.ocr import confidence
from grader.ocr.alphabet import parse
from grader.ocr.ctc import Symbol
from grader.ocr.detection import Detector, Quad, reading_order, straighten, text_height
from grader.ocr.layout import mark_superscripts, stacked_fraction
from grader.ocr.preprocess import Prepared, bounds, line_box, prepare
from grader.ocr.recognition import Recogniser
from grader.ocr.strikeout import struck_out
from grader.providers import Provider, check_provider
from grader.records import Box, Character, TextLine, Transcription
from grader.resources import model_path, sha256
from grader.stages import stage

VERSION = "ppocr-v6-small/2"  # 2: short lines are padded to 128 columns, no longer to 320
DETECTOR = "ocr/PP-OCRv6_det_small.onnx"
RECOGNISER = "ocr/PP-OCRv6_rec_small.onnx"
SMALLEST = 10  # pixels of a side below which a crop shows nothing
_FLAT = frozenset("一-—–−_ー~")  # alone in a box, one flat stroke may be any of these
_TINY = 0.14  # writing smaller than this part of the box's height may be a dot that was not meant
_UNREAD = 0.9  # ink without a character, in heights of the line, from which the reading is doubtful
_SHORT = 12  # characters up to which every one counts, however many lines the box has
_MISSED = 0.15  # share of the ink outside every detected line from which the reading is doubtful


class PPOCR:
    """See grader.ocr.protocol.OCREngine. The networks load when first needed.

    Raises UsageError for a provider that this installation of ONNX Runtime does not have.
    """

    def __init__(self, provider: Provider = "cpu") -> None:
        if provider != "cpu":
            check_provider(provider)
        self._provider: Provider = provider
        self.name = VERSION if provider == "cpu" else f"{VERSION}+{provider}"

    @cached_property
    def _recogniser(self) -> Recogniser:
        return Recogniser(model_path(RECOGNISER), self._provider)

    @cached_property
    def _detector(self) -> Detector:
        return Detector(model_path(DETECTOR), self._provider)

    def models(self) -> dict[str, str]:
        """Name of each weight file → its SHA-256; and the engine's name, which changes when the same weights are
        used in a way that changes what is read, → the SHA-256 of that name."""
        weights = {name.split("/")[-1]: sha256(model_path(name)) for name in (DETECTOR, RECOGNISER)}
        return {**weights, self.name: hashlib.sha256(self.name.encode()).hexdigest()}

    def read(self, crop: np.ndarray, *, lines: int | None = 1, alphabet: str = "any") -> Transcription:
        """Read a gray or BGR uint8 crop; see grader.ocr.protocol. Raises UsageError for an unknown alphabet."""
        parse(alphabet)
        if min(crop.shape[:2]) < SMALLEST:
            return Transcription("", 0.0, (), ("ocr_doubtful",))
        page = prepare(crop)
        if page.solid:
            return Transcription("", 0.0, (), ("ocr_doubtful",))
        blank = blankness(page)
        if blank is not None:
            return blank
        if lines == 1:
            return self._read_line(page, alphabet)
        return self._read_lines(page, alphabet)

    def _read_line(self, page: Prepared, alphabet: str) -> Transcription:
        restricted = parse(alphabet).characters is not None
        gray, ink, deleted = without_deletions(page, bounds(page.ink)[3], narrow=restricted)
        if not ink.any():
            return Transcription("", 0.5, (), ("struck_out",))
        line, symbols = self._line(gray, ink, line_box(ink), alphabet)
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

    def _read_lines(self, page: Prepared, alphabet: str) -> Transcription:
        with stage("detection"):
            pieces = reading_order(self._detector.detect(page.gray, text_height(page.ink)))
        if not pieces:
            single = self._read_line(page, alphabet)
            return Transcription(single.text, single.confidence, single.lines, check((*single.flags, "ocr_doubtful")))
        usual = float(np.median([q.bottom - q.top for line in pieces for q in line]))
        writing = replace(page, ink=page.ink & _covered(page.ink.shape, [q for line in pieces for q in line]))
        gray, ink, deleted = without_deletions(writing, round(0.7 * usual))
        found = [self._pieces(gray, ink, line, alphabet) for line in pieces]
        found = [(line, symbols) for line, symbols in found if line.text]
        flags = list(deleted)
        short = sum(len(line.text) for line, _ in found) <= _SHORT
        for _, symbols in found:
            flags += confidence.flags_of(symbols, exact=short)
        if not found or (page.ink & ~writing.ink).sum() > _MISSED * page.ink.sum():
            flags.append("ocr_doubtful")
        text = "\n".join(line.text for line, _ in found)
        # running text bears single errors: its confidence is that of the mean character of its weakest line
        sure = [line.confidence if short else confidence.mean_character(symbols) for line, symbols in found]
        weakest = min(sure, default=0.0)
        return Transcription(text, weakest, tuple(line for line, _ in found), check(tuple(flags)))

    def _pieces(
        self, gray: np.ndarray, ink: np.ndarray, quads: list[Quad], alphabet: str
    ) -> tuple[TextLine, list[Symbol]]:
        """Read the pieces of one line and join them."""
        read = []
        for quad in quads:
            picture = straighten(gray, quad)
            box = (quad.left, quad.top, quad.right - quad.left, quad.bottom - quad.top)
            if ink[_slice(box)].any():
                read.append(self._characters(picture, box, alphabet))
        read = [(line, symbols) for line, symbols in read if line.text]
        return join([line for line, _ in read]), [s for _, symbols in read for s in symbols]

    def _line(
        self, gray: np.ndarray, ink: np.ndarray, box: tuple[int, int, int, int], alphabet: str
    ) -> tuple[TextLine, list[Symbol]]:
        x, y, w, h = box
        return self._characters(gray[y : y + h, x : x + w], (float(x), float(y), float(w), float(h)), alphabet)

    def _characters(self, picture: np.ndarray, box: Box, alphabet: str) -> tuple[TextLine, list[Symbol]]:
        """Recognise one picture of a line; spans are fractions of `box`."""
        read = self._recogniser.recognise(picture, alphabet)
        characters = tuple(
            Character(s.text, s.probability, min(1.0, s.start / read.steps), min(1.0, s.end / read.steps))
            for s in read.symbols
            if s.text
        )
        symbols = [s for s in read.symbols if s.text.strip() or s.foreign]
        text = "".join(c.text for c in characters).strip()
        return TextLine(text, confidence.line_confidence(symbols), box, characters), symbols


def on_cuda() -> PPOCR:
    """The engine on an NVIDIA GPU, registered as "ppocr-cuda"."""
    return PPOCR("cuda")


def on_openvino() -> PPOCR:
    """The engine on OpenVINO, in float32 on the processor, registered as "ppocr-openvino"."""
    return PPOCR("openvino")


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


def _covered(shape: tuple[int, ...], quads: list[Quad]) -> np.ndarray:
    """Mask (bool) of what the detected pieces cover."""
    covered: np.ndarray = np.zeros(shape, np.uint8)
    for quad in quads:
        covered[_slice((quad.left, quad.top, quad.right - quad.left, quad.bottom - quad.top))] = 1
    return covered > 0
