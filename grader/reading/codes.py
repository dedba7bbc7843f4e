"""Printed codes: QR, Code 128, Code 39 and Data Matrix, read by zxing-cpp from a small upright crop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import cv2
import numpy as np
import zxingcpp

from grader.exam.form import CodeField, PageForm
from grader.reading.crops import bounding_box, cut_box
from grader.reading.paperwhite import TO_HALF
from grader.records import Box, Page, Reading, Registration

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
            found = decode_field(page.gray, registration.to_pixels, field)
            text = found.text if found is not None else ""
        box = bounding_box(registration.to_pixels, (field.x, field.y, field.w, field.h))
        readings.append(Reading(field.id, "code", text, 1.0 if text else 0.0, () if text else ("code_damaged",), box))
    return readings


@dataclass(frozen=True)
class FoundCode:
    """A code that was read. centre: (x, y) of its middle in form units."""

    text: str
    centre: tuple[float, float]


def find_page_code(page: Page, to_pixels: np.ndarray, field: CodeField) -> FoundCode | None:
    """The page code printed in `field`, or None. Half the picture shows it as a rule, and a misreading cannot pass
    its check."""
    return decode_field(page.half, TO_HALF @ to_pixels, field, 2) or decode_field(page.gray, to_pixels, field)


def decode_field(
    gray: np.ndarray, to_pixels: np.ndarray, field: CodeField, attempts: int | None = None
) -> FoundCode | None:
    """The code printed in `field`, or None. Cheap first, then a larger and smoother crop; at most so many attempts."""
    formats = _formats(field.formats)
    for crop, box, binarizer in islice(_attempts(gray, to_pixels, field), attempts):
        found = zxingcpp.read_barcodes(
            crop, formats=formats, try_rotate=False, try_downscale=False, try_invert=False, binarizer=binarizer
        )
        if found:
            at = found[0].position
            corners = (at.top_left, at.top_right, at.bottom_right, at.bottom_left)
            x, y = sum(p.x for p in corners) / 4 + 0.5, sum(p.y for p in corners) / 4 + 0.5
            height, width = crop.shape
            centre = (box[0] + x * box[2] / width, box[1] + y * box[3] / height)
            return FoundCode(str(found[0].text), centre)
    return None


def decode_anywhere(gray: np.ndarray, formats: Sequence[str]) -> str:
    """Text of the first code found anywhere in the picture, or ""."""
    found = zxingcpp.read_barcodes(gray, formats=_formats(tuple(formats)), try_invert=False)
    return str(found[0].text) if found else ""


@lru_cache(maxsize=16)
def _formats(names: tuple[str, ...]) -> zxingcpp.BarcodeFormats:
    return zxingcpp.BarcodeFormats([_FORMATS[name] for name in names])


def _attempts(
    gray: np.ndarray, to_pixels: np.ndarray, field: CodeField
) -> Iterator[tuple[np.ndarray, Box, zxingcpp.Binarizer]]:
    """Crops of the field with their boxes in form units."""
    local, overall = zxingcpp.Binarizer.LocalAverage, zxingcpp.Binarizer.GlobalHistogram
    crop, box = _crop(gray, to_pixels, field, 0.06, 1.0)
    yield crop, box, local
    yield crop, box, overall
    wide, box = _crop(gray, to_pixels, field, 0.15, 1.6)
    yield wide, box, local
    yield cv2.GaussianBlur(wide, (0, 0), 1.2), box, local
    yield cv2.addWeighted(wide, 2.2, cv2.GaussianBlur(wide, (0, 0), 2.5), -1.2, 0), box, overall


def _crop(
    gray: np.ndarray, to_pixels: np.ndarray, field: CodeField, margin: float, zoom: float
) -> tuple[np.ndarray, Box]:
    """The field and its surroundings (margin: share of its longer side), zoomed from the picture's own scale."""
    edge = margin * max(field.w, field.h)
    box = (field.x - edge, field.y - edge, field.w + 2 * edge, field.h + 2 * edge)
    _, _, w, h = bounding_box(to_pixels, box)
    resolution = min(zoom * max(w, h), _LARGEST_CROP) / max(box[2:])
    return cut_box(gray, to_pixels, box, resolution), box
