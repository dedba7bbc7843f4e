"""Small pictures for the HTML report, as data URLs: the report is one file that needs no other."""

from __future__ import annotations

import base64
import io

import numpy as np
from PIL import Image

from grader.errors import PageError
from grader.intake.decode import load_page
from grader.records import PageRef

_CROP = (560, 150)
_PAGE = (150, 200)
_QUALITY = 55


def crop_picture(png: bytes) -> str:
    """A crop as it was stored, reduced to what a review list needs. "" if it is no picture."""
    try:
        image = Image.open(io.BytesIO(png)).convert("L")
    except OSError:
        return ""
    return _data_url(image, _CROP)


def page_picture(file: str, page: int) -> str:
    """A page's picture, or "" where there is none to show: damaged, encrypted, not a picture."""
    try:
        return _data_url(Image.fromarray(_thinned(load_page(PageRef(file, page), pdf_dpi=100).gray)), _PAGE)
    except PageError:
        return ""


def _thinned(gray: np.ndarray) -> np.ndarray:
    """Every n-th pixel of very large pages, so that reducing them costs little."""
    step = max(1, max(gray.shape) // 1600)
    return np.ascontiguousarray(gray[::step, ::step])


def _data_url(image: Image.Image, limit: tuple[int, int]) -> str:
    image.thumbnail(limit)
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=_QUALITY)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
