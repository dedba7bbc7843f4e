"""One registered page: its marks and its codes. Handwriting is not read here."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from grader.errors import FormError, Problem
from grader.exam.form import Channel, Form
from grader.reading.codes import read_codes
from grader.reading.marks import read_marks
from grader.reading.registration import register
from grader.records import Page, Reading, Registration
from grader.stages import stage

_BGR = {"blue": 0, "green": 1, "red": 2}


def read_page(page: Page, form: Form, folder: Path | None = None) -> tuple[Registration, list[Reading]]:
    """Where the page lies, and a Reading for every field of marks and every code, in the form's order.

    folder: where the form file and its pictures lie. Raises PageError as `registration.register` does,
    FormError where the form's picture of the blank page cannot be read.
    """
    with stage("registration"):
        registration = register(page, form, folder)
    page_form = form.page(registration.page_number)
    reference = None
    if form.reference is not None and len(form.pages) == 1:
        reference = blank_picture((folder or Path()) / form.reference, form.channel)
    with stage("marks"):
        readings = [
            *read_marks(page, page_form, registration, reference=reference),
            *read_codes(page, page_form, registration),
        ]
    order = {field.id: number for number, field in enumerate(page_form.fields)}
    return registration, sorted(readings, key=lambda reading: order[reading.field])


@lru_cache(maxsize=4)
def blank_picture(path: Path, channel: Channel) -> np.ndarray:
    """The picture of the blank page in one channel (height x width uint8). Raises FormError."""
    data = np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8)
    colour = cv2.imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if data.size else None
    if colour is None:
        problem = Problem("reference", "the picture cannot be read", "put it beside the form file")
        raise FormError(str(path), [problem])
    if channel == "gray":
        return cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
    if channel in _BGR:
        return np.ascontiguousarray(colour[:, :, _BGR[channel]])
    return colour.min(axis=2) if channel == "min" else colour.max(axis=2)
