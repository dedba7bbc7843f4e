"""Groups of answers in the database: identical ones come as groups; people split, merge and take single ones out.

Every change is an event. A group never crosses items, and answers of a group keep their own marks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from grader.marking import schema, settling
from grader.marking.answers import item_settings
from grader.marking.errors import NotAllowed, NotFound
from grader.marking.groups import ALIKE, Near, Text, merged, near_identical, split_name
from grader.marking.scheme import shows_proposal
from grader.scoring.normal import normalise
from grader.service.database import Database, now

_OPEN = ("first", "second", "third")


@dataclass(frozen=True)
class Group:
    """Answers that are shown together. text: as its first member reads; size: all members; open: those that still
    wait for a marker."""

    cluster: str
    text: str
    size: int
    open: int


def groups_of(database: Database, exam: str, item: str, *, least: int = 1, limit: int = 500) -> list[Group]:
    """The groups with at least `least` answers that wait, the largest first."""
    c = schema.answer.c
    waits = func.sum(c.state.in_(_OPEN).cast(schema.Integer))
    query = (
        select(c.cluster, func.min(c.text), func.count(), waits)
        .where(c.exam == exam, c.item == item)
        .group_by(c.cluster)
        .having(waits >= least)
        .order_by(waits.desc(), c.cluster)
        .limit(limit)
    )
    with database.read() as connection:
        return [Group(cluster, text, size, count) for cluster, text, size, count in connection.execute(query)]


def propose_near(database: Database, exam: str, item: str, least: float = ALIKE) -> list[Near]:
    """Groups that wait and read nearly alike, for a person to merge. The model's marks, where the scheme shows them,
    keep those apart that it marks differently by more than T."""
    c = schema.answer.c
    query = select(c.cluster, func.min(c.text), func.count(), func.max(c.engine_mark))
    query = query.where(c.exam == exam, c.item == item, c.state.in_(_OPEN)).group_by(c.cluster)
    with database.read() as connection:
        chosen = item_settings(connection, exam, item).scheme
        texts = [Text(cluster, cluster, normalise(text), size, mark) for cluster, text, size, mark in
                 connection.execute(query)]  # fmt: skip
    if not shows_proposal(chosen, "first"):
        texts = [replace(text, model=None) for text in texts]
    return near_identical(texts, chosen.tolerance, least)


def merge(database: Database, exam: str, actor: str, item: str, clusters: Sequence[str]) -> str:
    """Make one group of several; its name is the first one's. Raises NotFound, UsageError for fewer than two."""
    name = merged(clusters)
    with database.begin() as connection:
        rows = _members(connection, exam, item, clusters)
        if {row.cluster for row in rows} != set(clusters):
            raise NotFound("one of the groups is not there any more", "load the page again")
        return _move(connection, exam, actor, item, [row for row in rows if row.cluster != name], name, "merge")


def split(database: Database, exam: str, actor: str, item: str, cluster: str, names: Sequence[str]) -> str:
    """Make these answers of a group a group of their own; its name. Raises NotFound, NotAllowed where none or all of
    the group is named."""
    with database.begin() as connection:
        rows = _members(connection, exam, item, [cluster])
        chosen = [row for row in rows if row.name in set(names)]
        if len(chosen) != len(set(names)):
            raise NotFound("one of the answers is not in the group any more", "load the page again")
        if not chosen or len(chosen) == len(rows):
            raise NotAllowed("a part of a group is some of its answers", "choose some, and leave some")
        c = schema.answer.c
        taken = connection.scalars(select(c.cluster).distinct().where(c.exam == exam, c.item == item))
        return _move(connection, exam, actor, item, chosen, split_name(cluster, taken), "split")


def take_out(database: Database, exam: str, actor: str, item: str, name: str) -> str:
    """Make one answer an exception: a group of its own. Raises as `split`."""
    c = schema.answer.c
    with database.read() as connection:
        where = (c.exam == exam) & (c.item == item) & (c.name == name)
        cluster = connection.scalar(select(c.cluster).where(where))
    if cluster is None:
        raise NotFound("the exam has no such answer", "load the page again")
    return split(database, exam, actor, item, cluster, [name])


def members(database: Database, exam: str, item: str, cluster: str) -> list[Mapping[str, Any]]:
    """The answers of a group: name, text, crop, state, of each."""
    c = schema.answer.c
    query = select(c.name, c.text, c.crop, c.state).where(c.exam == exam, c.item == item, c.cluster == cluster)
    with database.read() as connection:
        return [dict(row) for row in connection.execute(query.order_by(c.place)).mappings()]


def _members(connection: Connection, exam: str, item: str, clusters: Sequence[str]) -> list[Any]:
    c = schema.answer.c
    query = select(c.id, c.name, c.place, c.cluster).where(c.exam == exam, c.item == item, c.cluster.in_(clusters))
    return list(connection.execute(query.order_by(c.place).with_for_update()))


def _move(
    connection: Connection, exam: str, actor: str, item: str, rows: Sequence[Any], cluster: str, what: str
) -> str:
    """The answers stand beside their new group in the queue, and their urgency stays."""
    for row in rows:
        place = f"{row.place[:1]}{cluster}{row.name}"
        c = schema.answer.c
        connection.execute(update(schema.answer).where(c.id == row.id).values(cluster=cluster, place=place))
    body = settling.dumps({"change": what, "cluster": cluster, "names": [row.name for row in rows]})
    event = {"exam": exam, "item": item, "at": now(), "actor": actor, "kind": "group", "body": body}
    connection.execute(insert(schema.event).values(**event))
    return cluster
