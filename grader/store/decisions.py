"""What people decide: a mark for an answer, whose page it is. Events like any other, and the last word.

A decision is appended to the journal and shown in the projection in one transaction. Settling again applies
all decisions again, so recomputation never overwrites a person, and a decision on one answer never touches
another (see `grader.run.settle`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from grader.errors import UsageError
from grader.records import PageRef
from grader.store import schema
from grader.store.store import RunStore, where_answer

MARKER = "person:"  # marker of a decided mark: "person:NAME"
# candidate (only where there is no file), file, page, item
AnswerKey = tuple[str, str | None, int | None, str]
_ENGINES = ("mark", "confidence", "status", "marker", "criteria")  # columns that a decision overrules
_SHOWN = (*_ENGINES, "proposal", "comment")


@dataclass(frozen=True)
class Decision:
    """A person's mark for one answer; mark None withdraws the last one, and what was before it stands again.

    file, file_page: the page that holds the answer, None where the page is missing. criteria: criterion id → mark.
    together: names the decisions that were made in one action, such as one mark for identical answers.
    """

    candidate: str
    item: str
    file: str | None
    file_page: int | None
    mark: float | None
    criteria: dict[str, float] | None = None
    comment: str = ""
    together: str = ""

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


def decide(store: RunStore, actor: str, *made: Decision) -> list[int]:
    """Append decisions and show them in the projection, all or none; returns the events' ids.

    Withdrawing shows the earlier decision again, or the engine's proposal where there is none. Raises UsageError
    for an answer that the run does not have or a mark outside 0 to max_mark.
    """
    with store.begin() as connection:
        return _decide(connection, actor, made)


def undo(store: RunStore, actor: str) -> list[Decision]:
    """Withdraw the actor's last action that still stands; returns its decisions, [] where there is none.

    An action whose answer another person decided since is passed over.
    """
    with store.begin() as connection:
        last = _last_action(connection, actor)
        _decide(connection, actor, [replace(d, mark=None, criteria=None, comment="") for d in last])
    return last


def _decide(connection: Connection, actor: str, made: Sequence[Decision]) -> list[int]:
    if not made:
        return []
    rows = [_row(connection, decision) for decision in made]
    ids = _append(connection, actor, "decision", [asdict(decision) for decision in made])
    standing = {decision.key: (actor, decision) for decision in made}
    if any(decision.mark is None for decision in made):
        standing = _standing(connection, made)
    shown = []
    for row, decision in zip(rows, made, strict=True):
        found = standing.get(decision.key)
        values = decided(row, found[1], found[0]) if found else _undecided(row)
        shown.append({"row": row["id"], **values})
    change = update(schema.answer).where(schema.answer.c.id == bindparam("row"))
    connection.execute(change.values({name: bindparam(name) for name in _SHOWN}), shown)
    return ids


def _row(connection: Connection, decision: Decision) -> dict[str, Any]:
    where = where_answer(decision.candidate, decision.item, decision.file, decision.file_page)
    row = connection.execute(select(schema.answer).where(where)).first()
    if row is None:
        raise UsageError(f"the run has no answer to item {decision.item} there", "load the page again")
    if decision.mark is not None and not 0 <= decision.mark <= row.max_mark:
        raise UsageError(f"a mark of {decision.mark:g} is not between 0 and {row.max_mark:g}", "correct the mark")
    return row._asdict()


def _standing(connection: Connection, made: Sequence[Decision]) -> dict[AnswerKey, tuple[str, Decision]]:
    """The decisions that stand for the same answers."""
    events = schema.event
    query = select(events.c.actor, events.c.body).where(events.c.kind == "decision")
    if len(made) == 1:
        # The text that names the answer is in the body as JSON writes it: a coarse sieve that any database has.
        named = json.dumps(made[0].file or made[0].candidate, ensure_ascii=False)
        query = query.where(events.c.body.contains(named, autoescape=True))
    rows = connection.execute(query.order_by(events.c.id))
    return _stand((actor, json.loads(body)) for actor, body in rows)


def _last_action(connection: Connection, actor: str) -> list[Decision]:
    events = schema.event
    query = select(events.c.actor, events.c.body).where(events.c.kind == "decision")
    withdrawn: Counter[AnswerKey] = Counter()
    decided_since: set[AnswerKey] = set()
    found: list[Decision] = []
    for who, body in connection.execute(query.order_by(events.c.id.desc())):
        decision = Decision(**json.loads(body))
        if found and (not found[0].together or decision.together != found[0].together):
            break
        if decision.mark is None:
            withdrawn[decision.key] += 1
        elif withdrawn[decision.key]:
            withdrawn[decision.key] -= 1
        elif who == actor and decision.key not in decided_since:
            found.append(decision)
        else:
            decided_since.add(decision.key)
    return found[::-1]


def attribute(store: RunStore, actor: str, attribution: Attribution) -> int:
    """Append whose page it is; settle again to see its effect. Raises UsageError for a page the run has not read."""
    if store.page_record(attribution.file, attribution.page) is None:
        raise UsageError(f"the run has not read {attribution.file} page {attribution.page}", "choose a page it has")
    with store.begin() as connection:
        return _append(connection, actor, "attribution", [asdict(attribution)])[0]


def decisions(store: RunStore) -> dict[AnswerKey, tuple[str, Decision]]:
    """The decision that stands for each answer, and who made it."""
    return _stand(_events(store, "decision"))


def _stand(events: Iterable[tuple[str, dict[str, Any]]]) -> dict[AnswerKey, tuple[str, Decision]]:
    made: dict[AnswerKey, list[tuple[str, Decision]]] = {}
    for actor, body in events:
        decision = Decision(**body)
        stack = made.setdefault(decision.key, [])
        if decision.mark is not None:
            stack.append((actor, decision))
        elif stack:
            stack.pop()
    return {key: stack[-1] for key, stack in made.items() if stack}


def attributions(store: RunStore) -> dict[PageRef, str]:
    """The candidate that people gave to pages."""
    return {PageRef(body["file"], body["page"]): body["candidate"] for _, body in _events(store, "attribution")}


def decided(row: Mapping[str, Any], decision: Decision, actor: str) -> dict[str, Any]:
    """The columns of an answer that a decision sets. Flags stay: they say why a person looked.

    row: the answer as it is, decided before or not.
    """
    engine = _engines(row)
    values = {
        **engine,
        "mark": decision.mark,
        "confidence": 1.0,
        "status": "final",
        "marker": f"{MARKER}{actor}",
        "proposal": json.dumps(engine, ensure_ascii=False),
        "comment": decision.comment,
    }
    if decision.criteria is not None:
        values["criteria"] = json.dumps([(id_, mark, 1.0, None) for id_, mark in decision.criteria.items()])
    return values


def _undecided(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**_engines(row), "proposal": None, "comment": ""}


def _engines(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the engine derived, decided since or not."""
    held: Mapping[str, Any] = json.loads(row["proposal"]) if row["proposal"] else row
    return {name: held[name] for name in _ENGINES}


def _append(connection: Connection, actor: str, kind: str, bodies: Sequence[dict[str, Any]]) -> list[int]:
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    rows = [{"at": at, "actor": actor, "kind": kind, "body": json.dumps(body, ensure_ascii=False)} for body in bodies]
    statement = insert(schema.event).returning(schema.event.c.id, sort_by_parameter_order=True)
    return list(connection.execute(statement, rows).scalars())


def _events(store: RunStore, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    query = select(schema.event.c.actor, schema.event.c.body).where(schema.event.c.kind == kind)
    with store.begin() as connection:
        rows = connection.execute(query.order_by(schema.event.c.id)).all()
    for actor, body in rows:
        yield actor, json.loads(body)
