"""The files of a run that other programs read: results.csv, ledger.csv, run.json."""

from __future__ import annotations

import csv
import errno
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from grader.errors import StoreError, StoreFullError
from grader.store.store import LedgerRow, RunStore

RESULTS_HEADER = (
    "candidate",
    "page",
    "item",
    "response",
    "mark",
    "max_mark",
    "confidence",
    "status",
    "flags",
)
LEDGER_HEADER = ("file", "page", "outcome", "reason", "candidate", "sheet_page")

_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # OWASP, CSV injection
_NUMBER = re.compile(r"[+-][0-9]+(\.[0-9]+)?")


def write_outputs(store: RunStore, summary: dict[str, Any]) -> None:
    """Write the three files beside the store, each whole or not at all. Raises StoreError if that fails."""
    try:
        with _replacing(store.folder / "results.csv") as file:
            _write_csv(file, RESULTS_HEADER, (_result(row) for row in store.results_table()))
        with _replacing(store.folder / "ledger.csv") as file:
            _write_csv(file, LEDGER_HEADER, (_ledger(row) for row in store.ledger()))
        with _replacing(store.folder / "run.json") as file:
            json.dump(summary, file, ensure_ascii=False, indent=1)
            file.write("\n")
    except OSError as error:
        kind = StoreFullError if error.errno in (errno.ENOSPC, errno.EDQUOT) else StoreError
        raise kind(
            f"cannot write the results to {store.folder}: {error.strerror}",
            "make room, or the folder writable, and run the same command again: what is stored is kept",
        ) from error


def number(value: float | None) -> str:
    """A mark for people: no trailing zeros, "" for none."""
    return "" if value is None else f"{value:g}"


def _result(row: Sequence[Any]) -> tuple[object, ...]:
    candidate, page, item, response, mark, max_mark, confidence, status, flags = row
    return (
        inert(candidate),
        page if page is not None else "",
        item,
        inert(response),
        number(mark),
        number(max_mark),
        f"{confidence:.4f}",
        status,
        flags,
    )


def _ledger(row: LedgerRow) -> tuple[object, ...]:
    page = row.page if row.file else ""
    return (
        row.file,
        page,
        row.outcome,
        row.reason,
        inert(row.candidate),
        row.sheet_page if row.sheet_page is not None else "",
    )


def inert(text: str) -> str:
    """Text of a student or a page code that a spreadsheet would take for a formula is quoted, as OWASP advises.

    A plain number such as -3.2 stays as it is.
    """
    return "'" + text if text[:1] in _FORMULA and not _NUMBER.fullmatch(text) else text


def _write_csv(file: IO[str], header: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    writer = csv.writer(file)
    writer.writerow(header)
    writer.writerows(rows)


@contextmanager
def _replacing(path: Path) -> Iterator[IO[str]]:
    """A file that takes the place of `path` only when it was written to its end."""
    new = path.with_name(path.name + ".part")
    with new.open("w", encoding="utf-8", newline="") as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
