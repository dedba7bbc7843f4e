"""One registered page: its marks and its codes. Handwriting is not read here."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from grader.errors import FormError, Problem
from grader.exam.form import Channel, Form, TextField
from grader.intake.decode import load_page
from grader.reading.codes import read_codes
from grader.reading.kept import by_identity
from grader.reading.marks import read_marks
from grader.reading.patches import DENSE, layout
from grader.reading.registration import register
from grader.records import Page, PageRef, Reading, Registration
from grader.stages import stage

_MARGIN = 1.05  # a page may not fill its picture
_BGR = {"blue": 0, "green": 1, "red": 2}


def open_page(ref: PageRef, form: Form, pdf_dpi: int = 200) -> Page:
    """The page decoded as far as this form is likely to need. Raises PageError as `load_page` does."""
    return load_page(ref, form.channel, pdf_dpi, _half_from(form))


@by_identity
def _half_from(form: Form) -> int | None:
    """Pixels along the longer side from which half the size is likely to show all that is on the form: where nothing
    but bubbles answers its items, and it is known how dark these are when blank."""
    plans = [layout(page_form) for page_form in form.pages]
    measured = [plan for plan in plans if plan is not None and plan.measured]
    written = any(isinstance(f, TextField) and f.role == "item" for page_form in form.pages for f in page_form.fields)
    if written or not measured or len(measured) < len(plans) or form.registration[0].method != "fiducials":
        return None
    least = min(float(plan.sizes.min()) for plan in measured)
    longest = max(max(page_form.width, page_form.height) for page_form in form.pages)
    return round(_MARGIN * 2 * DENSE / least * longest)


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
