"""Saving a mark, taking it back, raising to the leader, commenting: each an event, then what follows from it.

A save that was acknowledged is on disk. One that is sent twice (the answer was lost, the server was restarted) is
kept once: the lease's token names it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from grader.exam.exam import Item, ShortAnswerItem
from grader.marking import schema, settling, trials
from grader.marking.answers import current_exam, item_settings
from grader.marking.errors import NotAllowed, NotFound, Taken
from grader.marking.seeds import Phase
from grader.marking.settings import ItemSettings
from grader.service.database import Database, moment, now

MAX_COMMENT = 2000
_OPEN = ("first", "second", "third")
_CHUNK = 500  # ids in one statement: databases limit its parameters
_LONGEST = 3600.0  # seconds: who needs longer was away


@dataclass(frozen=True)
class Saved:
    """What became of a mark. names: the answers it was given to. definitive: in practice, what was agreed, and
    whether the mark lies within the tolerance; phase: where the marker is now."""

    names: tuple[str, ...]
    mark: float
    definitive: float | None = None
    within: bool | None = None
    phase: Phase = "live"


@dataclass(frozen=True)
class Undone:
    """An action taken back: the answers, which are on the marker's desk again."""

    item: str
    names: tuple[str, ...]


def save(
    database: Database,
    exam: str,
    actor: str,
    name: str,
    token: str,
    mark: float,
    criteria: Mapping[str, float] | None = None,
    comment: str = "",
    seconds: float | None = None,
) -> Saved:
    """Give the answer on the marker's desk a mark; on return it is kept.

    token: of grader.marking.serving.Served. criteria: criterion id → mark. seconds: from being shown to being saved;
    None counts from when it was leased. Raises Taken where the lease ran out and another has the answer, NotAllowed
    for a mark or criteria that the item does not allow, or a marker who may not go on, NotFound.
    """
    with database.begin() as connection:
        given = _Given(mark, criteria, comment, seconds)
        rows = _held(connection, exam, [name])
        if not _is_his(rows, actor, token):
            one = trials.on_desk(connection, exam, actor, name, token)
            if one is not None:
                return _save_trial(connection, exam, actor, one, given)
        return _saved_before(connection, exam, actor, rows, token) or _save(connection, exam, actor, rows, token, given)


def save_group(
    database: Database,
    exam: str,
    actor: str,
    names: Sequence[str],
    token: str,
    mark: float,
    criteria: Mapping[str, float] | None = None,
    comment: str = "",
    seconds: float | None = None,
) -> Saved:
    """Give all these answers, leased with grader.marking.serving.lease_group, the same mark: all or none.

    What was leased with them and is not named goes back. Raises as `save`.
    """
    if not names:
        raise NotAllowed("no answer of the group is left to mark", "take fewer out, or go back to the single answer")
    with database.begin() as connection:
        rows = _held(connection, exam, names)
        done = _saved_before(connection, exam, actor, rows, token)
        if done is not None:
            return done
        saved = _save(connection, exam, actor, rows, token, _Given(mark, criteria, comment, seconds))
        c = schema.answer.c
        rest = (c.exam == exam) & (c.lease_actor == actor) & (c.lease_token == token)
        connection.execute(update(schema.answer).where(rest).values(**schema.NO_LEASE))
        return saved


def undo(database: Database, exam: str, actor: str) -> Undone | None:
    """Take back the marker's last action that still stands (marks or a raise), and put its answers on his desk again.

    Answers that another person has marked, or the leader decided, since are passed over; None where nothing is left.
    Trials are not taken back: seeds would show themselves by it.
    """
    with database.begin() as connection:
        events = _last_action(connection, exam, actor)
        if not events:
            return None
        rows = [
            {"exam": exam, "item": e.item, "answer": e.answer, "at": now(), "actor": actor, "undoes": e.id}
            for e in events
        ]
        connection.execute(insert(schema.event).values(kind="withdraw"), rows)
        ids = [event.answer for event in events]
        chosen = item_settings(connection, exam, events[0].item)
        settling.settle_answers(connection, exam, ids)
        c = schema.answer.c
        lease = {"lease_actor": actor, "lease_token": secrets.token_urlsafe(12), "lease_since": now()}
        lease["lease_until"] = now(timedelta(minutes=chosen.lease))
        names: list[str] = []
        for start in range(0, len(ids), _CHUNK):
            part = ids[start : start + _CHUNK]
            connection.execute(update(schema.answer).where(c.id.in_(part), c.state.in_(_OPEN)).values(**lease))
            names += connection.scalars(select(c.name).where(c.id.in_(part)).order_by(c.place))
        return Undone(events[0].item, tuple(names))


def raise_to_leader(database: Database, exam: str, actor: str, name: str, token: str, comment: str) -> None:
    """Hand the answer on the marker's desk to the leader, with the reason. Raises Taken, NotFound; NotAllowed where
    no reason is given."""
    _check_comment(comment)
    if not comment.strip():
        raise NotAllowed("the leader needs a reason", "write one line about what is doubtful")
    with database.begin() as connection:
        one = trials.on_desk(connection, exam, actor, name, token)
        if one is not None:  # raising a seed says nothing about the marker: it waits, and the leader sees why
            _append(connection, exam, actor, one.item, one.answer, kind="comment", comment=comment)
            return
        (row,) = rows = _held(connection, exam, [name])
        _check_his(rows, actor, token)
        _append(connection, exam, actor, row["item"], row["id"], kind="raise", comment=comment, token=token)
        _settle_and_free(connection, exam, [row["id"]])


def comment(database: Database, exam: str, actor: str, name: str, text: str) -> None:
    """Add a remark to an answer, for the leader. Raises NotFound, NotAllowed for a text that is empty or too long."""
    _check_comment(text)
    if not text.strip():
        raise NotAllowed("the remark is empty", "write it first")
    with database.begin() as connection:
        c = schema.answer.c
        row = connection.execute(select(c.id, c.item).where(c.exam == exam, c.name == name)).first()
        if row is None:
            raise NotFound("the exam has no such answer", "load the page again")
        _append(connection, exam, actor, row.item, row.id, kind="comment", comment=text)


# within a transaction


@dataclass(frozen=True)
class _Given:
    mark: float
    criteria: Mapping[str, float] | None
    comment: str
    seconds: float | None


def check_given(
    connection: Connection, exam: str, item: str, mark: float, criteria: Mapping[str, float] | None, comment: str
) -> tuple[int, ItemSettings]:
    """The version of the exam that the mark is given under, and the item's settings. Raises NotAllowed."""
    version, shown = current_exam(connection, exam)
    chosen = item_settings(connection, exam, item)
    held = shown.item(item)
    trials.check_mark(chosen.scheme, mark, held.max_mark)
    _check_criteria(held, mark, criteria)
    _check_comment(comment)
    return version, chosen


def _check_criteria(item: Item, mark: float, criteria: Mapping[str, float] | None) -> None:
    if not criteria:
        return
    most = {c.id: c.marks for c in item.rubric} if isinstance(item, ShortAnswerItem) else {}
    for name, value in criteria.items():
        if name not in most or not 0 <= value <= most[name]:
            raise NotAllowed(f"{value:g} marks for the criterion {name!r}", "load the page again")
    total = min(sum(criteria.values()), item.max_mark)
    if abs(total - mark) > 1e-9:
        raise NotAllowed(f"the criteria add up to {total:g}, the mark is {mark:g}", "correct one of them")


def _check_comment(comment: str) -> None:
    if len(comment) > MAX_COMMENT:
        raise NotAllowed(f"a remark of {len(comment)} characters", f"keep it below {MAX_COMMENT}")


def _save(connection: Connection, exam: str, actor: str, rows: Sequence[Any], token: str, given: _Given) -> Saved:
    _check_his(rows, actor, token)
    item = rows[0]["item"]
    version, chosen = check_given(connection, exam, item, given.mark, given.criteria, given.comment)
    if trials.phase_in(connection, exam, actor, item, chosen.seeds) in ("failed", "stopped"):
        raise NotAllowed("your marking is paused", "ask the leader")
    base = {
        "exam": exam,
        "item": item,
        "at": now(),
        "actor": actor,
        "kind": "mark",
        "giver": "person",
        "mark": given.mark,
        "criteria": settling.criteria_text(given.criteria),
        "comment": given.comment,
        "seconds": _seconds(given.seconds, rows[0]["lease_since"], len(rows)),
        "rubric": version,
        "token": token,
        "together": token if len(rows) > 1 else "",
    }
    connection.execute(insert(schema.event), [{**base, "answer": row["id"]} for row in rows])
    _settle_and_free(connection, exam, [row["id"] for row in rows], chosen)
    return Saved(tuple(row["name"] for row in rows), given.mark)


def _save_trial(connection: Connection, exam: str, actor: str, one: trials.OnDesk, given: _Given) -> Saved:
    version, chosen = check_given(connection, exam, one.item, given.mark, given.criteria, given.comment)
    event = _append(
        connection,
        exam,
        actor,
        one.item,
        one.answer,
        kind="trial",
        giver="person",
        mark=given.mark,
        criteria=settling.criteria_text(given.criteria),
        comment=given.comment,
        seconds=_seconds(given.seconds, one.since, 1),
        rubric=version,
        token=one.token,
    )
    definitive = trials.record(connection, exam, actor, one, event, given.mark, chosen.scheme)
    phase = trials.phase_in(connection, exam, actor, one.item, chosen.seeds)
    if one.trial != "practice":  # nothing tells a marker how he did at a seed
        return Saved((one.name,), given.mark, phase=phase)
    close = trials.within(chosen.scheme.tolerance, given.mark, definitive)
    return Saved((one.name,), given.mark, definitive, close, phase)


def _saved_before(connection: Connection, exam: str, actor: str, rows: Sequence[Any], token: str) -> Saved | None:
    """What a save that came before under the same token gave these answers, if it gave all of them a mark."""
    if _is_his(rows, actor, token):
        return None
    e = schema.event.c
    query = select(e.mark).where(e.answer.in_([row["id"] for row in rows]), e.token == token, e.actor == actor)
    marks = list(connection.scalars(query))
    if len(marks) != len(rows) or None in marks:
        return None
    return Saved(tuple(row["name"] for row in rows), marks[0])


def _held(connection: Connection, exam: str, names: Sequence[str]) -> list[Any]:
    """The answers, held for this transaction. Raises NotFound."""
    c = schema.answer.c
    query = select(schema.answer).where(c.exam == exam, c.name.in_(names)).order_by(c.id).with_for_update()
    rows = list(connection.execute(query).mappings())
    if len(rows) != len(set(names)):
        raise NotFound("the exam has no such answer", "go on to the next answer")
    return rows


def _is_his(rows: Sequence[Any], actor: str, token: str) -> bool:
    """Whether all are on the marker's desk. A lease that ran out is good as long as nobody else took the answer."""
    return all(row["lease_actor"] == actor and row["lease_token"] == token and row["state"] in _OPEN for row in rows)


def _check_his(rows: Sequence[Any], actor: str, token: str) -> None:
    if not _is_his(rows, actor, token):
        raise Taken("the answer is no longer yours to mark", "go on to the next answer")
    if len({row["item"] for row in rows}) > 1:
        raise NotAllowed("answers to different items", "mark one item at a time")


def _settle_and_free(connection: Connection, exam: str, ids: Sequence[int], chosen: ItemSettings | None = None) -> None:
    connection.execute(update(schema.answer).where(schema.answer.c.id.in_(ids)).values(**schema.NO_LEASE))
    settling.settle_answers(connection, exam, ids, chosen)


def _append(connection: Connection, exam: str, actor: str, item: str, answer: int, **values: Any) -> int:
    base = {"exam": exam, "item": item, "answer": answer, "at": now(), "actor": actor}
    made = insert(schema.event).values(**base, **values).returning(schema.event.c.id)
    return int(connection.execute(made).scalar_one())


def _seconds(given: float | None, since: str, shared: int) -> float:
    """Time for one answer; a group's is shared by its answers."""
    spent = given if given is not None else (datetime.now(UTC) - moment(since)).total_seconds()
    return min(max(spent, 0.0), _LONGEST) / shared


def _last_action(connection: Connection, exam: str, actor: str) -> list[Any]:
    """The events of the marker's last action that stand, without those that others acted upon since."""
    e = schema.event.c
    other = schema.event.alias("other")
    undone = select(other.c.id).where(other.c.undoes == e.id).exists()
    since = select(other.c.id).where(other.c.answer == e.answer, other.c.id > e.id, _acts(other, actor)).exists()
    own: ColumnElement[bool] = (e.exam == exam) & (e.actor == actor) & e.kind.in_(("mark", "raise"))
    own &= e.giver.in_(("person", "")) & ~undone & ~since
    last = connection.execute(select(schema.event).where(own).order_by(e.id.desc()).limit(1)).first()
    if last is None or not last.together:
        return [] if last is None else [last]
    return list(connection.execute(select(schema.event).where(own, e.together == last.together).order_by(e.id)))


def _acts(other: Any, actor: str) -> ColumnElement[bool]:
    """An event by somebody else that builds upon the answer as it was; nothing the model says does."""
    c = other.c
    acts: ColumnElement[bool] = c.kind.in_(("mark", "definitive", "excuse", "return")) & c.giver.is_distinct_from(
        "model"
    )
    return acts & ((c.actor != actor) | c.giver.in_(("leader", "appeal")))


def standing_marks(connection: Connection, answer: int) -> settling.Standing:
    """What stands of one answer's events."""
    c = schema.event.c
    return settling.standing(connection.execute(select(schema.event).where(c.answer == answer).order_by(c.id)))
