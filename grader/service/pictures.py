"""Pictures that came from outside are decoded, bounded and encoded again before anybody's browser gets them."""

from __future__ import annotations

import io
from pathlib import Path

from grader.intake.decode import load_page
from grader.records import PageRef


def shown(file: Path, page: int = 1, longest: int = 1600) -> bytes:
    """A page of a file as JPEG, its longer side at most `longest` pixels, nothing else of the file in it.

    Raises PageError for what the engine does not read either.
    """
    from PIL import Image

    image, encoded = Image.fromarray(load_page(PageRef(str(file), page), pdf_dpi=100).gray), io.BytesIO()
    image.thumbnail((longest, longest))
    image.save(encoded, "JPEG", quality=82)
    return encoded.getvalue()
