"""The next answer for a marker, leased so that no two markers ever have the same one.

A lease is one UPDATE that finds a free answer and takes it in the same breath, so two markers cannot both get it. It
runs out by itself, is renewed by any sign of life, and ends with the mark. What a marker has leased comes back to him
first: after a reload or a restart of the server he sees the same answer. A lease does not wait for the disk: a power
cut may take it back, and then the answer is free again.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from grader.flags import FLAGS
from grader.marking import schema, trials
from grader.marking.answers import item_settings
from grader.marking.errors import NotFound, Taken
from grader.marking.scheme import Role, roles_of, shows_proposal
from grader.marking.seeds import Trial, serves_seed
from grader.marking.settings import ItemSettings
from grader.records import CriterionMark
from grader.service.database import Database, now

_ROLES: tuple[Role, ...] = ("third", "second", "first")


@dataclass(frozen=True)
class Proposed:
    """The model's or rule's mark, shown where the scheme allows it."""

    mark: float | None
    confidence: float
    marker: str
    criteria: tuple[CriterionMark, ...]


@dataclass(frozen=True)
class Served:
    """An answer on a marker's desk. Nothing in it tells whose it is, nor whether it is a seed.

    token: goes back with the mark. until: when the lease runs out, as grader.service.database.now. crop: SHA-256 for
    RunStore.crop, "" for none. cluster: the group of answers that read alike, waiting: how many of it a person could
    mark now, this one included (1 where the group is not to be marked together). practice: the definitive mark is
    shown afterwards; trial: practice or qualification, which the marker knows of, else "".
    """

    name: str
    item: str
    token: str
    until: str
    text: str
    crop: str
    flags: tuple[str, ...]
    proposal: Proposed | None
    cluster: str
    waiting: int
    trial: Literal["", "practice", "qualification"] = ""


@dataclass(frozen=True)
class Idle:
    """Nothing to mark. done: nothing waits; busy: all that waits is on other desks; too_few_seeds: practice or
    qualification has not enough answers; failed, stopped: a leader must let the marker go on."""

    why: Literal["done", "busy", "too_few_seeds", "failed", "stopped"]


def next_answer(
    database: Database, exam: str, actor: str, item: str, *, besides: Collection[str] = (), after: str = ""
) -> Served | Idle:
    """Lease the marker's next answer to the item.

    besides: answers on his desk already, when the next is fetched ahead. after: the answer that he skips; its lease
    ends, and what stands behind it in the queue comes first. Raises NotFound for an item that the exam does not have.
    """
    with database.begin(durable=False) as connection:
        chosen = item_settings(connection, exam, item)
        served = _served(connection, exam, actor, item)
        if after:
            _release(connection, exam, actor, [after])
        return (
            _on_desk_already(connection, exam, actor, item, chosen, besides, after)
            or _tried(connection, exam, actor, item, chosen, (*besides, after), served)
            or _live(connection, exam, actor, item, chosen, after)
        )


def _on_desk_already(
    connection: Connection,
    exam: str,
    actor: str,
    item: str,
    chosen: ItemSettings,
    besides: Collection[str],
    after: str,
) -> Served | None:
    """What was served to the marker before and still waits, the oldest first."""
    held = _own(connection, exam, actor, item, besides)
    tried = trials.tries(chosen.seeds)
    waits = trials.outstanding(connection, exam, actor, item, (*besides, after)) if tried else None
    if waits is not None and (held is None or waits.since < held["lease_since"]):
        return _trial(connection, waits)
    return None if held is None else _serve(connection, exam, actor, _renewed(connection, held, chosen), chosen)


def _tried(
    connection: Connection,
    exam: str,
    actor: str,
    item: str,
    chosen: ItemSettings,
    besides: Collection[str],
    served: int,
) -> Served | Idle | None:
    """Practice and qualification before anything live, a seed when one is due, a stop; None where he may go on."""
    phase = trials.phase_in(connection, exam, actor, item, chosen.seeds)
    if phase in ("failed", "stopped"):
        return Idle(phase)
    use: Trial = "practice" if phase == "practice" else "qualification" if phase == "qualification" else "seed"
    if use == "seed" and not _seed_is_due(connection, exam, actor, item, chosen, served):
        return None
    one = trials.lease(connection, exam, actor, item, use, besides)
    if one is None:
        return None if use == "seed" else Idle("too_few_seeds")
    _count(connection, exam, actor, item)
    return _trial(connection, one)


def _live(connection: Connection, exam: str, actor: str, item: str, chosen: ItemSettings, after: str) -> Served | Idle:
    row = _lease_one(connection, exam, actor, item, chosen, after)
    if row is None:
        return Idle("busy" if _anything_open(connection, exam, actor, item) else "done")
    _count(connection, exam, actor, item)
    return _serve(connection, exam, actor, row, chosen)


def look(database: Database, exam: str, actor: str, name: str) -> Served:
    """The answer that is on the marker's desk, its lease renewed. Raises Taken where it is not his."""
    with database.begin(durable=False) as connection:
        one = trials.on_desk(connection, exam, actor, name)
        if one is not None:
            return _trial(connection, one)
        row = _leased(connection, exam, actor, name)
        chosen = item_settings(connection, exam, row["item"])
        return _serve(connection, exam, actor, _renewed(connection, row, chosen), chosen)


def renew(database: Database, exam: str, actor: str, names: Sequence[str]) -> list[str]:
    """Sign of life: renew the leases that are still the marker's; returns their names."""
    c = schema.answer.c
    with database.begin(durable=False) as connection:
        query = select(c.name, c.item).where(c.exam == exam, c.lease_actor == actor, c.name.in_(names))
        mine = dict(connection.execute(query).all())
        for item in set(mine.values()):
            until = now(timedelta(minutes=item_settings(connection, exam, item).lease))
            where = (c.exam == exam) & (c.lease_actor == actor) & (c.item == item) & c.name.in_(list(mine))
            connection.execute(update(schema.answer).where(where).values(lease_until=until))
        return [name for name in names if name in mine or trials.on_desk(connection, exam, actor, name)]


def give_back(database: Database, exam: str, actor: str, names: Sequence[str] = ()) -> None:
    """End the marker's leases on these answers, or on all he has in the exam."""
    with database.begin(durable=False) as connection:
        _release(connection, exam, actor, names)


def lease_group(database: Database, exam: str, actor: str, name: str) -> list[Served]:
    """The answers of the group of `name`, which is on the marker's desk, that he can mark now, all leased to him;
    `name` first. Raises Taken."""
    c = schema.answer.c
    with database.begin(durable=False) as connection:
        row = _leased(connection, exam, actor, name)
        chosen = item_settings(connection, exam, row["item"])
        where = (c.cluster == row["cluster"]) & (c.state == row["state"]) & _free(exam, actor, row["item"])
        free = select(c.id).where(where).with_for_update(skip_locked=True)
        ids = list(connection.scalars(free))
        until = now(timedelta(minutes=chosen.lease))
        mine = {"lease_actor": actor, "lease_since": now(), "lease_until": until, "lease_token": row["lease_token"]}
        connection.execute(update(schema.answer).where(c.id.in_(ids)).values(**mine))
        rows = connection.execute(select(schema.answer).where(c.id.in_(ids)).order_by(c.place)).mappings()
        ordered = sorted(rows, key=lambda one: one["name"] != name)
        return [_serve(connection, exam, actor, one, chosen, len(ids)) for one in ordered]


def lease_these(connection: Connection, exam: str, actor: str, item: str, names: Sequence[str]) -> list[Served]:
    """Those of the answers that the marker can have, leased to him under one token each, in the order of the queue."""
    chosen = item_settings(connection, exam, item)
    c = schema.answer.c
    found = []
    for name in names:
        own = connection.execute(
            select(schema.answer).where(c.exam == exam, c.name == name, c.lease_actor == actor, c.state.in_(_ROLES))
        ).mappings()
        row = own.first()
        if row is None:
            free = select(c.id).where(_free(exam, actor, item), c.name == name, c.state.in_(_ROLES))
            taken = _take(connection, free.with_for_update(skip_locked=True), actor, chosen)
        else:
            taken = _renewed(connection, dict(row), chosen)
        if taken is not None:
            found.append(_serve(connection, exam, actor, taken, chosen, 1))
    return found


# leases


def _free(exam: str, actor: str, item: str) -> ColumnElement[bool]:
    """Answers to the item that the marker could have: never one that he marked, on nobody else's desk."""
    c = schema.answer.c
    own = (c.marker1 != actor) & (c.marker2 != actor) & (c.marker3 != actor)
    nobodys = or_(c.lease_until < now(), c.lease_actor == actor)
    return (c.exam == exam) & (c.item == item) & (c.seed == "") & own & nobodys


def _lease_one(
    connection: Connection, exam: str, actor: str, item: str, chosen: ItemSettings, after: str
) -> dict[str, Any] | None:
    """Take the first free answer, what others began before the rest; answers that read alike stand together."""
    c = schema.answer.c
    free = _free(exam, actor, item) & (c.lease_actor != actor)
    behind = select(c.place).where(c.exam == exam, c.name == after).scalar_subquery() if after else None
    for role in roles_of(chosen.scheme):
        waits = select(c.id).where(free, c.state == role).order_by(c.place).limit(1)
        tries = [waits.where(c.place > behind), waits] if after else [waits]
        for query in tries:
            row = _take(connection, query.with_for_update(skip_locked=True), actor, chosen)
            if row is not None:
                return row
    return None


def _take(connection: Connection, query: Any, actor: str, chosen: ItemSettings) -> dict[str, Any] | None:
    lease = {
        "lease_actor": actor,
        "lease_since": now(),
        "lease_until": now(timedelta(minutes=chosen.lease)),
        "lease_token": secrets.token_urlsafe(12),
    }
    taken = update(schema.answer).where(schema.answer.c.id == query.scalar_subquery()).values(**lease)
    row = connection.execute(taken.returning(schema.answer)).mappings().first()
    return None if row is None else dict(row)


def _own(connection: Connection, exam: str, actor: str, item: str, besides: Collection[str]) -> dict[str, Any] | None:
    """The answer that is on the marker's desk already and still waits."""
    c = schema.answer.c
    where = (c.lease_actor == actor) & (c.exam == exam) & (c.item == item) & c.state.in_(_ROLES)
    query = select(schema.answer).where(where, c.name.not_in(list(besides))).order_by(c.lease_since).limit(1)
    row = connection.execute(query).mappings().first()
    return None if row is None else dict(row)


def _leased(connection: Connection, exam: str, actor: str, name: str) -> dict[str, Any]:
    c = schema.answer.c
    row = connection.execute(select(schema.answer).where(c.exam == exam, c.name == name)).mappings().first()
    if row is None:
        raise NotFound("the exam has no such answer", "go on to the next answer")
    if row["lease_actor"] != actor or row["state"] not in _ROLES:
        raise Taken("the answer is no longer yours to mark", "go on to the next answer")
    return dict(row)


def _renewed(connection: Connection, row: dict[str, Any], chosen: ItemSettings) -> dict[str, Any]:
    until = now(timedelta(minutes=chosen.lease))
    connection.execute(update(schema.answer).where(schema.answer.c.id == row["id"]).values(lease_until=until))
    return {**row, "lease_until": until}


def _release(connection: Connection, exam: str, actor: str, names: Sequence[str]) -> None:
    c = schema.answer.c
    where = (c.lease_actor == actor) & (c.exam == exam)
    if names:
        where &= c.name.in_(names)
    connection.execute(update(schema.answer).where(where).values(**schema.NO_LEASE))


def _anything_open(connection: Connection, exam: str, actor: str, item: str) -> bool:
    """Whether others have answers on their desks that this marker could get if they gave them back."""
    c = schema.answer.c
    own = (c.marker1 != actor) & (c.marker2 != actor) & (c.marker3 != actor)
    where = (c.exam == exam) & (c.item == item) & c.state.in_(_ROLES) & (c.seed == "") & own
    where &= c.lease_actor.not_in(("", actor))
    return connection.execute(select(c.id).where(where).limit(1)).first() is not None


# what is shown


def _serve(
    connection: Connection, exam: str, actor: str, row: Any, chosen: ItemSettings, waiting: int | None = None
) -> Served:
    if waiting is None:
        c = schema.answer.c
        alike = (c.cluster == row["cluster"]) & (c.state == row["state"]) & _free(exam, actor, row["item"])
        waiting = connection.scalar(select(func.count()).where(alike)) or 1
    proposal = proposal_of(row) if shows_proposal(chosen.scheme, row["state"]) else None
    return _shown(row, row["lease_token"], row["lease_until"], proposal, waiting, "")


def _trial(connection: Connection, one: trials.OnDesk) -> Served:
    """A seed looks like any other answer: it has a proposal where others have one."""
    row = connection.execute(select(schema.answer).where(schema.answer.c.id == one.answer)).mappings().one()
    chosen = item_settings(connection, row["exam"], row["item"])
    proposal = proposal_of(row) if shows_proposal(chosen.scheme, "first") else None
    shown = one.trial if one.trial != "seed" else ""
    return _shown(row, one.token, now(timedelta(minutes=chosen.lease)), proposal, 1, shown)


def _shown(
    row: Any,
    token: str,
    until: str,
    proposal: Proposed | None,
    waiting: int,
    trial: Literal["", "practice", "qualification"],
) -> Served:
    # Blind markers do not see what the model thinks, nor its doubts.
    flags = tuple(flag for flag in row["flags"].split() if proposal or FLAGS[flag].stage != "scoring")
    return Served(
        row["name"],
        row["item"],
        token,
        until,
        row["text"],
        row["crop"],
        flags,
        proposal,
        row["cluster"],
        waiting,
        trial,
    )


def proposal_of(row: Any) -> Proposed:
    """The engine's own mark, of a row of mark_answer."""
    criteria = tuple(
        CriterionMark(id_, mark, confidence, tuple(evidence) if evidence else None)
        for id_, mark, confidence, evidence in json.loads(row["engine_criteria"])
    )
    return Proposed(row["engine_mark"], row["engine_confidence"], row["engine_marker"], criteria)


# seeds among live answers


def _seed_is_due(connection: Connection, exam: str, actor: str, item: str, chosen: ItemSettings, number: int) -> bool:
    if not chosen.seeds.rate:
        return False
    secret = connection.scalar(select(schema.exam.c.secret).where(schema.exam.c.exam == exam))
    assert secret is not None  # the item was found, so the exam was brought in
    return serves_seed(bytes.fromhex(secret), actor, item, number, chosen.seeds.rate)


def _served(connection: Connection, exam: str, actor: str, item: str) -> int:
    """How many answers the marker was served; holds his row, so that two requests of his own wait for each other."""
    m = schema.marker.c
    held = select(m.served).where(m.exam == exam, m.item == item, m.actor == actor).with_for_update()
    served = connection.scalar(held)
    if served is None:
        try:
            with connection.begin_nested():
                connection.execute(insert(schema.marker).values(exam=exam, item=item, actor=actor, served=0))
        except IntegrityError:  # his other request was first
            return connection.scalar(held) or 0
    return served or 0


def _count(connection: Connection, exam: str, actor: str, item: str) -> None:
    m = schema.marker.c
    where = (m.exam == exam) & (m.item == item) & (m.actor == actor)
    connection.execute(update(schema.marker).where(where).values(served=m.served + 1))
