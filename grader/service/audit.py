"""The audit log: who saw and did what. It can only grow, and a change of any row shows.

Each row carries the SHA-256 of the previous row's hash and of its own content as canonical JSON; triggers refuse
updates and deletions in both databases. Whoever can write the database's files can still cut off the end or write
the whole chain anew: note the last hash elsewhere (`head`) and compare.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, text

from grader.service.database import now
from grader.service.schema import audit

GENESIS = "0" * 64


@dataclass(frozen=True)
class Entry:
    """One row. actor: account id, or "" for the service itself; exam: id or ""; detail: canonical JSON."""

    id: int
    at: str
    actor: str
    action: str
    exam: str
    detail: str
    previous: str
    hash: str


def record(connection: Connection, actor: str, action: str, exam: str = "", **detail: object) -> None:
    """Add a row, in the transaction of what it tells about (`Database.begin`), as its last step: until the
    transaction ends nobody else can add one.

    detail: what JSON can hold; never a candidate's name, a password or a token.
    """
    if connection.dialect.name == "postgresql":  # one writer at a time, as SQLite has anyway: a chain has one end
        connection.execute(text("LOCK TABLE audit IN EXCLUSIVE MODE"))
    last = connection.execute(select(audit.c.id, audit.c.hash).order_by(audit.c.id.desc()).limit(1)).first()
    number, previous = (last.id + 1, last.hash) if last else (1, GENESIS)
    content = {"id": number, "at": now(), "actor": actor, "action": action, "exam": exam, "detail": canonical(detail)}
    values = {**content, "previous": previous, "hash": link(previous, content)}
    connection.execute(insert(audit).values(**values))


def canonical(value: object) -> str:
    """JSON with sorted keys and no blanks."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def link(previous: str, content: dict[str, object]) -> str:
    """The hash of a row: of the previous row's and of its own content."""
    return hashlib.sha256((previous + canonical(content)).encode()).hexdigest()


def entries(connection: Connection, exam: str | None = None, after: int = 0) -> Iterator[Entry]:
    """The rows in order, all or those of one exam, beyond row `after`."""
    query = select(audit).where(audit.c.id > after).order_by(audit.c.id)
    if exam is not None:
        query = query.where(audit.c.exam == exam)
    for row in connection.execute(query.execution_options(yield_per=1000)):
        yield Entry(**row._mapping)


def latest(connection: Connection, count: int, before: int | None = None) -> list[Entry]:
    """The last `count` rows, newest first; before: only those under this number."""
    query = select(audit).order_by(audit.c.id.desc()).limit(count)
    if before is not None:
        query = query.where(audit.c.id < before)
    return [Entry(**row._mapping) for row in connection.execute(query)]


@dataclass(frozen=True)
class Verdict:
    """What checking the chain found. broken: number of the first row that does not fit, or None."""

    rows: int
    broken: int | None
    head: str


def verify(connection: Connection) -> Verdict:
    """Follow the chain from its beginning."""
    previous, count = GENESIS, 0
    for entry in entries(connection):
        content = {k: getattr(entry, k) for k in ("id", "at", "actor", "action", "exam", "detail")}
        if (entry.id, entry.previous, entry.hash) != (count + 1, previous, link(previous, content)):
            return Verdict(count, count + 1, previous)
        previous, count = entry.hash, count + 1
    return Verdict(count, None, previous)
