"""Release, appeals and changes of the exam, on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marking_databases import marking_url, shared_url  # noqa: F401
from marking_run import EXAM, SHORT, House, make_run, marking_on
from sqlalchemy import delete, update
from sqlalchemy.exc import DBAPIError

from grader.errors import UsageError
from grader.exam.exam import Exam
from grader.marking import appealing, leading, outbox, release, releasing, revising, revision, saving, schema
from grader.marking.answers import bring_in
from grader.marking.errors import Destroys, NotAllowed, NotFound
from grader.marking.release import GateSettings, Row
from grader.store.store import RunStore


@pytest.fixture
def house(marking_url: str, tmp_path: Path) -> Iterator[House]:  # noqa: F811
    with marking_on(marking_url, tmp_path / "exam") as made:
        yield made


def _mark_everything(house: House, mark: float = 3.0) -> None:
    """Numeric answers without a unit are left to people; then everything is written into the run."""
    house.use("single")
    house.use("single", "3", tolerance=0.0)
    house.mark_all("chen", mark)
    while (one := house.next("chen", item="3")).__class__.__name__ == "Served":
        house.mark("chen", 0.0, one)
    with house.open_run() as run:
        outbox.write_finals(house.database, house.exam, run)


def _publish(house: House, **more: Any) -> releasing.Release:
    with house.open_run() as run:
        outbox.write_finals(house.database, house.exam, run)
        return releasing.publish(house.database, house.exam, run, "ling", **more)


def _changed(**items: dict[str, Any]) -> Exam:
    """The exam with fields of items replaced: _changed(i1={"answer": "A"})."""
    data = EXAM.model_dump(mode="json")
    for item in data["items"]:
        item.update(items.get(f"i{item['id']}", {}))
    return Exam.model_validate(data)


# release


def test_the_gate_names_what_is_left(house: House) -> None:
    house.use()
    with house.open_run() as run:
        shut = {one.check for one in releasing.gate(house.database, house.exam, run) if not one.passed}
        assert shut == {"queue"}
        with pytest.raises(NotAllowed, match="wait for a mark"):
            releasing.publish(house.database, house.exam, run, "ling")
        one = house.mark("chen", 1.0)
        assert one
        shut = {one.check for one in releasing.gate(house.database, house.exam, run) if not one.passed}
        assert shut == {"queue", "unwritten"}


def test_agreement_below_the_limit_shuts_the_gate(house: House) -> None:
    _mark_everything(house)
    releasing.set_gate(house.database, house.exam, GateSettings(agreement=0.8, pairs=5))
    with pytest.raises(NotAllowed, match="people agree"):
        _publish(house)
    house.use("two_plus_one")
    house.mark_all("wang", 1.0)
    house.mark_all("zhao", 1.5)
    with pytest.raises(NotAllowed, match="people agree"):
        _publish(house)
    releasing.set_gate(house.database, house.exam, GateSettings(agreement=0.3, pairs=36))
    assert _publish(house).number == 1
    with pytest.raises(UsageError):
        releasing.set_gate(house.database, house.exam, GateSettings(agreement=1.5))


def test_releases_are_numbered_immutable_and_compared(house: House) -> None:
    _mark_everything(house)
    first = _publish(house, reason="all marked")
    rows = releasing.rows(house.database, house.exam, 1)
    assert len(rows) == 36
    assert release.digest(rows) == first.hash
    with pytest.raises(NotAllowed, match="nothing changed"):
        _publish(house)
    name = next(iter(house.rows()))
    leading.adjudicate(house.database, house.exam, "ling", name, 0.5)
    (pending,) = releasing.unreleased(house.database, house.exam)
    second = _publish(house, reason="a slip")
    assert (second.number, second.hash != first.hash) == (2, True)
    (change,) = releasing.difference(house.database, house.exam, 1, 2)
    assert change == pending
    assert (change.before and change.before.mark, change.after and change.after.mark) == (3.0, 0.5)
    assert [one.number for one in releasing.releases(house.database, house.exam)] == [2, 1]
    for change_ in (update(schema.release_row).values(mark=4.0), delete(schema.release)):
        with pytest.raises(DBAPIError, match="can only grow"), house.database.begin() as connection:
            connection.execute(change_)
    with pytest.raises(NotFound):
        releasing.rows(house.database, house.exam, 3)


def test_an_excused_answer_is_released_without_a_mark(house: House) -> None:
    house.use("single")
    leading.excuse(house.database, house.exam, "ling", house.served("chen").name, "torn off")
    _mark_everything(house)
    _publish(house)
    (excused,) = [row for row in releasing.rows(house.database, house.exam, 1) if row.mark is None]
    assert excused.how == "excused: torn off"


ROWS = st.builds(
    Row,
    candidate=st.sampled_from(["1", "2", "甲"]),
    item=st.sampled_from(["1", "2"]),
    place=st.just(0),
    mark=st.none() | st.sampled_from([0.0, 1.0, 2.5]),
    max_mark=st.just(4.0),
    how=st.sampled_from(["single", "rule"]),
)
SHEETS = st.lists(ROWS, unique_by=lambda row: (row.candidate, row.item), max_size=6)


@given(SHEETS, SHEETS, st.randoms(use_true_random=False))
def test_the_hash_is_of_the_marks_and_nothing_else(one: list[Row], two: list[Row], random: Any) -> None:
    shuffled = list(one)
    random.shuffle(shuffled)
    assert release.digest(shuffled) == release.digest(one)
    assert (release.digest(one) == release.digest(two)) == (set(one) == set(two))
    assert (release.difference(one, two) == []) == (set(one) == set(two))
    undone = {(c.candidate, c.item): (c.after, c.before) for c in release.difference(two, one)}
    assert {(c.candidate, c.item): (c.before, c.after) for c in release.difference(one, two)} == undone


# appeals


def test_an_appeal_is_re_marked_by_somebody_else(house: House) -> None:
    _mark_everything(house)
    _publish(house)
    name = appealing.find_answer(house.database, house.exam, "1003", SHORT)
    with pytest.raises(NotAllowed):
        appealing.open_appeal(house.database, house.exam, "tian", name, " ")
    appeal = appealing.open_appeal(house.database, house.exam, "tian", name, "the second point is there")
    with pytest.raises(NotAllowed, match="open already"):
        appealing.open_appeal(house.database, house.exam, "tian", name, "again")
    with pytest.raises(NotAllowed, match="marked this answer before"):
        appealing.take(house.database, house.exam, "chen", appeal)
    with pytest.raises(NotAllowed, match="not on your desk"):
        appealing.re_mark(house.database, house.exam, "wang", appeal, 4.0, None, "yes")
    appealing.take(house.database, house.exam, "wang", appeal)
    with pytest.raises(NotAllowed, match="appeals are open"):
        _publish(house)
    done = appealing.re_mark(house.database, house.exam, "wang", appeal, 4.0, {"a": 2, "b": 2}, "both points are there")
    assert (done.state, done.before, done.after) == ("raised", 3.0, 4.0)
    assert [step.step for step in appealing.trail(house.database, house.exam, appeal)] == ["opened", "taken", "marked"]
    assert _publish(house, reason="appeals").number == 2
    (change,) = releasing.difference(house.database, house.exam, 1, 2)
    assert change.candidate == "1003"
    assert change.after is not None
    assert (change.after.mark, change.after.how) == (4.0, "appeal")
    with pytest.raises(NotAllowed):
        appealing.withdraw(house.database, house.exam, "tian", appeal)
    with pytest.raises(DBAPIError, match="can only grow"), house.database.begin() as connection:
        connection.execute(delete(schema.appeal_event))


def test_who_withdrew_his_mark_has_still_seen_the_answer(house: House) -> None:
    house.use()
    one = house.mark("wang", 1.0)
    saving.undo(house.database, house.exam, "wang")
    with pytest.raises(NotAllowed, match="no final mark"):
        appealing.open_appeal(house.database, house.exam, "tian", one.name, "too low")
    _mark_everything(house)
    leading.adjudicate(house.database, house.exam, "ling", one.name, 1.0)
    appeal = appealing.open_appeal(house.database, house.exam, "tian", one.name, "too low")
    for earlier in ("wang", "ling"):
        with pytest.raises(NotAllowed):
            appealing.take(house.database, house.exam, earlier, appeal)


# changes of the exam


def test_a_corrected_key_is_previewed_then_applied(house: House) -> None:
    _mark_everything(house)
    _publish(house)
    new = _changed(i1={"answer": "A"})
    with house.open_run() as run:
        sealed = revising.preview(house.database, house.exam, run, new, pass_line=0.5)
        (item,) = sealed.preview.items
        assert (item.item, item.answers, item.kept, item.changed) == ("1", 12, 0, 12)
        # A: 4 candidates gain 2; B: 8 lose 2. Of 9 marks those with 3 + 3 + 0 or 3 + 3 + 2 pass before and after.
        totals = release.totals(releasing.rows(house.database, house.exam, 1))
        gains = {str(1000 + n): (-2.0 if n % 3 else 2.0) for n in range(12)}
        up = [c for c in sorted(totals) if totals[c] < 4.5 <= totals[c] + gains[c]]
        down = [c for c in sorted(totals) if totals[c] >= 4.5 > totals[c] + gains[c]]
        assert ([one.candidate for one in sealed.preview.up], [one.candidate for one in sealed.preview.down]) == (
            up,
            down,
        )
        assert up or down, "somebody crosses the line, or this test shows nothing"
        with pytest.raises(NotAllowed, match="reason"):
            revising.apply(house.database, house.exam, run, "ling", new, "", sealed.seal, 0.5)
        leading.adjudicate(house.database, house.exam, "ling", next(iter(house.rows("1"))), 1.0)
        with pytest.raises(NotAllowed, match="went on since"):
            revising.apply(house.database, house.exam, run, "ling", new, "key was wrong", sealed.seal, 0.5)
        sealed = revising.preview(house.database, house.exam, run, new, pass_line=0.5)
        assert (sealed.preview.items[0].kept, sealed.preview.items[0].changed) == (1, 11)
        assert revising.apply(house.database, house.exam, run, "ling", new, "key was wrong", sealed.seal, 0.5) == 2
    marks = [row["mark"] for row in house.rows("1").values()]
    assert marks.count(1.0) == 1, "a person's mark stays"
    assert marks.count(2.0) + marks.count(0.0) == 11
    assert _publish(house, reason="key").number == 2
    assert len(releasing.difference(house.database, house.exam, 1, 2)) == 12
    with house.open_run() as run:
        shown = {row.candidate: row.mark for row in run.results(item="1")}
        assert {mark for mark in shown.values() if mark != 1.0} == {0.0, 2.0}
        assert shown == {r.candidate: r.mark for r in releasing.rows(house.database, house.exam, 2) if r.item == "1"}


def test_a_changed_rubric_proposes_again_and_keeps_peoples_marks(house: House) -> None:
    house.use(model="proposes")
    house.mark("chen", 3.0)
    new = _changed(i4={"reference_answers": ["体积变大"]})
    with house.open_run() as run:
        sealed = revising.preview(house.database, house.exam, run, new)
        (item,) = sealed.preview.items
        assert (item.kept, item.changed, item.to_people) == (1, 0, 0)
        assert item.reproposed > 0
        revising.apply(house.database, house.exam, run, "ling", new, "another wording", sealed.seal)
    rows = house.rows().values()
    assert sorted(row["state"] for row in rows) == ["final"] + ["first"] * 11
    assert {row["engine_rubric"] for row in rows} == {2}
    assert [row["mark"] for row in rows if row["state"] == "final"] == [3.0]


@pytest.mark.parametrize(
    "change",
    [
        {"i4": {"max_mark": 3, "rubric": [{"id": "a", "marks": 1, "criterion": "凝固"},
                                          {"id": "b", "marks": 2, "criterion": "体积变大"}]}},
        {"i4": {"rubric": [{"id": "x", "marks": 4, "criterion": "体积变大"}]}},
        {"i4": {"rubric": [{"id": "a", "marks": 1, "criterion": "凝固"}, {"id": "b", "marks": 3, "criterion": "大"}]}},
    ],
)  # fmt: skip
def test_changes_that_would_destroy_marks_are_refused(house: House, change: dict[str, Any]) -> None:
    house.use()
    house.mark("chen", 4.0, criteria={"a": 2, "b": 2})
    before = house.rows()
    with house.open_run() as run, pytest.raises(Destroys):
        revising.preview(house.database, house.exam, run, _changed(**change))
    assert house.rows() == before


def test_items_do_not_come_go_or_change_their_kind(house: House) -> None:
    data = EXAM.model_dump(mode="json")
    fewer = Exam.model_validate({**data, "items": data["items"][:-1]})
    more = Exam.model_validate({**data, "items": [*data["items"], {**data["items"][0], "id": "9"}]})
    blank = {"id": "1", "type": "blank", "answers": ["B"], "max_mark": 2}
    kind = Exam.model_validate({**data, "items": [blank, *data["items"][1:]]})
    for wrong in (fewer, more, kind, EXAM):
        with house.open_run() as run, pytest.raises(UsageError):
            revising.preview(house.database, house.exam, run, wrong)


def test_answers_that_come_late_are_marked_under_the_version_in_force(house: House, tmp_path: Path) -> None:
    new = _changed(i1={"answer": "A"})
    with house.open_run() as run:
        sealed = revising.preview(house.database, house.exam, run, new)
        revising.apply(house.database, house.exam, run, "ling", new, "key was wrong", sealed.seal)
    with RunStore.open(make_run(tmp_path / "later", 15)) as later:
        assert bring_in(house.database, house.exam, later, "ling").added == 9
    rows = house.rows("1")
    assert {(row["text"], row["mark"]) for row in rows.values()} == {("A", 2.0), ("B", 0.0)}
    assert len(rows) == 15


def test_a_total_on_the_line_passes() -> None:
    held = [revision.Held("n", "1", "1", 2.0, True, False), revision.Held("m", "1", SHORT, 3.4, True, True, 3.4)]
    again = {"n": revision.New("n", 0.0, True)}
    shown = revision.preview(EXAM, _changed(i1={"answer": "A"}), held, again, 0.6)  # 5.4 of 9 is 0.6
    assert [(one.candidate, one.before, one.after) for one in shown.down] == [
        ("1", pytest.approx(0.6), pytest.approx(3.4 / 9))
    ]
    with pytest.raises(UsageError):
        revision.preview(EXAM, EXAM, held, again, 60)
