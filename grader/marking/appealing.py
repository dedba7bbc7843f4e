"""Appeals in the database: each with its trail, which can only grow."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from grader.marking import appeals, schema, settling
from grader.marking.appeals import State, Step
from grader.marking.errors import NotAllowed, NotFound
from grader.marking.saving import check_given
from grader.service.database import Database, now


@dataclass(frozen=True)
class Appeal:
    """One appeal. answer: the opaque name. before, after: the mark that was appealed and the one that stands since."""

    id: str
    answer: str
    item: str
    state: State
    before: float | None
    after: float | None
    taken_by: str


@dataclass(frozen=True)
class TrailStep:
    """One step. mark: of the re-mark; note: the ground, or what the marker says."""

    at: str
    actor: str
    step: Step
    mark: float | None
    note: str


def open_appeal(database: Database, exam: str, actor: str, name: str, ground: str) -> str:
    """Open an appeal against the mark of an answer; its id. Raises NotFound, NotAllowed where the answer has no final
    mark, an appeal is open already, or no ground is given."""
    if not ground.strip():
        raise NotAllowed("an appeal needs a ground", "write what is to be looked at again")
    with database.begin() as connection:
        a, p = schema.answer.c, schema.appeal.c
        held = select(a.id, a.item, a.mark, a.state).where(a.exam == exam, a.name == name).with_for_update()
        row = connection.execute(held).first()
        if row is None:
            raise NotFound("the exam has no such answer", "load the page again")
        if row.state not in ("final", "excused"):
            raise NotAllowed("the answer has no final mark yet", "wait until it is marked")
        if connection.scalar(select(p.id).where(p.answer == row.id, p.state.in_(("open", "taken")))):
            raise NotAllowed("an appeal on this answer is open already", "follow that one")
        id_ = secrets.token_urlsafe(12)
        values = {"id": id_, "exam": exam, "answer": row.id, "item": row.item, "state": "open", "before": row.mark}
        connection.execute(insert(schema.appeal).values(**values))
        _trail(connection, exam, id_, actor, "opened", ground.strip())
        return id_


def find_answer(database: Database, exam: str, candidate: str, item: str) -> str:
    """The opaque name of a candidate's answer, for who opens an appeal and may see candidates. Raises NotFound."""
    a, o = schema.answer.c, schema.origin.c
    query = select(a.name).join(schema.origin, o.answer == a.id)
    with database.read() as connection:
        name = connection.scalar(query.where(a.exam == exam, o.candidate == candidate, a.item == item).order_by(a.id))
    if name is None:
        raise NotFound(f"there is no answer of {candidate} to item {item}", "check the number")
    return str(name)


def take(database: Database, exam: str, actor: str, appeal: str) -> Appeal:
    """Take the appeal to re-mark it. Raises NotFound, NotAllowed for who has marked the answer before."""
    with database.begin() as connection:
        row = _held(connection, exam, appeal)
        state = appeals.after(row.state, "taken")
        appeals.check_may_take(actor, earlier_markers(connection, row.answer))
        _change(connection, appeal, state=state, taken_by=actor)
        _trail(connection, exam, appeal, actor, "taken")
        return _appeal(connection, exam, appeal)


def hand_back(database: Database, exam: str, actor: str, appeal: str, note: str = "") -> Appeal:
    """Leave the appeal to somebody else. Raises NotFound, NotAllowed where it is not the actor's."""
    with database.begin() as connection:
        row = _held(connection, exam, appeal)
        _is_his(row, actor)
        _change(connection, appeal, state=appeals.after(row.state, "handed_back"), taken_by="")
        _trail(connection, exam, appeal, actor, "handed_back", note)
        return _appeal(connection, exam, appeal)


def withdraw(database: Database, exam: str, actor: str, appeal: str, note: str = "") -> Appeal:
    """Close the appeal without a re-mark. Raises NotFound, NotAllowed for one that is closed."""
    with database.begin() as connection:
        row = _held(connection, exam, appeal)
        _change(connection, appeal, state=appeals.after(row.state, "withdrawn"))
        _trail(connection, exam, appeal, actor, "withdrawn", note)
        return _appeal(connection, exam, appeal)


def re_mark(
    database: Database,
    exam: str,
    actor: str,
    appeal: str,
    mark: float,
    criteria: Mapping[str, float] | None,
    note: str,
) -> Appeal:
    """Give the answer the mark that stands from now on, and close the appeal.

    Raises NotFound; NotAllowed where it is not the actor's, he gives no note, or the item has no such mark.
    """
    if not note.strip():
        raise NotAllowed("a re-mark needs a note", "write what was found, for who appealed")
    with database.begin() as connection:
        row = _held(connection, exam, appeal)
        _is_his(row, actor)
        version, chosen = check_given(connection, exam, row.item, mark, criteria, note)
        event = {"exam": exam, "item": row.item, "answer": row.answer, "at": now(), "actor": actor, "kind": "mark"}
        event |= {
            "giver": "appeal",
            "mark": mark,
            "criteria": settling.criteria_text(criteria),
            "comment": note.strip(),
        }
        connection.execute(insert(schema.event).values(**event, rubric=version))
        settling.settle_answers(connection, exam, [row.answer], chosen)
        _change(connection, appeal, state=appeals.outcome(row.before, mark), after=mark)
        _trail(connection, exam, appeal, actor, "marked", note.strip(), mark)
        return _appeal(connection, exam, appeal)


def appeals_of(database: Database, exam: str, *, pending: bool = False) -> list[Appeal]:
    """The exam's appeals, in the order in which they came; pending: only those that are not closed."""
    p, e = schema.appeal.c, schema.appeal_event.c
    query = _query().join(schema.appeal_event, (e.appeal == p.id) & (e.step == "opened")).where(p.exam == exam)
    if pending:
        query = query.where(p.state.in_(("open", "taken")))
    with database.read() as connection:
        return [Appeal(*row) for row in connection.execute(query.order_by(e.id))]


def trail(database: Database, exam: str, appeal: str) -> list[TrailStep]:
    """What happened to an appeal, step by step. Raises NotFound."""
    e = schema.appeal_event.c
    with database.read() as connection:
        _appeal(connection, exam, appeal)
        query = select(e.at, e.actor, e.step, e.mark, e.note).where(e.appeal == appeal).order_by(e.id)
        return [TrailStep(*row) for row in connection.execute(query)]


def earlier_markers(connection: Connection, answer: int) -> set[str]:
    """Everybody who ever gave the answer a mark, withdrawn or not."""
    e = schema.event.c
    query = select(e.actor).where(e.answer == answer, e.kind.in_(("mark", "trial", "definitive")), e.giver != "model")
    return set(connection.scalars(query))


def _held(connection: Connection, exam: str, appeal: str) -> Any:
    c = schema.appeal.c
    row = connection.execute(select(schema.appeal).where(c.exam == exam, c.id == appeal).with_for_update()).first()
    if row is None:
        raise NotFound("there is no such appeal", "choose one of the list")
    return row


def _is_his(row: Any, actor: str) -> None:
    if row.state != "taken" or row.taken_by != actor:
        raise NotAllowed("the appeal is not on your desk", "take it first")


def _change(connection: Connection, appeal: str, **values: Any) -> None:
    connection.execute(update(schema.appeal).where(schema.appeal.c.id == appeal).values(**values))


def _trail(
    connection: Connection, exam: str, appeal: str, actor: str, step: Step, note: str = "", mark: float | None = None
) -> None:
    values = {"exam": exam, "appeal": appeal, "at": now(), "actor": actor, "step": step, "note": note, "mark": mark}
    connection.execute(insert(schema.appeal_event).values(**values))


def _query() -> Any:
    p, a = schema.appeal.c, schema.answer.c
    columns = p.id, a.name, p.item, p.state, p.before, p.after, p.taken_by
    return select(*columns).join(schema.answer, a.id == p.answer)


def _appeal(connection: Connection, exam: str, appeal: str) -> Appeal:
    p = schema.appeal.c
    row = connection.execute(_query().where(p.exam == exam, p.id == appeal)).first()
    if row is None:
        raise NotFound("there is no such appeal", "choose one of the list")
    return Appeal(*row)
