"""Final marks into the store of the run, so that results.csv, the report and replay have them.

Two databases and no transaction over both: an answer's `version` counts what changed about its final mark, `written`
is the version that the run store has. Who is killed in between writes again, and writes nothing where the run store
already shows the same, so every mark arrives and none stands twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, update

from grader.marking import schema
from grader.service.database import Database
from grader.store.decisions import MARKER, Decision, decide
from grader.store.store import ResultRow, RunStore

_BATCH = 200


@dataclass(frozen=True)
class Written:
    """decided: marks that the run store got; withdrawn: that no longer stand; same: what it had already; absent: what
    the run does not have (any more)."""

    decided: int = 0
    withdrawn: int = 0
    same: int = 0
    absent: int = 0


def write_finals(database: Database, exam: str, run: RunStore) -> Written:
    """Write what changed since the last time. Safe to call at any time, from one process at a time for each exam."""
    total = Written()
    while True:
        with database.read() as connection:
            rows = _unwritten(connection, exam)
        if not rows:
            return total
        part = _write(run, rows)
        with database.begin() as connection:
            for row in rows:
                c = schema.answer.c
                # A change that came meanwhile has a version of its own and is written the next time.
                connection.execute(update(schema.answer).where(c.id == row.id).values(written=row.version))
        total = Written(*(a + b for a, b in zip(_counts(total), _counts(part), strict=True)))


def waiting(database: Database, exam: str) -> bool:
    """Whether the run store lacks something."""
    with database.read() as connection:
        return bool(_unwritten(connection, exam, 1))


def _counts(one: Written) -> tuple[int, ...]:
    return one.decided, one.withdrawn, one.same, one.absent


def _unwritten(connection: Connection, exam: str, limit: int = _BATCH) -> list[Any]:
    a, o = schema.answer.c, schema.origin.c
    columns = a.id, a.item, a.state, a.mark, a.how, a.markers, a.criteria, a.comment, a.version, a.engine_marker
    query = select(*columns, o.candidate, o.file, o.file_page).join(schema.origin, o.answer == a.id)
    return list(connection.execute(query.where(a.exam == exam, a.version > a.written).order_by(a.id).limit(limit)))


def _write(run: RunStore, rows: list[Any]) -> Written:
    made: dict[str, list[Decision]] = {}
    withdrawn = same = absent = 0
    for row in rows:
        shown = run.answer(row.candidate, row.item, row.file, row.file_page)
        if shown is None:
            absent += 1
        elif row.state != "final" or row.how == "rule":
            count = _withdraw(run, row, shown)
            withdrawn += bool(count)
            same += not count
        elif _has(shown, row):
            same += 1
        else:
            made.setdefault(_actor(row), []).append(_decision(row, row.mark))
    for actor, decisions in made.items():
        decide(run, actor, *decisions)
    return Written(sum(map(len, made.values())), withdrawn, same, absent)


def _withdraw(run: RunStore, row: Any, shown: ResultRow) -> int:
    """Take back every decision of people on the answer, so that the engine's own mark stands again; how many."""
    count = 0
    while shown.proposal is not None:
        decide(run, _actor(row), _decision(row, None))
        count += 1
        again = run.answer(row.candidate, row.item, row.file, row.file_page)
        assert again is not None
        shown = again
    return count


def _has(shown: ResultRow, row: Any) -> bool:
    """Whether the run store shows this very decision."""
    criteria = _criteria(row)
    held = {one.id: one.mark for one in shown.criteria}
    return (
        shown.proposal is not None
        and (shown.mark, shown.marker, shown.comment) == (row.mark, f"{MARKER}{_actor(row)}", row.comment)
        and (criteria is None or criteria == held)
    )


def _decision(row: Any, mark: float | None) -> Decision:
    criteria = None if mark is None else _criteria(row)
    comment = row.comment if mark is not None else ""
    return Decision(row.candidate, row.item, row.file, row.file_page, mark, criteria, comment)


def _criteria(row: Any) -> dict[str, float] | None:
    """None leaves the engine's criteria to an item that has none; {} says that they are not known."""
    return json.loads(row.criteria) if row.criteria else {}


def _actor(row: Any) -> str:
    """Who stands for the mark: all whose marks it is made of."""
    return "+".join(json.loads(row.markers)) or "marking"
