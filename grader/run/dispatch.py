"""Who reads which page where readers are on other machines.

A page that stops a reader cannot take the coordinator with it, so suspects need not be read with everything else
at rest: each is read alone by its worker, side by side with all the others. And a whole machine can go with what it
holds, for which no page is to blame.
"""

from __future__ import annotations

from collections import deque

from grader.records import PageRef
from grader.run.assignments import Assignments, lost_page
from grader.store.entry import Entry
from grader.store.leases import ATTEMPTS


class Dispatch(Assignments):
    """Assignments to workers on other machines."""

    def give(self, worker: str, most: int = 1) -> list[PageRef]:
        if not self._suspects:
            return super().give(worker, most)
        if self.held(worker):
            return []
        suspect = self._suspects.popleft()
        self._leases.take([suspect], self._owner)
        self._held[worker] = deque([suspect])
        return [suspect]

    def stopped(self, worker: str, ref: PageRef, reason: str) -> Entry | None:
        """A page stopped its reader there ("crashed", "timed_out", "out_of_memory"), which was replaced and goes on.
        The page's entry if that was the end of it."""
        self._held[worker].remove(ref)
        return self._blamed(ref, reason)

    def withdraw(self, worker: str, ref: PageRef) -> None:
        """A page is to be read by somebody else."""
        self._held[worker].remove(ref)
        self._leased.append(ref)

    def cut_off(self, worker: str) -> None:
        """Nothing is heard of a worker: its pages go to others, and none is to blame."""
        self._leased.extendleft(reversed(self._held.pop(worker, deque())))

    def died(self, worker: str) -> Entry | None:
        """A worker is dead. What it held alone stopped it; of several pages each is read alone to find out.
        The page's entry if that was the end of it."""
        pages = self._held.pop(worker, deque())
        if len(pages) == 1:
            return self._blamed(pages[0], "crashed")
        self._suspects.extend(pages)
        return None

    def _blamed(self, ref: PageRef, reason: str) -> Entry | None:
        if reason == "crashed" and self._leases.broke(ref) < ATTEMPTS:
            self._suspects.append(ref)
            return None
        return lost_page(ref, reason)
