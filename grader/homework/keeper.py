"""Has the queue of readings worked off, one after the other, for as long as the service runs."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from grader.errors import GraderError
from grader.homework import classlist, jobs
from grader.homework.jobs import Job
from grader.marking import answers, outbox
from grader.service import exams, vault
from grader.service.exams import ExamPlace
from grader.service.service import Service

WORKERS = 2
_LOOK_EVERY = 1.0  # seconds
_GATHER = 2.0  # seconds that a queued reading waits, so that photographs sent together are read together
_TELL_EVERY = 0.7  # seconds between two updates of the progress
_STOPPED = "the reading stopped; ask for it again"
_write = threading.Lock()
_log = logging.getLogger(__name__)


def start(service: Service) -> Callable[[], None]:
    """Begin; returns what ends it."""
    with service.database.begin() as connection:
        jobs.take_up(connection)
    keeper = Keeper(service)
    thread = threading.Thread(target=keeper.run, name="readings", daemon=True)
    thread.start()

    def stop() -> None:
        keeper.stop()
        thread.join()

    return stop


class Keeper:
    """Works off the queue."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._over = threading.Event()
        self._process: subprocess.Popen[str] | None = None

    def run(self) -> None:
        """Until `stop`. Nothing ends it before: a queue that nobody works off would lose pages without a word."""
        shaken = False
        while not self._over.wait(_LOOK_EVERY):
            try:
                if shaken:  # the database went away, say: what was in work then has to be begun again
                    with self.service.database.begin() as connection:
                        jobs.take_up(connection)
                with self.service.database.read() as connection:
                    waits = jobs.any_queued(connection)
                shaken = False
                if waits and not self._over.wait(_GATHER):
                    self.step()
            except Exception:
                shaken = True
                _log.exception("the queue of readings was interrupted; it is tried again")

    def stop(self) -> None:
        """End, and the process that reads with it: it is taken up again at the next start."""
        self._over.set()
        if self._process is not None:
            self._process.kill()

    def step(self) -> bool:
        """Work off the oldest that waits; False where none does."""
        with self.service.database.begin() as connection:
            job = jobs.next_job(connection)
        if job is None:
            return False
        try:
            problem = self._read(job)
        except (GraderError, OSError) as error:
            problem = str(error)
        except Exception:  # a mistake of ours costs this reading, not the queue
            _log.exception("a reading failed")
            problem = _STOPPED
        if self._over.is_set():
            return True  # it stays in work and is taken up again
        with self.service.database.begin() as connection:
            jobs.end(connection, job.id, problem)
        return True

    def _read(self, job: Job) -> str:
        """Read, and bring the answers into marking; why it failed, or ""."""
        service = self.service
        with service.database.read() as connection:
            exam = exams.find(connection, service.exam_folders, job.exam)
            pupils = classlist.candidates(connection, job.exam)
            names = vault.for_reading(connection, job.exam)
            plain = classlist.paper(connection, job.exam) == "plain"
        if exam is None:
            return ""
        finish(service, exam)  # marks that were given meanwhile
        named = [(pupil, names.get(pupil, "")) for pupil in pupils]
        asked = {"folder": str(exam.folder.resolve()), "pupils": named, "plain": plain, "workers": WORKERS}
        problem = self._follow(job, asked)
        if not problem:
            answers.bring_in(service.database, exam.id, service.run(exam), job.actor)
        return problem

    def _follow(self, job: Job, asked: dict[str, object]) -> str:
        command = [sys.executable, "-m", "grader.homework.worker"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            self._process = process
            assert process.stdin is not None
            assert process.stdout is not None
            problem, told, last = "", 0.0, {}
            with suppress(BrokenPipeError):
                process.stdin.write(json.dumps(asked) + "\n")
                process.stdin.flush()
            for line in process.stdout:
                last = json.loads(line)
                problem = last.pop("problem", "")
                if last and time.monotonic() - told > _TELL_EVERY:
                    told = time.monotonic()
                    self._tell(job, last)
            process.stdin.close()
            failed = process.wait() != 0
            self._process = None
        if last:
            self._tell(job, last)
        return problem or (_STOPPED if failed else "")

    def _tell(self, job: Job, values: dict[str, int]) -> None:
        with self.service.database.begin() as connection:
            jobs.progress(connection, job.id, **values)


def settled(exam: ExamPlace) -> bool:
    """Whether the exam's run was settled at least once: before, its store may still be in the making."""
    return (exam.run / "run.json").is_file()


def finish(service: Service, exam: ExamPlace) -> None:
    """Have the run store show the marks that people gave since."""
    if settled(exam):
        with _write:
            outbox.write_finals(service.database, exam.id, service.run(exam))
