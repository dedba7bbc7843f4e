"""Leading, groups, bulk acceptance, figures and writing into the run store, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from marking_databases import marking_url, shared_url  # noqa: F401
from marking_run import SHORT, House, marking_on
from sqlalchemy import delete, insert, select, update

from grader.errors import UsageError
from grader.marking import bulk, figures, grouping, leading, outbox, saving, schema, trials
from grader.marking.errors import Destroys, NotAllowed, NotFound, Taken
from grader.marking.seeds import SeedPolicy
from grader.marking.serving import Idle
from grader.marking.settings import Bulk
from grader.service import schema as service
from grader.service.database import metadata
from grader.store.decisions import decisions


@pytest.fixture
def house(marking_url: str, tmp_path: Path) -> Iterator[House]:  # noqa: F811
    with marking_on(marking_url, tmp_path / "exam") as made:
        yield made


def test_double_marking_beyond_the_tolerance_goes_to_the_leader(house: House) -> None:
    house.use("double")
    assert house.mark_all("chen", 1.0) == 12
    assert house.next("chen") == Idle("done"), "nobody marks an answer twice"
    assert house.mark_all("wang", 3.0) == 12
    waiting = leading.leader_queue(house.database, house.exam, SHORT)
    assert {case.why for case in waiting} == {"difference"}
    one = waiting[0]
    assert [(given.marker, given.mark) for given in one.marks if given.by == "person"] == [("chen", 1.0), ("wang", 3.0)]
    leading.adjudicate(house.database, house.exam, "ling", one.name, 2.0, {"a": 2, "b": 0}, "only the freezing")
    assert house.rows()[one.name]["mark"] == 2.0
    leading.hand_back(house.database, house.exam, "ling", one.name)
    assert house.rows()[one.name]["state"] == "leader", "the marks still differ"


def test_a_third_marker_settles_and_is_neither_of_the_two(house: House) -> None:
    house.use("two_plus_one")
    house.mark_all("chen", 1.0)
    house.mark_all("wang", 3.0)
    assert (house.next("chen"), house.next("wang")) == (Idle("done"), Idle("done"))
    assert house.mark_all("zhao", 2.5) == 12
    assert {(row["mark"], row["how"]) for row in house.rows().values()} == {(3.0, "closest_pair")}  # 2.75, half up
    told = {one.marker: one for one in figures.figures(house.database, house.exam, SHORT)}
    assert set(told) == {"model", "chen", "wang", "zhao"}
    assert told["chen"].third_rate == 1.0
    assert told["chen"].severity == pytest.approx(-1.75 / 4)
    assert told["chen"].severity_n == 24
    people, model = figures.agreements(house.database, house.exam, SHORT)
    assert (people.n, model.n) == (36, 36)
    assert (people.exact, people.within) == (0.0, pytest.approx(1 / 3))


def test_the_model_is_the_second_marker_under_the_same_rules(house: House) -> None:
    house.use("double", model="second")
    one = house.served("chen")
    assert one.proposal is None, "a marker is blind to the other"
    house.mark("chen", 3.0, one)
    row = house.rows()[one.name]
    assert (row["state"], row["mark"], row["markers"]) == ("final", 2.5, '["chen", "model"]')
    far = house.mark("chen", 4.0)
    assert house.rows()[far.name]["state"] == "leader"


def test_the_model_checks(house: House) -> None:
    house.use(model="checker")
    near, far = house.mark("chen", 3.0), house.mark("chen", 4.0)
    rows = house.rows()
    assert (rows[near.name]["state"], rows[far.name]["state"]) == ("final", "third")
    assert house.mark("wang", 4.0).name == far.name
    assert house.rows()[far.name]["mark"] == 4.0


def test_settings_that_would_orphan_marks_are_refused(house: House) -> None:
    house.use("double")
    house.mark("chen", 1.0)
    house.use("single")
    assert [row["state"] for row in house.rows().values()].count("final") == 1
    house.use("double")
    house.mark_all("chen", 1.0)
    house.mark("wang", 1.0)
    with pytest.raises(Destroys):
        house.use("single")
    with pytest.raises(UsageError):
        house.use("single", model="second")


def test_an_excused_answer_needs_a_reason_and_is_left_alone(house: House) -> None:
    house.use()
    one = house.served("chen")
    with pytest.raises(NotAllowed):
        leading.excuse(house.database, house.exam, "ling", one.name, "  ")
    leading.excuse(house.database, house.exam, "ling", one.name, "page lost")
    with pytest.raises(Taken):
        house.mark("chen", 1.0, one)
    assert house.mark_all("chen", 1.0) == 11
    leading.hand_back(house.database, house.exam, "ling", one.name)
    assert house.mark_all("chen", 1.0) == 1


def test_groups_split_merge_and_let_go(house: House) -> None:
    house.use()
    groups = grouping.groups_of(house.database, house.exam, SHORT)
    assert sum(group.size for group in groups) == 12
    first, second = groups[0], groups[1]
    assert grouping.merge(house.database, house.exam, "chen", SHORT, [first.cluster, second.cluster]) == first.cluster
    names = [one["name"] for one in grouping.members(house.database, house.exam, SHORT, first.cluster)]
    assert len(names) == first.size + second.size
    alone = grouping.take_out(house.database, house.exam, "chen", SHORT, names[0])
    assert [one["name"] for one in grouping.members(house.database, house.exam, SHORT, alone)] == names[:1]
    with pytest.raises(NotAllowed):
        grouping.take_out(house.database, house.exam, "chen", SHORT, names[0])
    with pytest.raises(NotFound):
        grouping.merge(house.database, house.exam, "chen", SHORT, [first.cluster, "gone"])
    assert {row["state"] for row in house.rows().values()} == {"first"}


def test_nothing_is_accepted_before_the_sample_was_looked_at(house: House) -> None:
    house.use(model="proposes", bulk=Bulk(sure=0.5, sample=3))
    sample = bulk.draw_sample(house.database, house.exam, "chen", SHORT)
    assert (len(sample.names), sample.rest) == (3, 3)
    with pytest.raises(NotAllowed):
        bulk.accept(house.database, house.exam, "chen", sample.id)
    for one in bulk.serve_sample(house.database, house.exam, "chen", sample.id):
        assert one.proposal is not None
        house.mark("chen", 2.5, one)
    with pytest.raises(NotAllowed, match="another person"):
        bulk.accept(house.database, house.exam, "wang", sample.id)
    assert bulk.accept(house.database, house.exam, "chen", sample.id) == 3
    rows = house.rows()
    assert sorted(row["mark"] for row in rows.values() if row["state"] == "final") == [2.0] * 3 + [2.5] * 3
    with pytest.raises(NotAllowed, match="used already"):
        bulk.accept(house.database, house.exam, "chen", sample.id)
    undone = saving.undo(house.database, house.exam, "chen")
    assert undone is not None
    assert len(undone.names) == 3, "one action, one undo"


def test_a_sample_that_shows_differences_accepts_nothing(house: House) -> None:
    house.use(model="proposes", bulk=Bulk(sure=0.5, sample=3))
    sample = bulk.draw_sample(house.database, house.exam, "chen", SHORT)
    for one in bulk.serve_sample(house.database, house.exam, "chen", sample.id):
        house.mark("chen", 4.0, one)
    with pytest.raises(NotAllowed, match="beyond the tolerance"):
        bulk.accept(house.database, house.exam, "chen", sample.id)


def test_blind_schemes_accept_nothing_in_bulk(house: House) -> None:
    house.use("double")
    with pytest.raises(NotAllowed):
        bulk.draw_sample(house.database, house.exam, "chen", SHORT)


def test_finals_arrive_in_the_run_once(house: House) -> None:
    house.use()
    house.mark_all("chen", 3.0)
    with house.open_run() as run:
        assert outbox.write_finals(house.database, house.exam, run).decided == 12
        assert not outbox.waiting(house.database, house.exam)
        held = {key: made for key, (_, made) in decisions(run).items() if made.item == SHORT}
        assert len(held) == 12
        # As after a kill between the two databases: what is written already is not written again.
        with house.database.begin() as connection:
            connection.execute(update(schema.answer).where(schema.answer.c.item == SHORT).values(written=0))
        again = outbox.write_finals(house.database, house.exam, run)
        assert (again.decided, again.same) == (0, 12)
        undone = saving.undo(house.database, house.exam, "chen")
        assert undone is not None
        assert outbox.write_finals(house.database, house.exam, run).withdrawn == 1
        marks = sorted(str(row.mark) for row in run.results(item=SHORT))
        assert marks == ["2.0"] + ["3.0"] * 11, "the engine's own mark stands again"


def test_a_marker_practises_qualifies_meets_seeds_and_is_stopped(house: House) -> None:
    house.use(seeds=SeedPolicy(rate=0.5, practice=1, qualification=2, pass_share=1.0, window=2, limit=1.0))
    names = sorted(house.rows())
    uses = ["practice", "qualification", "qualification", "seed", "seed"]
    for name, use in zip(names, uses, strict=False):
        trials.make_seed(house.database, house.exam, "ling", name, 4.0, use)
    practice = house.served("chen")
    assert practice.trial == "practice"
    saved = saving.save(house.database, house.exam, "chen", practice.name, practice.token, 0.0)
    assert (saved.definitive, saved.within) == (4.0, False)
    for _ in range(2):
        one = house.mark("chen", 0.0)
        assert one.trial == "qualification"
    assert house.next("chen") == Idle("failed")
    with pytest.raises(NotAllowed):
        trials.lift(house.database, house.exam, "chen", "leader", SHORT, "chen")
    assert trials.lift(house.database, house.exam, "ling", "leader", SHORT, "chen") == "qualification"
    for _ in range(2):
        house.mark("chen", 4.0)
    assert trials.phase_of(house.database, house.exam, "chen", SHORT) == "live"
    seeds = set(names[3:5])
    while isinstance(one := house.next("chen"), Idle) is False:
        saved = saving.save(house.database, house.exam, "chen", one.name, one.token, 0.0)
        assert (one.trial, saved.definitive) == ("", None), "a seed looks like any other answer"
        if one.name in seeds:
            break
    assert house.next("chen") == Idle("stopped")
    told = {one.marker: one for one in figures.figures(house.database, house.exam, SHORT)}
    assert (told["chen"].seeds.n, told["chen"].seeds.exact) == (6, pytest.approx(2 / 6))
    assert trials.lift(house.database, house.exam, "ling", "leader", SHORT, "chen") == "live"


def test_too_few_seeds_is_said(house: House) -> None:
    house.use(seeds=SeedPolicy(practice=3))
    assert house.next("chen") == Idle("too_few_seeds")


def test_an_exam_can_be_deleted_whole_and_only_whole(house: House) -> None:
    house.use()
    house.mark_all("chen", 3.0)
    with house.database.begin() as connection:
        connection.execute(insert(service.erasing).values(exam=house.exam))
        for table in reversed(metadata.sorted_tables):
            if "exam" in table.c and table not in {service.audit, service.erasing}:
                connection.execute(delete(table).where(table.c.exam == house.exam))
        connection.execute(delete(service.erasing).where(service.erasing.c.exam == house.exam))
        connection.execute(delete(service.exam).where(service.exam.c.id == house.exam))
    with house.database.read() as connection:
        for table in (schema.answer, schema.event, schema.origin):
            assert connection.execute(select(table).where(table.c.exam == house.exam)).first() is None
