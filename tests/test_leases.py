"""Leases outlive whoever took them, and tell which page is to blame for an unclean end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
from hostile import encoded, sheet
from test_executor import job

from grader.records import PageRef, PageResult
from grader.run.assignments import Assignments
from grader.run.batch import run_batch
from grader.run.executor import SerialExecutor
from grader.run.job import Job
from grader.store.entry import Entry
from grader.store.leases import Leases, Leasing
from grader.store.store import RunStore

PAGES = [PageRef(f"p{n}") for n in range(5)]


def killed(folder: Path, deadly: PageRef) -> list[PageRef]:
    """A run that reads pages until it is killed by one: journals what it read before, leaves its leases."""
    read = []
    with RunStore.create(folder) as store:
        work = Assignments([ref for ref in PAGES if ref not in store.done()], Leases(store))
        for entry in work.condemned():
            store.record([entry])
        while given := work.give("here"):
            if deadly in given:
                break
            work.done("here", given[0])
            store.record_pages([PageResult(given[0], "read")])
            read += given
    return read


def test_a_page_that_ends_every_run_is_found_and_not_read_again(tmp_path: Path) -> None:
    """First all that were leased are suspects, then the one held alone is counted, and twice is enough."""
    deadly = PAGES[2]
    assert killed(tmp_path, deadly) == PAGES[:2]
    assert killed(tmp_path, deadly) == [], "suspects come first, in their order, and one at a time"
    assert killed(tmp_path, deadly) == []
    assert killed(tmp_path, deadly) == PAGES[3:]
    with RunStore.open(tmp_path) as store:
        assert set(store.done()) == set(PAGES)
        record = store.page_record(deadly.file, 1)
    assert record is not None
    assert (record.result.outcome, record.result.reason) == ("rejected", "crashed")


def test_suspects_are_read_alone(tmp_path: Path) -> None:
    with RunStore.create(tmp_path) as store:
        Leases(store).take(PAGES[1:3], "one who is killed")
    with RunStore.create(tmp_path) as store:
        work = Assignments(PAGES, Leases(store))
        assert work.give("a", 4) == PAGES[1:2]
        assert work.give("b", 4) == [], "nothing beside a suspect"
        work.done("a", PAGES[1])
        assert work.give("b", 4) == PAGES[2:3]
        work.done("b", PAGES[2])
        assert work.give("a", 2) == [PAGES[0], PAGES[3]]
        assert work.give("b", 2) == PAGES[4:]


def test_what_a_page_did_to_workers_is_counted_through_every_end(tmp_path: Path) -> None:
    with RunStore.create(tmp_path) as store:
        leases = Leases(store)
        leases.take(PAGES[:2], "first")
        assert leases.broke(PAGES[0]) == 1
        leases.give_back()
    with RunStore.create(tmp_path) as store:
        leases = Leases(store)
        assert leases.suspects() == {PAGES[0]: 1}, "a clean end leaves only what is known"
        leases.take(PAGES[:1], "second")
        assert leases.broke(PAGES[0]) == 2
        store.record_pages([PageResult(PAGES[0], "rejected", "crashed")])
        assert leases.suspects() == {}, "the journal's entry ends the lease"


def test_a_lost_worker_gives_its_pages_back(tmp_path: Path) -> None:
    with RunStore.create(tmp_path) as store:
        work = Assignments(PAGES, Leases(store))
        assert work.give("a", 3) == PAGES[:3]
        assert work.lost("a", "crashed") is None
        assert work.give("b", 3) == PAGES[:3], "the one to blame is tried once more"
        rejected = work.lost("b", "crashed")
        assert rejected is not None
        assert (rejected.ref, rejected.reason) == (PAGES[0], "crashed")
        assert work.lost("nobody") is None
        assert work.give("a", 9) == PAGES[1:]
        assert work.lost("a") is None, "a worker that ends between pages costs none of them anything"
        assert work.give("b", 9) == PAGES[1:]


class Impatient(SerialExecutor):
    """Somebody presses Ctrl-C after three pages."""

    def run(self, job: Job, refs: Iterable[PageRef], leases: Leasing) -> Iterator[Entry]:
        for number, entry in enumerate(super().run(job, refs, leases)):
            if number == 3:
                raise KeyboardInterrupt
            yield entry


def test_an_interrupted_run_leaves_no_suspects_and_keeps_what_it_read(tmp_path: Path) -> None:
    scans, out = tmp_path / "scans", tmp_path / "run"
    scans.mkdir()
    for number in range(6):
        (scans / f"{number}.jpg").write_bytes(encoded(sheet((400, 300), number)))
    with pytest.raises(KeyboardInterrupt):
        run_batch(job(tmp_path), [scans], out, Impatient())
    with RunStore.create(out) as store:
        assert len(store.done()) == 3
        assert Leases(store).suspects() == {}
    assert run_batch(job(tmp_path), [scans], out, SerialExecutor())["resumed_pages"] == 3
