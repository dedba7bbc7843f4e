"""One reading as a process of its own: what to read comes in on stdin as JSON, progress goes out on stdout as JSON
lines. It ends with whoever started it, and is taken up again where it was."""

from __future__ import annotations

import json
import os
import sys
import threading
from pathlib import Path
from typing import Any

from grader.errors import GraderError
from grader.run.progress import Progress


def main() -> int:
    """Read what stdin asks for. Exit code 0 when the run is settled; else the last line on stdout says why."""
    asked = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        summary = read(asked)
    except GraderError as error:
        _tell(problem=str(error))
        return 2
    counts = summary["counts"]
    _tell(done=counts["pages"], total=counts["pages"], rejected=counts["pages"] - counts["read"],
          flagged=counts["review"])  # fmt: skip
    return 0


def read(asked: dict[str, Any]) -> dict[str, Any]:
    """Mark the scans of an exam's folder into its run. asked: folder, pupils ([number, name] in order), plain,
    workers. Raises GraderError."""
    from grader.exam.form import load_form
    from grader.exam.load import load_exam
    from grader.exam.plain import plain_form
    from grader.homework.classlist import roster
    from grader.run.batch import run_batch
    from grader.run.executor import LocalExecutor
    from grader.run.job import Job

    folder, names = Path(asked["folder"]), dict(asked["pupils"])
    exam = load_exam(folder / "exam.yaml")
    form = plain_form(exam) if asked["plain"] else load_form(folder / "form.json")
    job = Job(exam, form, folder, roster(list(names), names) if names else None)
    _grown(folder / "run", job)
    executor = LocalExecutor(asked["workers"], page_seconds=300.0)
    return run_batch(job, [folder / "scans"], folder / "run", executor, _show)


def _grown(run: Path, job: Any) -> None:
    """A pupil who joins the class later does not make it another run."""
    from grader.store.store import DATABASE, RunStore

    if (run / DATABASE).is_file():
        with RunStore.create(run) as store:
            if store.meta():
                store.set_meta(roster_sha256=job.describe()["roster_sha256"])


def _show(at: Progress) -> None:
    _tell(done=at.done, total=at.total, rejected=at.rejected, flagged=at.flagged)


def _tell(**values: object) -> None:
    print(json.dumps(values), flush=True)


def _end_with_parent() -> None:
    """stdin stays open as long as the service lives."""
    sys.stdin.read()
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
