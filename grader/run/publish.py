"""A run's results in a database that analysts query: PostgreSQL, or SQLite through the same code.

A run is known by an id that its store keeps. Publishing replaces what is there of the run, in one transaction, so
that a reader sees one state of it or another, never a mixture, and it can be repeated at will. What the run's own
files hold is published, no more: no names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Engine, Integer, Table, create_engine, delete, func, insert, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.schema import CreateSchema

from grader.errors import GraderError, UsageError
from grader.run.published import SCHEMA, ledger, metadata, results, runs
from grader.store.store import RunStore

_ROWS = 1000  # sent at a time
_CONNECT_SECONDS = 10
_ONE_AT_A_TIME = 0x67726164  # names the lock of who publishes: any number of our own
_SHAPE = "give postgresql+psycopg://user@host/database (the password in PGPASSWORD or ~/.pgpass)"
_AGAIN = "the marking is done and in the run's files; once the database can be used, run the same command again"


class DatabaseError(GraderError):
    """The database cannot be reached or does not take the results. The run itself is not touched by that."""


class ResultsDatabase:
    """Where results are published. No message of it holds a password."""

    def __init__(self, url: str) -> None:
        """Raises UsageError for a URL that can never work here. Nothing is connected yet."""
        self._url = _parsed(url)
        self.name = self._url.set(password=None, query={}).render_as_string()
        self._engine = _engine(self._url)

    def check(self) -> None:
        """Raises DatabaseError where the database does not let us in now."""
        with self._told("look at the address, the name, the password, and whether the server runs"):
            self._engine.connect().close()

    def publish(self, store: RunStore) -> None:
        """Put the settled run there, in place of what is there of it. Raises DatabaseError."""
        run = _run_row(store)
        key = {"exam_id": run["exam_id"], "run_id": run["run_id"]}
        with self._told(_AGAIN), self._engine.begin() as connection:
            _make_tables(connection)
            for table in (ledger, results, runs):
                connection.execute(delete(table).where(*(table.c[name] == value for name, value in key.items())))
            connection.execute(insert(runs), run)
            _send(connection, results, _result_rows(store), key)
            _send(connection, ledger, _ledger_rows(store), key)

    @contextmanager
    def _told(self, remedy: str) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            said = error.orig if isinstance(error, DBAPIError) and error.orig is not None else type(error).__name__
            first = next(iter(str(said).strip().splitlines()), "")
            for secret in filter(None, (self._url.password, self._url.query.get("password"))):
                first = first.replace(str(secret), "***")
            raise DatabaseError(f"{self.name}: {first}", remedy) from None
        finally:
            self._engine.dispose()


def _parsed(url: str) -> URL:
    url = url.replace("postgresql://", "postgresql+psycopg://", 1).replace("postgres://", "postgresql+psycopg://", 1)
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):  # its message repeats the URL
        raise UsageError("--database is not the URL of a database", _SHAPE) from None
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise UsageError(f"results are published in PostgreSQL or SQLite, not in {parsed.drivername}", _SHAPE)
    return parsed


def _engine(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        return create_engine(url).execution_options(schema_translate_map={SCHEMA: None})
    try:
        return create_engine(url, connect_args={"connect_timeout": _CONNECT_SECONDS})
    except ModuleNotFoundError as error:
        raise UsageError("PostgreSQL needs the package 'psycopg'", "pip install 'grader[postgres]'") from error


def _make_tables(connection: Connection) -> None:
    """What is missing of them: who may not make any can have them made by somebody else."""
    schema = None
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))
        schema = SCHEMA
        if SCHEMA not in inspect(connection).get_schema_names():
            connection.execute(CreateSchema(SCHEMA))
    held = set(inspect(connection).get_table_names(schema))
    metadata.create_all(connection, [table for table in metadata.sorted_tables if table.name not in held])


def _send(connection: Connection, table: Table, rows: Iterable[dict[str, Any]], key: Mapping[str, str]) -> None:
    numbered = ({**key, "position": number, **row} for number, row in enumerate(rows, 1))
    while chunk := list(islice(numbered, _ROWS)):
        connection.execute(insert(table), chunk)


def _run_row(store: RunStore) -> dict[str, Any]:
    meta = store.meta()
    run_id = meta.get("run_id")
    if run_id is None:  # a run is named when it is first published
        run_id = str(uuid4())
        store.set_meta(run_id=run_id)
    exam, summary = meta["exam"]["exam"], meta["summary"]
    counts = {column.name: summary["counts"].get(column.name) for column in runs.c if isinstance(column.type, Integer)}
    return {
        "exam_id": exam["id"],
        "run_id": run_id,
        "exam_title": _text(exam["title"]),
        "exam_sha256": meta["exam_sha256"],
        "form_version": str(meta["form_version"]),
        "published_at": datetime.now(UTC),
        **counts,
        "seconds": summary["seconds"].get("wall"),
        **{name: meta[name] for name in ("versions", "models", "settings")},
    }


def _result_rows(store: RunStore) -> Iterator[dict[str, Any]]:
    for row in store.results():
        yield {
            "candidate": _text(row.candidate),
            "sheet_page": row.page,
            "item": row.item,
            "item_order": row.item_order,
            "response": _text(row.response),
            "mark": row.mark,
            "max_mark": row.max_mark,
            "confidence": row.confidence,
            "status": row.status,
            "flags": list(row.flags),
            "marker": row.marker,
            "file": None if row.file is None else _text(row.file),
            "file_page": row.file_page,
        }


def _ledger_rows(store: RunStore) -> Iterator[dict[str, Any]]:
    for row in store.ledger():
        yield {
            "file": _text(row.file) or None,
            "page": row.page if row.file else None,
            "outcome": row.outcome,
            "reason": row.reason,
            "detail": _text(row.detail),
            "candidate": _text(row.candidate),
            "sheet_page": row.sheet_page,
        }


def _text(text: str) -> str:
    """Text that every database takes: PostgreSQL has no NUL, and neither has half a surrogate pair."""
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode("utf-8")
