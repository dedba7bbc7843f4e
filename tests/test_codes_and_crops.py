"""Printed codes in their fields, and upright crops of single fields."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import zxingcpp
from drawn import draw, page_of, scan, sheet_form

from grader.exam.form import CodeField, Form, PageForm, TextField
from grader.reading.codes import read_codes
from grader.reading.crops import cut
from grader.reading.page import read_page
from grader.reading.registration import register
from grader.records import Registration

_KINDS = {"QR": "QRCode", "Code128": "Code128", "Code39": "Code39", "DataMatrix": "DataMatrix"}


def with_code(kind: str, text: str) -> tuple[Form, np.ndarray]:
    """A form with one code field, and its page."""
    wide = kind.startswith("Code")
    width, height = (80, 20) if wide else (30, 30)
    field = CodeField(id="code", role="candidate", x=60, y=60, w=width, h=height, formats=(kind,))
    form = sheet_form(items=4)
    page = form.page(1)
    form = Form(id="codes", pages=(PageForm(number=1, width=page.width, height=page.height, fiducials=page.fiducials),))
    gray = draw(form, {})
    code = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, _KINDS[kind]))
    picture = np.array(code.to_image(scale=6, add_quiet_zones=True))
    size = (round(field.w * 200 / 25.4), round(field.h * 200 / 25.4))
    shrink = min(size[0] / picture.shape[1], size[1] / picture.shape[0]) if not wide else 0
    if wide:
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    else:
        picture = cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    x, y = round(field.x * 200 / 25.4), round(field.y * 200 / 25.4)
    gray[y : y + picture.shape[0], x : x + picture.shape[1]] = picture
    return form.model_copy(update={"pages": (form.pages[0].model_copy(update={"fields": (field,)}),)}), gray


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
@pytest.mark.parametrize("kind", list(_KINDS))
def test_codes_are_read_however_the_page_lies(kind: str, turns: int) -> None:
    form, gray = with_code(kind, "104556")
    gray = np.ascontiguousarray(np.rot90(scan(gray, 1, angle=2, blur=0.7), turns))
    _, readings = read_page(page_of(gray), form)
    assert [(r.kind, r.value, r.confidence, r.flags) for r in readings] == [("code", "104556", 1.0, ())]


def test_a_code_that_is_not_there_is_flagged() -> None:
    form, gray = with_code("Code128", "104556")
    gray[450:700, 400:1200] = 245
    page = page_of(scan(gray))
    readings = read_codes(page, form.page(1), register(page, form))
    assert [(r.value, r.confidence, r.flags) for r in readings] == [("", 0.0, ("code_damaged",))]


FORM = sheet_form(items=4)
FIELD = next(f for f in FORM.page(1).fields if isinstance(f, TextField))


def written_page() -> np.ndarray:
    gray = draw(FORM, {})
    at = (round((FIELD.x + 2) * 200 / 25.4), round((FIELD.y + 6) * 200 / 25.4))
    cv2.putText(gray, "20260117", at, cv2.FONT_HERSHEY_SIMPLEX, 1.4, 20, 3)
    return gray


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_crops_are_upright_and_without_the_frame(turns: int) -> None:
    page = page_of(np.ascontiguousarray(np.rot90(scan(written_page(), 2, angle=2, margin=50), turns)))
    crop = cut(page, register(page, FORM), FIELD)
    flat = page_of(written_page())
    expected = cut(flat, Registration(1, np.diag([200 / 25.4, 200 / 25.4, 1.0]), 0.0, "whole"), FIELD)
    assert crop.shape == expected.shape == (round(7 * 200 / 25.4), round(55 * 200 / 25.4))
    alike = np.corrcoef(cv2.GaussianBlur(crop, (5, 5), 0).ravel(), cv2.GaussianBlur(expected, (5, 5), 0).ravel())
    assert alike[0, 1] > 0.9
    border = np.concatenate([crop[0], crop[-1], crop[:, 0], crop[:, -1]])
    assert border.min() > 170  # the ruled frame is gray 120


def test_a_coarse_picture_is_not_blown_up() -> None:
    gray = cv2.resize(written_page(), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    crop = cut(page_of(gray), Registration(1, np.diag([100 / 25.4, 100 / 25.4, 1.0]), 0.0, "whole"), FIELD)
    assert crop.shape[1] < 55 * 170 / 25.4


def test_a_form_in_pixels_is_cut_at_its_own_scale() -> None:
    field = TextField(id="t", x=100, y=100, w=200, h=40)
    crop = cut(page_of(written_page()), Registration(1, np.eye(3), 0.0, "whole"), field, unit="px")
    assert crop.shape == (39, 199)
