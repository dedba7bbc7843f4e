"""Sessions live in the database; the browser holds a random token, the database its SHA-256.

A session ends after `IDLE` without a request and after `ABSOLUTE` in any case, at sign-out, at a change of the
password and when the account is closed. Its token is made at sign-in, so that one set before is worth nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from grader.service.database import moment, now
from grader.service.permissions import Actor, Role
from grader.service.schema import account, membership, session

IDLE = timedelta(hours=2)
ABSOLUTE = timedelta(hours=12)
_SEEN_EVERY = timedelta(minutes=1)  # how exactly `seen` is kept: not every request should write


def new_token() -> str:
    """256 random bits for a cookie or a link."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """What the database keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def csrf_of(token: str) -> str:
    """The token that the forms of whoever holds this cookie carry: a change without it is not ours."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


def same(token: str, other: str) -> bool:
    """Whether two tokens are the same, in a time that does not say where they differ."""
    return hmac.compare_digest(token.encode(), other.encode())


def begin(connection: Connection, account_id: str, address: str) -> str:
    """A new session of the account; the token for its cookie."""
    token, at = new_token(), now()
    values = {"token": digest(token), "account": account_id, "created": at, "seen": at, "address": address}
    connection.execute(insert(session).values(**values))
    return token


def find(connection: Connection, token: str) -> tuple[Actor, bool] | None:
    """Who holds the token, and whether `touch` is due; None where no session stands."""
    columns = account.c.id, account.c.login, account.c.name, account.c.role, account.c.language, session.c.seen
    query = select(*columns).join(session, session.c.account == account.c.id)
    alive = session.c.seen > now(-IDLE), session.c.created > now(-ABSOLUTE), account.c.active
    row = connection.execute(query.where(session.c.token == digest(token), *alive)).first()
    if row is None:
        return None
    return _actor(connection, row), moment(row.seen) < moment(now(-_SEEN_EVERY))


def actor(connection: Connection, account_id: str) -> Actor:
    """Who an account is. Raises NoResultFound for an id that is none."""
    return _actor(connection, connection.execute(select(account).where(account.c.id == account_id)).one())


def _actor(connection: Connection, row: Any) -> Actor:
    roles: dict[str, set[Role]] = {}
    mine = select(membership.c.exam, membership.c.role).where(membership.c.account == row.id)
    for exam, role in connection.execute(mine):
        roles.setdefault(exam, set()).add(role)
    held = {exam: frozenset(values) for exam, values in roles.items()}
    return Actor(row.id, row.login, row.name, row.role, row.language, held)


def touch(connection: Connection, token: str) -> None:
    """The session was used now."""
    connection.execute(update(session).where(session.c.token == digest(token)).values(seen=now()))


def end(connection: Connection, token: str) -> None:
    """Sign out."""
    connection.execute(delete(session).where(session.c.token == digest(token)))


def end_all(connection: Connection, account_id: str) -> None:
    """Sign an account out everywhere."""
    connection.execute(delete(session).where(session.c.account == account_id))


def sweep(connection: Connection) -> None:
    """Forget sessions that are over."""
    connection.execute(delete(session).where((session.c.seen <= now(-IDLE)) | (session.c.created <= now(-ABSOLUTE))))


def notify(connection: Connection, token: str, text: str) -> None:
    """Say something on the next page of this session."""
    mine = session.c.token == digest(token)
    held = json.loads(connection.scalar(select(session.c.notices).where(mine)) or "[]")
    connection.execute(update(session).where(mine).values(notices=json.dumps([*held, text], ensure_ascii=False)))


def waiting_notices(connection: Connection, token: str) -> list[str]:
    """What is to be said."""
    held = connection.scalar(select(session.c.notices).where(session.c.token == digest(token)))
    return list(json.loads(held or "[]"))


def clear_notices(connection: Connection, token: str) -> None:
    """It was said."""
    connection.execute(update(session).where(session.c.token == digest(token)).values(notices="[]"))
