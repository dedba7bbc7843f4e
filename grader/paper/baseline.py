"""How dark each bubble is as printed: outline and letter, measured on the rendered blank form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pypdfium2 as pdfium

from grader.exam.form import BubbleBox, Form, MarksField, PageForm

DPI = 200


def blank_page(pdf: Path, number: int, dpi: int = DPI) -> np.ndarray:
    """A page of a PDF as height x width uint8 gray. number counts from 1."""
    document = pdfium.PdfDocument(str(pdf))
    try:
        bitmap = document[number - 1].render(scale=dpi / 72, grayscale=True)
        return np.array(bitmap.to_numpy()).reshape(bitmap.height, bitmap.width, -1)[:, :, 0].copy()
    finally:
        document.close()


def with_baseline(form: Form, pdf: Path) -> Form:
    """The form with `baseline` of every bubble measured on the first set of pages in `pdf`.

    Its version stays the same: baselines are no part of the geometry.
    """
    return form.model_copy(update={"pages": tuple(_measured(page, pdf) for page in form.pages)})


def _measured(page: PageForm, pdf: Path) -> PageForm:
    darkness = 1.0 - blank_page(pdf, page.number).astype(np.float32) / 255.0
    scale = darkness.shape[1] / page.width

    def measure(bubble: BubbleBox) -> BubbleBox:
        top, bottom = (round(v * scale) for v in (bubble.y, bubble.y + bubble.h))
        left, right = (round(v * scale) for v in (bubble.x, bubble.x + bubble.w))
        mean = float(darkness[top:bottom, left:right].mean())
        return bubble.model_copy(update={"baseline": round(mean, 4)})

    fields = tuple(
        field.model_copy(update={"bubbles": tuple(measure(b) for b in field.bubbles)})
        if isinstance(field, MarksField)
        else field
        for field in page.fields
    )
    return page.model_copy(update={"fields": fields})
