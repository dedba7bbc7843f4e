"""Replay: derive marks again from the stored inputs and compare them with the stored ones, bit for bit.

Where the scan is still there and is the same file, the whole path runs again from the picture. Where it is
gone, the stored crops are read again and scored; marks read from bubbles then start from the stored reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from grader.errors import PageError, StoreError
from grader.exam.form import TextField
from grader.flags import check
from grader.intake.remote import is_silence
from grader.intake.source import is_url
from grader.records import Mark, PageRef, PageResult, Reading
from grader.run.pipeline import PageReader, reader_for, responses_of
from grader.run.refresh import stored_job
from grader.store.store import PageRecord, RunStore

Source = Literal["scan", "crops"]
_OF_PLACE = {"item_doubtful", "item_twice"}  # flags of where on a plain page an answer is, which no crop shows


@dataclass(frozen=True)
class Replayed:
    """One mark derived again. source: what it was derived from."""

    ref: PageRef
    source: Source
    stored: Mark
    derived: Mark | None

    @property
    def same(self) -> bool:
        """True if mark, confidence, flags and criteria are equal to the bit."""
        return self.stored == self.derived


def replay(store: RunStore, candidate: str | None = None, item: str | None = None) -> Iterator[Replayed]:
    """Derive every mark of the run again, or those of a candidate or an item; one record a mark.

    Raises StoreError when this installation's models are not those of the run: then equality proves nothing.
    """
    job = stored_job(store)
    reader = reader_for(job)
    _same_models(store, reader)
    silent = False  # a storage that did not answer once is not asked again
    pages = [PageRef(row.file, row.page) for row in store.ledger() if row.outcome in {"read", "unmatched"} and row.file]
    for _, record in store.page_events(pages):
        stored = record.result
        if stored.registration is None or (candidate is not None and not _is_of(stored, candidate)):
            continue
        result = None
        if not (silent and is_url(stored.ref.file)):
            try:
                result = _from_scan(reader, record)
            except PageError as error:
                silent = silent or is_silence(error)
        source: Source = "scan" if result else "crops"
        marks = result.marks if result else _from_crops(reader, store, record)
        # the roster is not stored, so whose page it is comes from the record; what was read does not depend on it
        derived = {mark.item: replace(mark, candidate=stored.marks[0].candidate) for mark in marks}
        for mark in stored.marks:
            if item is None or mark.item == item:
                yield Replayed(stored.ref, source, mark, derived.get(mark.item))


def _same_models(store: RunStore, reader: PageReader) -> None:
    then, now = store.meta()["models"], reader.models()
    changed = sorted(name for name in then.keys() | now.keys() if then.get(name) != now.get(name))
    if changed:
        what = f"the run was marked with other models than are installed: {', '.join(changed)}"
        raise StoreError(what, "install the version of grader that is named in run.json")


def _is_of(result: PageResult, candidate: str) -> bool:
    return result.identity is not None and result.identity.candidate == candidate


def _from_scan(reader: PageReader, record: PageRecord) -> PageResult | None:
    from grader.reading.page import open_page

    stored = record.result
    page = open_page(stored.ref, reader.job.form, reader.job.settings.pdf_dpi)
    return reader.read_page(page) if page.sha256 == stored.sha256 else None


def _from_crops(reader: PageReader, store: RunStore, record: PageRecord) -> tuple[Mark, ...]:
    import cv2
    import numpy as np

    from grader.scoring.marking import mark_responses

    stored = record.result
    page_form = reader.job.form.page(stored.registration.page_number) if stored.registration else None
    assert page_form is not None
    fields = {field.id: field for field in page_form.fields if isinstance(field, TextField)}
    written = [fields[reading.field] for reading in stored.readings if reading.field in fields]
    crops = []
    for field in written:
        png = np.frombuffer(store.crop(record.crops[field.id]), np.uint8)
        crop = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)
        assert crop is not None
        crops.append(crop)
    texts = {field.id: text for field, text in zip(written, reader.read_crops(written, crops), strict=True)}
    readings: list[Reading] = []
    for reading in stored.readings:
        text = texts.get(reading.field)
        if text is None:
            readings.append(reading)
            continue
        flags = check((*text.flags, *(flag for flag in reading.flags if flag in _OF_PLACE)))
        readings.append(replace(reading, value=text.text, confidence=text.confidence, flags=flags, transcription=text))
    candidate = stored.marks[0].candidate if stored.marks else ""
    responses = responses_of(page_form, readings, candidate, reader.job.exam.exam.language)
    return tuple(mark_responses(reader.job.exam, responses, reader.scorer, reader.job.settings.marking))
