"""Printed codes: QR, Code 128, Code 39 and Data Matrix, read by zxing-cpp from a small upright crop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import cv2
import numpy as np
import zxingcpp

from grader.exam.form import CodeField, PageForm
from grader.reading.crops import bounding_box, cut_box
from grader.records import Page, Reading, Registration

_FORMATS = {
    "QR": zxingcpp.BarcodeFormat.QRCode,
    "Code128": zxingcpp.BarcodeFormat.Code128,
    "Code39": zxingcpp.BarcodeFormat.Code39,
    "DataMatrix": zxingcpp.BarcodeFormat.DataMatrix,
}
_LARGEST_CROP = 640  # pixels along the longer side; a code needs no more


def read_codes(page: Page, page_form: PageForm, registration: Registration) -> list[Reading]:
    """One Reading (kind "code") for every CodeField. The page code's text is taken from the registration."""
    readings = []
    for field in page_form.fields:
        if not isinstance(field, CodeField):
            continue
        text = registration.code if field.page_code and registration.code else None
        if text is None:
            text = decode_field(page.gray, registration.to_pixels, field)
        box = bounding_box(registration.to_pixels, (field.x, field.y, field.w, field.h))
        readings.append(Reading(field.id, "code", text, 1.0 if text else 0.0, () if text else ("code_damaged",), box))
    return readings


def decode_field(gray: np.ndarray, to_pixels: np.ndarray, field: CodeField) -> str:
    """Text of the code printed in `field`, or "". Cheap first, then a larger and smoother crop."""
    formats = _formats(field.formats)
    for crop, binarizer in _attempts(gray, to_pixels, field):
        found = zxingcpp.read_barcodes(
            crop, formats=formats, try_rotate=False, try_downscale=False, try_invert=False, binarizer=binarizer
        )
        if found:
            return str(found[0].text)
    return ""


def decode_anywhere(gray: np.ndarray, formats: Sequence[str]) -> str:
    """Text of the first code found anywhere in the picture, or ""."""
    found = zxingcpp.read_barcodes(gray, formats=_formats(tuple(formats)), try_invert=False)
    return str(found[0].text) if found else ""


@lru_cache(maxsize=16)
def _formats(names: tuple[str, ...]) -> zxingcpp.BarcodeFormats:
    return zxingcpp.BarcodeFormats([_FORMATS[name] for name in names])


def _attempts(
    gray: np.ndarray, to_pixels: np.ndarray, field: CodeField
) -> Iterator[tuple[np.ndarray, zxingcpp.Binarizer]]:
    local, overall = zxingcpp.Binarizer.LocalAverage, zxingcpp.Binarizer.GlobalHistogram
    margin = 0.06 * max(field.w, field.h)
    crop = _crop(gray, to_pixels, field, margin, 1.0)
    yield crop, local
    yield crop, overall
    wide = _crop(gray, to_pixels, field, 2.5 * margin, 1.6)
    yield wide, local
    yield cv2.GaussianBlur(wide, (0, 0), 1.2), local
    yield cv2.addWeighted(wide, 2.2, cv2.GaussianBlur(wide, (0, 0), 2.5), -1.2, 0), overall


def _crop(gray: np.ndarray, to_pixels: np.ndarray, field: CodeField, margin: float, zoom: float) -> np.ndarray:
    box = (field.x - margin, field.y - margin, field.w + 2 * margin, field.h + 2 * margin)
    _, _, w, h = bounding_box(to_pixels, box)
    resolution = zoom * max(w, h) / max(box[2:])  # near the picture's own, so that no module is lost
    resolution = min(resolution, _LARGEST_CROP / max(box[2:]))
    return cut_box(gray, to_pixels, box, resolution)
