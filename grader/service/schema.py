"""The tables of the service's core. What other parts keep stands in their own schema modules.

Ids that people can meet in an address are opaque (`new_id`). Tokens are kept as SHA-256 only.
"""

from __future__ import annotations

import secrets

from sqlalchemy import Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from grader.service.database import metadata
from grader.service.guards import append_only


def new_id() -> str:
    """An id that says nothing and cannot be guessed: 16 letters, digits, - and _ (96 bits)."""
    return secrets.token_urlsafe(12)


# login: what is typed, in small letters. password: argon2id, "" until it is set. role: grader.service.permissions.
account = Table(
    "account",
    metadata,
    Column("id", String, primary_key=True),
    Column("login", String, nullable=False, unique=True),
    Column("name", String, nullable=False),
    Column("role", String, nullable=False),
    Column("password", String, nullable=False, server_default=""),
    Column("active", Boolean, nullable=False),
    Column("language", String, nullable=False, server_default=""),
    Column("created", String, nullable=False),
)

# notices: JSON list of what the next page says.
session = Table(
    "session",
    metadata,
    Column("token", String, primary_key=True),
    Column("account", ForeignKey("account.id"), nullable=False, index=True),
    Column("created", String, nullable=False),
    Column("seen", String, nullable=False),
    Column("address", String, nullable=False),
    Column("notices", Text, nullable=False, server_default="[]"),
)

# A link that works once. account: null for the set-up of the first administrator.
ticket = Table(
    "ticket",
    metadata,
    Column("token", String, primary_key=True),
    Column("account", ForeignKey("account.id")),
    Column("expires", String, nullable=False),
)

# Sign-ins that failed or are being tried. key: SHA-256 of the name typed, or of the address.
attempt = Table(
    "attempt",
    metadata,
    Column("id", String, primary_key=True),
    Column("key", String, nullable=False),
    Column("at", String, nullable=False),
)
Index("attempt_key", attempt.c.key, attempt.c.at)

# kind: "exam" (a centre's) or "homework". Its folder is exams/<id> in the data folder. code, title, language: of its
# exam.yaml. keep_until: date (YYYY-MM-DD) on which names, scans and crops go, or "". state: "open", or "cleared"
# when they have gone.
exam = Table(
    "exam",
    metadata,
    Column("id", String, primary_key=True),
    Column("kind", String, nullable=False),
    Column("code", String, nullable=False),
    Column("title", String, nullable=False),
    Column("language", String, nullable=False),
    Column("owner", ForeignKey("account.id"), nullable=False),
    Column("created", String, nullable=False),
    Column("keep_until", String, nullable=False, server_default=""),
    Column("state", String, nullable=False, server_default="open"),
)

# What an account is in one exam; it can be several things.
membership = Table(
    "membership",
    metadata,
    Column("account", ForeignKey("account.id"), primary_key=True),
    Column("exam", ForeignKey("exam.id"), primary_key=True),
    Column("role", String, primary_key=True),
)
Index("membership_exam", membership.c.exam)

# The vault: the only place where a candidate number meets a name.
candidate_name = Table(
    "candidate_name",
    metadata,
    Column("exam", ForeignKey("exam.id"), primary_key=True),
    Column("candidate", String, primary_key=True),
    Column("name", String, nullable=False),
)

# Exams that are being deleted in this transaction: see grader.service.guards.
erasing = Table("erasing", metadata, Column("exam", ForeignKey("exam.id"), primary_key=True))

# Who saw and did what. hash: see grader.service.audit. actor and exam are no foreign keys: they outlive both.
audit = append_only(
    Table(
        "audit",
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("at", String, nullable=False),
        Column("actor", String, nullable=False),
        Column("action", String, nullable=False),
        Column("exam", String, nullable=False, index=True),
        Column("detail", Text, nullable=False),
        Column("previous", String, nullable=False),
        Column("hash", String, nullable=False),
    ),
    erasable=False,
)
