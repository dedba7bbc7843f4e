"""What people decide: a mark for an answer, whose page it is. Events like any other, and the last word.

A decision is appended to the journal and shown in the projection in one transaction. Settling again applies
all decisions again, so recomputation never overwrites a person, and a decision on one answer never touches
another (see `grader.run.settle`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from grader.errors import UsageError
from grader.records import PageRef
from grader.store import schema
from grader.store.store import RunStore

MARKER = "person:"  # marker of a decided mark: "person:NAME"
AnswerKey = tuple[
    str, str | None, int | None, str
]  # candidate (only where there is no file), file, page, item


@dataclass(frozen=True)
class Decision:
    """A person's mark for one answer; mark None withdraws the last one, and the proposal stands again.

    file, file_page: the page that holds the answer, None where the page is missing. criteria: criterion id → mark.
    """

    candidate: str
    item: str
    file: str | None
    file_page: int | None
    mark: float | None
    criteria: dict[str, float] | None = None
    comment: str = ""

    @property
    def key(self) -> AnswerKey:
        """What identifies the answer: the page it is on, or the candidate where the page is missing."""
        return answer_key(self.candidate, self.file, self.file_page, self.item)


@dataclass(frozen=True)
class Attribution:
    """A person says whose page it is."""

    file: str
    page: int
    candidate: str


def answer_key(candidate: str, file: str | None, file_page: int | None, item: str) -> AnswerKey:
    """See `Decision.key`."""
    return ("" if file else candidate, file, file_page, item)


def decide(store: RunStore, actor: str, decision: Decision) -> int:
    """Append a decision and show it in the projection, both or neither; returns the event's id.

    Withdrawing appends only: settle again to see the proposal. Raises UsageError for an answer that the run
    does not have or a mark outside 0 to max_mark.
    """
    c = schema.answer.c
    where = (c.item == decision.item) & (
        (c.file == decision.file) & (c.file_page == decision.file_page)
        if decision.file
        else c.file.is_(None) & (c.candidate == decision.candidate)
    )
    with store.begin() as connection:
        row = connection.execute(select(c.id, c.max_mark, c.flags).where(where)).first()
        if row is None:
            raise UsageError(f"the run has no answer to item {decision.item} there", "load the page again")
        if decision.mark is not None and not 0 <= decision.mark <= row.max_mark:
            raise UsageError(
                f"a mark of {decision.mark:g} is not between 0 and {row.max_mark:g}", "correct the mark"
            )
        event_id = _append(connection, actor, "decision", asdict(decision))
        if decision.mark is not None:
            connection.execute(update(schema.answer).where(c.id == row.id).values(**decided(decision, actor)))
    return event_id


def attribute(store: RunStore, actor: str, attribution: Attribution) -> int:
    """Append whose page it is; settle again to see its effect. Raises UsageError for a page the run has not read."""
    if store.page_record(attribution.file, attribution.page) is None:
        raise UsageError(
            f"the run has not read {attribution.file} page {attribution.page}", "choose a page it has"
        )
    with store.begin() as connection:
        return _append(connection, actor, "attribution", asdict(attribution))


def decisions(store: RunStore) -> dict[AnswerKey, tuple[str, Decision]]:
    """The decision that stands for each answer, and who made it."""
    standing: dict[AnswerKey, tuple[str, Decision]] = {}
    for actor, body in _events(store, "decision"):
        decision = Decision(**body)
        if decision.mark is None:
            standing.pop(decision.key, None)
        else:
            standing[decision.key] = (actor, decision)
    return standing


def attributions(store: RunStore) -> dict[PageRef, str]:
    """The candidate that people gave to pages."""
    return {
        PageRef(body["file"], body["page"]): body["candidate"] for _, body in _events(store, "attribution")
    }


def decided(decision: Decision, actor: str) -> dict[str, Any]:
    """The columns of an answer that a decision sets. Flags stay: they say why a person looked."""
    values: dict[str, Any] = {
        "mark": decision.mark,
        "confidence": 1.0,
        "status": "final",
        "marker": f"{MARKER}{actor}",
    }
    if decision.criteria is not None:
        values["criteria"] = json.dumps([(id_, mark, 1.0, None) for id_, mark in decision.criteria.items()])
    return values


def _append(connection: Connection, actor: str, kind: str, body: dict[str, Any]) -> int:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    text = json.dumps(body, ensure_ascii=False)
    statement = (
        insert(schema.event).values(at=at, actor=actor, kind=kind, body=text).returning(schema.event.c.id)
    )
    return int(connection.execute(statement).scalar_one())


def _events(store: RunStore, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    query = select(schema.event.c.actor, schema.event.c.body).where(schema.event.c.kind == kind)
    with store.begin() as connection:
        rows = connection.execute(query.order_by(schema.event.c.id)).all()
    for actor, body in rows:
        yield actor, json.loads(body)
