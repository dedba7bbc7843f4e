"""Admission: a batch that cannot go well is refused after its first pages, before a night is spent on it.

    form        hardly a page of a sample fits the form, or their codes name another exam or another print
    resolution  the pages have too few pixels for what the form asks to be read
    disk        the run folder's disk has not the room that the sample says the result will take

The sample is read first, by the same workers, and its results are kept for the run: admission costs nothing but
that they wait for one another, and where the first four are as they should be not even that. It is drawn at random
from every part of the batch, so that it does not fall on all the backs of sheets scanned on both sides. Refused is
what is evident: a blank page says nothing about the form, fewer than `_EVIDENCE` pages prove nothing, and a batch of
which a fair share fits is read, its other pages excused one by one in the ledger. Nothing is journaled before it is
admitted.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from grader.errors import GraderError, PageError
from grader.exam.form import Form, TextField
from grader.flags import FLAGS
from grader.records import PageRef, Registration
from grader.run.job import Job
from grader.store import records
from grader.store.entry import Entry

_SAMPLE = 16  # pages
_SEED = 1
_HELD = 64  # results that wait for a slow page of the sample at most
_EVIDENCE = 4  # pages at least that must speak against a batch
_FITTING = 1 / 16  # of the pages that say something: a batch of which no more fit is refused. Where half of them
# fit, sixteen pages drawn at random show one or none of those once in 3,900 batches

# Measured with benchmarks/resolution.py on the same sheets at falling resolutions (10 pages, 359 clear choices, 121
# crops of handwriting, even and rough scans). Marks: no error down to 60 dpi; at 50 dpi every second page is refused,
# its code being unreadable. Handwriting: 15 and 19% of characters wrong at 200 dpi, 16 and 22% at 150, 18 and 27% at
# 125, 21 and 33% at 100, 36 and 50% at 75.
_MARKS_DPI = 55
_WRITING_DPI = 110
_GOOD_DPI = 200

# Bytes of a run folder, from stores of 60 pages with handwriting and 30 with marks alone: a page's record and
# pictures, and what is derived from each of its answers (a row of the store, its indices, a line of results.csv).
_STORED = 1.05
_ANSWER = 400
_MARGIN = 1.1

_KNOW_BETTER = "--no-admission reads them all the same"


class AdmissionError(GraderError):
    """The batch is refused: nothing was marked."""


@dataclass(frozen=True)
class Sight:
    """What one page of the sample shows. fits: whether it fits the form, None where it cannot tell (blank, damaged).
    dpi: as measured by its registration, None without one or where nobody knows how large the paper is. stored:
    bytes that it takes in the run folder."""

    ref: PageRef
    reason: str
    detail: str
    fits: bool | None
    dpi: float | None
    stored: float


class Admission:
    """The admission of one call of `run_batch`. pages: how many it is to read; read: how many were read before: a
    run that was under way is not judged by its last pages. checked: False lets everything pass."""

    def __init__(self, job: Job, out: Path, todo: Sequence[PageRef], read: int, checked: bool) -> None:
        self._job, self._out, self._todo = job, out, todo
        self._begun = read >= len(todo)
        self._checked = checked
        self._sample = set(sample(todo)) if checked else set()
        self.report: dict[str, Any] = {"checked": checked}

    def order(self) -> list[PageRef]:
        """The pages, those of the sample first."""
        return [*(r for r in self._todo if r in self._sample), *(r for r in self._todo if r not in self._sample)]

    def admitted(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The entries, held back until the batch is admitted: as soon as a few pages of the sample are as they
        should be, else when all of it was seen. Raises AdmissionError."""
        held: list[Entry] = []
        seen: list[Sight] = []
        for entry in entries:
            held.append(entry)
            if entry.ref in self._sample:
                seen.append(sight(entry, self._job.form))
            if self._sample and not self._decided(seen, len(held)):
                continue
            yield from held
            held = []
        if self._sample:
            self._judge(seen)
        yield from held

    def _decided(self, seen: Sequence[Sight], held: int) -> bool:
        """Judge, if there is enough to go by."""
        if len(seen) == len(self._sample) or held >= _HELD:
            self._judge(seen)
            return True
        if 4 * sum(page.fits is True for page in seen) < min(4 * _EVIDENCE, len(self._sample)):
            return False
        with suppress(AdmissionError):  # which takes the whole sample
            self._judge(seen)
        return not self._sample

    def _judge(self, seen: Sequence[Sight]) -> None:
        if not self._begun and not self._job.form.plain:
            check_form(seen, self._job)
            check_resolution(seen, self._job.form)
        needed = _MARGIN * len(self._todo) * sum(page.stored for page in seen) / max(1, len(seen))
        check_disk(needed, len(self._todo), shutil.disk_usage(self._out).free, self._out)
        self._sample = set()
        measured = [page.dpi for page in seen if page.dpi is not None]
        self.report |= {
            "sample": len(seen),
            "fitting": sum(page.fits is True for page in seen),
            "dpi": round(median(measured)) if measured else None,
            "expected_bytes": round(needed),
        }


def sample(refs: Sequence[PageRef]) -> list[PageRef]:
    """Up to `_SAMPLE` pages, one by chance of each of so many equal parts; always the same ones of a batch."""
    if len(refs) <= _SAMPLE:
        return list(refs)
    chance = random.Random(_SEED)
    edges = [len(refs) * part // _SAMPLE for part in range(_SAMPLE + 1)]
    return [refs[chance.randrange(low, high)] for low, high in pairwise(edges)]


def sight(entry: Entry, form: Form) -> Sight:
    """What an entry shows."""
    result, _ = records.from_json(entry.body)
    placed = result.registration
    misplaced = entry.reason in FLAGS and FLAGS[entry.reason].stage == "registration"
    return Sight(
        entry.ref,
        entry.reason,
        result.detail.partition("\n")[0],
        True if placed is not None else False if misplaced else None,
        measured_dpi(placed, form) if placed is not None and form.unit == "mm" and not form.plain else None,
        _STORED * (len(entry.body.encode()) + sum(map(len, entry.pictures.values()))) + _ANSWER * len(result.marks),
    )


def measured_dpi(placed: Registration, form: Form) -> float:
    """Pixels an inch in the middle of a registered page (square root of how much the homography enlarges areas)."""
    page = form.page(placed.page_number)
    w = float(placed.to_pixels[2] @ (page.width / 2, page.height / 2, 1.0))
    area = np.linalg.det(placed.to_pixels) / w**3
    return float(25.4 * np.sqrt(abs(area)))


def check_form(seen: Sequence[Sight], job: Job) -> None:
    """Raise AdmissionError where hardly a page fits the form."""
    telling = [page for page in seen if page.fits is not None]
    strange = [page for page in telling if not page.fits]
    if len(strange) < _EVIDENCE or len(telling) - len(strange) > _FITTING * len(telling):
        return
    shown = "".join(f"\n    {_named(page)}" for page in strange[:3])
    of = f"{len(strange)} of {len(telling)} pages that were looked at do not fit the form, such as{shown}"
    coarse = _coarse([page.ref for page in strange[:3]], job)
    if coarse is not None:
        raise _too_coarse(coarse, job.form, f"{of}\n  ")
    if all(page.reason == "wrong_form" for page in strange):
        remedy = "give the form.json that was printed with these sheets, and its exam"
    else:
        remedy = "give the form.json that was printed with these sheets; scan whole pages, with their corner marks"
    raise AdmissionError(of, f"{remedy}; {_KNOW_BETTER}")


def check_resolution(seen: Sequence[Sight], form: Form) -> None:
    """Raise AdmissionError where the pages have too few pixels."""
    measured = [page.dpi for page in seen if page.dpi is not None]
    if len(measured) >= _EVIDENCE and median(measured) < needed_dpi(form):
        raise _too_coarse(median(measured), form)


def needed_dpi(form: Form) -> int:
    """The resolution below which a form is not read."""
    written = any(isinstance(field, TextField) for page in form.pages for field in page.fields)
    return _WRITING_DPI if written else _MARKS_DPI


def check_disk(needed: float, pages: int, free: int, out: Path) -> None:
    """Raise AdmissionError where a result of so many bytes has no room."""
    if needed > free:
        what = f"the result of {pages} pages needs about {_size(needed)}, and the disk of {out} has {_size(free)} free"
        raise AdmissionError(what, f"make room, or name an --out on a larger disk; {_KNOW_BETTER}")


def _coarse(refs: Sequence[PageRef], job: Job) -> float | None:
    """The resolution of pages that were not found, if the picture is the page; None where it would do."""
    from grader.intake.decode import load_page

    if job.form.unit != "mm":
        return None
    tall = max(max(page.width, page.height) for page in job.form.pages)
    dpis = []
    for ref in refs:
        try:
            page = load_page(ref, job.form.channel, job.settings.pdf_dpi)
        except PageError:
            continue
        dpis.append(max(page.gray.shape) / tall * 25.4)
    return median(dpis) if dpis and median(dpis) < needed_dpi(job.form) else None


def _named(page: Sight) -> str:
    where = page.ref.file if page.ref.page == 1 else f"{page.ref.file} page {page.ref.page}"
    return page.detail if page.detail.startswith(where) else f"{where}: {page.detail}"


def _too_coarse(dpi: float, form: Form, before: str = "") -> AdmissionError:
    what = "handwriting is" if needed_dpi(form) == _WRITING_DPI else "marks are"
    message = f"{before}the pages are scanned at about {dpi:.0f} dpi; {what} read from {needed_dpi(form)} dpi on"
    remedy = f"scan at {_GOOD_DPI} dpi (PDF pages that are no scans: --pdf-dpi {_GOOD_DPI}); {_KNOW_BETTER}"
    return AdmissionError(message, remedy)


def _size(count: float) -> str:
    for unit in ("kB", "MB", "GB"):
        count /= 1000
        if count < 1000:
            return f"{count:.3g} {unit}"
    return f"{count / 1000:.3g} TB"
