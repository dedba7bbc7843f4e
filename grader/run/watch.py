"""Limits of time and memory for one page, kept from outside the worker that reads it.

The parent watches what each worker has resident and since when it has been on its page, and ends the worker
with SIGKILL. Why not resource limits inside: an allocation that is refused shows differently in every native
library (an abort, a wrong error, a half-made engine), RLIMIT_AS counts address space that inference engines
only reserve, and nothing inside a process can end a decoder that hangs while it holds the interpreter. What
is resident is what drives a machine into swap. The watch is a thread of its own: it goes on while the parent
waits for a disk.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Event, Thread
from typing import Protocol

_INTERVAL = 0.05  # s between looks: an allocating loop gains a few hundred MiB in it, not gigabytes
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Limits:
    """Of one page. seconds: from when it is begun. memory: MiB that its worker may grow by."""

    seconds: float = 120.0
    memory: float = 2048.0


@dataclass(frozen=True)
class Sight:
    """What can be seen of a worker: its how-manieth page (from 1), since when (monotonic s, 0 when it waits),
    and what it had resident then (bytes)."""

    page: int
    since: float
    resident: int


class Watched(Protocol):
    """A worker process."""

    pid: int

    def sight(self) -> Sight:
        """What it is doing now."""
        ...

    def end(self, page: int, reason: str) -> None:
        """Kill it, for what its how-manieth page did."""
        ...


class Watch:
    """Ends workers whose page is over a limit, until `stop`. workers: gives those there are at the moment."""

    def __init__(self, limits: Limits, workers: Callable[[], Sequence[Watched]]) -> None:
        self._limits = limits
        self._workers = workers
        self._stopped = Event()
        self._thread = Thread(target=self._watch, name="watch", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer."""
        self._stopped.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(_INTERVAL):
            for worker in self._workers():
                seen = worker.sight()
                reason = self._over(seen, worker.pid) if seen.since else ""
                if reason and worker.sight() == seen:  # still the same page
                    worker.end(seen.page, reason)

    def _over(self, seen: Sight, pid: int) -> str:
        if time.monotonic() - seen.since > self._limits.seconds:
            return "timed_out"
        if resident(pid) - seen.resident > self._limits.memory * 2**20:
            return "out_of_memory"
        return ""


def resident(pid: int | str = "self") -> int:
    """Bytes that a process has in memory; 0 where the system does not tell (it has no /proc)."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except OSError:
        return 0
