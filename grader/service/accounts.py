"""Accounts, their passwords (argon2id) and their links that work once. Knows nothing of the web."""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass
from datetime import timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, delete, func, insert, select, update

from grader.service import audit, schema, sessions, throttle
from grader.service.database import Database, now
from grader.service.permissions import Role

SHORTEST, LONGEST = 10, 200  # characters of a password
TICKET_LIVES = timedelta(days=7)

_hasher = PasswordHasher()  # argon2id with the library's current cost: RFC 9106, low memory
_NOBODY = _hasher.hash("nobody's password")  # verified for unknown names, so that they take as long
_at_once = threading.Semaphore(2)  # each verification takes 64 MB and a core


@dataclass(frozen=True)
class Account:
    """One account. ready: a password was set."""

    id: str
    login: str
    name: str
    role: Role
    active: bool
    ready: bool


def sign_in(database: Database, login: str, password: str, address: str) -> str | None:
    """The account's id, or None for a wrong name or password, which nothing tells apart. Raises TooMany."""
    login = normal(login)
    with database.begin() as connection:
        counted = throttle.count(connection, login, address)
    with database.read() as connection:
        query = select(schema.account).where(schema.account.c.login == login)
        row = connection.execute(query).first()
    held = row.password if row is not None and row.active and row.password else ""
    if not _right(held or _NOBODY, password) or row is None or not held:
        with database.begin() as connection:  # not what was typed: it can be a password in the wrong field
            audit.record(connection, row.id if row is not None else "", "sign_in_failed", address=address)
        return None
    stronger = protect(password) if _hasher.check_needs_rehash(held) else ""
    with database.begin() as connection:
        throttle.forgive(connection, login, counted)
        if stronger:
            set_password(connection, row.id, stronger)
    return str(row.id)


def _right(held: str, password: str) -> bool:
    with _at_once:
        try:
            return _hasher.verify(held, password[: LONGEST + 1])
        except (VerificationError, InvalidHashError):
            return False


def normal(login: str) -> str:
    """A login as it is kept: in small letters, without blanks around it."""
    return login.strip().casefold()


def unfit(login: str, name: str) -> str | None:
    """Key of the word that says what is wrong with a login or a name, or None."""
    if not 2 <= len(login) <= 64 or not re.fullmatch(r"[\w.@+-]+", login):
        return "bad_account_login"
    return None if 0 < len(name) <= 64 and name.isprintable() else "bad_account_name"


def weakness(password: str, login: str) -> str | None:
    """Key of the word that says what is wrong with a new password, or None. Length counts (NIST SP 800-63B)."""
    if len(password) < SHORTEST:
        return "password_short"
    if len(password) > LONGEST:
        return "password_long"
    plain = password.casefold()
    if len(set(plain)) < 5 or plain in _COMMON or (login and login in plain and len(plain) < len(login) + 6):
        return "password_weak"
    return None


_COMMON = frozenset({
    "1234567890", "0123456789", "12345678910", "123456789a", "a123456789", "qwertyuiop", "password123", "password1234",
    "1q2w3e4r5t", "q1w2e3r4t5", "iloveyou123", "woaini1314", "woaini5201314", "administrator", "grader12345",
})  # fmt: skip


def protect(password: str) -> str:
    """What is kept of a password: argon2id, some 50 ms and 64 MB. Not within `begin()`, which others wait for."""
    with _at_once:
        return _hasher.hash(password)


def set_password(connection: Connection, account_id: str, protected: str) -> None:
    """Set it. The caller asked `weakness`, and `protect`."""
    connection.execute(update(schema.account).where(schema.account.c.id == account_id).values(password=protected))


def create(connection: Connection, login: str, name: str, role: Role) -> str:
    """A new account without a password; its id. The caller made sure that the login is free."""
    account_id = schema.new_id()
    values = {"id": account_id, "login": normal(login), "name": name, "role": role, "active": True, "created": now()}
    connection.execute(insert(schema.account).values(**values))
    return account_id


def taken(connection: Connection, login: str) -> bool:
    """Whether an account has this login."""
    query = select(schema.account.c.id).where(schema.account.c.login == normal(login))
    return connection.execute(query).first() is not None


def set_up(connection: Connection) -> bool:
    """Whether there is an account."""
    return bool(connection.scalar(select(func.count()).select_from(schema.account)))


def last_administrator(connection: Connection, account_id: str) -> bool:
    """Whether nobody else could run the service if this account could not."""
    c = schema.account.c
    query = select(c.id).where(c.role == "administrator", c.active, c.password != "")
    able = set(connection.execute(query).scalars())
    return able == {account_id}


def everybody(connection: Connection) -> list[Account]:
    """Every account, by login."""
    c = schema.account.c
    query = select(c.id, c.login, c.name, c.role, c.active, c.password).order_by(c.login)
    return [Account(*row[:5], ready=bool(row.password)) for row in connection.execute(query)]


def new_ticket(connection: Connection, account_id: str | None) -> str:
    """A link's token that works once, for an account (None: the first administrator); earlier ones are void."""
    token = sessions.new_token()
    connection.execute(delete(schema.ticket).where(schema.ticket.c.account.is_not_distinct_from(account_id)))
    values = {"token": sessions.digest(token), "account": account_id, "expires": now(TICKET_LIVES)}
    connection.execute(insert(schema.ticket).values(**values))
    return token


def holder(connection: Connection, token: str) -> tuple[bool, str | None]:
    """Whether a ticket is good, and whose it is."""
    good = schema.ticket.c.token == sessions.digest(token), schema.ticket.c.expires > now()
    row = connection.execute(select(schema.ticket.c.account).where(*good)).first()
    return row is not None, row.account if row is not None else None


def use_ticket(connection: Connection, token: str) -> bool:
    """Use it up; False where another was faster."""
    gone = connection.execute(delete(schema.ticket).where(schema.ticket.c.token == sessions.digest(token)))
    return gone.rowcount == 1
