"""One page as it was read: the scan with what was chosen and what it earned, and beside it a panel in words.

Nothing is written over the candidate's answers: on the scan there are outlines and small signs, the words
stand in the panel. Signs differ by shape as well as by colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
from PIL import Image

from grader.exam.exam import ChoiceItem, Exam, MultiChoiceItem
from grader.exam.form import BubbleBox, MarksField, PageForm, TextField
from grader.records import Bubble, Page, Reading, Registration, Status
from grader.report.panel import Line, draw_panel
from grader.report.words import Language

LONG_SIDE = 1754  # pixels: A4 at 150 dpi is what a screen and a printer need

Sign = Literal["full", "partial", "zero", "review"]
COLOURS: dict[Sign, tuple[int, int, int]] = {
    "full": (30, 125, 79),
    "partial": (37, 99, 168),
    "zero": (179, 55, 47),
    "review": (196, 120, 0),
}
_IDENTITY = (37, 99, 168)


@dataclass(frozen=True)
class Answer:
    """What the run holds about one answer of the page."""

    item: str
    response: str
    mark: float | None
    max_mark: float
    status: Status
    flags: tuple[str, ...]

    @property
    def sign(self) -> Sign:
        """How it is drawn."""
        if self.status == "review" or self.mark is None:
            return "review"
        if self.mark >= self.max_mark:
            return "full"
        return "partial" if self.mark > 0 else "zero"


def annotate(
    page: Page,
    page_form: PageForm,
    registration: Registration,
    readings: Sequence[Reading],
    answers: Mapping[str, Answer],
    exam: Exam,
    candidate: str,
    language: Language,
) -> Image.Image:
    """RGB picture of the page, turned upright, with the panel at its right. answers: by item."""
    gray, to_pixels = _upright(page.gray, registration.to_pixels)
    canvas = cv2.cvtColor(gray, cv2.COLOR_GRAY2RGB)
    pen = _Pen(canvas, to_pixels)
    by_field = {reading.field: reading for reading in readings}
    signed: set[str] = set()
    lines: list[Line] = []
    for field in page_form.fields:
        reading = by_field.get(field.id)
        if reading is None:
            continue
        answer = answers.get(field.item or "") if field.role == "item" else None
        if isinstance(field, MarksField):
            _draw_marks(pen, field, reading, answer, exam)
        elif isinstance(field, TextField) and answer:
            pen.outline((field.x, field.y, field.w, field.h), COLOURS[answer.sign])
        if answer and answer.item not in signed:
            signed.add(answer.item)
            _draw_sign(pen, field, answer)
            lines.append(Line(answer.item, answer.response, answer.mark, answer.max_mark, answer.status,
                              answer.flags, COLOURS[answer.sign], isinstance(field, MarksField)))  # fmt: skip
    where = page.ref.file if page.ref.page == 1 else f"{page.ref.file}  {page.ref.page}"
    return draw_panel(Image.fromarray(canvas), lines, candidate, page_form.number, where, language)


def _upright(gray: np.ndarray, to_pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The page turned by quarters so that it reads upright, at most LONG_SIDE long, and its homography."""
    height, width = gray.shape
    scale = min(1.0, LONG_SIDE / max(height, width))
    if scale < 1:
        gray = cv2.resize(gray, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)
        to_pixels = np.diag([gray.shape[1] / width, gray.shape[0] / height, 1.0]) @ to_pixels
    origin, along = (_project(to_pixels, point) for point in ((0.0, 0.0), (1.0, 0.0)))
    angle = np.degrees(np.arctan2(along[1] - origin[1], along[0] - origin[0]))
    for _ in range(round(float(angle) / 90) % 4):  # turned clockwise by that many quarters: turn back
        turn = np.array([[0, 1, 0], [-1, 0, gray.shape[1] - 1], [0, 0, 1]], dtype=np.float64)
        gray, to_pixels = np.rot90(gray), turn @ to_pixels
    return np.ascontiguousarray(gray), to_pixels


def _project(to_pixels: np.ndarray, point: tuple[float, float]) -> tuple[float, float]:
    x, y, w = to_pixels @ (point[0], point[1], 1.0)
    return float(x / w), float(y / w)


class _Pen:
    """Draws in form units on the picture."""

    def __init__(self, canvas: np.ndarray, to_pixels: np.ndarray) -> None:
        self.canvas, self.to_pixels = canvas, to_pixels

    def outline(
        self, box: tuple[float, float, float, float], colour: tuple[int, int, int], width: int = 2, grow: int = 0
    ) -> None:
        """The box's outline; grow: pixels outwards."""
        x, y, w, h = box
        corners = [_project(self.to_pixels, p) for p in ((x, y), (x + w, y), (x + w, y + h), (x, y + h))]
        middle = np.mean(corners, axis=0)
        grown = np.array(corners) + grow * np.sign(np.array(corners) - middle)
        cv2.polylines(self.canvas, [np.round(grown).astype(np.int32)], True, colour, width, cv2.LINE_AA)

    def sign(self, at: tuple[float, float], sign: Sign, size: int = 9) -> None:
        """A tick, a tick with a stroke, a cross or a question mark's stand-in, right of a point of the form."""
        x, y = _project(self.to_pixels, at)
        shape: dict[Sign, list[list[tuple[float, float]]]] = {
            "full": [[(-1, 0.1), (-0.3, 0.8), (1, -0.9)]],
            "partial": [[(-1, 0.1), (-0.3, 0.8), (1, -0.9)], [(-0.1, -0.5), (0.9, 0.6)]],
            "zero": [[(-0.8, -0.8), (0.8, 0.8)], [(-0.8, 0.8), (0.8, -0.8)]],
            "review": [
                [(-0.5, -0.5), (-0.2, -0.9), (0.3, -0.9), (0.5, -0.5), (0, 0), (0, 0.35)],
                [(0, 0.85), (0, 0.9)],
            ],
        }
        for stroke in shape[sign]:
            points = np.array([[round(x + size * dx), round(y + size * dy)] for dx, dy in stroke], np.int32)
            cv2.polylines(self.canvas, [points], False, COLOURS[sign], 3, cv2.LINE_AA)


def _draw_marks(pen: _Pen, field: MarksField, reading: Reading, answer: Answer | None, exam: Exam) -> None:
    """Chosen bubbles are framed in the answer's colour, doubtful ones in amber; the key has a thin green frame."""
    read = {(bubble.position, bubble.label): bubble for bubble in reading.bubbles}
    item = exam.item(answer.item) if answer else None
    key = item.answer if isinstance(item, ChoiceItem | MultiChoiceItem) else ""
    for box in field.bubbles:
        bubble = read.get((box.position, box.label))
        colour = _bubble_colour(bubble, answer)
        place = (box.x, box.y, box.w, box.h)
        if colour:
            pen.outline(place, colour, 2, grow=4)
        elif answer and answer.sign != "full" and box.label in key:
            pen.outline(place, COLOURS["full"], 1, grow=3)


def _bubble_colour(bubble: Bubble | None, answer: Answer | None) -> tuple[int, int, int] | None:
    if bubble is None or bubble.marked is False:
        return None
    if bubble.marked is None:
        return COLOURS["review"]
    return COLOURS[answer.sign] if answer else _IDENTITY


def _draw_sign(pen: _Pen, field: MarksField | TextField | object, answer: Answer) -> None:
    if isinstance(field, MarksField):
        last: BubbleBox = max(field.bubbles, key=lambda b: b.x + b.w)
        pen.sign((last.x + 1.75 * last.w, last.y + last.h / 2), answer.sign)
    elif isinstance(field, TextField):
        inset = min(0.5 * field.h, 0.03 * field.w)
        pen.sign((field.x + field.w - inset, field.y + inset), answer.sign)
