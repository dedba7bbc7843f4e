"""Scans in a shared storage that may go away: a page that it failed to give is not the page's fault until the
storage was seen to give others.

A worker asks a few times and then reports the page as unreadable. Journaled at once, an outage of an hour would
excuse every page of a night. So such a page is read again at the end of the run, and meanwhile the storage is asked
for a page that it gave before. It is waited for as long as for a full disk; then the run stops, and the same command
goes on where it stood.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import closing

from grader.errors import ExitCode, StorageError
from grader.intake.source import is_url
from grader.records import PageRef
from grader.run.executor import Executor
from grader.run.job import Job
from grader.run.patience import Patience
from grader.store.entry import Entry
from grader.store.leases import Leasing

_NOT_GIVEN = frozenset({"unreadable_file", "timed_out"})  # reasons that can be the storage's doing
_ALL_REFUSED = 16  # pages that a storage refuses without having given any: it is not the pages
_PAUSES = (1.0, 2.0, 5.0, 10.0, 30.0)  # s between questions; the last one again and again

_REMEDY = "see to the network and the storage, then run the same command again: what was read is kept"


class StorageLostError(StorageError):
    """The storage went away in mid-run. The run can be resumed."""

    exit_code = ExitCode.INTERRUPTED


def read_pages(
    executor: Executor, job: Job, refs: Sequence[PageRef], leases: Leasing, patience: Patience
) -> Generator[Entry, None, None]:
    """What `Executor.run` gives, and to be closed like it. Raises StorageLostError where a storage is out of reach
    for too long."""
    storage = _Storage(patience)
    waiting, first, peak = refs, True, 0
    while waiting or first:
        late: list[PageRef] = []
        with closing(executor.run(job, waiting, leases)) as entries:
            for entry in entries:
                if storage.gave(entry):
                    yield entry
                elif storage.was_silent(entry) or first:
                    late.append(entry.ref)
                else:  # it answers, and still does not give this page
                    yield entry
        peak = executor.peak_memory = max(peak, executor.peak_memory)
        waiting, first = late, False


class _Storage:
    """What is known of the storage. One is enough: scans lie in one as a rule, and each question names its file."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._given: PageRef | None = None
        self._refused = 0

    def gave(self, entry: Entry) -> bool:
        """False for a page of a storage that came to nothing for what may be the storage's doing."""
        if not is_url(entry.ref.file):
            return True
        if entry.outcome == "read":
            self._given = entry.ref
        return entry.reason not in _NOT_GIVEN

    def was_silent(self, entry: Entry) -> bool:
        """Whether the storage had to be waited for. Raises StorageLostError where that took too long, or where it
        refuses whatever it is asked for."""
        waited = self._wait_for_answer(self._given or entry.ref)
        self._refused += self._given is None
        if self._refused >= _ALL_REFUSED:
            raise StorageLostError(f"the storage gave none of {self._refused} pages, such as {entry.ref.file}", _REMEDY)
        return waited

    def _wait_for_answer(self, ref: PageRef) -> bool:
        why = self._silence(ref)
        if not why:
            return False
        minutes = f"{self._patience.seconds / 60:.3g} minutes"
        self._patience.say(f"{ref.file}: {why}\n  waiting up to {minutes}; what was read is kept, Ctrl-C stops")
        deadline = time.monotonic() + self._patience.seconds
        pauses = iter(_PAUSES)
        pause = 0.0
        while why:
            left = deadline - time.monotonic()
            if left <= 0:
                raise StorageLostError(f"{ref.file}: {why}", _REMEDY)
            pause = next(pauses, pause)
            time.sleep(min(pause, left))
            why = self._silence(ref)
        self._patience.say("the storage answers again: going on")
        return True

    def _silence(self, ref: PageRef) -> str:
        """Why the storage does not give a page, "" if it does. That it refuses a page which it never gave says
        nothing of the others."""
        from grader.intake.remote import RefusedError, RemoteFile

        try:
            RemoteFile(ref.file).range(0, 1)
        except RefusedError as error:
            return str(error.strerror) if self._given else ""
        except OSError as error:
            return str(error.strerror)
        return ""
