"""Leases, marks, undo, raising: the marker's desk in the database, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from marking_databases import marking_url, shared_url  # noqa: F401
from marking_run import House, marking_on
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError

from grader.marking import saving, schema, serving
from grader.marking.errors import NotAllowed, NotFound, Taken
from grader.marking.serving import Idle


@pytest.fixture
def house(marking_url: str, tmp_path: Path) -> Iterator[House]:  # noqa: F811
    with marking_on(marking_url, tmp_path / "exam") as made:
        yield made


def test_single_marking_settles_every_answer(house: House) -> None:
    house.use()
    assert house.mark_all("chen", 3.0) == 12
    assert {(row["state"], row["mark"], row["how"]) for row in house.rows().values()} == {("final", 3.0, "single")}
    assert house.next("chen") == Idle("done")


def test_a_mark_is_never_taken_out_of_the_journal(house: House) -> None:
    house.use()
    house.mark("chen", 3.0)
    for change in (delete(schema.event), update(schema.event).values(mark=4.0)):
        with pytest.raises(DBAPIError, match="can only grow"), house.database.begin() as connection:
            connection.execute(change)


def test_two_markers_never_have_the_same_answer(house: House) -> None:
    house.use()
    chen = [house.served("chen", besides=[])]
    chen.append(house.served("chen", besides=[chen[0].name]))
    wang = house.served("wang")
    assert len({chen[0].name, chen[1].name, wang.name}) == 3
    with pytest.raises(Taken):
        saving.save(house.database, house.exam, "wang", chen[0].name, chen[0].token, 1.0)
    assert house.served("chen").name == chen[0].name, "after a reload the same answer is there"


def test_nothing_served_tells_whose_it_is(house: House) -> None:
    house.use(model="proposes")
    # A token and the lease's end are digits that may look like anybody's number by chance.
    told = repr([replace(house.mark("chen", 2.0), token="", until="") for _ in range(12)])
    assert "scan-" not in told
    assert not any(str(1000 + n) in told for n in range(12))


def test_undo_puts_the_answer_back_on_the_desk(house: House) -> None:
    house.use("double")
    one = house.mark("chen", 3.0)
    undone = saving.undo(house.database, house.exam, "chen")
    assert undone is not None
    assert undone.names == (one.name,)
    assert house.rows()[one.name]["marker1"] == ""
    assert house.served("chen").name == one.name
    assert saving.undo(house.database, house.exam, "chen") is None


def test_raised_answers_wait_for_the_leader(house: House) -> None:
    house.use()
    one = house.served("chen")
    with pytest.raises(NotAllowed):
        saving.raise_to_leader(house.database, house.exam, "chen", one.name, one.token, " ")
    saving.raise_to_leader(house.database, house.exam, "chen", one.name, one.token, "illegible")
    row = house.rows()[one.name]
    assert (row["state"], row["why"]) == ("leader", "raised")
    assert house.mark_all("wang", 1.0) == 11


def test_a_save_sent_twice_is_one(house: House) -> None:
    house.use("double")
    one = house.served("chen")
    for _ in range(2):
        saved = saving.save(house.database, house.exam, "chen", one.name, one.token, 3.0)
        assert saved.names == (one.name,)
    assert house.rows()[one.name]["marker2"] == ""


def test_identical_answers_are_marked_together(house: House) -> None:
    house.use()
    one = house.served("chen")
    group = serving.lease_group(house.database, house.exam, "chen", one.name)
    assert group[0].name == one.name
    assert len({served.cluster for served in group}) == 1
    names = [served.name for served in group]
    saving.save_group(house.database, house.exam, "chen", names, one.token, 4.0, {"a": 2, "b": 2})
    rows = house.rows()
    assert all(rows[name]["mark"] == 4.0 for name in names)
    undone = saving.undo(house.database, house.exam, "chen")
    assert undone is not None
    assert set(undone.names) == set(names)


@pytest.mark.parametrize("mark", [-1, 4.5, 2.25, float("nan")])
def test_marks_that_the_item_does_not_have_are_refused(house: House, mark: float) -> None:
    house.use()
    one = house.served("chen")
    with pytest.raises(NotAllowed):
        saving.save(house.database, house.exam, "chen", one.name, one.token, mark)
    assert house.rows()[one.name]["state"] == "first"


def test_unknown_names_are_refused(house: House) -> None:
    house.use()
    with pytest.raises(NotFound):
        house.next("chen", item="99")
    with pytest.raises(NotFound):
        saving.save(house.database, house.exam, "chen", "nobody", "t", 1.0)
    with pytest.raises(NotFound):
        serving.look(house.database, house.exam, "chen", "nobody")


def test_skipping_goes_on_behind_it(house: House) -> None:
    house.use()
    first = house.served("chen")
    second = house.served("chen", after=first.name)
    assert second.name != first.name
    seen = {second.name}
    last = second
    for _ in range(11):
        last = house.served("chen", after=last.name)
        seen.add(last.name)
    assert len(seen) == 12, "skipped answers come round again"
