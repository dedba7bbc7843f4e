"""The service's database: SQLite in its data folder, or PostgreSQL, through the same code.

Every table of the service registers on `metadata`, in a module that `TABLES` names. Times are text of one width,
ISO 8601 in UTC (`now`), so that they compare and read alike in both databases.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import import_module
from typing import Any

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, create_engine, event, func, insert, select
from sqlalchemy.exc import OperationalError

from grader.errors import StoreError, UsageError
from grader.service.guards import install
from grader.store.refusals import refuse

SCHEMA = "grader-service/1"
TABLES = ("grader.service.schema", "grader.marking.schema", "grader.homework.schema")

metadata = MetaData()
_version = Table("schema_version", metadata, Column("schema", String, primary_key=True))

_MAKING = 0x67726164  # names the lock under which tables are made: any number of our own
_CONNECTIONS = 40  # as many as there are threads that answer requests


def now(later: timedelta = timedelta()) -> str:
    """This moment, or one that much later: `2026-01-31T08:00:00.000000Z`."""
    return stamp(datetime.now(UTC) + later)


def stamp(moment: datetime) -> str:
    """A moment (aware) as the database holds it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def moment(text: str) -> datetime:
    """What `stamp` wrote, as an aware datetime."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


class Database:
    """One database. `read` and `begin` are the only ways in."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # SQLite has one writer at a time and lets the others poll: a queue of our own is fairer and faster.
        self._writer = threading.RLock() if engine.dialect.name == "sqlite" else None
        self._writing = threading.local()

    @contextmanager
    def begin(self, *, durable: bool = True) -> Iterator[Connection]:
        """A transaction that may write: all of it is kept, on disk, or none. Never begun within another.

        durable: on return it is on disk. Else it survives the end of the process but perhaps not a power cut, and
        does not wait for the disk: for what nobody was promised, such as a lease.
        """
        if getattr(self._writing, "now", False):
            raise RuntimeError("begin() within begin(): hand the connection on instead")
        with self._writer or threading.RLock():
            self._writing.now = True
            try:
                connection = self.engine.connect().execution_options(writes=True, durable=durable)
                with connection, connection.begin():
                    if not durable and self.engine.dialect.name == "postgresql":
                        connection.exec_driver_sql("SET LOCAL synchronous_commit = off")
                    yield connection
            finally:
                self._writing.now = False

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads; all that it reads stood at one moment (SQLite) or was committed (both)."""
        with self.engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()


def connect(url: str) -> Database:
    """The database at `url` (`sqlite:////folder/service.sqlite`, `postgresql+psycopg://user@host/name`), its
    tables made where they are missing.

    Raises UsageError for a URL of another kind or a server that does not answer, StoreError for a database of
    another version of grader or a file that cannot be used.
    """
    for module in TABLES:
        import_module(module)
    engine = _engine(url)
    try:
        with engine.execution_options(writes=True).begin() as connection:
            if engine.dialect.name == "postgresql":  # of several processes that start at once, one makes the tables
                connection.execute(select(func.pg_advisory_xact_lock(_MAKING)))
            metadata.create_all(connection)
            install(connection, metadata)
            _same_version(connection)
    except OperationalError as error:
        engine.dispose()
        raise UsageError(
            f"the database {engine.url.render_as_string()} cannot be used: {error.orig}",
            "look at the address, the name, the password, and whether the server runs",
        ) from error
    return Database(engine)


def _engine(url: str) -> Engine:
    url = url.replace("postgresql://", "postgresql+psycopg://", 1).replace("postgres://", "postgresql+psycopg://", 1)
    if not url.startswith(("sqlite:///", "postgresql+psycopg://")):
        raise UsageError(
            "a database is SQLite or PostgreSQL", "give a URL such as postgresql+psycopg://user@127.0.0.1/grader"
        )
    try:
        engine = create_engine(url, pool_size=_CONNECTIONS, max_overflow=4)
    except ModuleNotFoundError as error:
        raise UsageError("PostgreSQL needs the package 'psycopg'", "pip install 'grader[postgres]'") from error
    if engine.dialect.name == "sqlite":
        event.listen(engine, "handle_error", refuse)
        event.listen(engine, "connect", _sqlite_settings)
        event.listen(engine, "begin", _sqlite_begin)
    return engine


def _sqlite_settings(connection: Any, _record: object) -> None:
    # FULL: what was acknowledged survives a power cut too, for one sync of the disk a commit.
    connection.isolation_level = None  # transactions are begun below, not by the driver
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {pragma}")


def _sqlite_begin(connection: Connection) -> None:
    # A reader that becomes a writer half way can be refused; who may write says so at the start.
    options = connection.get_execution_options()
    writes = options.get("writes", False)
    if writes:
        connection.exec_driver_sql(f"PRAGMA synchronous={'FULL' if options.get('durable', True) else 'NORMAL'}")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _same_version(connection: Connection) -> None:
    held = connection.scalar(select(_version.c.schema))
    if held is None:
        connection.execute(insert(_version).values(schema=SCHEMA))
    elif held != SCHEMA:
        what = f"the database is of schema {held}, this grader writes {SCHEMA}"
        raise StoreError(what, "use the version of grader that made it")
