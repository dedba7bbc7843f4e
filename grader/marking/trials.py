"""Seeds, practice and qualification in the database: which a marker gets, and where that leaves him.

A seed is an answer of the exam whose definitive mark a leader set. It is served to any number of markers, so it is
never leased; each marker's trial has its own token.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from grader.marking import schema, settling
from grader.marking.answers import current_exam, item_settings
from grader.marking.errors import NotAllowed, NotFound
from grader.marking.scheme import Scheme, allowed_mark, within
from grader.marking.seeds import Lift, Outcome, Phase, SeedPolicy, Trial, may_lift, phase
from grader.service.database import Database, now

_SEED_TURNS = 2  # a second time, after all others, shows how far a marker agrees with himself


@dataclass(frozen=True)
class OnDesk:
    """A trial that waits for the marker's mark. answer: its id; since: when it was served."""

    answer: int
    name: str
    item: str
    trial: Trial
    turn: int
    token: str
    since: str


# leaders


def make_seed(
    database: Database,
    exam: str,
    leader: str,
    name: str,
    mark: float,
    use: Trial,
    criteria: Mapping[str, float] | None = None,
) -> None:
    """Give the answer its definitive mark, which is final at once, and use it as a seed, in practice or in
    qualification. Raises NotFound, NotAllowed for a mark that the item does not allow."""
    with database.begin() as connection:
        row = _answer(connection, exam, name)
        chosen = item_settings(connection, exam, row.item)
        version, shown = current_exam(connection, exam)
        check_mark(chosen.scheme, mark, shown.item(row.item).max_mark)
        event = {"kind": "definitive", "giver": "leader", "mark": mark, "criteria": settling.criteria_text(criteria)}
        base = {"exam": exam, "item": row.item, "answer": row.id, "at": now(), "actor": leader, "rubric": version}
        connection.execute(insert(schema.event).values(**base, **event))
        connection.execute(
            update(schema.answer).where(schema.answer.c.id == row.id).values(seed=use, **schema.NO_LEASE)
        )
        settling.settle_answers(connection, exam, [row.id], chosen)


def drop_seed(database: Database, exam: str, name: str) -> None:
    """Serve the answer as a seed no more; its definitive mark stays. Raises NotFound."""
    with database.begin() as connection:
        row = _answer(connection, exam, name)
        connection.execute(update(schema.answer).where(schema.answer.c.id == row.id).values(seed=""))


def lift(database: Database, exam: str, leader: str, role: str, item: str, marker: str, comment: str = "") -> Phase:
    """Let a failed marker try again or a stopped one go on; returns where he is then.

    role: of the leader. Raises NotAllowed for who may not, or a marker who is neither failed nor stopped.
    """
    if not may_lift(role, leader, marker):
        raise NotAllowed("this takes another person, who leads the exam", "ask the leader")
    with database.begin() as connection:
        chosen = item_settings(connection, exam, item)
        held = phase_in(connection, exam, marker, item, chosen.seeds)
        if held not in ("failed", "stopped"):
            raise NotAllowed("the marker is neither stopped nor has he failed", "load the page again")
        body = settling.dumps({"marker": marker, "phase": held})
        event = {"exam": exam, "item": item, "at": now(), "actor": leader, "kind": "lift"}
        connection.execute(insert(schema.event).values(**event, comment=comment, body=body))
        return phase_in(connection, exam, marker, item, chosen.seeds)


def phase_of(database: Database, exam: str, marker: str, item: str) -> Phase:
    """Where the marker is at the item."""
    with database.read() as connection:
        return phase_in(connection, exam, marker, item, item_settings(connection, exam, item).seeds)


def phase_in(connection: Connection, exam: str, marker: str, item: str, policy: SeedPolicy) -> Phase:
    """As `phase_of`, within a transaction."""
    if not tries(policy):
        return "live"
    return phase(policy, history(connection, exam, marker, item))


def tries(policy: SeedPolicy) -> bool:
    """Whether markers of the item are tried at all."""
    return bool(policy.practice or policy.qualification or policy.rate)


def history(connection: Connection, exam: str, marker: str, item: str) -> list[Outcome | Lift]:
    """What happened to the marker at the item, in order."""
    t, e = schema.trial.c, schema.event.c
    trials = select(t.event, t.trial, t.exact, t.within).where(
        t.exam == exam, t.item == item, t.actor == marker, t.event.is_not(None)
    )
    found: list[tuple[int, Outcome | Lift]] = [
        (row.event, Outcome(row.trial, row.exact, row.within)) for row in connection.execute(trials)
    ]
    lifts = select(e.id, e.body).where(e.exam == exam, e.item == item, e.kind == "lift")
    for id_, text in connection.execute(lifts):
        body = settling.loads(text)
        if body["marker"] == marker:
            found.append((id_, Lift(body["phase"])))
    return [one for _, one in sorted(found, key=lambda pair: pair[0])]


# serving


def outstanding(connection: Connection, exam: str, actor: str, item: str, besides: Collection[str]) -> OnDesk | None:
    """The oldest trial that was served to the marker and still waits."""
    a, t = schema.answer.c, schema.trial.c
    query = _on_desk(exam, actor).where(t.item == item, a.name.not_in(list(besides)))
    row = connection.execute(query.order_by(t.at).limit(1)).first()
    return None if row is None else OnDesk(*row)


def on_desk(connection: Connection, exam: str, actor: str, name: str, token: str | None = None) -> OnDesk | None:
    """The trial of that answer that waits for the marker's mark."""
    query = _on_desk(exam, actor).where(schema.answer.c.name == name)
    if token is not None:
        query = query.where(schema.trial.c.token == token)
    row = connection.execute(query).first()
    return None if row is None else OnDesk(*row)


def _on_desk(exam: str, actor: str) -> Any:
    a, t = schema.answer.c, schema.trial.c
    columns = (a.id, a.name, a.item, t.trial, t.turn, t.token, t.at)
    query = select(*columns).join(schema.trial, t.answer == a.id)
    return query.where(t.exam == exam, t.actor == actor, t.event.is_(None))


def lease(
    connection: Connection, exam: str, actor: str, item: str, use: Trial, besides: Collection[str]
) -> OnDesk | None:
    """Serve the marker a trial: one that he marked least often, never one that he gave its definitive mark; in an
    order of his own, so that neighbours cannot compare. None where the item has none."""
    a, t = schema.answer.c, schema.trial.c
    turns = select(t.answer, func.count().label("turns")).where(t.exam == exam, t.actor == actor)
    done = turns.group_by(t.answer).subquery()
    query = (
        select(a.id, a.name, a.item, func.coalesce(done.c.turns, 0).label("turns"), a.markers)
        .outerjoin(done, done.c.answer == a.id)
        .where(a.exam == exam, a.item == item, a.seed == use, a.name.not_in(list(besides)))
        .where(a.marker1 != actor, a.marker2 != actor, a.marker3 != actor)
    )
    rows = [row for row in connection.execute(query) if actor not in settling.loads(row.markers)]
    rows = [row for row in rows if use != "seed" or row.turns < _SEED_TURNS]
    if not rows:
        return None
    best = min(rows, key=lambda row: (row.turns, hashlib.sha256(f"{actor} {row.name}".encode()).digest()))
    one = OnDesk(best.id, best.name, best.item, use, best.turns, secrets.token_urlsafe(12), now())
    values = {"exam": exam, "answer": one.answer, "actor": actor, "turn": one.turn, "item": item}
    connection.execute(insert(schema.trial).values(**values, trial=use, token=one.token, at=one.since))
    return one


def record(
    connection: Connection, exam: str, actor: str, one: OnDesk, event: int, mark: float, scheme: Scheme
) -> float:
    """Keep how the marker's mark compares with the definitive one, which is returned."""
    a, t = schema.answer.c, schema.trial.c
    definitive = connection.scalar(select(a.mark).where(a.id == one.answer))
    assert definitive is not None  # a leader's mark stands as long as the answer is a seed
    where = (t.exam == exam) & (t.answer == one.answer) & (t.actor == actor) & (t.turn == one.turn)
    told = {"exact": mark == definitive, "within": within(scheme.tolerance, mark, definitive)}
    connection.execute(update(schema.trial).where(where).values(event=event, **told))
    return float(definitive)


def check_mark(scheme: Scheme, mark: float, max_mark: float) -> None:
    """Raises NotAllowed for a mark that the item does not allow."""
    if not allowed_mark(scheme, mark, max_mark):
        what = f"{mark:g} is no mark of 0 to {max_mark:g} in steps of {scheme.step:g}"
        raise NotAllowed(what, "correct the mark")


def _answer(connection: Connection, exam: str, name: str) -> Any:
    a = schema.answer.c
    query = select(a.id, a.item).where(a.exam == exam, a.name == name).with_for_update()
    row = connection.execute(query).first()
    if row is None:
        raise NotFound("the exam has no such answer", "load the page again")
    return row
