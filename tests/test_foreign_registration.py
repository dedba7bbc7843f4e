"""Each way to find a foreign paper, on drawn pages that are turned, shrunk and seen at an angle."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from grader.errors import PageError
from grader.exam.form import (
    AnyMethod,
    BarsMethod,
    BubbleBox,
    ContourMethod,
    FeaturesMethod,
    Fiducial,
    Form,
    MarkersMethod,
    MarksField,
    PageForm,
    WholeMethod,
)
from grader.reading.page import read_page
from grader.reading.registration import register
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
            cv2.rectangle(gray, (int(2 * x - 32), int(2 * y - 12)), (int(2 * x + 32), int(2 * y + 12)), 20, -1)
            cv2.rectangle(gray, (int(2 * (WIDTH - x) - 32), int(2 * y - 12)), (int(2 * (WIDTH - x) + 32), int(2 * y + 12)), 20, -1)
    if frame:
        cv2.rectangle(gray, (200, 300), (2 * WIDTH - 200, 2 * HEIGHT - 260), 30, 5)
    if title:
        cv2.putText(gray, "Answer sheet 2031", (420, 240), cv2.FONT_HERSHEY_SIMPLEX, 2.6, 40, 6, cv2.LINE_AA)
    for field in form.pages[0].fields:
        for b in field.bubbles:
            centre = (round(2 * (b.x + b.w / 2)), round(2 * (b.y + b.h / 2)))
            cv2.circle(gray, centre, 20, 70, 3, cv2.LINE_AA)
            cv2.putText(gray, b.label, (centre[0] - 9, centre[1] + 9), cv2.FONT_HERSHEY_SIMPLEX, 0.85, 90, 2, cv2.LINE_AA)
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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_corner_marks_of_every_kind(kind: str, turn: int) -> None:
    form = foreign_form(MarkersMethod(), corner_marks(kind))
    assert values(photographed(drawn(form), turn), form) == TRUTH


@pytest.mark.parametrize("turn", [0, 3])
def test_marks_alone_fix_the_page_where_the_form_is_exact(turn: int) -> None:
    form = foreign_form(MarkersMethod(), corner_marks("square"), align=False)
    assert values(photographed(drawn(form), turn), form) == TRUTH


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_a_picture_of_the_mark(turn: int, tmp_path: Path) -> None:
    mark = np.full((96, 96), 250, np.uint8)
    for radius, ink in ((46, 10), (36, 250), (26, 10), (14, 250), (6, 10)):
        cv2.circle(mark, (48, 48), radius, ink, -1, cv2.LINE_AA)
    cv2.imwrite(str(tmp_path / "mark.png"), mark)
    form = foreign_form(MarkersMethod(image="mark.png", marker_width=34), corner_marks("ring"))
    gray = drawn(form)
    small = cv2.resize(mark, (34, 34), interpolation=cv2.INTER_AREA)
    for f in form.pages[0].fiducials:
        x, y = round(f.x) - 17, round(f.y) - 17
        gray[y - 4 : y + 38, x - 4 : x + 38] = 246
        gray[y : y + 34, x : x + 34] = small
    assert values(photographed(gray, turn), form, tmp_path) == TRUTH


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_timing_bars_on_both_edges(turn: int) -> None:
    bars = (*BARS, *((WIDTH - x, y) for x, y in BARS))
    form = foreign_form(BarsMethod(bars=bars, w=32, h=12))
    assert values(photographed(drawn(form, bars=True), turn, tilt=0.02), form) == TRUTH


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_the_outline_of_the_paper(turn: int) -> None:
    form = foreign_form(ContourMethod())
    assert values(photographed(drawn(form), turn), form) == TRUTH


def test_a_printed_frame_on_a_bright_table() -> None:
    frame = ((100, 150), (WIDTH - 100, 150), (WIDTH - 100, HEIGHT - 130), (100, HEIGHT - 130))
    form = foreign_form(ContourMethod(corners=frame))
    assert values(photographed(drawn(form, frame=True), 1, table=240), form) == TRUTH


@pytest.mark.parametrize("turn", [0, 2])
def test_features_of_a_reference_picture(turn: int, tmp_path: Path) -> None:
    form = foreign_form(FeaturesMethod(image="blank.png"))
    cv2.imwrite(str(tmp_path / "blank.png"), drawn(form, frame=True))
    assert values(photographed(drawn(form, frame=True), turn), form, tmp_path) == TRUTH


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_the_whole_picture(turn: int) -> None:
    form = foreign_form(WholeMethod())
    assert values(np.ascontiguousarray(np.rot90(drawn(form), turn)), form) == TRUTH


def test_a_form_that_looks_alike_upside_down_is_settled_by_its_letters() -> None:
    form = foreign_form(ContourMethod())
    page = form.pages[0]
    shifted = [
        field.model_copy(
            update={"bubbles": tuple(b.model_copy(update={"x": b.x + 5, "y": b.y - 43}) for b in field.bubbles)}
        )
        for field in page.fields
    ]  # now the grid's middle is the page's
    form = form.model_copy(update={"pages": (page.model_copy(update={"fields": tuple(shifted)}),)})
    for turn in (0, 2):
        assert values(photographed(drawn(form, title=False), turn), form) == TRUTH


@pytest.mark.parametrize(
    "method", [MarkersMethod(), ContourMethod(), WholeMethod(), BarsMethod(bars=tuple(BARS), w=32, h=12)]
)
def test_another_paper_is_refused(method: AnyMethod) -> None:
    form = foreign_form(method, corner_marks("square"))
    other = np.full((HEIGHT, WIDTH), 246, np.uint8)
    for y in range(100, 1000, 40):
        cv2.putText(other, "Dear Sir or Madam, we write to say", (60, y), cv2.FONT_HERSHEY_SIMPLEX, 0.9, 40, 2)
    with pytest.raises(PageError) as refused:
        register(page_of(photographed(other, 0)), form)
    assert refused.value.reason in {"no_fiducials", "residual"}


def test_the_residual_grows_with_the_error_of_the_form() -> None:
    form = foreign_form(MarkersMethod(), corner_marks("square"))
    gray = photographed(drawn(form), 0)
    page = form.pages[0]
    bent = [
        field.model_copy(
            update={"bubbles": tuple(b.model_copy(update={"x": b.x + 5 * (n % 2)}) for b in field.bubbles)}
        )
        for n, field in enumerate(page.fields)
    ]
    wrong = form.model_copy(update={"pages": (page.model_copy(update={"fields": tuple(bent)}),)})
    assert register(page_of(gray), wrong).residual > 2 * register(page_of(gray), form).residual
