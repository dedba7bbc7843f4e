"""How long things are kept, and how they go: the pictures and names of an exam, one candidate, a whole exam.

Each deletion leaves a row in the audit log that says what went and what stays. Bytes are overwritten in SQLite;
PostgreSQL drops them when it next vacuums. Backups are the keeper's own.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Connection, delete, insert, select, update

from grader.service import audit, exams, schema, vault
from grader.service.database import metadata
from grader.service.exams import ExamPlace
from grader.service.service import Service

# What other parts delete when an exam's pictures and names go; each returns what went: {"photos": 12}.
CLEARERS: list[Callable[[Connection, ExamPlace], dict[str, int]]] = []


def clear(service: Service, exam: ExamPlace, actor: str, why: str) -> dict[str, int]:
    """Delete the names, scans and crops of an exam; how many of each went.

    Marks, transcriptions and statistics stay, under candidate numbers. why: "date" or "asked".
    """
    service.forget_run(exam.id)
    gone = {"scans": _empty(exam.scans) + _empty(exam.folder / "arriving"), "crops": _delete_crops(exam, None)}
    with service.database.begin() as connection:
        gone["names"] = vault.forget(connection, exam.id)
        for clearer in CLEARERS:
            gone |= clearer(connection, exam)
        connection.execute(update(schema.exam).where(schema.exam.c.id == exam.id).values(state="cleared"))
        audit.record(connection, actor, "exam_cleared", exam.id, why=why, **gone)
    return gone


def sweep(service: Service) -> list[str]:
    """Clear every exam whose date has come; ids of those."""
    today = datetime.now(UTC).date().isoformat()
    c = schema.exam.c
    with service.database.read() as connection:
        query = select(schema.exam).where(c.keep_until != "", c.keep_until <= today, c.state == "open")
        due = [exams.place(service.exam_folders, row) for row in connection.execute(query)]
    for exam in due:
        clear(service, exam, "", "date")
    return [exam.id for exam in due]


def forget_candidate(service: Service, exam: ExamPlace, candidate: str, actor: str) -> dict[str, int]:
    """Delete one candidate's name, crops, and the scans that hold nobody else's pages; how many of each went.

    Marks and transcriptions stay under a number that leads to nobody.
    """
    gone = {"scans": 0, "crops": 0}
    if exam.has_run:
        of_pages = _crops_of_pages(service, exam, candidate)
        gone = {"scans": _delete_scans(service, exam, candidate), "crops": _delete_crops(exam, candidate, of_pages)}
    with service.database.begin() as connection:
        gone["names"] = vault.forget(connection, exam.id, candidate)
        audit.record(connection, actor, "candidate_forgotten", exam.id, candidate=candidate, **gone)
    return gone


def delete_exam(service: Service, exam: ExamPlace, actor: str) -> None:
    """Delete an exam: its folder, and its rows in every table but the audit log, which keeps a tombstone."""
    service.forget_run(exam.id)
    # Out of the way first: a folder half deleted must not belong to an exam that still stands.
    doomed = exam.folder.rename(exam.folder.with_name(f"deleted-{exam.id}")) if exam.folder.is_dir() else None
    try:
        with service.database.begin() as connection:
            connection.execute(insert(schema.erasing).values(exam=exam.id))
            rows = 0
            for table in reversed(metadata.sorted_tables):
                if "exam" in table.c and table not in {schema.audit, schema.erasing}:
                    rows += connection.execute(delete(table).where(table.c.exam == exam.id)).rowcount
            connection.execute(delete(schema.erasing).where(schema.erasing.c.exam == exam.id))
            connection.execute(delete(schema.exam).where(schema.exam.c.id == exam.id))
            audit.record(connection, actor, "exam_deleted", exam.id, code=exam.code, rows=rows)
    except BaseException:
        if doomed is not None:
            doomed.rename(exam.folder)
        raise
    if doomed is not None:
        shutil.rmtree(doomed, ignore_errors=True)


def remove_leftovers(service: Service) -> None:
    """Folders of deleted exams that a killed server left behind."""
    for folder in service.exam_folders.glob("deleted-*"):
        shutil.rmtree(folder, ignore_errors=True)


def _empty(folder: Path) -> int:
    files = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    for path in files:
        path.unlink()
    return len(files)


def _crops_of_pages(service: Service, exam: ExamPlace, candidate: str) -> list[str]:
    """Every picture cut from the candidate's pages: whole plain pages, and parts of answers over several pages."""
    store = service.run(exam)
    rows = [row for row in store.ledger() if row.file and row.candidate == candidate]
    records = [store.page_record(row.file, row.page) for row in rows]
    return sorted({sha256 for record in records if record is not None for sha256 in record.crops.values()})


def _delete_crops(exam: ExamPlace, candidate: str | None, of_pages: Sequence[str] = ()) -> int:
    if not exam.has_run:
        return 0
    mine = "SELECT crop FROM answer WHERE candidate = ?"
    others = "SELECT crop FROM answer WHERE candidate <> ?"
    which = "" if candidate is None else f" WHERE sha256 IN ({mine}) AND sha256 NOT IN ({others})"
    with closing(sqlite3.connect(exam.run / "run.sqlite", timeout=30)) as store:
        store.execute("PRAGMA secure_delete=ON")
        count = store.execute(f"DELETE FROM crop{which}", () if candidate is None else (candidate,) * 2).rowcount
        alone = f"DELETE FROM crop WHERE sha256 = ? AND sha256 NOT IN ({others})"
        count += sum(store.execute(alone, (sha256, candidate)).rowcount for sha256 in of_pages)
        store.commit()
        store.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return count


def _delete_scans(service: Service, exam: ExamPlace, candidate: str) -> int:
    whose: dict[str, set[str]] = {}
    for row in service.run(exam).ledger():
        if row.file:
            whose.setdefault(row.file, set()).add(row.candidate)
    count = 0
    for name, candidates in whose.items():
        file = Path(name)
        if candidates == {candidate} and file.is_file() and file.resolve().is_relative_to(exam.scans.resolve()):
            file.unlink()
            count += 1
    return count
