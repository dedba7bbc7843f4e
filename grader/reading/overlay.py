"""A form drawn over a picture, for people to check."""

from __future__ import annotations

import cv2
import numpy as np

from grader.exam.form import MarksField, PageForm

_MARKS, _BOXES, _FIDUCIALS = (200, 60, 0), (0, 140, 0), (0, 0, 220)  # BGR


def flatten(
    gray: np.ndarray, page_form: PageForm, to_pixels: np.ndarray, longest: int = 1600
) -> tuple[np.ndarray, float]:
    """The page as the form sees it (uint8), and its pixels per form unit."""
    scale = longest / max(page_form.width, page_form.height)
    size = round(page_form.width * scale), round(page_form.height * scale)
    matrix = np.diag([scale, scale, 1.0]) @ np.linalg.inv(to_pixels)
    return cv2.warpPerspective(gray, matrix, size, flags=cv2.INTER_AREA, borderValue=255), scale


def draw_form(gray: np.ndarray, page_form: PageForm, scale: float) -> np.ndarray:
    """The form's fields with their names, bubbles and marks over a flat picture (height x width x 3 BGR)."""
    picture = cv2.cvtColor(gray, cv2.COLOR_GRAY2BGR)

    def box(x: float, y: float, w: float, h: float, colour: tuple[int, int, int]) -> None:
        low, high = (round(x * scale), round(y * scale)), (round((x + w) * scale), round((y + h) * scale))
        cv2.rectangle(picture, low, high, colour, 1)

    def name(text: str, x: float, y: float, colour: tuple[int, int, int]) -> None:
        at = (max(0, round(x * scale)), max(9, round(y * scale) - 2))
        cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.38, colour, 1, cv2.LINE_AA)

    for field in page_form.fields:
        if isinstance(field, MarksField):
            for bubble in field.bubbles:
                box(bubble.x, bubble.y, bubble.w, bubble.h, _MARKS)
            name(field.id, field.bubbles[0].x, field.bubbles[0].y, _MARKS)
        else:
            box(field.x, field.y, field.w, field.h, _BOXES)
            name(field.id, field.x, field.y, _BOXES)
    for fiducial in page_form.fiducials:
        centre = round(fiducial.x * scale), round(fiducial.y * scale)
        cv2.drawMarker(picture, centre, _FIDUCIALS, cv2.MARKER_CROSS, max(8, round(fiducial.size * scale)), 2)
    return picture
