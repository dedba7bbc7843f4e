"""The tables of a run: an append-only journal of events, and projections that are derived from it.

`event` is the truth: what a worker read on a page, what a person decided. It can only grow (triggers refuse
updates and deletes). `page`, `answer` and the CSV files are projections: they can be thrown away and derived
again from the events, which is what `grader.run.settle` does.
"""

from __future__ import annotations

from functools import partial

from sqlalchemy import (
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    inspect,
    text,
)
from sqlalchemy import (
    event as sa_event,
)
from sqlalchemy.exc import OperationalError
from sqlalchemy.schema import CreateColumn

from grader.store.refusals import refuse

SCHEMA = "grader-run/1"
metadata = MetaData()

meta = Table("meta", metadata, Column("key", String, primary_key=True), Column("value", Text, nullable=False))

# kind "page": body is the page's record, one per (file, page); of a page that was read again "page/2", "page/3",
# and the last one counts. Other kinds, such as people's decisions, leave file and page empty.
event = Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("at", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("kind", String, nullable=False),
    Column("file", String),
    Column("page", Integer),
    Column("body", Text, nullable=False),
)
Index("event_page", event.c.kind, event.c.file, event.c.page, unique=True)

page = Table(
    "page",
    metadata,
    Column("file", String, primary_key=True),
    Column("page", Integer, primary_key=True),
    Column("ordinal", Integer, nullable=False, index=True),
    Column("event_id", Integer, nullable=False),
    Column("outcome", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("detail", Text, nullable=False),
    Column("candidate", String, nullable=False),
    Column("sheet_page", Integer),
)

answer = Table(
    "answer",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("candidate", String, nullable=False),
    Column("item", String, nullable=False),
    Column("item_order", Integer, nullable=False),
    Column("sheet_page", Integer),
    Column("file", String),
    Column("file_page", Integer),
    Column("box", String, nullable=False),
    Column("crop", String, nullable=False),
    Column("response", Text, nullable=False),
    Column("mark", Float),
    Column("max_mark", Float, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("status", String, nullable=False),
    Column("flags", String, nullable=False),
    Column("marker", String, nullable=False),
    Column("criteria", Text, nullable=False),
    # Where a person decided: what the engine had derived (JSON of its columns), and the person's comment.
    Column("proposal", Text),
    Column("comment", Text, nullable=False, server_default=""),
)
Index("answer_candidate", answer.c.candidate, answer.c.item)
Index("answer_status", answer.c.status)
Index("answer_page", answer.c.file, answer.c.file_page)

crop = Table("crop", metadata, Column("sha256", String, primary_key=True), Column("png", LargeBinary, nullable=False))

# Pages that were handed out to be read and whose results are not in the journal yet. A row without an owner is of
# a page that was in work when a run ended uncleanly, or that stopped its worker: `attempts` times.
lease = Table(
    "lease",
    metadata,
    Column("file", String, primary_key=True),
    Column("page", Integer, primary_key=True),
    Column("owner", String, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("since", String, nullable=False),
)

_GUARDS = (
    "CREATE TRIGGER IF NOT EXISTS event_no_update BEFORE UPDATE ON event"
    " BEGIN SELECT RAISE(ABORT, 'events are append-only'); END",
    "CREATE TRIGGER IF NOT EXISTS event_no_delete BEFORE DELETE ON event"
    " BEGIN SELECT RAISE(ABORT, 'events are append-only'); END",
)


def connect(url: str, durable: bool = False) -> Engine:
    """An engine on the store at `url`, its tables created where they are missing. It raises StoreError.

    durable: what is committed has reached the disk, so that it outlives a power cut too.
    """
    engine = create_engine(url)
    sa_event.listen(engine, "handle_error", refuse)
    if engine.dialect.name == "sqlite":
        sa_event.listen(engine, "connect", partial(_sqlite_pragmas, durable))
    try:
        metadata.create_all(engine)
    except OperationalError:  # another process made them at the same moment
        metadata.create_all(engine)
    if engine.dialect.name == "sqlite":
        with engine.begin() as connection:
            _add_what_is_missing(connection)
            for guard in _GUARDS:
                connection.execute(text(guard))
    return engine


def _add_what_is_missing(connection: Connection) -> None:
    """For a store made before these columns and indices were. The columns are derived: an empty one is right."""
    held = {column["name"] for column in inspect(connection).get_columns("answer")}
    for column in (answer.c.proposal, answer.c.comment):
        if column.name not in held:
            described = CreateColumn(column).compile(dialect=connection.dialect)
            connection.execute(text(f"ALTER TABLE answer ADD COLUMN {described}"))
    for index in answer.indexes:
        index.create(connection, checkfirst=True)


def _sqlite_pragmas(durable: bool, connection: object, _record: object) -> None:
    # WAL with synchronous=NORMAL survives a killed process whole; a power cut may lose the last commits. Whoever
    # leads a run has FULL: a lease must outlive the power cut that its page may have caused.
    cursor = connection.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
    cursor.execute("PRAGMA busy_timeout=30000")
    cursor.close()
