"""Annotated copies of a whole run, page after page: a JPEG each, and PDF files made of them.

One page is in memory at a time; a PDF holds its JPEGs until it is saved, so a long run gets several.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import pypdfium2 as pdfium
from PIL import Image

from grader.errors import PageError
from grader.exam.exam import Exam
from grader.exam.form import Form, PageForm
from grader.intake.decode import load_page
from grader.intake.remote import is_silence
from grader.intake.source import is_url
from grader.reading.crops import bounding_box
from grader.records import PageRef, PageResult
from grader.report.annotate import Answer, annotate
from grader.report.words import Language
from grader.store.store import LedgerRow, PageRecord, RunStore

PAGES_PER_PDF = 500
_QUALITY = 78
_POINTS_PER_PIXEL = 72 / 150


def write_annotated(
    store: RunStore, exam: Exam, form: Form, out: Path, language: Language, show: Callable[[], None] = lambda: None
) -> tuple[int, list[str]]:
    """Write OUT/annotated/*.jpg and OUT/annotated.pdf (or annotated-001.pdf ... in a long run).

    Returns how many pages were drawn, and of which pages the scan is gone or another one.
    """
    folder = out / "annotated"
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("[0-9]*-p*.jpg"):  # of an earlier report
        old.unlink()
    pdf_dpi = int(store.meta().get("settings", {}).get("pdf_dpi", 200))
    placed = sum(count for outcome, count in store.count(page="outcome").items() if outcome in ("read", "unmatched"))
    lost: list[str] = []
    drawn, silent = 0, False  # a storage that did not answer once is not asked again
    with _PDFs(out, several=placed > PAGES_PER_PDF) as pdfs:
        for row, record in _placed_pages(store):
            show()
            if silent and is_url(row.file):
                lost.append(f"{row.file} page {row.page}: the storage does not answer")
                continue
            try:
                page = load_page(PageRef(row.file, row.page), form.channel, pdf_dpi)
            except PageError as error:
                lost.append(error.message)
                silent = silent or is_silence(error)
                continue
            result = record.result
            if page.sha256 != result.sha256:
                lost.append(f"{row.file} page {row.page}: it is not the scan that was marked")
                continue
            assert result.registration is not None
            picture = annotate(
                page,
                _page_form(form, result),
                result.registration,
                result.readings,
                _answers(store, row, record),
                exam,
                row.candidate,
                language,
            )
            drawn += 1
            data = _jpeg(picture)
            (folder / file_name(drawn, row)).write_bytes(data)
            pdfs.add(data, picture.size)
    return drawn, lost


def _page_form(form: Form, result: PageResult) -> PageForm:
    """The page of the form; of plain paper, with each answer where it was found."""
    assert result.registration is not None
    page_form = form.page(result.registration.page_number)
    if not form.plain:
        return page_form
    to_form = np.linalg.inv(result.registration.to_pixels)
    boxes = {reading.field: bounding_box(to_form, reading.box) for reading in result.readings}
    fields = [
        field.model_copy(update=dict(zip("xywh", boxes[field.id], strict=True)))
        for field in page_form.fields
        if field.id in boxes
    ]
    return page_form.model_copy(update={"fields": tuple(fields)})


def file_name(number: int, row: LedgerRow) -> str:
    """00012-20260007-p1.jpg: in the ledger's order, with the candidate as far as a file name allows."""
    candidate = re.sub(r"[^\w-]", "_", row.candidate)[:40] or "unknown"
    return f"{number:05d}-{candidate}-p{row.sheet_page or 0}.jpg"


def _placed_pages(store: RunStore) -> Iterator[tuple[LedgerRow, PageRecord]]:
    """Pages of which it is known where the fields are, in the ledger's order."""
    for row in store.ledger():
        if row.file and row.outcome in ("read", "unmatched"):
            record = store.page_record(row.file, row.page)
            if record is not None and record.result.registration is not None:
                yield row, record


def _answers(store: RunStore, row: LedgerRow, record: PageRecord) -> dict[str, Answer]:
    """The answers of one page as the run has settled them; of a page without a candidate, as they were read."""
    if row.candidate:
        settled = {
            r.item: Answer(r.item, r.response, r.mark, r.max_mark, r.status, r.flags)
            for r in store.results(candidate=row.candidate)
            if (r.file, r.file_page) == (row.file, row.page)
        }
        if settled:
            return settled
    texts = {response.item: response.text for response in record.result.responses}
    return {
        m.item: Answer(m.item, texts.get(m.item, ""), m.mark, m.max_mark, m.status, m.flags)
        for m in record.result.marks
    }


def _jpeg(picture: Image.Image) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_QUALITY, dpi=(150, 150))
    return stream.getvalue()


class _PDFs:
    """Collects JPEGs, unchanged, into one PDF file or, of a long run, one for every PAGES_PER_PDF pages."""

    def __init__(self, out: Path, several: bool) -> None:
        self._out, self._several = out, several
        self._files = self._pages = 0
        self._document = pdfium.PdfDocument.new()
        for old in out.glob("annotated*.pdf"):  # of an earlier report
            old.unlink()

    def __enter__(self) -> _PDFs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self._pages:
            self._save()
        self._document.close()

    def add(self, jpeg: bytes, size: tuple[int, int]) -> None:
        """Append a page of this size in pixels."""
        if self._pages == PAGES_PER_PDF:
            self._save()
            self._document.close()
            self._document, self._pages = pdfium.PdfDocument.new(), 0
        width, height = (side * _POINTS_PER_PIXEL for side in size)
        page = self._document.new_page(width, height)
        image = pdfium.PdfImage.new(self._document)
        image.load_jpeg(io.BytesIO(jpeg), inline=True)
        image.set_matrix(pdfium.PdfMatrix().scale(width, height))
        page.insert_obj(image)
        page.gen_content()
        page.close()
        self._pages += 1

    def _save(self) -> None:
        self._files += 1
        name = f"annotated-{self._files:03d}.pdf" if self._several else "annotated.pdf"
        self._document.save(self._out / name)
