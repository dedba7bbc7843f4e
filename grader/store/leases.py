"""Leases: which pages are out to be read, kept in the run's store so that they outlive whoever handed them out.

A lease is taken before a page is handed out and ends in the transaction that journals its result
(`RunStore.record`). What is left of an unclean end (the coordinator killed, the power gone) are therefore
the pages that may have caused it: suspects. Nobody knows which of them did, so they are read one at a time,
each under the only lease; if the coordinator goes again, the page to blame is the one that is held. A page
that stopped who read it `ATTEMPTS` times is not read again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from sqlalchemy import Connection, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from grader.records import PageRef
from grader.store.schema import lease
from grader.store.store import RunStore

ATTEMPTS = 2

T = TypeVar("T")


class Patient(Protocol):
    """Does work on the store, sooner or later."""

    def __call__(self, work: Callable[[], T]) -> T:
        """What `work`, a transaction, gives."""
        ...


def _at_once(work: Callable[[], T]) -> T:
    return work()


class Leasing(Protocol):
    """Who keeps account of pages that are out."""

    def take(self, refs: Sequence[PageRef], owner: str) -> None:
        """Lease pages before they are handed out, in one transaction."""
        ...

    def take_alone(self, ref: PageRef, owner: str) -> None:
        """Lease a suspect; every other lease becomes a suspicion again, for nothing else is in work."""
        ...

    def broke(self, ref: PageRef) -> int:
        """Count that a page stopped its worker; how often it has now done so, in all runs."""
        ...

    def suspects(self) -> dict[PageRef, int]:
        """Pages that may have caused an unclean end, or did stop a worker → how often they surely did."""
        ...

    def give_back(self) -> None:
        """End every lease of a run that ends in order. Pages that stopped a worker stay on record."""
        ...


class Leases:
    """Leases in the store of a run. One process at a time leads a run (`RunLock`), so there is no race for them.

    patient: how work on the store is done, such as waiting while its disk is full.
    Every method raises StoreError as `RunStore` does.
    """

    def __init__(self, store: RunStore, patient: Patient = _at_once) -> None:
        self._store = store
        self._patient = patient
        self._recover()

    def take(self, refs: Sequence[PageRef], owner: str) -> None:
        def work() -> None:
            with self._store.begin() as connection:
                _take(connection, refs, owner)

        self._patient(work)

    def take_alone(self, ref: PageRef, owner: str) -> None:
        def work() -> None:
            with self._store.begin() as connection:
                connection.execute(update(lease).where(lease.c.owner != "").values(owner=""))
                _take(connection, [ref], owner)

        self._patient(work)

    def broke(self, ref: PageRef) -> int:
        this = (lease.c.file == ref.file) & (lease.c.page == ref.page)

        def work() -> int:
            with self._store.begin() as connection:
                connection.execute(update(lease).where(this).values(attempts=lease.c.attempts + 1))
                return int(connection.execute(select(lease.c.attempts).where(this)).scalar_one())

        return self._patient(work)

    def suspects(self) -> dict[PageRef, int]:
        columns = (lease.c.file, lease.c.page, lease.c.attempts)
        with self._store.begin() as connection:
            rows = connection.execute(select(*columns).where(lease.c.owner == ""))
            return {PageRef(file, page): attempts for file, page, attempts in rows}

    def give_back(self) -> None:
        held = lease.c.owner != ""
        with self._store.begin() as connection:
            connection.execute(delete(lease).where(held, lease.c.attempts == 0))
            connection.execute(update(lease).where(held).values(owner=""))

    def _recover(self) -> None:
        """Whatever is still held was in work when the last run ended uncleanly; what was held alone is to blame."""
        held = lease.c.owner != ""
        with self._store.begin() as connection:
            alone = connection.execute(select(func.count()).where(held)).scalar_one() == 1
            connection.execute(update(lease).where(held).values(owner="", attempts=lease.c.attempts + int(alone)))


def _take(connection: Connection, refs: Sequence[PageRef], owner: str) -> None:
    since = datetime.now(UTC).isoformat(timespec="milliseconds")
    rows = [{"file": r.file, "page": r.page, "owner": owner, "attempts": 0, "since": since} for r in refs]
    taken = insert(lease)
    connection.execute(
        taken.on_conflict_do_update(set_={"owner": taken.excluded.owner, "since": taken.excluded.since}), rows
    )


class NoLeases:
    """For runs that have no store: nothing outlives the process."""

    def __init__(self) -> None:
        self._broke: Counter[PageRef] = Counter()

    def take(self, refs: Sequence[PageRef], owner: str) -> None:
        """Nothing to keep."""

    def take_alone(self, ref: PageRef, owner: str) -> None:
        """Nothing to keep."""

    def broke(self, ref: PageRef) -> int:
        self._broke[ref] += 1
        return self._broke[ref]

    def suspects(self) -> dict[PageRef, int]:
        return {}

    def give_back(self) -> None:
        """Nothing to end."""
