"""Two runs compared: everything that their stores and files hold, but for times and the order in which pages came."""

from __future__ import annotations

import csv
import json
import sqlite3
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any


def contents(run: Path, without: frozenset[str] = frozenset()) -> dict[str, list[Any]]:
    """Table or file → what it holds, in an order of its own. without: files of scans that are left out.

    Raises AssertionError where the store contradicts itself: a page twice, a crop that is named and not there, a
    page in the ledger and not in the journal, a lease that nobody holds any more.
    """
    with closing(sqlite3.connect(f"file:{run / 'run.sqlite'}?mode=ro", uri=True)) as store:
        store.row_factory = sqlite3.Row
        check(store)
        journal = [dict(row) for row in store.execute("SELECT kind, file, page, body FROM event ORDER BY file, page")]
        pages = [dict(row) for row in store.execute("SELECT * FROM page ORDER BY ordinal")]
        answers = [dict(row) for row in store.execute("SELECT * FROM answer ORDER BY file, file_page, item_order")]
        crops = [row[0] for row in store.execute("SELECT sha256 FROM crop ORDER BY 1")]
        leases = [tuple(row) for row in store.execute("SELECT * FROM lease")]
    assert not leases, f"leases outlive a run that is done: {leases}"
    scanned = {(row["file"], row["page"]) for row in pages if row["file"]}
    assert scanned == {(row["file"], row["page"]) for row in journal if row["kind"] == "page"}
    kept = [row for row in journal if row["file"] not in without]
    found: dict[str, list[Any]] = {
        "journal": [{**row, "body": {**json.loads(row["body"]), "seconds": None}} for row in kept],
        "page": [_without(row, "ordinal", "event_id") for row in pages if row["file"] not in without],
        "answer": [_without(row, "id") for row in answers if row["file"] not in without],
        "crop": crops,
    }
    for name in ("results.csv", "ledger.csv"):
        with (run / name).open(encoding="utf-8", newline="") as file:
            found[name] = [row for row in csv.reader(file) if row[0] not in without]
    return found


def check(store: sqlite3.Connection) -> int:
    """Pages in the journal of a store that may be in the middle of a run. Raises AssertionError where it is damaged,
    holds a page twice or names a crop that is not there."""
    assert store.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    if not store.execute("SELECT 1 FROM sqlite_master WHERE name = 'lease'").fetchone():
        return 0  # as it was before its tables were made
    rows = store.execute("SELECT file, page, body FROM event WHERE kind = 'page'").fetchall()
    twice = [page for page, times in Counter((file, page) for file, page, _ in rows).items() if times > 1]
    assert not twice, f"in the journal twice: {twice[:3]}"
    crops = {row[0] for row in store.execute("SELECT sha256 FROM crop")}
    named = {digest for _, _, body in rows for digest in json.loads(body)["crops"].values()}
    assert named <= crops, f"{len(named - crops)} crops are named and not there"
    return len(rows)


def differences(run: Path, other: Path, without: frozenset[str] = frozenset()) -> list[str]:
    """What differs between two runs, in words; nothing where they are equal. Raises as `contents` does."""
    ours, theirs = contents(run, without), contents(other, without)
    found = []
    for name, rows in ours.items():
        if len(rows) != len(theirs[name]):
            found.append(f"{name}: {len(rows)} rows against {len(theirs[name])}")
        pairs = zip(rows, theirs[name], strict=False)
        found += [f"{name}: {a} against {b}"[:500] for a, b in pairs if a != b][:3]
    return found


def journaled(run: Path) -> int:
    """Pages in the journal of a run that may just be beginning, or be in trouble."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{run / 'run.sqlite'}?mode=ro", uri=True)) as store:
        return int(store.execute("SELECT count(*) FROM event WHERE kind = 'page'").fetchone()[0])
    return 0


def _without(row: dict[str, Any], *columns: str) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in columns}
