"""Text of image files, page by page: what `grader ocr` writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from grader.errors import PageError
from grader.intake.decode import load_page
from grader.ocr.protocol import OCREngine
from grader.records import PageRef, Transcription


def read_pages(
    refs: Sequence[PageRef],
    engine: OCREngine,
    *,
    lines: int | None = None,
    alphabet: str = "any",
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[dict[str, Any]]:
    """One row (see `row` and `refusal`) for every page, in their order.

    progress is called with the pages done and all pages, after each page.
    """
    for number, ref in enumerate(refs, 1):
        try:
            yield row(ref, engine.read(load_page(ref).gray, lines=lines, alphabet=alphabet))
        except PageError as error:
            yield refusal(ref, error)
        if progress:
            progress(number, len(refs))


def row(ref: PageRef, read: Transcription) -> dict[str, Any]:
    """A page that was read. Boxes are x, y, width, height in pixels of the page."""
    return {
        "file": ref.file,
        "page": ref.page,
        "text": read.text,
        "confidence": round(read.confidence, 4),
        "flags": list(read.flags),
        "lines": [
            {
                "text": line.text,
                "confidence": round(line.confidence, 4),
                "box": [round(float(side), 1) for side in line.box],
            }
            for line in read.lines
        ],
    }


def refusal(ref: PageRef, error: PageError) -> dict[str, Any]:
    """A page that was not read, with its reason (a code of grader.flags) and what to do."""
    reason = {"reason": error.reason, "message": error.message, "remedy": error.remedy}
    return {
        "file": ref.file,
        "page": ref.page,
        "text": "",
        "confidence": 0.0,
        "flags": [],
        "lines": [],
        "error": reason,
    }
