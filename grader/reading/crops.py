"""Upright pictures of single fields. Only the field is warped, never the page."""

from __future__ import annotations

import cv2
import numpy as np

from grader.exam.form import TextField
from grader.records import Box, Page, Registration

_MM_PER_INCH = 25.4
_FRAME = 0.5  # form units left off on every side, so that the ruled border of a box does not show
_MOST_ENLARGED = 1.6  # more pixels than this times those of the picture hold nothing new


def cut(page: Page, registration: Registration, field: TextField, dpi: int = 200, unit: str = "mm") -> np.ndarray:
    """The field as an upright gray crop (height x width uint8).

    dpi: resolution of the crop where the form's unit is "mm"; a coarser picture is not blown up to it, and
    a form in pixels of a reference picture is cut at the picture's own scale.
    """
    frame = min(_FRAME, 0.1 * min(field.w, field.h))
    box = (field.x + frame, field.y + frame, field.w - 2 * frame, field.h - 2 * frame)
    _, _, w, h = bounding_box(registration.to_pixels, box)
    own = min(w, h) / min(box[2:]) if min(w, h) > 0 else 1.0
    resolution = min(dpi / _MM_PER_INCH, _MOST_ENLARGED * own) if unit == "mm" else own
    return cut_box(page.gray, registration.to_pixels, box, resolution)


def cut_box(gray: np.ndarray, to_pixels: np.ndarray, box: Box, resolution: float) -> np.ndarray:
    """A box in form units as an upright crop with `resolution` pixels per form unit. Outside the picture: white."""
    x, y, w, h = box
    width, height = max(1, round(w * resolution)), max(1, round(h * resolution))
    to_form = np.array([[w / width, 0, x + w / width / 2], [0, h / height, y + h / height / 2], [0, 0, 1.0]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpPerspective(
        gray, to_pixels @ to_form, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=255
    )


def bounding_box(to_pixels: np.ndarray, box: Box) -> Box:
    """The upright rectangle in pixels around a box in form units."""
    x, y, w, h = box
    corners = np.array([[[x, y], [x + w, y], [x + w, y + h], [x, y + h]]], np.float64)
    at = cv2.perspectiveTransform(corners, to_pixels)[0]
    (x0, y0), (x1, y1) = at.min(axis=0), at.max(axis=0)
    return float(x0), float(y0), float(x1 - x0), float(y1 - y0)
