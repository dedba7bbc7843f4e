"""The tables in which results are published (`grader.run.publish`), for analysts to query.

grader.runs      one row a run: its exam, counts, versions, settings
grader.results   one row an answer, as in results.csv, with its page and who marked it
grader.ledger    one row a page, as in ledger.csv, with the details
"""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    JSON,
    Column,
    DateTime,
    Double,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

SCHEMA = "grader"  # in PostgreSQL; SQLite has no schemas

metadata = MetaData(schema=SCHEMA)
_JSON = JSON().with_variant(JSONB(), "postgresql")
_WORDS = JSON().with_variant(ARRAY(Text), "postgresql")


def _key() -> tuple[Column[str], Column[str]]:
    return Column("exam_id", Text, primary_key=True), Column("run_id", Text, primary_key=True)


def _of_run() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["exam_id", "run_id"], [runs.c.exam_id, runs.c.run_id], ondelete="CASCADE")


runs = Table(
    "runs",
    metadata,
    *_key(),
    Column("exam_title", Text, nullable=False),
    Column("exam_sha256", Text, nullable=False),
    Column("form_version", Text, nullable=False),
    Column("published_at", DateTime(timezone=True), nullable=False),
    *(
        Column(name, Integer, nullable=False)
        for name in ("pages", "read", "rejected", "duplicate", "unmatched", "missing")
    ),
    *(Column(name, Integer, nullable=False) for name in ("responses", "final", "proposed", "review")),
    Column("seconds", Double, comment="of the last command that read pages or settled the run"),
    Column("versions", _JSON, nullable=False),
    Column("models", _JSON, nullable=False),
    Column("settings", _JSON, nullable=False),
)
results = Table(
    "results",
    metadata,
    *_key(),
    Column("position", Integer, primary_key=True, comment="row of results.csv, from 1"),
    Column("candidate", Text, nullable=False),
    Column("sheet_page", Integer),
    Column("item", Text, nullable=False),
    Column("item_order", Integer, nullable=False),
    Column("response", Text, nullable=False),
    Column("mark", Double),
    Column("max_mark", Double, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("status", Text, nullable=False, comment="final, proposed or review"),
    Column("flags", _WORDS, nullable=False),
    Column("marker", Text, nullable=False),
    Column("file", Text, comment="of the scan; null where the page is missing"),
    Column("file_page", Integer),
    _of_run(),
)
Index("results_candidate", results.c.exam_id, results.c.candidate)
Index("results_item", results.c.exam_id, results.c.item)
ledger = Table(
    "ledger",
    metadata,
    *_key(),
    Column("position", Integer, primary_key=True, comment="row of ledger.csv, from 1"),
    Column("file", Text, comment="null for a sheet page that never came"),
    Column("page", Integer),
    Column("outcome", Text, nullable=False, comment="read, rejected, duplicate or unmatched"),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("candidate", Text, nullable=False),
    Column("sheet_page", Integer),
    _of_run(),
)
