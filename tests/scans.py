"""One scanned sheet as files of many kinds, and what intake says of a file."""

from __future__ import annotations

import functools
import io
from pathlib import Path

import hostile
import pytest
from PIL import Image

from grader.errors import PageError
from grader.intake.decode import load_page
from grader.intake.quality import check_quality
from grader.records import PageRef

SHEET = hostile.sheet()


@functools.cache
def sheet_as(kind: str) -> bytes:
    """The sheet as a file of that kind."""
    if kind == ".pdf":
        return hostile.pdf_of([sheet_as(".jpg")])
    if kind in (".tif", ".g4"):
        return hostile.tiff_of([SHEET], "group4" if kind == ".g4" else "tiff_lzw")
    if kind == ".webp":
        return saved(Image.fromarray(SHEET), "WEBP", quality=80, method=0)
    return hostile.encoded(SHEET, kind)


def verdict(ref: PageRef) -> PageError | None:
    """What intake says against a page."""
    try:
        check_quality(load_page(ref))
    except PageError as error:
        return error
    return None


def refusal(path: Path, page: int = 1) -> PageError:
    with pytest.raises(PageError) as caught:
        check_quality(load_page(PageRef(str(path), page)))
    return caught.value


def write(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()
