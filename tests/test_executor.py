"""The worker pool: no page lost, whatever happens to a worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from grader.errors import GraderError
from grader.exam.exam import Exam
from grader.exam.form import Form, PageForm
from grader.records import PageRef, PageResult
from grader.run.executor import LocalExecutor
from grader.run.job import Job
from grader.store.entry import Entry
from grader.store.leases import NoLeases


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
            (self.folder / "hanging").write_text(str(os.getpid()))
            time.sleep(600)
        if ref.file == "eat":
            eaten = []
            while True:
                eaten.append(b"x" * (32 << 20))
        return PageResult(ref, "read")


class NeverThere:
    """A reader that cannot even be made."""

    def __init__(self, job: Job) -> None:
        raise RuntimeError("no such thing")

    def read(self, ref: PageRef) -> PageResult:
        """Never called."""
        raise AssertionError


def job(folder: Path) -> Job:
    exam = Exam.model_validate(
        {
            "exam": {"id": "e", "title": "t", "language": "en"},
            "items": [{"id": "1", "type": "choice", "options": "AB", "answer": "A", "max_mark": 1}],
        }
    )
    return Job(exam, Form(id="f", pages=(PageForm(number=1, width=10, height=10),)), folder)


def run(folder: Path, refs: list[PageRef], **options: float) -> list[Entry]:
    executor = LocalExecutor(workers=2, reader=Saboteur, **options)  # type: ignore[arg-type]
    results = list(executor.run(job(folder), refs, NoLeases()))
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


def test_a_page_that_eats_memory_is_rejected_and_only_it(tmp_path: Path) -> None:
    refs = [PageRef("a"), PageRef("eat"), *(PageRef(f"p{n}") for n in range(10))]
    results = {result.ref.file: result for result in run(tmp_path, refs, page_memory=400)}
    assert (results["eat"].outcome, results["eat"].reason) == ("rejected", "out_of_memory")
    assert all(result.outcome == "read" for name, result in results.items() if name != "eat")


def test_workers_that_cannot_start_are_no_page_s_fault(tmp_path: Path) -> None:
    executor = LocalExecutor(workers=1, reader=NeverThere)
    with pytest.raises(GraderError, match="end as soon as they start"):
        list(executor.run(job(tmp_path), [PageRef("a")], NoLeases()))


def test_workers_go_when_their_parent_is_killed(tmp_path: Path) -> None:
    """Also in the middle of a page that takes long, and whatever killed the parent."""
    code = (
        "from pathlib import Path; from test_executor import run; from grader.records import PageRef\n"
        f"if __name__ == '__main__': run(Path({str(tmp_path)!r}), [PageRef('hang')])"
    )
    (tmp_path / "parent.py").write_text(code)
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    with subprocess.Popen([sys.executable, tmp_path / "parent.py"], env={**os.environ, "PYTHONPATH": path}) as parent:
        pid = waited_for(lambda: int((tmp_path / "hanging").read_text() or 0))
        parent.kill()
    waited_for(lambda: not alive(pid))


def waited_for(found: Callable[[], int]) -> int:
    """What `found` gives as soon as it gives something."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError):
            if value := found():
                return value
        time.sleep(0.05)
    pytest.fail("it did not come about")


def alive(pid: int) -> bool:
    """True while the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
