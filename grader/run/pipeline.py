"""The main path: one page of one file in, everything that is known about it out.

    decode → quality gate → registration, marks, codes → OCR → identity → responses → marks

Each step is a pure function of typed records; a page that cannot be used becomes a result with a reason. Where the
time goes is told by grader.stages.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from grader import registry
from grader.errors import PageError
from grader.exam.exam import ShortAnswerItem
from grader.exam.form import MarksField, PageForm, TextField
from grader.flags import FLAGS
from grader.ocr.protocol import Crop, OCREngine
from grader.records import Box, Outcome, Page, PageRef, PageResult, Reading, Registration, Response, Transcription
from grader.run.job import Job
from grader.scoring import choose
from grader.scoring.protocol import Scorer
from grader.stages import stage, watched

if TYPE_CHECKING:
    import numpy as np

_CROP_DPI = 150  # of the pictures of flagged bubbles: for people to look at, not to read from


class PageReader:
    """Reads pages for one job. Engines are made on first use and kept."""

    def __init__(self, job: Job) -> None:
        self.job = job

    @cached_property
    def ocr(self) -> OCREngine:
        """The engine that reads handwriting."""
        engine: OCREngine = registry.create("ocr", self.job.settings.ocr)
        return engine

    @cached_property
    def scorer(self) -> Scorer | None:
        """The scorer of short answers, or None where the exam has none."""
        if not any(isinstance(item, ShortAnswerItem) for item in self.job.exam.items):
            return None
        scorer = choose.create(self.job.settings.scorer, self.job.exam.exam.language)
        if self.job.calibration is None:
            return scorer
        from grader.scoring.calibration_file import calibrated

        return calibrated(scorer, self.job.calibration, self.job.exam, self.job.settings.calibration)

    def models(self) -> dict[str, str]:
        """Name of each weight file this job uses → its SHA-256."""
        ocr = self.ocr.models() if self._has_text else {}
        return {**ocr, **(self.scorer.models() if self.scorer else {})}

    def remarks(self) -> list[str]:
        """What to know about what this job's engines read."""
        return [self.ocr.remark] if self._has_text and self.ocr.remark else []

    @property
    def _has_text(self) -> bool:
        return any(isinstance(field, TextField) for page in self.job.form.pages for field in page.fields)

    def read(self, ref: PageRef) -> PageResult:
        """Everything about one page. Never raises for a bad page: the result says why."""
        with watched() as seconds:
            result = self._read(ref)
        return replace(result, seconds=seconds)

    def _read(self, ref: PageRef) -> PageResult:
        from grader.intake.quality import check_quality
        from grader.reading.page import open_page

        sha256 = ""
        try:
            with stage("decode"):
                page = open_page(ref, self.job.form, self.job.settings.pdf_dpi)
                sha256 = page.sha256
            with stage("quality"):
                check_quality(page)
            return self.read_page(page)
        except PageError as error:
            outcome: Outcome = "unmatched" if FLAGS[error.reason].stage == "registration" else "rejected"
            return PageResult(ref, outcome, error.reason, str(error), sha256)
        except MemoryError:
            detail = f"{ref.file} page {ref.page} needs more memory than there is"
            return PageResult(ref, "rejected", "too_large", detail, sha256)
        except Exception as error:  # a mistake of ours costs this page, not the batch
            where = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(where.filename).name} line {where.lineno}"
            detail = f"{ref.file} page {ref.page}: {type(error).__name__}: {error} ({place})"
            return PageResult(ref, "rejected", "internal_error", detail, sha256)

    def read_page(self, page: Page) -> PageResult:
        """The main path for a decoded page. Raises PageError."""
        from grader.reading.identity import agreed, identify
        from grader.reading.page import read_page
        from grader.scoring.marking import mark_responses

        registration, readings = read_page(page, self.job.form, self.job.form_folder)
        page_form = self.job.form.page(registration.page_number)
        with stage("recognition"):
            written = [field for field in page_form.fields if isinstance(field, TextField)]
            if any(f.role == "candidate" for f in written) and agreed(registration, readings, page_form):
                written = [field for field in written if field.role != "candidate"]
            texts, crops = self._read_text(page, written, registration)
            readings = [*readings, *texts]
        with stage("marks"):
            identity = identify(registration, readings, self.job.roster, page_form)
            responses = responses_of(page_form, readings, identity.candidate, self.job.exam.exam.language)
        with stage("scoring"):
            marks = mark_responses(self.job.exam, responses, self.scorer, self.job.settings.marking)
        crops.update(self._flagged_marks(page, page_form, registration, readings))
        doubtful = identity.flags or (() if identity.candidate else ("identity_unread",))
        return PageResult(
            page.ref,
            "unmatched" if doubtful else "read",
            doubtful[0] if doubtful else "",
            sha256=page.sha256,
            identity=identity,
            sheet_page=page_form.number,
            registration=registration,
            readings=tuple(readings),
            responses=tuple(responses),
            marks=tuple(marks),
            crops=crops,
        )

    def read_crops(self, fields: Sequence[TextField], crops: Sequence[np.ndarray]) -> list[Transcription]:
        """The texts in the pictures of fields (each height x width uint8) of one page. All that are read on a page are
        to be asked for at once and in the same order, or an engine that computes them together may differ in the last
        digits."""
        return self.ocr.read_many(
            [
                Crop(crop, 1 if field.lines == 1 else None, field.alphabet)
                for field, crop in zip(fields, crops, strict=True)
            ]
        )

    def _read_text(
        self, page: Page, fields: Sequence[TextField], registration: Registration
    ) -> tuple[list[Reading], dict[str, bytes]]:
        from grader.reading.crops import bounding_box, cut

        crops = [cut(page, registration, field) for field in fields]
        readings = []
        for field, text in zip(fields, self.read_crops(fields, crops), strict=True):
            box = bounding_box(registration.to_pixels, (field.x, field.y, field.w, field.h))
            readings.append(Reading(field.id, "text", text.text, text.confidence, text.flags, box, (), text))
        return readings, {field.id: png(crop) for field, crop in zip(fields, crops, strict=True)}

    def _flagged_marks(
        self, page: Page, page_form: PageForm, registration: Registration, readings: Sequence[Reading]
    ) -> dict[str, bytes]:
        """Pictures of the bubbles that a person will be asked about."""
        from grader.reading.crops import cut_box

        flagged = {reading.field for reading in readings if reading.kind == "marks" and reading.flags}
        resolution = _CROP_DPI / 25.4 if self.job.form.unit == "mm" else 1.0
        return {
            field.id: png(cut_box(page.gray, registration.to_pixels, _around(field), resolution))
            for field in page_form.fields
            if isinstance(field, MarksField) and field.id in flagged
        }


def responses_of(page_form: PageForm, readings: Sequence[Reading], candidate: str, language: str) -> list[Response]:
    """The responses on a page, one an item in the form's order.

    The lines of a box are one flowing text (a Chinese word may be broken anywhere); several boxes of an item
    stay apart by a newline.
    """
    of_field = {reading.field: reading for reading in readings}
    of_item: dict[str, list[Reading]] = {}
    for field in page_form.fields:
        if field.role == "item" and field.item is not None and field.id in of_field:
            of_item.setdefault(field.item, []).append(of_field[field.id])
    between = "" if language == "zh" else " "
    return [_response(candidate, item, parts, between) for item, parts in of_item.items()]


def _response(candidate: str, item: str, parts: Sequence[Reading], between: str) -> Response:
    if len(parts) == 1:
        (part,) = parts
        text = between.join(part.value.splitlines())
        return Response(candidate, item, text, part.confidence, part.flags, part.transcription)
    flags = tuple(dict.fromkeys(flag for part in parts for flag in part.flags))
    if any(part.value for part in parts):
        flags = tuple(flag for flag in flags if flag != "blank")  # one empty part does not make a blank answer
    return Response(
        candidate,
        item,
        "\n".join(between.join(part.value.splitlines()) for part in parts),
        min(part.confidence for part in parts),
        flags,
    )


def _around(field: MarksField) -> Box:
    """The box around a field's bubbles and a bubble's height more on every side, in form units."""
    bubbles = field.bubbles
    margin = bubbles[0].h
    x0, y0 = min(b.x for b in bubbles) - margin, min(b.y for b in bubbles) - margin
    x1, y1 = max(b.x + b.w for b in bubbles) + margin, max(b.y + b.h for b in bubbles) + margin
    return x0, y0, x1 - x0, y1 - y0


def reader_for(job: Job) -> PageReader:
    """The reader of a job's pages: of its form, or of plain paper."""
    if job.form.plain:
        from grader.run.plain import PlainReader

        return PlainReader(job)
    return PageReader(job)


def png(crop: object) -> bytes:
    """A picture (height x width uint8) as PNG."""
    import cv2

    with stage("storing"):
        ok, data = cv2.imencode(".png", crop)  # type: ignore[call-overload]
    assert ok
    return bytes(data)
