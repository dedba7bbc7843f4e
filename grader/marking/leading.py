"""What the leader of an exam does: decides what markers could not, excuses what cannot be marked, sees progress."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from grader.marking import schema, settling
from grader.marking.errors import NotAllowed, NotFound
from grader.marking.saving import check_given, standing_marks
from grader.marking.scheme import Given
from grader.marking.serving import Proposed, proposal_of
from grader.service.database import Database, now


@dataclass(frozen=True)
class Remark:
    """What somebody wrote about an answer. kind: of the event."""

    at: str
    actor: str
    kind: str
    text: str


@dataclass(frozen=True)
class Case:
    """An answer as the leader sees it: all marks that stand, and what was said. Whose it is he does not see either.

    state, why: see grader.marking.schema; mark: the final one, None where there is none.
    """

    name: str
    item: str
    state: str
    why: str
    text: str
    crop: str
    flags: tuple[str, ...]
    proposal: Proposed
    marks: tuple[Given, ...]
    remarks: tuple[Remark, ...]
    mark: float | None
    how: str
    seed: str


@dataclass(frozen=True)
class Progress:
    """How far an item is: answers by state. by_rule: of the final ones, those that a rule
    marked."""

    item: str
    place: int
    max_mark: float
    first: int = 0
    second: int = 0
    third: int = 0
    leader: int = 0
    final: int = 0
    excused: int = 0
    by_rule: int = 0

    @property
    def open(self) -> int:
        """Answers that still wait for somebody."""
        return self.first + self.second + self.third + self.leader


def leader_queue(database: Database, exam: str, item: str | None = None, limit: int = 500) -> list[Case]:
    """What waits for the leader, in the order of the queue."""
    c = schema.answer.c
    query = select(c.name).where(c.exam == exam, c.state == "leader").order_by(c.item, c.place).limit(limit)
    if item is not None:
        query = query.where(c.item == item)
    with database.read() as connection:
        return [_case(connection, exam, name) for name in connection.scalars(query)]


def case(database: Database, exam: str, name: str) -> Case:
    """One answer. Raises NotFound."""
    with database.read() as connection:
        return _case(connection, exam, name)


def adjudicate(
    database: Database,
    exam: str,
    leader: str,
    name: str,
    mark: float,
    criteria: Mapping[str, float] | None = None,
    comment: str = "",
) -> None:
    """Give the answer its final mark, above those that stand. Raises NotFound; NotAllowed for a mark that the item
    does not have, or an answer that no marker and no rule left to the leader."""
    with database.begin() as connection:
        row = _held(connection, exam, name)
        version, chosen = check_given(connection, exam, row.item, mark, criteria, comment)
        values = {"giver": "leader", "mark": mark, "criteria": settling.criteria_text(criteria), "rubric": version}
        _append(connection, exam, leader, row, kind="mark", comment=comment, **values)
        settling.settle_answers(connection, exam, [row.id], chosen)


def hand_back(database: Database, exam: str, leader: str, name: str, comment: str = "") -> None:
    """Give a raised, excused or adjudicated answer back to the markers; their marks stand. Raises NotFound, NotAllowed
    for one that is with them already or serves as a seed."""
    with database.begin() as connection:
        row = _held(connection, exam, name)
        stands = standing_marks(connection, row.id)
        above = any(given.by in ("leader", "appeal") for given in stands.marks)
        if row.seed or not (stands.raised or stands.excused or above):
            raise NotAllowed("there is nothing to hand back", "give the answer a mark, or drop the seed first")
        _append(connection, exam, leader, row, kind="return", comment=comment)
        settling.settle_answers(connection, exam, [row.id])


def excuse(database: Database, exam: str, leader: str, name: str, reason: str) -> None:
    """Leave the answer without a mark, for a reason that the release shows. Raises NotFound, NotAllowed without a
    reason."""
    if not reason.strip():
        raise NotAllowed("an excuse needs a reason", "write why this answer gets no mark")
    with database.begin() as connection:
        row = _held(connection, exam, name)
        _append(connection, exam, leader, row, kind="excuse", comment=reason.strip())
        settling.settle_answers(connection, exam, [row.id])


def progress(database: Database, exam: str) -> list[Progress]:
    """Every item, in the exam's order."""
    a, i = schema.answer.c, schema.item.c
    counts: dict[str, dict[str, int]] = {}
    with database.read() as connection:
        query = select(a.item, a.state, func.count()).where(a.exam == exam).group_by(a.item, a.state)
        for item, state, count in connection.execute(query):
            counts.setdefault(item, {})[state] = count
        rules = select(a.item, func.count()).where(a.exam == exam, a.how == "rule").group_by(a.item)
        for item, count in connection.execute(rules):
            counts.setdefault(item, {})["by_rule"] = count
        items = connection.execute(select(i.item, i.place, i.max_mark).where(i.exam == exam).order_by(i.place)).all()
    return [Progress(item, place, most, **counts.get(item, {})) for item, place, most in items]


def _case(connection: Connection, exam: str, name: str) -> Case:
    a, e = schema.answer.c, schema.event.c
    row = connection.execute(select(schema.answer).where(a.exam == exam, a.name == name)).mappings().first()
    if row is None:
        raise NotFound("the exam has no such answer", "load the page again")
    events = connection.execute(select(schema.event).where(e.answer == row["id"]).order_by(e.id)).all()
    stands = settling.standing(events)
    said = tuple(Remark(one.at, one.actor, one.kind, one.comment) for one in events if one.comment)
    return Case(
        name,
        row["item"],
        row["state"],
        row["why"],
        row["text"],
        row["crop"],
        tuple(row["flags"].split()),
        proposal_of(row),
        stands.marks,
        said,
        row["mark"],
        row["how"],
        row["seed"],
    )


def _held(connection: Connection, exam: str, name: str) -> Any:
    """The answer, held for this transaction and taken off whose desk it is on."""
    c = schema.answer.c
    where = (c.exam == exam) & (c.name == name)
    connection.execute(update(schema.answer).where(where).values(**schema.NO_LEASE))
    row = connection.execute(select(c.id, c.item, c.state, c.seed).where(where)).first()
    if row is None:
        raise NotFound("the exam has no such answer", "load the page again")
    return row


def _append(connection: Connection, exam: str, actor: str, row: Any, **values: Any) -> None:
    base = {"exam": exam, "item": row.item, "answer": row.id, "at": now(), "actor": actor}
    connection.execute(insert(schema.event).values(**base, **values))
