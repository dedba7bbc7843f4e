"""The tables of homework. No name stands here: names are in the vault (grader.service.vault)."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, Integer, String, Table, Text

from grader.service.database import metadata

# paper: "plain" or "sheets" (printed by grader.paper).
homework = Table(
    "homework",
    metadata,
    Column("exam", ForeignKey("exam.id"), primary_key=True),
    Column("paper", String, nullable=False),
)

# The class list. place: order in it, from 1; it names the candidate in addresses.
pupil = Table(
    "homework_pupil",
    metadata,
    Column("exam", ForeignKey("exam.id"), primary_key=True),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("candidate", String, nullable=False),
)
Index("homework_pupil_candidate", pupil.c.exam, pupil.c.candidate, unique=True)

# What came in. file: below the exam's scans, a name of ours. candidate: whose it was said to be, or "".
upload = Table(
    "homework_upload",
    metadata,
    Column("exam", ForeignKey("exam.id"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("candidate", String, nullable=False),
    Column("file", String, nullable=False),
    Column("pages", Integer, nullable=False),
    Column("bytes", Integer, nullable=False),
    Column("sha256", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("at", String, nullable=False),
)
Index("homework_upload_sha256", upload.c.exam, upload.c.sha256, unique=True)

# Readings of what came in, one at a time. state: "queued", "running", "done", "failed". problem: why it failed.
job = Table(
    "homework_job",
    metadata,
    Column("id", String, primary_key=True),
    Column("exam", ForeignKey("exam.id"), nullable=False, index=True),
    Column("state", String, nullable=False, index=True),
    Column("actor", String, nullable=False),
    Column("at", String, nullable=False),
    Column("done", Integer, nullable=False, server_default="0"),
    Column("total", Integer, nullable=False, server_default="0"),
    Column("rejected", Integer, nullable=False, server_default="0"),
    Column("flagged", Integer, nullable=False, server_default="0"),
    Column("problem", Text, nullable=False, server_default=""),
)

# A link by which a phone uploads without signing in. token: SHA-256.
link = Table(
    "homework_link",
    metadata,
    Column("token", String, primary_key=True),
    Column("exam", ForeignKey("exam.id"), nullable=False),
    Column("actor", String, nullable=False),
    Column("expires", String, nullable=False),
)
