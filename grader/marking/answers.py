"""Bringing the answers of a run into marking, and how each item is marked.

Bringing in can be repeated: answers that came since are added, readings of known ones never overwrite marks.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

from sqlalchemy import Connection, func, insert, select, update

from grader.desk.queue import entry, opaque
from grader.exam.exam import Exam, Item
from grader.marking import schema, settings, settling
from grader.marking.errors import Destroys, NotFound
from grader.marking.scheme import MODEL
from grader.marking.settings import ItemSettings
from grader.service.database import Database, now
from grader.store.decisions import MARKER
from grader.store.store import ResultRow, RunStore

_URGENCY = {"review": "0", "proposed": "1", "final": "2"}
_CHUNK = 500
GONE = "not in the run any more"  # the reason for which an answer is excused then


@dataclass(frozen=True)
class BroughtIn:
    """added: answers that are new. gone: that the run no longer has (a missing page that came), excused as such."""

    added: int
    gone: int


def bring_in(database: Database, exam: str, run: RunStore, actor: str) -> BroughtIn:
    """Take the answers of a settled run into marking. What a rule or a person made final in the run is final here.

    The first time, the run's exam becomes version 1 of the exam; where a later version is in force, what is new is
    marked by rule and model under that one. Raises Destroys if the run is of another exam.
    """
    shown = Exam.model_validate(run.meta()["exam"])
    with database.begin() as connection:
        secret = _open(connection, exam, shown, actor)
        known = _known(connection, exam)
    seen: set[str] = set()
    added = 0
    rows = run.results()
    while chunk := list(islice(rows, _CHUNK)):
        named = {opaque(secret, "answer", *entry(row, secret).answer): row for row in chunk}
        new = [row for name, row in named.items() if name not in known]
        with database.begin() as connection:
            if new:
                _add(connection, exam, secret, new)
            _moved(connection, [(*known[name], row.candidate) for name, row in named.items() if name in known])
        seen.update(named)
        added += len(new)
    gone = [id_ for name, (id_, _) in known.items() if name not in seen]
    with database.begin() as connection:
        brought = BroughtIn(added, _excuse_gone(connection, exam, actor, gone))
    if added:
        from grader.marking.revising import catch_up

        catch_up(database, exam, run)
    return brought


def current_exam(connection: Connection, exam: str) -> tuple[int, Exam]:
    """The version in force, and the exam as it says. Raises NotFound before anything was brought in."""
    c = schema.revision.c
    query = select(c.version, c.exam_json).where(c.exam == exam).order_by(c.version.desc()).limit(1)
    row = connection.execute(query).first()
    if row is None:
        raise NotFound("nothing was brought into marking yet", "run the engine on the exam's scans first")
    return row.version, _parsed(row.exam_json)


def exam_version(connection: Connection, exam: str, version: int) -> Exam:
    """One version of the exam. Raises NotFound."""
    c = schema.revision.c
    text = connection.scalar(select(c.exam_json).where(c.exam == exam, c.version == version))
    if text is None:
        raise NotFound(f"the exam has no version {version}", "choose one of its versions")
    return _parsed(text)


@lru_cache(maxsize=64)
def _parsed(text: str) -> Exam:
    return Exam.model_validate_json(text)


def item_settings(connection: Connection, exam: str, item: str) -> ItemSettings:
    """How the item is marked. Raises NotFound."""
    c = schema.item.c
    text = connection.scalar(select(c.settings).where(c.exam == exam, c.item == item))
    if text is None:
        raise NotFound(f"the exam has no item {item}", "choose one of its items")
    return loaded(text)


loaded = lru_cache(maxsize=256)(settings.load)


def set_item_settings(database: Database, exam: str, actor: str, item: str, chosen: ItemSettings) -> int:
    """Mark the item this way from now on; returns how many answers have another state because of it.

    Raises UsageError for settings that contradict each other, Destroys where marks that were given would no
    longer count (two markers' marks under single marking), NotFound.
    """
    with database.begin() as connection:
        _, shown = current_exam(connection, exam)
        item_settings(connection, exam, item)
        settings.check(chosen, _item(shown, item).max_mark)
        _orphans_none(connection, exam, item, chosen)
        connection.execute(
            insert(schema.event).values(
                exam=exam, item=item, at=now(), actor=actor, kind="settings", body=settings.dump(chosen)
            )
        )
        where = (schema.item.c.exam == exam) & (schema.item.c.item == item)
        connection.execute(update(schema.item).where(where).values(settings=settings.dump(chosen)))
        return settling.settle_item(connection, exam, item, chosen)


def _item(shown: Exam, item: str) -> Item:
    try:
        return shown.item(item)
    except KeyError:
        raise NotFound(f"the exam has no item {item}", "choose one of its items") from None


def _orphans_none(connection: Connection, exam: str, item: str, chosen: ItemSettings) -> None:
    """No mark that a person gave may lose its effect."""
    c = schema.answer.c
    most = 1 if chosen.scheme.kind == "single" else 2
    third = chosen.scheme.kind == "two_plus_one" or chosen.scheme.model == "checker"
    over = {1: c.marker2, 2: c.marker3}[most]
    if third:
        return
    held = connection.scalar(select(func.count()).where(c.exam == exam, c.item == item, over != ""))
    if held:
        what = f"{held} answers have marks of more people than {chosen.scheme.kind} marking counts"
        raise Destroys(what, "keep the scheme, or choose one with as many markers")


# how answers come in


def _open(connection: Connection, exam: str, shown: Exam, actor: str) -> bytes:
    """The exam's secret; makes it, its items and version 1 where they are missing."""
    held = connection.scalar(select(schema.exam.c.secret).where(schema.exam.c.exam == exam))
    if held is not None:
        first = exam_version(connection, exam, 1)
        if first.sha256 != shown.sha256:
            raise Destroys("the run is of another exam or version than marking began with", "run the same exam file")
        return bytes.fromhex(held)
    secret = secrets.token_hex(32)
    connection.execute(insert(schema.exam).values(exam=exam, secret=secret))
    begins = {"version": 1, "reason": "", "exam_json": shown.canonical(), "preview": "{}"}
    connection.execute(insert(schema.revision).values(exam=exam, at=now(), actor=actor, **begins))
    items = [
        {
            "exam": exam,
            "item": item.id,
            "place": place,
            "max_mark": item.max_mark,
            "settings": settings.dump(settings.default(item)),
        }
        for place, item in enumerate(shown.items)
    ]
    connection.execute(insert(schema.item), items)
    return bytes.fromhex(secret)


def _known(connection: Connection, exam: str) -> dict[str, tuple[int, str]]:
    """name → id of the answer and whose it is taken for."""
    a, o = schema.answer.c, schema.origin.c
    query = select(a.name, a.id, o.candidate).join(schema.origin, o.answer == a.id).where(a.exam == exam)
    return {name: (id_, candidate) for name, id_, candidate in connection.execute(query)}


def _moved(connection: Connection, known: Sequence[tuple[int, str, str]]) -> None:
    """Whose a page is can be found out after it came in; its answers keep their names and marks."""
    c = schema.origin.c
    for id_, before, candidate in known:
        if before != candidate:
            connection.execute(update(schema.origin).where(c.answer == id_).values(candidate=candidate))


def _excuse_gone(connection: Connection, exam: str, actor: str, ids: Sequence[int]) -> int:
    c = schema.answer.c
    held = [
        {"exam": exam, "item": row.item, "answer": row.id, "at": now(), "actor": actor}
        for start in range(0, len(ids), _CHUNK)
        for row in connection.execute(
            select(c.id, c.item).where(c.id.in_(ids[start : start + _CHUNK]), c.state != "excused")
        )
    ]
    if held:
        connection.execute(insert(schema.event).values(kind="excuse", comment=GONE), held)
        settling.settle_answers(connection, exam, [row["answer"] for row in held])
    return len(held)


def _add(connection: Connection, exam: str, secret: bytes, rows: Sequence[ResultRow]) -> None:
    made = [_answer(exam, secret, row) for row in rows]
    statement = insert(schema.answer).returning(schema.answer.c.id, sort_by_parameter_order=True)
    ids = list(connection.scalars(statement, made))
    origins = [
        {"answer": id_, "exam": exam, "candidate": row.candidate, "file": row.file, "file_page": row.file_page}
        for id_, row in zip(ids, rows, strict=True)
    ]
    connection.execute(insert(schema.origin), origins)
    events = [
        event for id_, row, held in zip(ids, rows, made, strict=True) for event in _first_events(exam, id_, row, held)
    ]
    for event in events:
        event.setdefault("body", "{}")
        event.setdefault("comment", "")
    if events:
        connection.execute(insert(schema.event), events)
    settling.settle_answers(connection, exam, ids)
    # The run store has what it itself made final.
    own = schema.answer.c
    connection.execute(update(schema.answer).where(own.id.in_(ids)).values(written=own.version))


def _answer(exam: str, secret: bytes, row: ResultRow) -> dict[str, Any]:
    one = entry(row, secret)
    engine = row.proposal or row
    return {
        "exam": exam,
        "item": row.item,
        "name": one.name,
        "place": f"{_URGENCY[engine.status]}{one.group}{one.name}",
        "cluster": one.group,
        "text": row.response,
        "crop": row.crop,
        "flags": " ".join(row.flags),
        "engine_mark": engine.mark,
        "engine_confidence": engine.confidence,
        "engine_status": engine.status,
        "engine_marker": engine.marker,
        "engine_criteria": json.dumps([(c.id, c.mark, c.confidence, c.evidence) for c in engine.criteria]),
        "state": "first",
    }


def _first_events(exam: str, id_: int, row: ResultRow, held: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The engine's own mark, and that of a person who decided in the run before."""
    common = {"exam": exam, "item": row.item, "answer": id_, "at": now(), "kind": "mark"}
    if held["engine_mark"] is not None:
        criteria = {id_: mark for id_, mark, _, _ in json.loads(held["engine_criteria"])}
        body = {"marker": held["engine_marker"], "confidence": held["engine_confidence"]}
        yield {
            **common,
            "actor": MODEL,
            "giver": "model",
            "mark": held["engine_mark"],
            "criteria": json.dumps(criteria) if criteria else None,
            "body": json.dumps(body),
        }
    if row.proposal is not None and row.mark is not None:
        criteria = {c.id: c.mark for c in row.criteria}
        yield {
            **common,
            "actor": row.marker.removeprefix(MARKER),
            "giver": "leader",
            "mark": row.mark,
            "criteria": json.dumps(criteria) if criteria else None,
            "comment": row.comment,
        }
