"""Finished run folders that an administrator of the machine put into `incoming/` of the data folder.

Nothing else of the machine can be reached: a run is chosen from what that folder holds.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from grader.errors import GraderError, StoreError
from grader.exam.exam import Exam
from grader.service import exams
from grader.service.exams import ExamPlace
from grader.service.permissions import Actor
from grader.service.service import Service
from grader.store.store import DATABASE, RunStore


@dataclass(frozen=True)
class Arrival:
    """A run that can be taken in. name: of its folder."""

    name: str
    folder: Path
    exam: Exam
    form: dict[str, object]


def arrivals(service: Service) -> list[Arrival]:
    """The finished runs in `incoming/`; what is none is left out."""
    folder = service.data / "incoming"
    found = [_arrival(path) for path in sorted(folder.iterdir())] if folder.is_dir() else []
    return [arrival for arrival in found if arrival is not None]


def _arrival(folder: Path) -> Arrival | None:
    if folder.is_symlink() or not (folder / DATABASE).is_file():
        return None
    try:
        with RunStore.open(folder) as store:
            meta = store.meta()
        if "summary" not in meta:  # still being marked
            return None
        return Arrival(folder.name, folder, Exam.model_validate(meta["exam"]), meta["form"])
    except (GraderError, KeyError, ValueError):
        return None


def take_in(service: Service, connection: Connection, actor: Actor, arrival: Arrival) -> ExamPlace:
    """A new exam of a run: what it was marked by becomes the exam's file, its folder the exam's run."""
    source = json.dumps(json.loads(arrival.exam.canonical()), ensure_ascii=False, indent=1)  # JSON is YAML too
    place = exams.create(connection, service.exam_folders, actor, arrival.exam, source)
    attach(service, place, arrival)
    return place


def attach(service: Service, exam: ExamPlace, arrival: Arrival) -> None:
    """Move a run into an exam that has none. Raises StoreError where it was marked by another version of it."""
    if exam.has_run:
        raise StoreError("this exam has a run already", "make a new exam from the run")
    if exam.definition().sha256 != arrival.exam.sha256:
        raise StoreError(
            "the run was marked by another exam, or by another version of this one", "make a new exam from the run"
        )
    form = json.dumps(arrival.form, ensure_ascii=False, indent=1)
    exam.form_file.write_text(form, encoding="utf-8")
    if exam.run.is_dir():
        exam.run.rmdir()
    shutil.move(arrival.folder, exam.run)
    service.forget_run(exam.id)
