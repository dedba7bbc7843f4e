"""Papers of other makers, drawn and photographed, for tests of registration and of the form draft."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from grader.exam.form import (
    AnyMethod,
    BubbleBox,
    Fiducial,
    Form,
    MarksField,
    PageForm,
)
from grader.reading.page import read_page
from grader.records import Page, PageRef

WIDTH, HEIGHT = 800, 1100
KINDS = ("square", "disc", "ring", "cross", "corner")
BARS = [(60.0, 200.0 + 25 * n) for n in range(30)]
TRUTH = {f"q{n}": "ABCD"[(n * 7) % 4] for n in range(1, 41)}


def foreign_form(method: AnyMethod, fiducials: tuple[Fiducial, ...] = (), *, align: bool = True) -> Form:
    """40 questions in two columns of unequal width, so that the page looks different upside down."""
    fields = []
    for number in range(1, 41):
        column, row = divmod(number - 1, 20)
        bubbles = tuple(
            BubbleBox(label=label, x=180 + 270 * column + 38 * n, y=240 + 36 * row, w=22, h=22, shape="ellipse")
            for n, label in enumerate("ABCD")
        )
        fields.append(MarksField(id=f"q{number}", item=f"q{number}", bubbles=bubbles))
    page = PageForm(number=1, width=WIDTH, height=HEIGHT, fiducials=fiducials, fields=tuple(fields))
    return Form(id="foreign", unit="px", registration=(method,), max_residual=7, align_bubbles=align, pages=(page,))


def corner_marks(kind: str, size: float = 34) -> tuple[Fiducial, ...]:
    places = ((70, 80), (730, 80), (730, 1030), (70, 1030))
    return tuple(Fiducial(x=x, y=y, size=size, kind=kind) for x, y in places)


def drawn(form: Form, *, bars: bool = False, frame: bool = False, title: bool = True) -> np.ndarray:
    """The paper, filled in, at three pixels a form unit before it is reduced: smooth edges."""
    gray = np.full((HEIGHT * 2, WIDTH * 2), 246, np.uint8)
    for fiducial in form.pages[0].fiducials:
        _mark(gray, fiducial)
    if bars:
        for x, y in BARS:
            for across in (x, WIDTH - x):
                low, high = (int(2 * across - 32), int(2 * y - 12)), (int(2 * across + 32), int(2 * y + 12))
                cv2.rectangle(gray, low, high, 20, -1)
    if frame:
        cv2.rectangle(gray, (200, 300), (2 * WIDTH - 200, 2 * HEIGHT - 260), 30, 5)
    if title:
        cv2.putText(gray, "Answer sheet 2031", (420, 240), cv2.FONT_HERSHEY_SIMPLEX, 2.6, 40, 6, cv2.LINE_AA)
    for field in form.pages[0].fields:
        for b in field.bubbles:
            centre = (round(2 * (b.x + b.w / 2)), round(2 * (b.y + b.h / 2)))
            cv2.circle(gray, centre, 20, 70, 3, cv2.LINE_AA)
            at = (centre[0] - 9, centre[1] + 9)
            cv2.putText(gray, b.label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.85, 90, 2, cv2.LINE_AA)
            if TRUTH.get(field.id) == b.label:
                cv2.circle(gray, centre, 18, 60, -1, cv2.LINE_AA)
    return cv2.resize(gray, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)


def _mark(gray: np.ndarray, f: Fiducial) -> None:
    x, y, half = round(2 * f.x), round(2 * f.y), round(f.size)
    if f.kind == "square":
        cv2.rectangle(gray, (x - half, y - half), (x + half, y + half), 10, -1)
    elif f.kind == "disc":
        cv2.circle(gray, (x, y), half, 10, -1, cv2.LINE_AA)
    elif f.kind == "ring":
        cv2.circle(gray, (x, y), half - 5, 10, 11, cv2.LINE_AA)
    elif f.kind == "cross":
        cv2.line(gray, (x - half, y), (x + half, y), 10, 8)
        cv2.line(gray, (x, y - half), (x, y + half), 10, 8)
    else:
        right, down = (1 if x < WIDTH else -1), (1 if y < HEIGHT else -1)
        cv2.line(gray, (x, y), (x + right * 2 * half, y), 10, 8)
        cv2.line(gray, (x, y), (x, y + down * 2 * half), 10, 8)


def photographed(gray: np.ndarray, turn: int, *, tilt: float = 0.04, table: int = 60) -> np.ndarray:
    """The paper on a dark table, turned by quarter turns and seen at an angle."""
    h, w = gray.shape
    corners = np.array([(0, 0), (w, 0), (w, h), (0, h)], np.float32)
    seen = corners * 0.9 + (60, 50) + np.array([(tilt * w, 0), (0, tilt * h), (-tilt * w, 0), (0, 0)])
    matrix = cv2.getPerspectiveTransform(corners, seen.astype(np.float32))
    photo = cv2.warpPerspective(gray, matrix, (w + 60, h + 60), borderValue=table, flags=cv2.INTER_AREA)
    return np.ascontiguousarray(np.rot90(photo, turn))


def page_of(gray: np.ndarray) -> Page:
    return Page(PageRef("drawn.png"), gray, None, "0" * 64)


def values(gray: np.ndarray, form: Form, folder: Path | None = None) -> dict[str, str]:
    _, readings = read_page(page_of(gray), form, folder)
    assert not any(reading.flags for reading in readings)
    return {reading.field: reading.value for reading in readings}
