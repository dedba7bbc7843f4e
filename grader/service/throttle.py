"""Guessing passwords is slow: so many attempts for a name and for an address in a quarter of an hour.

Attempts are counted in the database, before the password is looked at: a restart forgets nothing, and guesses in
parallel count as well.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta

from sqlalchemy import Connection, delete, func, insert, select

from grader.service.database import now
from grader.service.schema import attempt, new_id

WINDOW = timedelta(minutes=15)
FOR_NAME, FOR_ADDRESS = 10, 100


class TooMany(Exception):
    """Too many attempts; wait."""


def count(connection: Connection, name: str, address: str) -> list[str]:
    """Count an attempt; ids of its rows, for `forgive`. Raises TooMany beyond the limits."""
    connection.execute(delete(attempt).where(attempt.c.at <= now(-WINDOW)))
    made = []
    for key, limit in ((_key("name", name), FOR_NAME), (_key("address", address), FOR_ADDRESS)):
        recent = select(func.count()).select_from(attempt).where(attempt.c.key == key)
        if (connection.scalar(recent) or 0) >= limit:
            raise TooMany
        made.append(new_id())
        connection.execute(insert(attempt).values(id=made[-1], key=key, at=now()))
    return made


def forgive(connection: Connection, name: str, ids: list[str]) -> None:
    """The attempt was right: it does not count, nor do earlier ones for this name."""
    connection.execute(delete(attempt).where(attempt.c.id.in_(ids) | (attempt.c.key == _key("name", name))))


def _key(kind: str, value: str) -> str:
    return hashlib.sha256(f"{kind}:{value}".encode()).hexdigest()
