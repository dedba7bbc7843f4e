"""A first form for a paper printed elsewhere, from its picture: fields, corner marks, boxes to write in.

What is proposed is a start for a person: names and labels are guesses, the geometry is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from grader.exam.form import (
    AnyField,
    AnyMethod,
    BubbleBox,
    FeaturesMethod,
    Fiducial,
    Form,
    MarkersMethod,
    MarksField,
    PageForm,
    Role,
    TextField,
)
from grader.reading.outlines import Outline, find_outlines
from grader.reading.paperwhite import reduce
from grader.reading.shapes import Shape, find_shapes

_BREAK = 1.7  # a gap this many times the usual one separates fields
_MOST_LABELS = 10
_DIGITS, _LETTERS = "0123456789", "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_MOST_CHOICES = 5  # a grid of ten rows with more columns is a number
_SAME_SIZE = 0.25  # sides of bubbles of one kind differ by less than this share
_FEWEST = 4  # bubbles of one size; printed characters with a hole in them come in many sizes
_CORNER = 0.3  # of the picture's sides: corner marks are nearer to the corners than this


@dataclass(frozen=True)
class _Row:
    """Bubbles side by side at even distances."""

    bubbles: tuple[Outline, ...]

    @property
    def y(self) -> float:
        return float(np.mean([b.centre[1] for b in self.bubbles]))

    @property
    def xs(self) -> tuple[float, ...]:
        return tuple(b.centre[0] for b in self.bubbles)

    @property
    def height(self) -> float:
        return float(np.median([b.h for b in self.bubbles]))


def draft_form(gray: np.ndarray, name: str, picture: str) -> Form:
    """A form in pixels of `gray` (height x width uint8, upright and flat).

    picture: name of the picture beside the form, to match features with where there are no corner marks.
    """
    found, boxes = find_outlines(gray)
    bubbles = [b for b in found if sum(_same_size(b, other) for other in found) >= _FEWEST]
    marks = _marks_fields(bubbles)
    fields: list[AnyField] = [*marks, *_text_fields(boxes, bubbles)]
    fiducials = _corner_marks(gray, [bubble for field in marks for bubble in field.bubbles])
    method: AnyMethod = MarkersMethod() if fiducials else FeaturesMethod(image=picture)
    height, width = gray.shape
    size = float(np.median([min(b.w, b.h) for b in bubbles])) if bubbles else 0.02 * min(gray.shape)
    page = PageForm(number=1, width=width, height=height, fiducials=fiducials, fields=tuple(fields))
    return Form(
        id=name, unit="px", registration=(method,), max_residual=round(0.3 * size, 1), align_bubbles=True, pages=(page,)
    )


# --- bubbles --------------------------------------------------------------------------------------------


def _same_size(one: Outline, other: Outline) -> bool:
    """True if two outlines may be bubbles of one kind."""
    wide, high = max(one.w, other.w), max(one.h, other.h)
    return abs(one.w - other.w) < _SAME_SIZE * wide and abs(one.h - other.h) < _SAME_SIZE * high


def _marks_fields(bubbles: Sequence[Outline]) -> list[MarksField]:
    """Rows become items with labels A, B, ...; grids of ten rows become numbers; single columns become items."""
    rows, singles = _rows(bubbles)
    fields: list[MarksField] = []
    number = 0
    for block in _blocks(rows):
        coded = _coded(block)
        if coded:
            fields.append(_grid_field(block, coded, len(fields)))
            continue
        for row in block:
            number += 1
            labels = [chr(ord("A") + n) for n in range(len(row.bubbles))]
            fields.append(_choice(f"q{number}", labels, row.bubbles))
    for column in _columns(singles):
        number += 1
        labels = [chr(ord("A") + n) for n in range(len(column))]
        fields.append(_choice(f"q{number}", labels, column))
    return fields


def _choice(name: str, labels: Sequence[str], found: Sequence[Outline]) -> MarksField:
    bubbles = tuple(_bubble(outline, label) for outline, label in zip(found, labels, strict=True))
    return MarksField(id=name, item=name, bubbles=bubbles)


def _coded(block: Sequence[_Row]) -> str:
    """The labels of a grid in which a number or a name is coded, one column a character; "" for choices."""
    if len(block) == len(_LETTERS):
        return _LETTERS
    return _DIGITS if len(block) == len(_DIGITS) and len(block[0].bubbles) > _MOST_CHOICES else ""


def _grid_field(block: Sequence[_Row], labels: str, count: int) -> MarksField:
    bubbles = [
        _bubble(outline, label, position)
        for label, row in zip(labels, block, strict=True)
        for position, outline in enumerate(row.bubbles)
    ]
    role: Role = "candidate" if labels == _DIGITS else "other"
    return MarksField(id=f"{'number' if labels == _DIGITS else 'name'}{count + 1}", role=role, bubbles=tuple(bubbles))


def _bubble(outline: Outline, label: str, position: int = 0) -> BubbleBox:
    return BubbleBox(
        label=label, x=outline.x, y=outline.y, w=outline.w, h=outline.h, position=position, shape=outline.shape
    )


def _rows(bubbles: Sequence[Outline]) -> tuple[list[_Row], list[Outline]]:
    """Rows of two to ten bubbles, and the bubbles that stand alone."""
    lines: list[list[Outline]] = []
    for outline in sorted(bubbles, key=lambda o: o.centre[1]):
        if lines and abs(np.mean([o.centre[1] for o in lines[-1]]) - outline.centre[1]) < 0.4 * outline.h:
            lines[-1].append(outline)
        else:
            lines.append([outline])
    ordered = [sorted(line, key=lambda o: o.x) for line in lines]
    gaps = [b.centre[0] - a.centre[0] for line in ordered for a, b in pairwise(line)]
    usual = float(np.percentile(gaps, 30)) if gaps else 0.0
    rows: list[_Row] = []
    singles: list[Outline] = []
    for line in ordered:
        start = 0
        for n in range(1, len(line) + 1):
            if n == len(line) or _parted(line[n - 1], line[n], usual):
                part = line[start:n]
                if len(part) == 1:
                    singles.extend(part)
                else:
                    rows.append(_Row(tuple(part)))
                start = n
    return rows, singles


def _parted(one: Outline, following: Outline, usual: float) -> bool:
    """True if two bubbles of a line belong to different fields. usual: distance of bubbles of a field."""
    return following.centre[0] - one.centre[0] > _BREAK * usual or not _same_size(one, following)


def _blocks(rows: Sequence[_Row]) -> list[list[_Row]]:
    """Rows below one another with the same columns, from the left, top to bottom."""
    blocks: list[list[_Row]] = []
    for row in sorted(rows, key=lambda r: r.y):
        for block in blocks:
            last = block[-1]
            pitch = last.y - block[-2].y if len(block) > 1 else 3.5 * row.height
            alike = len(last.xs) == len(row.xs) and _same_size(last.bubbles[0], row.bubbles[0])
            if alike and row.y - last.y < 1.5 * pitch and _aligned(last, row):
                block.append(row)
                break
        else:
            blocks.append([row])
    return sorted(blocks, key=lambda block: (round(block[0].xs[0] / (4 * block[0].height)), block[0].y))


def _aligned(one: _Row, other: _Row) -> bool:
    return max(abs(a - b) for a, b in zip(one.xs, other.xs, strict=True)) < 0.6 * one.height


def _columns(singles: Sequence[Outline]) -> list[list[Outline]]:
    """Bubbles below one another at near distances: options with their text beside them."""
    columns: list[list[Outline]] = []
    for outline in sorted(singles, key=lambda o: o.centre[1]):
        for column in columns:
            last = column[-1]
            near = outline.centre[1] - last.centre[1] < 2.5 * outline.h
            if near and abs(outline.centre[0] - last.centre[0]) < 0.4 * outline.w and len(column) < _MOST_LABELS:
                column.append(outline)
                break
        else:
            columns.append([outline])
    return [column for column in columns if len(column) > 1]


# --- the rest -------------------------------------------------------------------------------------------


def _text_fields(boxes: Sequence[Outline], bubbles: Sequence[Outline]) -> list[TextField]:
    """Boxes that hold no bubbles and no other box."""

    def holds(box: Outline, other: Outline) -> bool:
        x, y = other.centre
        return other is not box and box.x < x < box.x + box.w and box.y < y < box.y + box.h

    empty = [box for box in boxes if not any(holds(box, other) for other in (*bubbles, *boxes))]
    return [
        TextField(id=f"text{n}", role="other", x=box.x, y=box.y, w=box.w, h=box.h) for n, box in enumerate(empty, 1)
    ]


def _corner_marks(gray: np.ndarray, bubbles: Sequence[BubbleBox]) -> tuple[Fiducial, ...]:
    """Four marks of about one size, one near every corner of the picture, that are no bubbles; () if there are
    none. One may differ in kind, as marks for orientation do."""
    small, factor = reduce(gray, 720)
    height, width = small.shape
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64)
    shapes = find_shapes(small, 0.008 * min(small.shape), 0.08 * min(small.shape))
    taken = np.array([(b.x + b.w / 2, b.y + b.h / 2) for b in bubbles], np.float64).reshape(-1, 2) / factor
    free = [s for s in shapes if not len(taken) or np.abs(taken - s.at).max(axis=1).min() > 0.6 * s.size]
    best: tuple[Shape, ...] = ()
    for least in sorted({round(s.size) for s in free}, reverse=True)[:24]:  # the largest set that fits
        large = [s for s in free if least <= s.size + 1 <= 2.4 * least]
        if not large:
            continue
        four = tuple(_nearest(large, corner) for corner in corners)
        reach = _CORNER * np.array([width, height])
        near = all((np.abs(s.at - corner) < reach).all() for s, corner in zip(four, corners, strict=True))
        kinds = [s.kind for s in four]
        if near and len({id(s) for s in four}) == 4 and max(kinds.count(kind) for kind in kinds) >= 3:
            best = four
            break
    return tuple(
        Fiducial(
            kind=s.kind,
            x=round(float((s.at[0] + 0.5) * factor - 0.5), 1),
            y=round(float((s.at[1] + 0.5) * factor - 0.5), 1),
            size=round(s.size * factor, 1),
        )
        for s in best
    )


def _nearest(shapes: Sequence[Shape], corner: np.ndarray) -> Shape:
    return min(shapes, key=lambda shape: float(np.abs(shape.at - corner).sum()))
