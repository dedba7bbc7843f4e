"""Changing the exam after marking began: previewed first, applied only as it was seen, in the database.

Applied is what was previewed or nothing: the preview has a seal over the new exam and everything it would change, and
`apply` refuses when something happened since. The run keeps its own exam and marks, so that it can be replayed; what
a new version makes of its answers goes into the run as decisions of the person who put it in force.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from grader import registry
from grader.exam.exam import Exam, ShortAnswerItem
from grader.marking import revision, schema, settings, settling
from grader.marking.answers import current_exam, exam_version, item_settings
from grader.marking.errors import NotAllowed
from grader.marking.revision import Held, New, Preview
from grader.marking.scheme import MODEL
from grader.records import Mark, PageRef, Response
from grader.scoring import marking
from grader.scoring.marking import mark_responses
from grader.service.database import Database, now
from grader.store.store import RunStore

_CHUNK = 500


@dataclass(frozen=True)
class Sealed:
    """A preview, and the seal with which it can be applied. version: the number that the new exam would get."""

    preview: Preview
    seal: str
    version: int


def preview(database: Database, exam: str, run: RunStore, new: Exam, pass_line: float | None = None) -> Sealed:
    """What the exam `new` would change, were it put in force now. pass_line: share of full marks, 0 to 1.

    Raises Destroys where marks that people gave would be orphaned, UsageError for another exam or a bad line.
    """
    with database.read() as connection:
        return _prepare(connection, exam, run, new, pass_line)[0]


def apply(
    database: Database,
    exam: str,
    run: RunStore,
    actor: str,
    new: Exam,
    reason: str,
    seal: str,
    pass_line: float | None = None,
) -> int:
    """Put the exam in force as it was previewed; its version. People's marks stay.

    Raises NotAllowed where something changed since the preview, or no reason is given; as `preview` besides.
    """
    if not reason.strip():
        raise NotAllowed("a change of the exam needs a reason", "write what was wrong")
    with database.begin() as connection:
        where = schema.exam.c.exam == exam
        connection.execute(select(schema.exam.c.exam).where(where).with_for_update())
        sealed, again = _prepare(connection, exam, run, new, pass_line)
        if sealed.seal != seal:
            raise NotAllowed("marking went on since this preview", "look at the new preview, then apply it")
        values = {"exam": exam, "version": sealed.version, "at": now(), "actor": actor, "reason": reason.strip()}
        seen = json.dumps(asdict(sealed.preview), ensure_ascii=False)
        connection.execute(insert(schema.revision).values(**values, exam_json=new.canonical(), preview=seen))
        for item in new.items:
            where = (schema.item.c.exam == exam) & (schema.item.c.item == item.id)
            connection.execute(update(schema.item).where(where).values(max_mark=item.max_mark))
        _mark_again(connection, exam, actor, sealed.version, again)
        return sealed.version


def versions(database: Database, exam: str) -> list[Mapping[str, Any]]:
    """version, at, actor, reason and preview (as JSON) of every version, the last first."""
    c = schema.revision.c
    query = select(c.version, c.at, c.actor, c.reason, c.preview).where(c.exam == exam).order_by(c.version.desc())
    with database.read() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]


def catch_up(database: Database, exam: str, run: RunStore) -> int:
    """Mark answers that came in after a change of the exam as it says now; how many."""
    with database.begin() as connection:
        version, shown = current_exam(connection, exam)
        if version == 1:
            return 0
        items = revision.changed_items(exam_version(connection, exam, 1), shown)
        c = schema.revision.c
        actor = connection.scalar(select(c.actor).where(c.exam == exam, c.version == version)) or ""
        late = _answers(connection, exam, items, schema.answer.c.engine_rubric == 1)
        again = _found_again(run, shown, late)
        _mark_again(connection, exam, actor, version, again)
        return len(again)


def _prepare(
    connection: Connection, exam: str, run: RunStore, new: Exam, pass_line: float | None
) -> tuple[Sealed, dict[int, Mark]]:
    version, old = current_exam(connection, exam)
    held = _held(connection, exam)
    revision.check(old, new, held.values())
    _settings_fit(connection, exam, new)
    items = revision.changed_items(old, new)
    if not items:
        raise NotAllowed("nothing is changed", "change an answer, a rubric or a mark first")
    found = _found_again(run, new, _answers(connection, exam, items))
    again = {held[id_].name: New(held[id_].name, mark.mark, mark.status == "final") for id_, mark in found.items()}
    shown = revision.preview(old, new, list(held.values()), again, pass_line)
    sealed = [new.sha256, version, sorted(map(_seal_of, held.values())), sorted(map(repr, again.values()))]
    seal = hashlib.sha256(json.dumps(sealed, ensure_ascii=False).encode()).hexdigest()
    return Sealed(shown, seal, version + 1), found


def _seal_of(one: Held) -> str:
    return f"{one.name} {one.mark} {one.final} {one.by_person} {one.highest} {sorted(one.criteria.items())}"


def _settings_fit(connection: Connection, exam: str, new: Exam) -> None:
    """The tolerance and the steps of each item must fit its new highest mark."""
    for item in new.items:
        settings.check(item_settings(connection, exam, item.id), item.max_mark)


def _held(connection: Connection, exam: str) -> dict[int, Held]:
    """Every answer as it stands, by id."""
    a, o, e = schema.answer.c, schema.origin.c, schema.event.c
    query = select(schema.event).where(e.exam == exam, e.answer.is_not(None)).order_by(e.answer, e.id)
    events: dict[int, list[Any]] = {}
    for event in connection.execute(query):
        events.setdefault(event.answer, []).append(event)
    columns = a.id, a.name, a.item, a.mark, a.state, a.engine_mark, o.candidate
    rows = connection.execute(select(*columns).join(schema.origin, o.answer == a.id).where(a.exam == exam))
    return {row.id: _one_held(row, events.get(row.id, [])) for row in rows}


def _one_held(row: Any, events: Sequence[Any]) -> Held:
    given = [one for one in settling.standing(events).marks if one.by != "model"]
    criteria: dict[str, float] = {}
    for one in given:
        for name, mark in (one.criteria or {}).items():
            criteria[name] = max(mark, criteria.get(name, 0.0))
    final = row.state in ("final", "excused")
    return Held(
        name=row.name,
        candidate=row.candidate,
        item=row.item,
        mark=row.mark if final else row.engine_mark,
        final=final,
        by_person=bool(given) or row.state == "excused",
        highest=max((one.mark for one in given), default=0.0),
        criteria=criteria,
    )


# marking again


@dataclass(frozen=True)
class _Asked:
    """An answer that is marked again. extra: flags that the whole batch, not its page, gave it."""

    id: int
    item: str
    file: str
    page: int
    flags: tuple[str, ...]


def _answers(connection: Connection, exam: str, items: Sequence[str], where: Any = True) -> list[_Asked]:
    """The answers to these items that are on a page."""
    a, o = schema.answer.c, schema.origin.c
    query = select(a.id, a.item, o.file, o.file_page, a.flags).join(schema.origin, o.answer == a.id)
    query = query.where(a.exam == exam, a.item.in_(items), o.file.is_not(None), where)
    rows = connection.execute(query.order_by(a.id))
    return [_Asked(row.id, row.item, row.file, row.file_page, tuple(row.flags.split())) for row in rows]


def _found_again(run: RunStore, new: Exam, asked: Sequence[_Asked]) -> dict[int, Mark]:
    """What rule and model say under the new exam about the responses as they were read, answer by answer."""
    told = run.meta()["settings"]
    short = {item.id for item in new.items if isinstance(item, ShortAnswerItem)}
    scorer = registry.create("scorer", told["scorer"]) if any(one.item in short for one in asked) else None
    how = marking.Settings(**told["marking"])
    found: dict[int, Mark] = {}
    for part in _chunks(asked):
        responses = list(_responses(run, part))
        marks = mark_responses(new, [response for _, response in responses], scorer, how)
        found |= {one.id: _of_the_batch(one, mark) for (one, _), mark in zip(responses, marks, strict=True)}
    return found


def _responses(run: RunStore, asked: Sequence[_Asked]) -> Iterator[tuple[_Asked, Response]]:
    """The stored responses, with the candidate that the page has (none is needed to mark it)."""
    wanted: dict[PageRef, dict[str, _Asked]] = {}
    for one in asked:
        wanted.setdefault(PageRef(one.file, one.page), {})[one.item] = one
    for _, record in run.page_events(list(wanted)):
        items = wanted[record.result.ref]
        for response in record.result.responses:
            if response.item in items:
                yield items[response.item], response


# Given by settling the batch, never by reading or scoring one page: a person has to look whatever the rule says.
_BATCH_FLAGS = frozenset(("duplicate_differs", "identity_unread", "identity_doubtful", "identity_conflict",
                          "identity_unknown", "no_fiducials", "residual", "code_damaged"))  # fmt: skip


def _of_the_batch(one: _Asked, mark: Mark) -> Mark:
    extra = tuple(flag for flag in one.flags if flag in _BATCH_FLAGS and flag not in mark.flags)
    return replace(mark, status="review", flags=(*mark.flags, *extra)) if extra else mark


def _mark_again(connection: Connection, exam: str, actor: str, version: int, again: Mapping[int, Mark]) -> None:
    """The engine's new marks as events of marker 0, then what follows from them."""
    columns = ("engine_mark", "engine_confidence", "engine_status", "engine_marker", "engine_criteria", "flags")
    change = update(schema.answer).where(schema.answer.c.id == bindparam("row"))
    change = change.values(
        {n: bindparam(n) for n in columns},
    ).values(engine_rubric=version, engine_by=actor)
    for part in _chunks(list(again.items())):
        rows = [{"row": id_, **_engine(mark)} for id_, mark in part]
        connection.execute(change, rows)
        base = {"exam": exam, "at": now(), "actor": MODEL, "kind": "mark", "giver": "model", "rubric": version}
        events = [
            {**base, "item": mark.item, "answer": id_, **_event(mark)} for id_, mark in part if mark.mark is not None
        ]
        if events:
            connection.execute(insert(schema.event), events)
        settling.settle_answers(connection, exam, [id_ for id_, _ in part])


def _engine(mark: Mark) -> dict[str, Any]:
    return {
        "engine_mark": mark.mark,
        "engine_confidence": mark.confidence,
        "engine_status": mark.status,
        "engine_marker": mark.marker,
        "engine_criteria": json.dumps([(c.id, c.mark, c.confidence, c.evidence) for c in mark.criteria]),
        "flags": " ".join(mark.flags),
    }


def _event(mark: Mark) -> dict[str, Any]:
    criteria = settling.criteria_text({c.id: c.mark for c in mark.criteria})
    body = settling.dumps({"marker": mark.marker, "confidence": mark.confidence})
    return {"mark": mark.mark, "criteria": criteria, "body": body}


def _chunks(rows: Sequence[Any]) -> Iterable[Sequence[Any]]:
    return (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))
