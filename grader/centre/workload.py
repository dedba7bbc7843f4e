"""How much waits for one marker, item by item, and where he stands in each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from grader.exam.exam import Exam, Item
from grader.marking import answers, schema, trials
from grader.marking.scheme import may_accept_in_bulk
from grader.marking.seeds import Phase
from grader.service.database import Database

_OPEN = ("first", "second", "third")


@dataclass(frozen=True)
class Line:
    """One item as a marker meets it. waiting: answers that he could mark; marked: those that bear his mark; bulk:
    whether proposals may be accepted together."""

    place: int
    item: Item
    waiting: int
    marked: int
    phase: Phase
    bulk: bool


@dataclass(frozen=True)
class Tally:
    """A marker's last seeds: how many of them lay within the tolerance, and the limit."""

    within: int
    of: int
    limit: float


def lines(database: Database, exam: str, shown: Exam, actor: str) -> list[Line]:
    """The items that have anything to do with people, in the exam's order."""
    c = schema.answer.c
    mine = (c.marker1 == actor) | (c.marker2 == actor) | (c.marker3 == actor)
    in_item = select(c.item, func.count()).where(c.exam == exam, c.seed == "").group_by(c.item)
    with database.read() as connection:
        waiting = _counted(connection, in_item.where(c.state.in_(_OPEN), ~mine))
        marked = _counted(connection, in_item.where(mine))
        bulk = _counted(connection, in_item.where(c.state == "first", c.engine_status == "proposed"))
        found = []
        for place, item in enumerate(shown.items):
            if not waiting.get(item.id) and not marked.get(item.id):
                continue
            chosen = answers.item_settings(connection, exam, item.id)
            phase = trials.phase_in(connection, exam, actor, item.id, chosen.seeds)
            accepts = bool(bulk.get(item.id)) and may_accept_in_bulk(chosen.scheme) and phase == "live"
            line = Line(place, item, waiting.get(item.id, 0), marked.get(item.id, 0), phase, accepts)
            found.append(line)
    return found


def _counted(connection: Connection, query: Any) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.execute(query)}


def left(database: Database, exam: str, item: str, actor: str) -> int:
    """Answers to the item that the marker could mark."""
    c = schema.answer.c
    own = (c.marker1 != actor) & (c.marker2 != actor) & (c.marker3 != actor)
    where = (c.exam == exam) & (c.item == item) & (c.seed == "") & c.state.in_(_OPEN) & own
    with database.read() as connection:
        return connection.scalar(select(func.count()).where(where)) or 0


def tally(database: Database, exam: str, item: str, actor: str) -> Tally | None:
    """How the marker's last seeds at the item came out; None where there were none."""
    t = schema.trial.c
    with database.read() as connection:
        policy = answers.item_settings(connection, exam, item).seeds
        query = select(t.within).where(
            t.exam == exam, t.item == item, t.actor == actor, t.trial == "seed", t.event.is_not(None)
        )
        last = list(connection.scalars(query.order_by(t.event.desc()).limit(policy.window)))
    return Tally(sum(last), len(last), policy.limit) if last else None
