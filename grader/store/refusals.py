"""What the database refuses, in words a person can act on."""

from __future__ import annotations

import sqlite3

from sqlalchemy import ExceptionContext

from grader.errors import StoreError, StoreFullError

_AGAIN = "and run the same command again: what is stored is kept"

# SQLite's primary result code (sqlite.org/rescode.html) → (what it means, what to do)
_REFUSALS = {
    sqlite3.SQLITE_FULL: ("the disk is full", f"make room {_AGAIN}"),
    sqlite3.SQLITE_IOERR: ("the disk fails or is full", f"make room, or mend it, {_AGAIN}"),
    sqlite3.SQLITE_READONLY: ("it cannot be written", "make the folder writable, or copy it to where it is"),
    sqlite3.SQLITE_CANTOPEN: ("it cannot be opened", "make the folder writable, or copy it to where it is"),
    sqlite3.SQLITE_BUSY: ("another process has it", f"wait until that has ended {_AGAIN}"),
    sqlite3.SQLITE_NOTADB: ("it is not a run's store", "name another folder"),
    sqlite3.SQLITE_CORRUPT: ("it is damaged", "mark the scans into another folder"),
}


_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)  # a quota that is used up shows as the second


def refuse(context: ExceptionContext) -> None:
    """Raise StoreError for what the disk or the file is to blame for. A mistake of ours stays as it is."""
    error = context.original_exception
    if not isinstance(error, sqlite3.DatabaseError):
        return
    code = getattr(error, "sqlite_errorcode", None)
    if code is None and str(error).startswith("Could not decode"):
        code = sqlite3.SQLITE_CORRUPT  # text that is not UTF-8
    if code is None or code & 0xFF not in _REFUSALS:
        return
    what, remedy = _REFUSALS[code & 0xFF]
    engine = context.engine
    where = engine.url.database if engine is not None else "the run's store"
    kind = StoreFullError if code & 0xFF in _NO_ROOM else StoreError
    raise kind(f"{where}: {what} ({error})", remedy) from error
