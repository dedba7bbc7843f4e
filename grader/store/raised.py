"""Answers that a marker raised to the leader: set aside with a word why, until they are decided or put back.

Events of the journal like any other; the last one of an answer counts, and a decision made since settles it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sqlalchemy import insert, select

from grader.store import schema
from grader.store.decisions import AnswerKey, answer_key
from grader.store.store import RunStore

_KIND = "raised"


@dataclass(frozen=True)
class Raised:
    """An answer that waits for the leader. standing False puts it back into the queue."""

    candidate: str
    item: str
    file: str | None
    file_page: int | None
    comment: str
    standing: bool = True

    @property
    def key(self) -> AnswerKey:
        """As of a decision."""
        return answer_key(self.candidate, self.file, self.file_page, self.item)


def raise_to_leader(store: RunStore, actor: str, raised: Raised) -> int:
    """Append that the actor raised the answer, or put it back; the event's id."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds")
    body = json.dumps(asdict(raised), ensure_ascii=False)
    with store.begin() as connection:
        statement = insert(schema.event).values(at=at, actor=actor, kind=_KIND, body=body)
        key = connection.execute(statement).inserted_primary_key
        assert key is not None
        return int(key[0])


def raised(store: RunStore) -> dict[AnswerKey, tuple[str, Raised]]:
    """The answers that wait for the leader, and who raised each. One decided since does not wait any more."""
    events = schema.event
    query = select(events.c.actor, events.c.kind, events.c.body).where(events.c.kind.in_((_KIND, "decision")))
    standing: dict[AnswerKey, tuple[str, Raised]] = {}
    with store.begin() as connection:
        for actor, kind, body in connection.execute(query.order_by(events.c.id)):
            held = json.loads(body)
            key = answer_key(held["candidate"], held["file"], held["file_page"], held["item"])
            if kind == _KIND and held["standing"]:
                standing[key] = actor, Raised(**held)
            elif kind == _KIND or held["mark"] is not None:
                standing.pop(key, None)
    return standing
