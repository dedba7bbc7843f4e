"""Each way to find a foreign paper, on drawn pages that are turned, shrunk and seen at an angle."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from foreign import (
    BARS,
    HEIGHT,
    KINDS,
    TRUTH,
    WIDTH,
    corner_marks,
    drawn,
    foreign_form,
    page_of,
    photographed,
    values,
)

from grader.errors import PageError
from grader.exam.form import AnyMethod, BarsMethod, ContourMethod, FeaturesMethod, MarkersMethod, WholeMethod
from grader.reading.registration import register


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


def _pictures() -> dict[str, np.ndarray]:
    tiles = np.add.outer(np.arange(1200) // 20, np.arange(900) // 20) % 2
    return {
        "tiny": np.full((30, 40), 200, np.uint8),
        "black": np.zeros((900, 700), np.uint8),
        "white": np.full((900, 700), 255, np.uint8),
        "noise": np.random.default_rng(0).integers(0, 255, (1200, 900)).astype(np.uint8),
        "strip": np.full((5, 2000), 128, np.uint8),
        "tiles": (255 * tiles).astype(np.uint8),
    }


@pytest.mark.parametrize("name", _pictures())
def test_a_picture_of_something_else_is_refused_by_every_method(name: str, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "blank.png"), drawn(foreign_form(WholeMethod()), frame=True))
    methods: list[tuple[AnyMethod, str]] = [
        (MarkersMethod(), "square"),
        (MarkersMethod(), "corner"),
        (MarkersMethod(image="blank.png", marker_width=34), "ring"),
        (BarsMethod(bars=tuple(BARS), w=32, h=12), "square"),
        (ContourMethod(), "square"),
        (FeaturesMethod(image="blank.png"), "square"),
        (WholeMethod(), "square"),
    ]
    for method, kind in methods:
        with pytest.raises(PageError):
            register(page_of(_pictures()[name]), foreign_form(method, corner_marks(kind)), tmp_path)
