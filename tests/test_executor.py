"""The worker pool: no page lost, whatever happens to a worker."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from grader.exam.exam import Exam
from grader.exam.form import Form, PageForm
from grader.records import PageRef, PageResult
from grader.run.executor import LocalExecutor
from grader.run.job import Job


class Saboteur:
    """A reader that does to its own process what the file's name says."""

    def __init__(self, job: Job) -> None:
        self.folder = job.form_folder

    def read(self, ref: PageRef) -> PageResult:
        if ref.file == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if ref.file == "kill-once" and not (self.folder / "killed").exists():
            (self.folder / "killed").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        if ref.file == "hang":
            time.sleep(600)
        return PageResult(ref, "read")


def job(folder: Path) -> Job:
    exam = Exam.model_validate(
        {
            "exam": {"id": "e", "title": "t", "language": "en"},
            "items": [{"id": "1", "type": "choice", "options": "AB", "answer": "A", "max_mark": 1}],
        }
    )
    return Job(exam, Form(id="f", pages=(PageForm(number=1, width=10, height=10),)), folder)


def run(folder: Path, refs: list[PageRef], **options: float) -> list[PageResult]:
    executor = LocalExecutor(workers=2, reader=Saboteur, **options)  # type: ignore[arg-type]
    results = list(executor.run(job(folder), refs))
    assert Counter(result.ref for result in results) == Counter(refs), "every page comes back exactly once"
    assert executor.peak_memory > 0
    return results


def test_every_page_comes_back_once(tmp_path: Path) -> None:
    refs = [PageRef(f"p{n}") for n in range(40)]
    assert all(result.outcome == "read" for result in run(tmp_path, refs))


def test_a_killed_worker_costs_nothing(tmp_path: Path) -> None:
    refs = [PageRef("a"), PageRef("kill-once"), PageRef("b"), PageRef("c")]
    assert all(result.outcome == "read" for result in run(tmp_path, refs))


def test_a_page_that_kills_twice_is_rejected_and_only_it(tmp_path: Path) -> None:
    refs = [PageRef("a"), PageRef("kill"), *(PageRef(f"p{n}") for n in range(10))]
    results = {result.ref.file: result for result in run(tmp_path, refs)}
    assert (results["kill"].outcome, results["kill"].reason) == ("rejected", "crashed")
    assert all(result.outcome == "read" for name, result in results.items() if name != "kill")


@pytest.mark.slow
def test_a_page_that_hangs_is_rejected_and_only_it(tmp_path: Path) -> None:
    refs = [PageRef("hang"), *(PageRef(f"p{n}") for n in range(10))]
    results = {result.ref.file: result for result in run(tmp_path, refs, page_seconds=4)}
    assert (results["hang"].outcome, results["hang"].reason) == ("rejected", "timed_out")
    assert all(result.outcome == "read" for name, result in results.items() if name != "hang")
