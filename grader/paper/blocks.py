"""Items as blocks that can be set one below the other: rows of bubbles, rows of boxes, lined areas.

Every block has a fixed height for the column width it was made for; `place` gives its fields and ink at a
position. Sizes follow Chinese school answer cards: bubbles about 5 by 3 mm in groups of five items.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from grader.errors import UsageError
from grader.exam.exam import Exam, Item
from grader.exam.form import BubbleBox, MarksField, TextField
from grader.paper.ink import GRAY, PALE, Ink, Line, Part, Rect, Text
from grader.paper.words import SectionKind, Words, amount, numeral, words_of

BUBBLE_W, BUBBLE_H = 4.8, 2.8
PITCH_X, PITCH_Y = 6.4, 5.0
GROUP = 5  # items in a group
MAX_COLUMNS = 5
LABEL_W = 8.5
MAX_OPTIONS = 40
MARKS_W = 9.0
BOX_H, BOX_PITCH = 11.0, 14.0
BOX_LABEL_W = 14.0
LINE_H = 9.0
STRIP_H = 7.0  # strip with the item's number above a lined area


@dataclass(frozen=True)
class Block:
    """height in millimetres. place(x, y): fields and ink with the top left corner there.

    glued: must not be the last of a column (a heading).
    """

    height: float
    place: Callable[[float, float], Part]
    glued: bool = False


def blocks_of(exam: Exam, width: float, tallest: float) -> list[Block]:
    """All items of the exam as blocks `width` wide, none taller than `tallest`, in the exam's order."""
    words = words_of(exam.exam.language)
    blocks: list[Block] = []
    for number, (kind, items) in enumerate(_sections(exam), start=1):
        blocks.append(_heading(number, kind, items, width, words, exam.exam.language))
        if kind in ("choice", "multi_choice"):
            blocks += _choice_rows(items, width, words)
        elif kind == "written":
            blocks += _box_rows(items, width, words)
        else:
            blocks += [_lined_area(item, width, tallest - _HEADING_H, words) for item in items]
    return blocks


def _sections(exam: Exam) -> Iterator[tuple[SectionKind, list[Item]]]:
    """Runs of neighbouring items that are answered in the same way."""
    kinds: dict[str, SectionKind] = {
        "choice": "choice",
        "multi_choice": "multi_choice",
        "blank": "written",
        "numeric": "written",
    }

    def kind_of(item: Item) -> SectionKind:
        return kinds.get(item.type, "short_answer")

    for kind, run in groupby(exam.items, key=kind_of):
        yield kind, list(run)


_HEADING_H = 8.0


def _heading(number: int, kind: SectionKind, items: Sequence[Item], width: float, words: Words, language: str) -> Block:
    total = words.total.format(amount(sum(item.max_mark for item in items)))
    note = f"{words.each.format(amount(items[0].max_mark))}{'，' if language == 'zh' else ', '}{total}"
    note = note if _same_marks(items) and len(items) > 1 else total
    brackets = "（{}）" if language == "zh" else " ({})"
    text = f"{numeral(number, language)}{words.section[kind]}{brackets.format(note)}"

    def place(x: float, y: float) -> Part:
        return Part(ink=[Text(x, y + 5.0, text, 10.5, bold=True, max_width=width)])

    return Block(_HEADING_H, place, glued=True)


def _same_marks(items: Sequence[Item]) -> bool:
    return len({item.max_mark for item in items}) == 1


def _choice_rows(items: Sequence[Item], width: float, words: Words) -> list[Block]:
    """Rows of groups of five items; groups run from left to right as on answer cards."""
    marks_w = 0.0 if _same_marks(items) else MARKS_W
    options = max(len(item.options) for item in items)  # type: ignore[union-attr]
    if options > MAX_OPTIONS:
        raise UsageError(f"an item with {options} options cannot be printed", f"use at most {MAX_OPTIONS} options")
    pitch = min(PITCH_X, (width - LABEL_W - marks_w - 2) / options)
    column_w = LABEL_W + marks_w + pitch * options + 1.0
    columns = max(1, min(MAX_COLUMNS, int(width // column_w)))
    groups = [items[i : i + GROUP] for i in range(0, len(items), GROUP)]
    blocks = []
    for first in range(0, len(groups), columns):
        row = groups[first : first + columns]
        height = PITCH_Y * max(len(group) for group in row) + 2.0
        blocks.append(Block(height + 2.0, _placer(row, width, height, columns, marks_w, pitch, words)))
    return blocks


def _placer(
    row: Sequence[Sequence[Item]],
    width: float,
    height: float,
    columns: int,
    marks_w: float,
    pitch: float,
    words: Words,
) -> Callable[[float, float], Part]:
    column_w = width / columns

    def place(x: float, y: float) -> Part:
        part = Part(ink=[Rect(_mm(x), _mm(y), _mm(width), _mm(height), 0.8, 0.2, PALE)])
        for column, group in enumerate(row):
            for line, item in enumerate(group):
                left, top = x + column * column_w - 1.0, y + line * PITCH_Y + 2.1
                part.add(_choice(item, left, top, marks_w, pitch, words))
        return part

    return place


def _choice(item: Item, x: float, y: float, marks_w: float, pitch: float, words: Words) -> Part:
    width = min(BUBBLE_W, pitch - 1.2)
    left = x + LABEL_W + marks_w + (pitch - width) / 2
    bubbles = tuple(
        BubbleBox(label=label, x=_mm(left + i * pitch), y=_mm(y), w=_mm(width), h=BUBBLE_H)
        for i, label in enumerate(item.options)  # type: ignore[union-attr]
    )
    baseline = y + BUBBLE_H - 0.35
    ink: list[Ink] = [Text(x + LABEL_W - 1, baseline, item.id, 9, True, "right", max_width=LABEL_W - 1)]
    if marks_w:
        note = words.marks_note(item.max_mark)
        ink.append(Text(x + LABEL_W, baseline, note, 6, gray=GRAY, max_width=marks_w - 1))
    field = MarksField(id=item.id, item=item.id, bubbles=bubbles, multiple=item.type == "multi_choice")
    return Part([field], ink)


def _box_rows(items: Sequence[Item], width: float, words: Words) -> list[Block]:
    """Ruled boxes for a word or a number. Two columns; one where any answer of the section is long, so that
    the size of a single box never gives its answer away."""
    gap = 6.0
    columns = 1 if max(_answer_length(item) for item in items) > 12 else 2
    column_w = (width - gap * (columns - 1)) / columns
    blocks = []
    for first in range(0, len(items), columns):
        row = items[first : first + columns]

        def place(x: float, y: float, row: Sequence[Item] = row) -> Part:
            part = Part()
            for i, item in enumerate(row):
                part.add(_box(item, x + i * (column_w + gap), y + 1.0, column_w, words))
            return part

        blocks.append(Block(BOX_PITCH, place))
    return blocks


def _answer_length(item: Item) -> float:
    """Length of the longest accepted answer in full-width characters."""
    if item.type != "blank":
        return 0.0
    return max(sum(1.0 if ord(char) > 0x2E7F else 0.5 for char in answer) for answer in item.answers)


def _box(item: Item, x: float, y: float, width: float, words: Words) -> Part:
    field = TextField(
        id=item.id,
        item=item.id,
        x=_mm(x + BOX_LABEL_W),
        y=_mm(y),
        w=_mm(width - BOX_LABEL_W),
        h=BOX_H,
        alphabet="number" if item.type == "numeric" else "any",
    )
    note = words.marks_note(item.max_mark)
    ink: list[Ink] = [
        Rect(field.x, field.y, field.w, field.h, width=0.3, gray=GRAY),
        Text(x + BOX_LABEL_W - 2, y + 5.2, item.id, 10, True, "right", max_width=BOX_LABEL_W - 2),
        Text(x + BOX_LABEL_W - 2, y + 9.2, note, 6.5, align="right", gray=GRAY, max_width=BOX_LABEL_W - 2),
    ]
    return Part([field], ink)


def lines_for(max_mark: float) -> int:
    """Writing lines for a short answer: one more than its marks, between three and eighteen."""
    return max(3, min(18, math.ceil(max_mark) + 1))


def _lined_area(item: Item, width: float, tallest: float, words: Words) -> Block:
    lines = min(lines_for(item.max_mark), max(1, int((tallest - STRIP_H - 6) // LINE_H)))
    height = STRIP_H + lines * LINE_H + 3.0

    def place(x: float, y: float) -> Part:
        field = TextField(
            id=item.id,
            item=item.id,
            x=_mm(x),
            y=_mm(y + STRIP_H),
            w=_mm(width),
            h=_mm(height - STRIP_H),
            lines=lines,
        )
        note = words.marks_note(item.max_mark)
        ink: list[Ink] = [
            Rect(_mm(x), _mm(y), _mm(width), _mm(height), width=0.3, gray=GRAY),
            Text(x + 2.5, y + 5.0, item.id, 10, bold=True, max_width=width - 30),
            Text(x + width - 2.5, y + 5.0, note, 7.5, align="right", gray=GRAY),
        ]
        ink += [
            Line(x + 3, top, x + width - 3, top, 0.15, PALE, (0.8, 0.8))
            for top in (y + STRIP_H + LINE_H * (i + 1) - 0.5 for i in range(lines))
        ]
        return Part([field], ink)

    return Block(height + 3.0, place)


def _mm(value: float) -> float:
    """Hundredths of a millimetre: finer than any printer, and stable in form.json."""
    return round(value, 2)
