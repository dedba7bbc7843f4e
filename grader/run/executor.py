"""Executors: pages in, results out, in any order. Named in grader.registry under "executor".

`SerialExecutor` is the twin for tests and small work. `LocalExecutor` runs worker processes that can be
killed, hang or run out of memory without losing a page: a page that stops its worker twice, or takes too
long, comes back as a rejected result.
"""

from __future__ import annotations

import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from threading import Thread
from typing import Protocol

from grader.records import PageRef, PageResult
from grader.run.job import Job
from grader.run.pipeline import reader_for

_QUEUE = 2  # pages given to a worker at a time: one in work, one waiting, so that it never idles
_ATTEMPTS = 2  # a page that stops its worker this often is not tried again


class Reader(Protocol):
    """What works on pages inside an executor."""

    def read(self, ref: PageRef) -> PageResult:
        """Everything about one page."""
        ...


class Executor(Protocol):
    """Runs a job over pages. `peak_memory`: bytes, all processes together, after the run."""

    peak_memory: int

    def run(self, job: Job, refs: Iterable[PageRef]) -> Iterator[PageResult]:
        """One result for every page, in the order in which they are done."""
        ...


class SerialExecutor:
    """Everything in this process."""

    def __init__(self, **_ignored: object) -> None:
        self.peak_memory = 0

    def run(self, job: Job, refs: Iterable[PageRef]) -> Iterator[PageResult]:
        reader = reader_for(job)
        for ref in refs:
            yield reader.read(ref)
        self.peak_memory = _peak_memory()


@dataclass(eq=False)
class _Worker:
    process: BaseProcess
    pipe: Connection
    tasks: deque[PageRef] = field(default_factory=deque)
    since: float = 0.0  # when the page in work was begun
    peak_memory: int = 0


class LocalExecutor:
    """Worker processes on this machine.

    workers: how many. page_seconds: time limit for one page, after which its worker is replaced.
    reader: makes the reader of a job in each worker; importable by name.
    """

    def __init__(
        self,
        workers: int | None = None,
        page_seconds: float = 120.0,
        reader: Callable[[Job], Reader] = reader_for,
    ) -> None:
        self.workers = workers or os.cpu_count() or 1
        self.page_seconds = page_seconds
        self.reader = reader
        self.peak_memory = 0

    def run(self, job: Job, refs: Iterable[PageRef]) -> Iterator[PageResult]:
        waiting = iter(refs)
        again: deque[PageRef] = deque()
        crashes: dict[PageRef, int] = {}
        gone = 0
        workers = [self._start(job) for _ in range(self.workers)]
        try:
            while True:
                for worker in workers:
                    self._feed(worker, again, waiting)
                busy = [worker for worker in workers if worker.tasks]
                if not busy:
                    break
                ready = connection.wait([worker.pipe for worker in busy], timeout=1.0)
                for worker in busy:
                    if worker.pipe in ready:
                        result = self._receive(worker)
                        if result is not None:
                            yield result
                            continue
                        reason = "crashed"
                    elif time.monotonic() - worker.since > self.page_seconds:
                        reason = "timed_out"
                    else:
                        continue
                    # the worker is lost: its first page is to blame, the one waiting behind it is not
                    culprit, *innocent = worker.tasks
                    crashes[culprit] = crashes.get(culprit, 0) + 1
                    again.extend(innocent)
                    gone = max(gone, worker.peak_memory)
                    self._stop(worker)
                    workers[workers.index(worker)] = self._start(job)
                    if reason == "timed_out" or crashes[culprit] >= _ATTEMPTS:
                        yield _lost(culprit, reason, self.page_seconds)
                    else:
                        again.append(culprit)
        finally:
            for worker in workers:
                self._stop(worker)
            self.peak_memory = _peak_memory() + max(gone, sum(worker.peak_memory for worker in workers))

    def _start(self, job: Job) -> _Worker:
        # spawn: a child must not inherit the other workers' pipes, or it would not see its parent die
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(self.reader, job, theirs), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, ours)

    def _feed(self, worker: _Worker, again: deque[PageRef], waiting: Iterator[PageRef]) -> None:
        while len(worker.tasks) < _QUEUE:
            ref = again.popleft() if again else next(waiting, None)
            if ref is None:
                return
            if not worker.tasks:
                worker.since = time.monotonic()
            worker.tasks.append(ref)
            try:
                worker.pipe.send(ref)
            except OSError:
                return  # it died; the next receive finds out

    def _receive(self, worker: _Worker) -> PageResult | None:
        try:
            result, worker.peak_memory = worker.pipe.recv()
        except (EOFError, OSError):
            return None
        assert isinstance(result, PageResult)
        worker.tasks.popleft()
        worker.since = time.monotonic()
        return result

    def _stop(self, worker: _Worker) -> None:
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()


def _work(make_reader: Callable[[Job], Reader], job: Job, pipe: Connection) -> None:
    """A worker's life: read pages until the parent closes the pipe or dies."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which then stops us
    Thread(target=_end_with_parent, daemon=True).start()
    import cv2

    cv2.setNumThreads(1)
    reader = make_reader(job)
    while True:
        try:
            ref = pipe.recv()
        except (EOFError, OSError):
            return
        result = reader.read(ref)
        try:
            pipe.send((result, _peak_memory()))
        except OSError:
            return


def _end_with_parent() -> None:
    """End this process as soon as its parent is gone, also in the middle of a page that takes long."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _lost(ref: PageRef, reason: str, page_seconds: float) -> PageResult:
    what = f"took over {page_seconds:g} s" if reason == "timed_out" else "stopped its worker twice"
    detail = f"{ref.file} page {ref.page} {what}\n  remedy: look at the file; scan the page again"
    return PageResult(ref, "rejected", reason, detail)


def _peak_memory() -> int:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
