"""Releases in the database: numbered, immutable, each with the hash of its rows and what the gate found."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from grader.marking import release, schema
from grader.marking.answers import GONE, current_exam
from grader.marking.errors import NotAllowed, NotFound
from grader.marking.figures import rows_in
from grader.marking.release import Change, Finding, GateSettings, Row, State
from grader.marking.statistics import people_with_people
from grader.service.database import Database, now
from grader.store.store import RunStore

_OPEN = ("first", "second", "third", "leader")
_CHUNK = 500


@dataclass(frozen=True)
class Release:
    """What was released. reason: what for, in the words of who released it; rubric: the version of the exam."""

    number: int
    at: str
    actor: str
    reason: str
    rubric: int
    hash: str
    findings: tuple[Finding, ...]


def gate_settings(database: Database, exam: str) -> GateSettings:
    """The limits that are set. Raises NotFound."""
    with database.read() as connection:
        return _limits(connection, exam)


def set_gate(database: Database, exam: str, settings: GateSettings) -> None:
    """Set the limits. Raises UsageError for limits that cannot be met."""
    release.check(settings)
    with database.begin() as connection:
        where = schema.exam.c.exam == exam
        connection.execute(update(schema.exam).where(where).values(gate=json.dumps(asdict(settings))))


def gate(database: Database, exam: str, run: RunStore, *, set_aside: str = "") -> tuple[Finding, ...]:
    """What stands between the marks and their release. set_aside: why pages of nobody may be left out."""
    with database.read() as connection:
        return release.gate(_state(connection, exam, run, set_aside), _limits(connection, exam))


def publish(
    database: Database, exam: str, run: RunStore, actor: str, reason: str = "", *, set_aside: str = ""
) -> Release:
    """Release the marks as they stand, as the next number.

    Raises NotAllowed, naming every check, where the gate is shut, or where nothing changed since the last release.
    """
    with database.begin() as connection:
        _one_at_a_time(connection, exam)
        findings = release.gate(_state(connection, exam, run, set_aside), _limits(connection, exam))
        if not release.passes(findings):
            shut = "; ".join(finding.en for finding in findings if not finding.passed)
            raise NotAllowed(f"the marks cannot be released yet: {shut}", "settle these first")
        rows = _standing(connection, exam)
        digest = release.digest(rows)
        last = _last(connection, exam)
        if last is not None and last.hash == digest:
            raise NotAllowed(f"nothing changed since release {last.number}", "there is nothing to release")
        number, version = (last.number + 1 if last else 1), current_exam(connection, exam)[0]
        told = {"findings": [asdict(finding) for finding in findings], "set_aside": set_aside}
        made = {"exam": exam, "number": number, "at": now(), "actor": actor, "reason": reason, "rubric": version}
        body = json.dumps(told, ensure_ascii=False)
        connection.execute(insert(schema.release).values(**made, hash=digest, gate=body))
        for start in range(0, len(rows), _CHUNK):
            part = [{"exam": exam, "number": number, **_columns(row)} for row in rows[start : start + _CHUNK]]
            connection.execute(insert(schema.release_row), part)
        return _release(connection, exam, number)


def releases(database: Database, exam: str) -> list[Release]:
    """All of them, the last first."""
    c = schema.release.c
    with database.read() as connection:
        rows = connection.execute(select(schema.release).where(c.exam == exam).order_by(c.number.desc()))
        return [_made(row) for row in rows]


def rows(database: Database, exam: str, number: int) -> list[Row]:
    """The rows of a release, by candidate and item's place. Raises NotFound for a number that there is not, and
    NotAllowed where they are not what was released."""
    with database.read() as connection:
        made = _release(connection, exam, number)
        held = _rows(connection, exam, number)
    if release.digest(held) != made.hash:
        raise NotAllowed(f"release {number} is not what was released", "restore the database from a copy")
    return held


def difference(database: Database, exam: str, before: int, after: int) -> list[Change]:
    """What the release `after` has otherwise than `before`; 0 stands for no release. Raises as `rows`."""
    old = rows(database, exam, before) if before else []
    return release.difference(old, rows(database, exam, after))


def unreleased(database: Database, exam: str) -> list[Change]:
    """What the marks as they stand have otherwise than the last release."""
    with database.read() as connection:
        last = _last(connection, exam)
        old = _rows(connection, exam, last.number) if last else []
        return release.difference(old, _standing(connection, exam))


def _state(connection: Connection, exam: str, run: RunStore, set_aside: str) -> State:
    a, p = schema.answer.c, schema.appeal.c
    states: dict[str, int] = dict(
        connection.execute(select(a.state, func.count()).where(a.exam == exam).group_by(a.state)).all()
    )
    unwritten = select(func.count()).where(a.exam == exam, a.version > a.written)
    appeals = select(func.count()).where(p.exam == exam, p.state.in_(("open", "taken")))
    people = people_with_people(rows_in(connection, exam))
    ledger = [row for row in run.ledger() if row.file]
    return State(
        pages=run.meta()["summary"]["counts"]["pages"],
        accounted=sum(row.outcome == "read" or bool(row.reason) for row in ledger),
        unmatched=sum(row.outcome == "unmatched" for row in ledger),
        set_aside=bool(set_aside.strip()),
        open=sum(states.get(state, 0) for state in _OPEN),
        excused=states.get("excused", 0),
        unwritten=connection.scalar(unwritten) or 0,
        appeals=connection.scalar(appeals) or 0,
        agreement=people.within,
        pairs=people.n,
    )


def _limits(connection: Connection, exam: str) -> GateSettings:
    text = connection.scalar(select(schema.exam.c.gate).where(schema.exam.c.exam == exam))
    if text is None:
        raise NotFound("nothing was brought into marking yet", "run the engine on the exam's scans first")
    return GateSettings(**json.loads(text))


def _standing(connection: Connection, exam: str) -> list[Row]:
    """The marks as they stand. A page that nobody claims has no candidate and is no part of a release; nor is an
    answer that the run no longer has."""
    a, o, i = schema.answer.c, schema.origin.c, schema.item.c
    query = select(o.candidate, a.item, i.place, a.mark, i.max_mark, a.how, a.criteria, a.state, a.why)
    query = query.join(schema.origin, o.answer == a.id)
    query = query.join(schema.item, (i.exam == a.exam) & (i.item == a.item))
    query = query.where(a.exam == exam, o.candidate != "", a.why != GONE).order_by(o.candidate, i.place)
    return [_row(row) for row in connection.execute(query)]


def _row(row: Any) -> Row:
    how = f"excused: {row.why}" if row.state == "excused" else row.how
    return Row(row.candidate, row.item, row.place, row.mark, row.max_mark, how, _criteria(row.criteria))


def _criteria(text: str | None) -> tuple[tuple[str, float], ...]:
    return tuple((name, float(mark)) for name, mark in json.loads(text).items()) if text else ()


def _columns(row: Row) -> Mapping[str, Any]:
    criteria = json.dumps(dict(row.criteria), ensure_ascii=False) if row.criteria else None
    return {**asdict(row), "criteria": criteria}


def _rows(connection: Connection, exam: str, number: int) -> list[Row]:
    c = schema.release_row.c
    query = select(schema.release_row).where(c.exam == exam, c.number == number).order_by(c.candidate, c.place)
    return [
        Row(row.candidate, row.item, row.place, row.mark, row.max_mark, row.how, _criteria(row.criteria))
        for row in connection.execute(query)
    ]


def _one_at_a_time(connection: Connection, exam: str) -> None:
    connection.execute(select(schema.exam.c.exam).where(schema.exam.c.exam == exam).with_for_update())


def _last(connection: Connection, exam: str) -> Release | None:
    c = schema.release.c
    number = connection.scalar(select(func.max(c.number)).where(c.exam == exam))
    return None if number is None else _release(connection, exam, number)


def _release(connection: Connection, exam: str, number: int) -> Release:
    c = schema.release.c
    row = connection.execute(select(schema.release).where(c.exam == exam, c.number == number)).first()
    if row is None:
        raise NotFound(f"there is no release {number}", "choose one of the releases")
    return _made(row)


def _made(row: Any) -> Release:
    findings = tuple(Finding(**one) for one in json.loads(row.gate)["findings"])
    return Release(row.number, row.at, row.actor, row.reason, row.rubric, row.hash, findings)
