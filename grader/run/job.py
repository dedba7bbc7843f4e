"""What a run is told to do: the exam, the form, the roster and the settings that decide marks."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.errors import FormError, Problem
from grader.exam.exam import Exam
from grader.exam.form import Form
from grader.scoring import choose, marking

if TYPE_CHECKING:
    from grader.reading.roster import Roster


CALIBRATION = "calibration.npz"  # its copy in a run's folder, for replay


@dataclass(frozen=True)
class Settings:
    """Settings that can change a mark; stored with the run, and a resumed run must have the same.

    ocr, scorer: names in grader.registry; the scorer "auto" is the best there is for the exam's language.
    pdf_dpi: resolution at which vector PDF pages are rendered.
    marking: when a reading is too doubtful for its mark to be final.
    calibration: SHA-256 of the file that was learned from the exam's own marking, "" without one.
    """

    ocr: str = "ppocr"
    scorer: str = choose.AUTO
    pdf_dpi: int = 200
    marking: marking.Settings = field(default_factory=marking.Settings)
    calibration: str = ""


@dataclass(frozen=True)
class Job:
    """Everything a worker needs. Picklable: it is sent to every worker once. calibration: where the file of
    `settings.calibration` lies."""

    exam: Exam
    form: Form
    form_folder: Path
    roster: Roster | None = None
    settings: Settings = Settings()
    calibration: Path | None = None

    def __post_init__(self) -> None:
        scorer = choose.resolve(self.settings.scorer, self.exam.exam.language)  # a run records what it was marked by
        object.__setattr__(self, "settings", replace(self.settings, scorer=scorer))

    def describe(self) -> dict[str, Any]:
        """What identifies the run in its store: a resumed run must describe itself the same way."""
        settings = asdict(self.settings)
        if not self.settings.calibration:  # as runs described themselves before there were calibrations
            del settings["calibration"]
        return {
            "exam": json.loads(self.exam.canonical()),
            "exam_sha256": self.exam.sha256,
            "form": self.form.model_dump(mode="json", by_alias=True),
            "form_version": self.form.version,
            "roster_sha256": self.roster and hashlib.sha256("\n".join(self.roster.candidates).encode()).hexdigest(),
            "settings": settings,
        }


def check_form_fits(exam: Exam, form: Form, path: Path) -> None:
    """Raise FormError unless the form at `path` can carry the exam.

    Every item has fields, all of them on one page (a page is marked by itself); every item field has an item;
    the pictures that the form names are there.
    """
    items = {item.id for item in exam.items}
    fields = [f for page in form.pages for f in page.fields if f.role == "item" and f.item is not None]
    covered = {field.item for field in fields}
    problems = [
        Problem(
            f"field {field.id}",
            f"answers item {field.item}, which the exam does not have",
            "print the form again",
        )
        for field in fields
        if field.item not in items
    ]
    problems += [
        Problem(f"item {item.id}", "has no field on the form", "use the form.json printed for this exam")
        for item in exam.items
        if item.id not in covered
    ]
    pages = {item: {p.number for p in form.pages for f in p.fields if f.item == item} for item in items & covered}
    problems += [
        Problem(f"item {item}", f"has fields on pages {sorted(numbers)}", "keep an item's fields on one page")
        for item, numbers in sorted(pages.items())
        if len(numbers) > 1
    ]
    problems += [
        Problem("pictures", f"{name} is not beside the form", "put it there, or correct its name")
        for name in form.pictures()
        if not (path.parent / name).is_file()
    ]
    if form.exam is not None and form.exam != exam.exam.id:
        problems.insert(
            0, Problem("exam", f"the form belongs to exam {form.exam!r}", f"use the form of {exam.exam.id!r}")
        )
    if problems:
        raise FormError(str(path), problems)
