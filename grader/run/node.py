"""What runs on another machine: the check whether it may read for a job, and an agent that reads there.

An agent is one worker process and its keeper. The keeper answers the coordinator twice a second, whatever the page
in work does: what is done goes back, new pages come, and silence means that the machine is gone. Limits of time and
memory, and the page to blame when the worker process dies, are found out here as in the local pool.
"""

from __future__ import annotations

import hashlib
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path

from grader.errors import GraderError
from grader.intake.source import file_of, is_url
from grader.records import PageRef
from grader.run.batch import versions
from grader.run.executor import FALSE_STARTS, Reader, Worker, peak_memory
from grader.run.job import Job
from grader.run.parcel import Parcel
from grader.run.pipeline import reader_for
from grader.run.watch import Limits, Watch
from grader.store.entry import Entry

BEAT = 0.5  # s after which an agent answers at the latest
_IN_WORKER = 8  # pages given to the worker process at a time, the one in work among them
_LOOK_SECONDS = 0.02  # between looks for results: each takes the processor from the worker process
_HEAD_BYTES = 1 << 16  # of a scan, by which it is known again


@dataclass(frozen=True)
class Expected:
    """What a machine must have to give the coordinator's marks: versions of packages, hashes of weights, and these
    scans (file → `fingerprint`)."""

    versions: Mapping[str, str]
    models: Mapping[str, str]
    scans: Mapping[str, str]


@dataclass(frozen=True, eq=False)
class Report:
    """What an agent did since the last one. stopped: pages at which its worker process had to be replaced, and why.
    memory: bytes at the peak, the agent and its worker together."""

    entries: list[Entry] = field(default_factory=list)
    stopped: list[tuple[PageRef, str]] = field(default_factory=list)
    memory: int = 0


def refusal(expected: Expected, parcel: Parcel) -> str:
    """Why this machine cannot read for the job, in words; "" where it can."""
    parcel.enter()
    here = versions()
    for package, wanted in expected.versions.items():
        if here.get(package) != wanted:
            return f"it has {package} {here.get(package, 'not installed')}, the coordinator has {wanted}"
    missing = [file for file in expected.scans if not fingerprint(PageRef(file))]
    if missing:
        first = missing[0] if is_url(missing[0]) else Path(parcel.folder, missing[0])
        return f"it does not see the scans: {first} cannot be opened there ({len(missing)} of {_tried(expected)})"
    other = [file for file, known in expected.scans.items() if fingerprint(PageRef(file)) != known]
    if other:
        return f"it sees other scans: {other[0]} has other bytes there ({len(other)} of {_tried(expected)})"
    try:
        models = reader_for(parcel.unpack()).models()
    except GraderError as error:
        return error.message
    for name, wanted in expected.models.items():
        if models.get(name) != wanted:
            return f"its model {name} is another one than the coordinator's"
    return ""


def _tried(expected: Expected) -> str:
    return f"{len(expected.scans)} tried"


def fingerprint(ref: PageRef) -> str:
    """What a page's file is known by: its size and the hash of its beginning, or in a storage the storage's version
    of it; "" where it cannot be opened."""
    file = file_of(ref)
    try:
        state = file.stat()
        if is_url(ref.file):
            return f"{state.size}:{state.version}"
        with file.open() as stream:
            return f"{state.size}:{hashlib.sha256(stream.read(_HEAD_BYTES)).hexdigest()}"
    except OSError:
        return ""


class Agent:
    """Reads pages on this machine. Its worker process is its `Source` of pages, and it is the worker's."""

    def __init__(self, parcel: Parcel, limits: Limits, reader: Callable[[Job], Reader] = reader_for) -> None:
        sys.modules["__main__"].__dict__.pop("__file__", None)  # or the worker process would import Ray's main again
        self._reader = reader
        parcel.enter()
        self._job = parcel.unpack()
        self._waiting: deque[PageRef] = deque()
        self._in_work: deque[PageRef] = deque()
        self._false_starts = 0
        self._peak = 0
        self._worker = Worker(reader, self._job)
        self._watch = Watch(limits, lambda: (self._worker,))

    def ready(self) -> Report:
        """Answers once the agent is there."""
        return Report(memory=self._memory())

    def exchange(self, refs: Sequence[PageRef]) -> Report:
        """Take more pages; hand back what was done since the last time.

        Answers after `BEAT` seconds, or as soon as half of the pages are done, so that the next ones come in time.
        Raises GraderError where worker processes end as soon as they start.
        """
        self._waiting.extend(refs)
        report = Report(memory=self._memory())
        low = self._has() // 2
        end = time.monotonic() + BEAT
        while (left := end - time.monotonic()) > 0:
            self._worker.feed(self, _IN_WORKER)
            if connection.wait([self._worker.pipe], left):
                self._collect(report)
                if self._has() <= low:
                    break
                time.sleep(_LOOK_SECONDS)
        self._worker.feed(self, _IN_WORKER)
        return report

    # what its worker process sees of it

    def held(self, _worker: str) -> int:
        """Pages that lie at the worker process."""
        return len(self._in_work)

    def give(self, _worker: str, most: int = 1) -> list[PageRef]:
        """Up to `most` more pages for the worker process."""
        given = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
        self._in_work.extend(given)
        return given

    def _has(self) -> int:
        return len(self._waiting) + len(self._in_work)

    def _memory(self) -> int:
        return peak_memory() + max(self._peak, self._worker.peak_memory)

    def _collect(self, report: Report) -> None:
        for entry in self._worker.entries():
            self._in_work.remove(entry.ref)
            self._false_starts = 0
            report.entries.append(entry)
        if self._worker.gone:
            self._replace_worker(report)

    def _replace_worker(self, report: Report) -> None:
        self._false_starts = self._false_starts + 1 if self._worker.began == 0 else 0
        if self._false_starts > FALSE_STARTS:
            raise GraderError("worker processes end as soon as they start", "see the logs of Ray there")
        reason = self._worker.reason()
        if reason:
            report.stopped.append((self._in_work.popleft(), reason))
        self._waiting.extendleft(reversed(self._in_work))
        self._in_work.clear()
        self._peak = max(self._peak, self._worker.peak_memory)
        self._worker.stop()
        self._worker = Worker(self._reader, self._job)
