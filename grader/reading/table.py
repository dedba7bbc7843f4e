"""The job of `grader read-marks`: pages to rows of a table, one row a field."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2

from grader.errors import FormError, PageError, Problem, UsageError
from grader.exam.form import Form, PageForm, load_form
from grader.intake.quality import check_quality
from grader.reading.identity import identify
from grader.reading.page import open_page, read_page
from grader.reading.roster import Roster
from grader.records import PageRef, Reading, Registration

COLUMNS = ("file", "page", "field", "value", "confidence", "flags")
IDENTITY = "identity"  # the row that says whose page it is, all sources taken together


@dataclass(frozen=True)
class Row:
    """One row of the table. A page that was not read has one row without a field, its reason in flags."""

    ref: PageRef
    field: str
    value: str
    confidence: float
    flags: tuple[str, ...]


@dataclass(frozen=True)
class PageRows:
    """The rows of one page, and whether the page was read. detail: why not, in words."""

    rows: tuple[Row, ...]
    read: bool
    detail: str = ""


def open_form(path: Path) -> tuple[Form, Path]:
    """A form.json or an OMRChecker template.json, told apart by what they hold, and the folder of its files.

    Raises FormError.
    """
    try:
        keys = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        problem = Problem("file", str(error), "give a form.json or an OMRChecker template.json")
        raise FormError(str(path), [problem]) from error
    if isinstance(keys, dict) and "fieldBlocks" in keys:
        from grader.reading.omrchecker import load_template  # only for those who bring one

        form, folder = load_template(path)
        return form, folder
    return load_form(path), path.parent


def read_pages(
    refs: Sequence[PageRef], form: Form, folder: Path, roster: Roster | None = None, pdf_dpi: int = 200
) -> Iterator[PageRows]:
    """The rows of every page, in order. A bad page costs one row, never the batch."""
    for ref in refs:
        try:
            page = open_page(ref, form, pdf_dpi)
            check_quality(page)
            registration, readings = read_page(page, form, folder)
        except PageError as error:
            yield _refused(ref, error.reason, str(error))
        except (MemoryError, cv2.error) as error:
            yield _refused(ref, "too_large", f"{ref.file}: {error}")
        else:
            yield _rows(ref, form.page(registration.page_number), registration, readings, roster)


def _refused(ref: PageRef, reason: str, detail: str) -> PageRows:
    return PageRows((Row(ref, "", "", 0.0, (reason,)),), False, detail)


def _rows(
    ref: PageRef, page_form: PageForm, registration: Registration, readings: Sequence[Reading], roster: Roster | None
) -> PageRows:
    rows = [Row(ref, r.field, r.value, r.confidence, r.flags) for r in readings]
    if registration.code or any(field.role == "candidate" for field in page_form.fields):
        identity = identify(registration, readings, roster, page_form)
        rows.append(Row(ref, IDENTITY, identity.candidate, identity.confidence, identity.flags))
    return PageRows(tuple(rows), True)


def write_table(path: Path, pages: Iterable[PageRows]) -> int:
    """Write the table as CSV, complete or not at all; returns how many pages were not read.

    Raises UsageError where the file cannot be written.
    """
    partial = path.with_name(f".{path.name}.part")
    refused = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.writer(stream, lineterminator="\n")
            writer.writerow(COLUMNS)
            for page in pages:
                refused += not page.read
                for row in page.rows:
                    confidence = f"{row.confidence:.4g}" if row.field else ""
                    cells = (row.ref.file, row.ref.page, row.field, row.value, confidence, " ".join(row.flags))
                    writer.writerow(cells)
        partial.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written ({error.strerror})", "choose another --out") from error
    finally:
        partial.unlink(missing_ok=True)
    return refused
