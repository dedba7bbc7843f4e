"""The panel beside an annotated scan: whose page it is, and for each answer what was read and what it earned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from grader.flags import blocking, words
from grader.records import Status
from grader.report.words import Language, word
from grader.resources import font_path

_WIDTH = 440
_MARGIN = 24
_PAPER, _INK, _SOFT, _RULE = (250, 249, 246), (29, 36, 51), (110, 116, 128), (222, 221, 216)
_AMBER = (150, 92, 0)
_MOST_LINES = 5  # of a transcription

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Line:
    """One answer. short: its response is a few labels, so several stand in a row unless a flag blocks it."""

    item: str
    response: str
    mark: float | None
    max_mark: float
    status: Status
    flags: tuple[str, ...]
    colour: Colour
    short: bool


def draw_panel(
    scan: Image.Image, lines: Sequence[Line], candidate: str, sheet_page: int, where: str, language: Language
) -> Image.Image:
    """The scan with the panel at its right; as tall as the scan, or taller where the panel needs it."""
    height = max(scan.height, 600)
    while True:
        picture = Image.new("RGB", (scan.width + _WIDTH, height), _PAPER)
        picture.paste(scan, (0, 0))
        bottom = _Panel(picture, scan.width, language).draw(lines, candidate, sheet_page, where)
        if bottom <= height:
            return picture
        height = bottom + _MARGIN


class _Panel:
    """Sets text from top to bottom."""

    def __init__(self, picture: Image.Image, left: int, language: Language) -> None:
        self.ink = ImageDraw.Draw(picture)
        self.left, self.right = left + _MARGIN, left + _WIDTH - _MARGIN
        self.y = _MARGIN
        self.language = language
        self.ink.line([(left, 0), (left, picture.height)], _RULE, 2)

    def draw(self, lines: Sequence[Line], candidate: str, sheet_page: int, where: str) -> int:
        """Everything; returns where it ends."""
        language = self.language
        self.ink.text((self.left, self.y), word("candidate", language), _SOFT, _font(16))
        label = f"{word('sheet_page', language)} {sheet_page}"
        self.ink.text((self.right, self.y), label, _SOFT, _font(16), anchor="ra")
        self.y += 22
        name = candidate or word("unknown_candidate", language)
        self.ink.text((self.left, self.y), _cut(name, 34, self.right - self.left), _INK, _font(34, bold=True))
        self.y += 48
        given = sum(line.mark for line in lines if line.mark is not None)
        possible = sum(line.max_mark for line in lines)
        waiting = sum(line.status == "review" for line in lines)
        total = f"{word('total', language)} {given:g} / {possible:g}"
        if waiting:
            total += f"   {word('review', language)} {waiting}"
        self.ink.text((self.left, self.y), total, _INK, _font(20))
        self.y += 32
        self._paragraph(where[-120:], 13, _SOFT, most=2)
        self._rule()
        self._grid([line for line in lines if line.short and not blocking(line.flags)])
        for line in lines:
            if not line.short or blocking(line.flags):
                self._full(line)
        return self.y

    def _grid(self, lines: Sequence[Line], columns: int = 3) -> None:
        """Short answers, row by row."""
        step = (self.right - self.left) // columns
        for number, line in enumerate(lines):
            x = self.left + number % columns * step
            self.ink.text((x, self.y), _cut(line.item, 16, 40), _SOFT, _font(16))
            answer = _cut(_plain(line.response) or "–", 18, step - 84)
            self.ink.text((x + 42, self.y - 2), answer, line.colour, _font(18, bold=True))
            mark = "?" if line.mark is None else f"{line.mark:g}"
            self.ink.text((x + step - 22, self.y), mark, line.colour, _font(16), anchor="ra")
            if number % columns == columns - 1 or number == len(lines) - 1:
                self.y += 28
        if lines:
            self._rule()

    def _full(self, line: Line) -> None:
        """One answer with its response, mark, status and flags."""
        language = self.language
        self.ink.text((self.left, self.y), _cut(line.item, 18, 240), _INK, _font(18, bold=True))
        mark = word("no_mark", language) if line.mark is None else f"{line.mark:g}"
        mark = f"{mark} / {line.max_mark:g}"
        self.ink.text((self.right, self.y), mark, line.colour, _font(18, bold=True), anchor="ra")
        wide = _font(18, bold=True).getlength(mark)
        if line.status != "final":
            status = word(line.status, language)
            self.ink.text((self.right - wide - 12, self.y + 2), status, _AMBER, _font(15), anchor="ra")
        self.y += 27
        response = _plain(line.response)
        self._paragraph(response or word("no_answer", language), 17, _INK if response else _SOFT, _MOST_LINES)
        for code in line.flags:
            self._paragraph(f"· {words(code, language)}", 15, _AMBER, most=2)
        self.y += 4
        self._rule()

    def _paragraph(self, text: str, size: int, colour: Colour, most: int) -> None:
        for row in _wrap(text, size, self.right - self.left, most):
            self.ink.text((self.left, self.y), row, colour, _font(size))
            self.y += round(1.42 * size)

    def _rule(self) -> None:
        self.y += 5
        self.ink.line([(self.left, self.y), (self.right, self.y)], _RULE, 1)
        self.y += 11


def _plain(text: str) -> str:
    """One line without control characters."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def _wrap(text: str, size: int, width: float, most: int) -> list[str]:
    """Rows no wider than `width` pixels, broken anywhere, at most `most`; what is left out shows as an ellipsis.

    The font knows no control characters, and a file's name may hold any.
    """
    font, rows, row = _font(size), list[str](), ""
    for char in _plain(text):
        if row and font.getlength(row + char) > width:
            rows.append(row)
            if len(rows) == most:
                rows[-1] = rows[-1][:-1] + "…"
                return rows
            row = ""
        row += char
    return [*rows, row] if row else rows


def _cut(text: str, size: int, width: float) -> str:
    rows = _wrap(text, size, width, 1)
    return rows[0] if rows else ""


@lru_cache(maxsize=32)
def _font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font_path(f"NotoSansSC-{'Bold' if bold else 'Regular'}.ttf")), size)
