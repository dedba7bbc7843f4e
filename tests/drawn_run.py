"""A small batch of drawn sheets that needs no OCR."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
from drawn import draw, sheet_form
from exams import CHOICE, make_exam

from grader.exam.form import Form, MarksField
from grader.records import PageRef
from grader.run.executor import SerialExecutor
from grader.run.job import Job
from grader.store.entry import Entry
from grader.store.leases import Leasing


class Meanwhile(SerialExecutor):
    """Reads in this process; after so many pages something happens, once."""

    def __init__(self, after: int, happens: Callable[[], object]) -> None:
        super().__init__()
        self._left, self._happens = after, happens

    def run(self, job: Job, refs: Iterable[PageRef], leases: Leasing) -> Iterator[Entry]:
        entries = super().run(job, refs, leases)
        while True:
            if self._left == 0:
                self._happens()
            self._left -= 1
            entry = next(entries, None)
            if entry is None:
                return
            yield entry


def paper(exam: str = "test-exam", items: int = 8, written: bool = False) -> Form:
    """A form of choices alone; written: with a candidate number in handwriting."""
    form = sheet_form(items=items, exam=exam)
    page = form.pages[0]
    kept = tuple(field for field in page.fields if written or field.id != "digits")
    return form.model_copy(update={"pages": (page.model_copy(update={"fields": kept}),)})


def make_job(folder: Path, pages: int = 5, dpi: int = 100) -> Job:
    """A job whose folder holds exam.yaml, form.json and so many scans, page-1.png to page-N.png."""
    form, exam = paper(), make_exam([CHOICE] * 8)
    (folder / "scans").mkdir(parents=True)
    (folder / "exam.yaml").write_text(exam.canonical(), encoding="utf-8")
    form.save(folder / "form.json")
    for number in range(1, pages + 1):
        cv2.imwrite(str(folder / "scans" / f"page-{number}.png"), filled(form, number, dpi))
    return Job(exam, form, folder)


def filled(form: Form, number: int, dpi: int = 100) -> np.ndarray:
    """The sheet of the candidate numbered so."""
    marks = {f.id: "ABCD"[number % 4] for f in form.pages[0].fields if isinstance(f, MarksField) and f.role == "item"}
    return draw(form, marks, candidate=str(10_000_000 + number), dpi=dpi, seed=number)
