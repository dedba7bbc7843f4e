"""Executors: pages in, journal entries out, in any order. Named in grader.registry under "executor".

`SerialExecutor` is the twin for tests and small work. `LocalExecutor` runs worker processes that can be
killed, hang or run out of memory without losing a page: a page that stops its worker twice, takes too long
or too much memory comes back as a rejected one. Who holds what is kept by `grader.run.assignments`.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import suppress
from ctypes import Array, c_double
from multiprocessing import connection, get_context, parent_process
from multiprocessing.connection import Connection
from threading import Thread
from typing import Protocol

from grader.errors import GraderError
from grader.records import PageRef, PageResult
from grader.run.assignments import Assignments
from grader.run.job import Job
from grader.run.pipeline import reader_for
from grader.run.watch import Limits, Sight, Watch, resident
from grader.store.entry import Entry, entry_of
from grader.store.leases import Leasing

_AHEAD_SECONDS = 0.25  # work that lies ready at a worker, so that it never waits for its parent ...
_AHEAD_PAGES = (2, 16)  # ... and in pages: at least and at most, the one in work among them
_LOOK_SECONDS = 0.02  # between looks for results: each wakes the parent, which has a core with a worker in common
FALSE_STARTS = 3  # workers in a row that end before they begin a page: it is not the pages


class Reader(Protocol):
    """What works on pages inside an executor."""

    def read(self, ref: PageRef) -> PageResult:
        """Everything about one page."""
        ...


class Source(Protocol):
    """Where a worker's pages come from: `Assignments`, or what another machine was given of them."""

    def held(self, worker: str) -> int:
        """How many pages a worker has."""
        ...

    def give(self, worker: str, most: int = 1) -> list[PageRef]:
        """Up to `most` more pages for a worker."""
        ...


class Executor(Protocol):
    """Runs a job over pages. `peak_memory`: bytes, all processes together, after the run."""

    peak_memory: int

    def run(self, job: Job, refs: Iterable[PageRef], leases: Leasing) -> Generator[Entry, None, None]:
        """One entry for every page, in the order in which they are done. Each page is leased before it is
        handed out; journaling its entry ends the lease. Whoever does not read on to the end closes it: that ends
        the workers."""
        ...


class SerialExecutor:
    """Everything in this process: no limits of time and memory."""

    def __init__(self, **_ignored: object) -> None:
        self.peak_memory = 0

    def run(self, job: Job, refs: Iterable[PageRef], leases: Leasing) -> Generator[Entry, None, None]:
        reader = reader_for(job)
        pages = Assignments(refs, leases)
        yield from pages.condemned()
        while given := pages.give("here"):
            for ref in given:
                entry = entry_of(reader.read(ref))
                pages.done("here", ref)
                yield entry
        self.peak_memory = peak_memory()


class LocalExecutor:
    """Worker processes on this machine.

    workers: how many. page_seconds, page_memory (MiB): limits for one page, at which its worker is replaced.
    reader: makes the reader of a job in each worker; importable by name.
    """

    def __init__(
        self,
        workers: int | None = None,
        page_seconds: float = Limits.seconds,
        page_memory: float = Limits.memory,
        reader: Callable[[Job], Reader] = reader_for,
    ) -> None:
        self.workers = workers or os.cpu_count() or 1
        self.limits = Limits(page_seconds, page_memory)
        self.reader = reader
        self.peak_memory = 0

    def run(self, job: Job, refs: Iterable[PageRef], leases: Leasing) -> Generator[Entry, None, None]:
        pages = Assignments(refs, leases)
        yield from pages.condemned()
        workers = [Worker(self.reader, job) for _ in range(self.workers)]
        watch = Watch(self.limits, lambda: tuple(workers))
        pace = _Pace()
        ended_peak = false_starts = 0
        try:
            while True:
                for worker in workers:
                    worker.feed(pages, pace.ahead(len(workers)))
                busy = [worker for worker in workers if pages.held(worker.name)]
                if not busy:
                    break
                ready = set(connection.wait([worker.pipe for worker in busy]))
                for number, worker in enumerate(workers):
                    if worker.pipe not in ready:
                        continue
                    for entry in worker.entries():
                        pages.done(worker.name, entry.ref)
                        pace.page()
                        false_starts = 0
                        yield entry
                    if not worker.gone:
                        continue
                    false_starts += worker.began == 0
                    if false_starts > FALSE_STARTS * self.workers:
                        raise GraderError("worker processes end as soon as they start", "see the errors above")
                    lost = pages.lost(worker.name, worker.reason())
                    ended_peak = max(ended_peak, worker.peak_memory)
                    worker.stop()
                    workers[number] = Worker(self.reader, job)
                    if lost is not None:
                        yield lost
                time.sleep(_LOOK_SECONDS)
        finally:
            watch.stop()
            for worker in workers:
                worker.stop()
            self.peak_memory = peak_memory() + max(ended_peak, sum(worker.peak_memory for worker in workers))


class _Pace:
    """How many pages have to lie ready at a worker: few where pages take long, for the last ones are waited for."""

    def __init__(self) -> None:
        self._start = time.monotonic()
        self._pages = 0

    def page(self) -> None:
        self._pages += 1

    def ahead(self, workers: int) -> int:
        least, most = _AHEAD_PAGES
        per_second = self._pages / max(1e-6, time.monotonic() - self._start) / workers
        return min(most, max(least, round(per_second * _AHEAD_SECONDS)))


class Worker:
    """A worker process as its parent sees it. Several pages wait in its pipe; it reads them in order."""

    _count = 0

    def __init__(self, reader: Callable[[Job], Reader], job: Job) -> None:
        # spawn: a child must not inherit the other workers' pipes, or it would not see its parent die
        context = get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._state = context.RawArray(c_double, 3)  # the fields of Sight, written by the worker
        self._process = context.Process(target=_work, args=(reader, job, theirs, self._state), daemon=True)
        self._process.start()
        theirs.close()
        Worker._count += 1
        self.name = f"worker {Worker._count}"
        self.pid = self._process.pid or 0
        self.peak_memory = 0
        self.gone = False
        self._received = 0
        self._verdict = (0, "")

    @property
    def began(self) -> int:
        """How many pages it began."""
        return int(self._state[0])

    def feed(self, pages: Source, ahead: int) -> None:
        """Give it pages until it has `ahead` of them; none while it still has more than half."""
        has = pages.held(self.name)
        if has > ahead // 2:
            return
        for ref in pages.give(self.name, ahead - has):
            try:
                self.pipe.send(ref)
            except OSError:
                return  # it died; the next receive finds out

    def entries(self) -> Iterator[Entry]:
        """The entries that lie ready."""
        while self.pipe.poll():
            entry = self.receive()
            if entry is None:
                return
            yield entry

    def receive(self) -> Entry | None:
        """The next entry, or None where the worker is gone; then `gone` is set."""
        try:
            entry, self.peak_memory = self.pipe.recv()
        except (EOFError, OSError):
            self.gone = True
            return None
        assert isinstance(entry, Entry)
        self._received += 1
        return entry

    def reason(self) -> str:
        """Why it is gone, by what its first unfinished page did; "" where it had begun none."""
        if self.began <= self._received:
            return ""
        page, reason = self._verdict
        return reason if page == self.began else "crashed"

    def stop(self) -> None:
        """End it. One that hangs in the system (a dead network drive) is left to end by itself."""
        self.pipe.close()
        self._process.kill()
        self._process.join(5)

    # for the watch, in another thread

    def sight(self) -> Sight:
        page, since, memory = self._state
        return Sight(int(page), since, int(memory))

    def end(self, page: int, reason: str) -> None:
        self._verdict = (page, reason)
        self._process.kill()


def _work(make_reader: Callable[[Job], Reader], job: Job, pipe: Connection, state: Array[c_double]) -> None:
    """A worker's life: read pages until the parent closes the pipe or dies."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # Ctrl-C and a shutdown are for the parent, which then stops us
        signal.signal(stop, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()
    import cv2

    cv2.setNumThreads(1)
    reader = make_reader(job)
    page = 0
    while True:
        try:
            ref = pipe.recv()
        except (EOFError, OSError):
            return
        page += 1
        state[:] = [page, time.monotonic(), resident()]
        entry = entry_of(reader.read(ref))
        state[1] = 0.0
        try:
            pipe.send((entry, peak_memory()))
        except OSError:
            return


def _end_with_parent() -> None:
    """End this process as soon as its parent is gone, also in the middle of a page that takes long."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def peak_memory() -> int:
    """Bytes that this process had resident at most. Where the system tells its own figure, that: the one of getrusage
    begins with what the process had that started this one."""
    with suppress(OSError), open("/proc/self/status", "rb") as status:
        for line in status:
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
