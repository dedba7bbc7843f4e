"""Own paper is found however it lies, and what is not the right paper is refused with the right reason."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn import draw, page_of, scan, scan_matrix, sheet_form
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.errors import PageError
from grader.exam.form import Fiducial, Form, PageForm
from grader.paper.pagecode import PageCode
from grader.reading.page import read_page
from grader.reading.registration import register
from grader.records import Registration

FORM = sheet_form(items=20, pages=3)
SHEET = draw(FORM, {"3": "B"}, number=2, candidate="007")
COARSE = draw(FORM, {"3": "B"}, number=2, candidate="007", dpi=150)


def refused(gray: np.ndarray, form: Form = FORM) -> str:
    with pytest.raises(PageError) as error:
        register(page_of(np.ascontiguousarray(gray)), form)
    assert error.value.remedy
    return error.value.reason


CORNERS = np.array([[[20.0, 50], [150, 60], [150, 250], [20, 250]]])


def places(registration: Registration, points: np.ndarray = CORNERS) -> np.ndarray:
    """Where points of the form lie, in pixels."""
    return cv2.perspectiveTransform(points, registration.to_pixels)[0]


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_all_four_turns(turns: int) -> None:
    gray = scan(SHEET, 1, angle=2, perspective=0.04, margin=30)
    upright, turned = (register(page_of(np.ascontiguousarray(np.rot90(gray, n))), FORM) for n in (0, turns))
    height, width = gray.shape
    x, y = places(turned).T
    back = {
        0: (x, y),
        1: (width - 1 - y, x),
        2: (width - 1 - x, height - 1 - y),
        3: (y, height - 1 - x),
    }[turns]
    assert turned.page_number == 2
    assert np.abs(np.stack(back, axis=1) - places(upright)).max() < 1.0


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    angle=st.floats(-180, 180), perspective=st.floats(0, 0.08), seed=st.integers(0, 1000), blur=st.floats(0.3, 1.3),
    background=st.sampled_from([20, 90, 245]),
)  # fmt: skip
def test_any_rotation_and_perspective_is_right_to_a_third_of_a_millimetre(
    angle: float, perspective: float, seed: int, blur: float, background: int
) -> None:
    options = {"angle": angle, "perspective": perspective, "margin": 470}
    gray = scan(COARSE, seed, blur=blur, background=background, **options)
    found = register(page_of(gray), FORM)
    truth = scan_matrix(COARSE.shape, seed, **options) @ np.diag([150 / 25.4, 150 / 25.4, 1])
    off = cv2.perspectiveTransform(CORNERS, truth)[0] - places(found)
    assert np.linalg.norm(off, axis=1).max() * 25.4 / 150 < 0.35
    assert found.residual < 0.7


@pytest.mark.parametrize("dpi", [120, 150, 300])
def test_scale(dpi: int) -> None:
    gray = scan(draw(FORM, {}, dpi=dpi), angle=1)
    assert register(page_of(gray), FORM).residual < 0.4


def test_black_scanner_border() -> None:
    gray = cv2.copyMakeBorder(scan(SHEET, angle=1), 90, 160, 140, 0, cv2.BORDER_CONSTANT, value=5)
    assert register(page_of(gray), FORM).residual < 0.4


def test_the_page_number_comes_from_the_code() -> None:
    for number in (1, 2, 3):
        assert register(page_of(scan(draw(FORM, {}, number=number))), FORM).page_number == number


def test_a_sheet_without_marks_on_it_is_refused() -> None:
    gray = SHEET.copy()
    for fiducial in FORM.page(2).fiducials:
        x, y = round(fiducial.x * 200 / 25.4), round(fiducial.y * 200 / 25.4)
        gray[y - 40 : y + 40, x - 40 : x + 40] = 245
    assert refused(scan(gray)) == "no_fiducials"


def test_a_page_of_text_is_refused() -> None:
    gray = np.full((2339, 1654), 240, np.uint8)
    for y in range(100, 2200, 40):
        cv2.putText(gray, "Answer all questions. Write clearly.", (100, y), cv2.FONT_HERSHEY_SIMPLEX, 1, 30, 2)
    assert refused(gray) == "no_fiducials"


def test_residual_limit() -> None:
    """A page whose marks do not stand where the form has them is refused, and so is any page under a limit of nil."""
    moved = tuple(
        Fiducial(x=f.x, y=f.y - (60 if f.y > 100 else 0), size=f.size, kind=f.kind) for f in FORM.page(2).fiducials
    )
    other = FORM.model_copy(
        update={"pages": tuple(p.model_copy(update={"fiducials": moved}) for p in FORM.pages), "exam": None}
    )
    of_other = draw(FORM, {}, code=PageCode("", other.version, 2).encode())
    assert refused(scan(of_other), other) == "residual"
    strict = FORM.model_copy(update={"max_residual": 1e-6})
    assert refused(scan(draw(strict, {})), strict) == "residual"


def test_another_exam_and_another_print_are_the_wrong_form() -> None:
    assert refused(scan(draw(sheet_form(items=20, pages=3, exam="chemistry"), {}))) == "wrong_form"
    code = PageCode("physics", "00000000", 1).encode()
    assert refused(scan(draw(FORM, {}, code=code))) == "wrong_form"
    code = PageCode("physics", FORM.version, 9).encode()
    assert refused(scan(draw(FORM, {}, code=code))) == "wrong_form"


def test_a_damaged_or_made_up_code_is_refused() -> None:
    good = PageCode("physics", FORM.version, 2, "007").encode()
    assert refused(scan(draw(FORM, {}, code=good.replace("007", "008")))) == "code_damaged"
    assert refused(scan(draw(FORM, {}, code="hello"))) == "code_damaged"
    scribbled = SHEET.copy()
    field = FORM.page(2).fields[0]
    x, y, w = (round(v * 200 / 25.4) for v in (field.x, field.y, field.w))
    scribbled[y + w // 4 : y + w, x : x + w] = 30
    assert refused(scan(scribbled)) == "code_damaged"


def test_pages_without_a_code_need_no_code() -> None:
    page = FORM.page(1)
    bare = PageForm(number=1, width=page.width, height=page.height, fiducials=page.fiducials, fields=page.fields[1:])
    form = Form(id="bare", pages=(bare,))
    registration, readings = read_page(page_of(scan(draw(form, {"3": "B"}))), form)
    assert registration.code == ""
    assert {r.field: r.value for r in readings if r.value} == {"3": "B"}


def test_the_code_is_read_as_a_field_too() -> None:
    _, readings = read_page(page_of(scan(SHEET)), FORM)
    assert readings[0].field == "page"
    assert readings[0].value == PageCode("physics", FORM.version, 2, "007").encode()


@pytest.mark.parametrize("corner", [0, 1, 2, 3])
@pytest.mark.parametrize("turns", [0, 1])
def test_a_page_with_one_corner_torn_off_is_still_found(corner: int, turns: int) -> None:
    torn = SHEET.copy()
    fiducial = FORM.page(2).fiducials[corner]
    x, y = round(fiducial.x * 200 / 25.4), round(fiducial.y * 200 / 25.4)
    torn[max(0, y - 70) : y + 70, max(0, x - 70) : x + 70] = 120
    options = {"angle": 1.5, "margin": 40}
    gray = scan(torn, 1, **options)
    found = register(page_of(np.ascontiguousarray(np.rot90(gray, turns))), FORM)
    assert found.page_number == 2
    if not turns:
        truth = scan_matrix(SHEET.shape, 1, **options) @ np.diag([200 / 25.4, 200 / 25.4, 1])
        points = np.array([[[20.0, 50], [76, 60], [50, 250], [20, 250]]])  # where the bubbles are
        off = cv2.perspectiveTransform(points, truth)[0] - places(found, points)
        assert np.linalg.norm(off, axis=1).max() * 25.4 / 200 < 0.35


def test_two_corners_torn_off_are_too_many() -> None:
    torn = SHEET.copy()
    torn[:140] = 120
    assert refused(scan(torn)) in ("no_fiducials", "residual")
