"""Who reads which page: what every executor has to keep account of, apart from how it talks to its workers.

Pages are leased in the store before they are handed out. A worker that is lost gives its pages back; the one
that it was reading is to blame, and comes back as a rejected page once it has stopped `ATTEMPTS` workers.
Suspects of an earlier run's unclean end are read first and alone: see `grader.store.leases`.
"""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterable, Iterator
from itertools import islice

from grader.records import PageRef, PageResult
from grader.store.entry import Entry, entry_of
from grader.store.leases import ATTEMPTS, Leasing

_LEASED_AHEAD = 4  # one transaction leases so many times what a worker is given: few, or little time, to read alone

_WHAT = {
    "crashed": f"stopped its worker {ATTEMPTS} times",
    "timed_out": "took longer than the time limit",
    "out_of_memory": "took more memory than the limit",
}


class Assignments:
    """The pages of a run, each waiting, held by one worker, or done. Workers are known by any name of theirs."""

    def __init__(self, refs: Iterable[PageRef], leases: Leasing) -> None:
        self._leases = leases
        self._owner = f"{socket.gethostname()}:{os.getpid()}"
        self._held: dict[str, deque[PageRef]] = {}
        self._leased: deque[PageRef] = deque()  # leased and to be handed out
        known = leases.suspects()
        pages = list(refs)
        self._condemned = [ref for ref in pages if known.get(ref, 0) >= ATTEMPTS]
        self._suspects = deque(ref for ref in pages if known.get(ref, ATTEMPTS) < ATTEMPTS)
        self._alone: PageRef | None = None  # the suspect in work
        self._waiting: Iterator[PageRef] = (ref for ref in pages if ref not in known)

    def condemned(self) -> Iterator[Entry]:
        """Pages that earlier runs proved to stop whoever reads them."""
        for ref in self._condemned:
            yield lost_page(ref, "crashed")

    def give(self, worker: str, most: int = 1) -> list[PageRef]:
        """Up to `most` more pages for a worker; none where none are left, or a suspect has to be read alone."""
        if self._alone is not None:
            return []
        if self._suspects:
            if any(self._held.values()):
                return []
            self._alone = self._suspects.popleft()
            self._leases.take_alone(self._alone, self._owner)
            given = [self._alone]
        else:
            while len(self._leased) < most:
                more = list(islice(self._waiting, _LEASED_AHEAD * most))
                if not more:
                    break
                self._leases.take(more, self._owner)
                self._leased.extend(more)
            given = [self._leased.popleft() for _ in range(min(most, len(self._leased)))]
        self._held.setdefault(worker, deque()).extend(given)
        return given

    def held(self, worker: str) -> int:
        """How many pages a worker has."""
        return len(self._held.get(worker, ()))

    def done(self, worker: str, ref: PageRef) -> None:
        """A worker handed the result of a page back."""
        self._held[worker].remove(ref)
        self._acquit(ref)

    def lost(self, worker: str, reason: str = "") -> Entry | None:
        """A worker is gone. reason: what the first page that it held did to it ("crashed", "timed_out",
        "out_of_memory"), or "" where no page is to blame. The page's entry if that was the end of it."""
        pages = self._held.pop(worker, deque())
        culprit = pages.popleft() if reason and pages else None
        for ref in pages:
            self._acquit(ref)
        self._leased.extendleft(reversed(pages))
        if culprit is None:
            return None
        self._acquit(culprit)
        if reason == "crashed" and self._leases.broke(culprit) < ATTEMPTS:
            self._leased.appendleft(culprit)
            return None
        return lost_page(culprit, reason)

    def _acquit(self, ref: PageRef) -> None:
        if self._alone == ref:
            self._alone = None


def lost_page(ref: PageRef, reason: str) -> Entry:
    """The entry of a page that could not be read for what it did to its workers."""
    remedy = "look at the file; scan the page again, or run again with --retry and other limits"
    detail = f"{ref.file} page {ref.page} {_WHAT[reason]}\n  remedy: {remedy}"
    return entry_of(PageResult(ref, "rejected", reason, detail))
