"""A run taken up again without its scans: the job it was made with, and its files after people decided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from grader.errors import StoreError
from grader.exam.exam import Exam
from grader.exam.form import Form
from grader.records import PageRef
from grader.run.job import CALIBRATION, Job, Settings
from grader.run.output import write_outputs
from grader.run.settle import settle
from grader.scoring import marking
from grader.store.store import RunStore


def stored_job(store: RunStore) -> Job:
    """The job that a run was made with; its roster is not stored. Raises StoreError where the store has none."""
    meta = store.meta()
    if "exam" not in meta:
        raise StoreError(f"{store.folder} holds no run yet", "run grader run into it first")
    exam = Exam.model_validate(meta["exam"])
    form = Form.model_validate(meta["form"])
    settings = Settings(**{**meta["settings"], "marking": marking.Settings(**meta["settings"]["marking"])})
    calibration = store.folder / CALIBRATION if settings.calibration else None
    return Job(exam, form, Path(meta["form_folder"]), None, settings, calibration)


def refresh(store: RunStore) -> dict[str, Any]:
    """Settle again with what people decided since, and write the run's files; returns what run.json says.

    Raises StoreError for a run that was never settled.
    """
    summary = store.meta().get("summary")
    if summary is None:
        raise StoreError(f"{store.folder} is not finished", "run the same grader run command again: it resumes")
    order = [PageRef(row.file, row.page) for row in store.ledger() if row.file]
    settled = settle(store, stored_job(store), order)
    summary = {**summary, "counts": settled["counts"]}
    store.set_meta(summary=summary)
    write_outputs(store, summary)
    return dict(summary)
