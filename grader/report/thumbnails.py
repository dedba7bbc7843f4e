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


def crop_picture(png: bytes, trim: bool) -> str:
    """A crop as it was stored, reduced to what a review list needs; trim: without the empty paper around the
    ink. "" if it is no picture."""
    try:
        image = Image.open(io.BytesIO(png)).convert("L")
    except OSError:
        return ""
    return _data_url(_trimmed(image) if trim else image, _CROP)


def page_picture(file: str, page: int) -> str:
    """A page's picture, or "" where there is none to show: damaged, encrypted, not a picture."""
    try:
        return _data_url(Image.fromarray(_thinned(load_page(PageRef(file, page), pdf_dpi=100).gray)), _PAGE)
    except PageError:
        return ""


def _trimmed(image: Image.Image, margin: int = 14) -> Image.Image:
    """Without the empty paper around the ink: much of a large box is often empty."""
    gray = np.asarray(image)
    paper, darkest = np.median(gray), gray.min()
    ink = gray < paper - 0.55 * (paper - darkest)
    rows, columns = (np.flatnonzero(ink.sum(axis=axis) > 1) for axis in (1, 0))
    if paper - darkest < 60 or not rows.size or not columns.size:
        return image
    left, top = max(0, int(columns[0]) - margin), max(0, int(rows[0]) - margin)
    right, bottom = min(image.width, int(columns[-1]) + margin), min(image.height, int(rows[-1]) + margin)
    return image.crop((left, top, right, bottom))


def _thinned(gray: np.ndarray) -> np.ndarray:
    """Every n-th pixel of very large pages, so that reducing them costs little."""
    step = max(1, max(gray.shape) // 1600)
    return np.ascontiguousarray(gray[::step, ::step])


def _data_url(image: Image.Image, limit: tuple[int, int]) -> str:
    image.thumbnail(limit)
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=_QUALITY)
    return "data:image/webp;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
