"""What stands on every page whatever the items: corner marks, page code, candidate number, head and foot."""

from __future__ import annotations

from dataclasses import dataclass

from grader.exam.exam import Exam
from grader.exam.form import BubbleBox, CodeField, Fiducial, MarksField, TextField
from grader.paper.ink import GRAY, Ink, Line, Part, Rect, Text
from grader.paper.words import Words, words_of

FIDUCIAL_SIZE = 7.0
FIDUCIAL_INSET = 10.0  # of its centre from the paper's edges
MARGIN = 15.0
HEAD_TOP = 23.0
CODE_SIZE = 26.0  # with the quiet zone
DIGIT_W = 6.4
DIGIT_BUBBLE_W, DIGIT_BUBBLE_H = 4.6, 2.8
DIGIT_PITCH_Y = 4.4
CAPTION_H = 6.0
CELLS_H = 9.0


@dataclass(frozen=True)
class Size:
    """A paper size with its text columns. Lengths in millimetres."""

    name: str
    width: float
    height: float
    columns: int
    gutter: float = 10.0

    @property
    def column_width(self) -> float:
        """Width of a text column."""
        return (self.width - 2 * MARGIN - self.gutter * (self.columns - 1)) / self.columns

    def column_x(self, column: int) -> float:
        """Left edge of a text column, counted from 0."""
        return MARGIN + column * (self.column_width + self.gutter)


SIZES = {"A4": Size("A4", 210.0, 297.0, 1), "A3": Size("A3", 420.0, 297.0, 2)}


def fiducials(size: Size) -> tuple[Fiducial, ...]:
    """Rings at three corners and a solid square at the bottom right, which tells which way is up."""
    near, right, bottom = FIDUCIAL_INSET, size.width - FIDUCIAL_INSET, size.height - FIDUCIAL_INSET
    return (
        Fiducial(x=near, y=near, size=FIDUCIAL_SIZE, kind="ring"),
        Fiducial(x=right, y=near, size=FIDUCIAL_SIZE, kind="ring"),
        Fiducial(x=near, y=bottom, size=FIDUCIAL_SIZE, kind="ring"),
        Fiducial(x=right, y=bottom, size=FIDUCIAL_SIZE, kind="square"),
    )


def head_bottom(first_page: bool) -> float:
    """Where the items may begin under the head."""
    return HEAD_TOP + _grid_height(first_page) + 3.0


def head(exam: Exam, size: Size, digits: int, first_page: bool) -> Part:
    """Title, name and class, instructions, candidate number and page code."""
    words = words_of(exam.exam.language)
    x, width = size.column_x(0), size.column_width
    right = x + width
    code = CodeField(
        id="page-code",
        role="other",
        x=round(right - CODE_SIZE, 2),
        y=HEAD_TOP,
        w=CODE_SIZE,
        h=CODE_SIZE,
        page_code=True,
    )
    part = Part([code], [*_title(exam, size, words, first_page), *_code_frame(code, words, first_page)])
    grid_w = digits * DIGIT_W + 2.0
    grid_x = round(right - CODE_SIZE - 4.0 - grid_w, 2)
    part.add(_candidate_grid(grid_x, HEAD_TOP, digits, words, first_page))
    left_w = grid_x - x - 4.0
    part.ink += _person(x, left_w, words)
    part.ink += _rules(x, HEAD_TOP + 21.0, left_w, words, first_page)
    return part


def _code_frame(code: CodeField, words: Words, first_page: bool) -> list[Ink]:
    """A frame as high as the candidate number's around the page code and what is printed below it."""
    height = _grid_height(first_page)
    note = Text(
        code.x + code.w / 2, code.y + height - 2.5, words.keep_clear, 6.5, align="centre", gray=GRAY,
        max_width=code.w - 2.0,
    )  # fmt: skip
    return [Rect(code.x, code.y, code.w, height, width=0.3, gray=GRAY), note]


def _title(exam: Exam, size: Size, words: Words, first_page: bool) -> list[Ink]:
    middle = size.column_x(0) + size.column_width / 2
    title = " ".join(exam.exam.title.split())
    room = size.column_width - (6.0 if size.columns == 1 else 12.0)
    if first_page:
        return [
            Text(middle, 13.2, title, 16, True, "centre", max_width=room),
            Text(middle, 19.6, words.subtitle, 11.5, False, "centre"),
        ]
    return [Text(middle, 14.5, f"{title}　{words.subtitle}", 11, True, "centre", max_width=room)]


def _person(x: float, width: float, words: Words) -> list[Ink]:
    ink: list[Ink] = []
    for row, label in enumerate((words.name, words.class_)):
        y = HEAD_TOP + 6.5 + row * 9.0
        ink += [Text(x, y, label, 10), Line(x + 14.0, y + 1.0, x + width, y + 1.0, 0.2)]
    return ink


def name_place(size: Size, digits: int) -> Text:
    """Where the name of a candidate on the roster is printed (`text` is empty)."""
    width = size.column_width - CODE_SIZE - 8.0 - digits * DIGIT_W - 2.0
    return Text(size.column_x(0) + 16.0, HEAD_TOP + 6.5, "", 11, max_width=width - 17.0)


def _rules(x: float, y: float, width: float, words: Words, first_page: bool) -> list[Ink]:
    """Instructions and examples of right and wrong filling."""
    bottom = HEAD_TOP + _grid_height(first_page)
    ink: list[Ink] = [Rect(x, y, width, bottom - y, width=0.2, gray=GRAY)]
    lines = words.rules if first_page else words.rules_short
    pitch = 5.3
    top = y + 5.0
    if first_page:
        ink.append(Text(x + width / 2, top, words.instructions, 9, True, "centre"))
        top += 5.6
    ink += [Text(x + 2.0, top + i * pitch, line, 7.5, max_width=width - 4.0) for i, line in enumerate(lines)]
    return [*ink, *_examples(x + 2.0, bottom - 3.0, width - 4.0, words)]


def _examples(x: float, y: float, width: float, words: Words) -> list[Ink]:
    """One filled bubble, and four that are not filled properly, on the baseline y."""
    w, h, step = DIGIT_BUBBLE_W, DIGIT_BUBBLE_H, DIGIT_BUBBLE_W + 1.0
    top = y - h + 0.3
    label = (width - 5 * step - 6.0) / 2  # room for each of the two labels
    wrong = x + label + w + 6.0
    ink: list[Ink] = [
        Text(x + label - 1.0, y, words.right, 7.5, align="right", max_width=label - 1.0),
        Rect(x + label, top, w, h, 0.6, 0.2, GRAY, fill=0.12),
        Text(wrong + label - 1.0, y, words.wrong, 7.5, align="right", max_width=label - 1.0),
    ]
    for i in range(4):
        left = wrong + label + i * step
        ink.append(Rect(left, top, w, h, 0.6, 0.2, GRAY))
        ink += _wrong_fill(i, left, top, w, h)
    return ink


def _wrong_fill(number: int, x: float, y: float, w: float, h: float) -> list[Ink]:
    """A tick, a cross, a dash and a half-filled bubble."""
    cx, cy = x + w / 2, y + h / 2
    if number == 0:
        return [
            Line(cx - 1.0, cy, cx - 0.3, cy + 0.8, 0.3),
            Line(cx - 0.3, cy + 0.8, cx + 1.2, cy - 1.0, 0.3),
        ]
    if number == 1:
        return [Line(cx - 1, cy - 0.9, cx + 1, cy + 0.9, 0.3), Line(cx - 1, cy + 0.9, cx + 1, cy - 0.9, 0.3)]
    if number == 2:
        return [Line(cx - 1.3, cy, cx + 1.3, cy, 0.3)]
    return [Rect(x + 0.4, y + 0.4, w * 0.4, h - 0.8, 0.3, 0.0, fill=0.12)]


def _grid_height(first_page: bool) -> float:
    return CAPTION_H + (CELLS_H if first_page else 0.0) + 10 * DIGIT_PITCH_Y + 1.5


def _candidate_grid(x: float, y: float, digits: int, words: Words, first_page: bool) -> Part:
    """Ten bubbles a digit on every page; boxes for the handwritten digits above them on the first."""
    width = digits * DIGIT_W + 2.0
    ink: list[Ink] = [
        Rect(x, y, width, _grid_height(first_page), width=0.3, gray=GRAY),
        Text(x + width / 2, y + 4.2, words.candidate, 9, True, "centre", max_width=width - 2),
    ]
    part = Part(ink=ink)
    top = y + CAPTION_H
    if first_page:
        cells = TextField(
            id="candidate-written",
            role="candidate",
            x=round(x + 1.0, 2),
            y=round(top, 2),
            w=round(digits * DIGIT_W, 2),
            h=CELLS_H - 1.5,
            alphabet="digits",
            cells=digits,
        )
        part.fields.append(cells)
        part.ink.append(Rect(cells.x, cells.y, cells.w, cells.h, width=0.25, gray=GRAY))
        part.ink += [
            Line(cells.x + i * DIGIT_W, cells.y, cells.x + i * DIGIT_W, cells.y + cells.h, 0.2, GRAY)
            for i in range(1, digits)
        ]
        top += CELLS_H
    bubbles = tuple(
        BubbleBox(
            label=str(label),
            position=position,
            x=round(x + 1.0 + position * DIGIT_W + (DIGIT_W - DIGIT_BUBBLE_W) / 2, 2),
            y=round(top + label * DIGIT_PITCH_Y + 0.4, 2),
            w=DIGIT_BUBBLE_W,
            h=DIGIT_BUBBLE_H,
        )
        for position in range(digits)
        for label in range(10)
    )
    part.fields.append(MarksField(id="candidate", role="candidate", bubbles=bubbles))
    return part


def foot(exam: Exam, size: Size, number: int, count: int) -> Part:
    """Page number, and where not to write."""
    words = words_of(exam.exam.language)
    y = size.height - 8.5
    middle = size.width / 2
    return Part(
        ink=[
            Text(middle, y, words.page.format(number, count), 8.5, align="centre"),
            Text(middle, y - 4.5, words.stay_inside, 7, align="centre", gray=GRAY),
        ]
    )
