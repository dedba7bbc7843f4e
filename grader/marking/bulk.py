"""Accepting in bulk, in the database: a sample is drawn and kept, its answers are marked by a person, then the rest is
accepted, all in that person's name. Which sample was looked at stays on record."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select, update

from grader.marking import schema, settling
from grader.marking.answers import current_exam, item_settings
from grader.marking.errors import NotAllowed, NotFound
from grader.marking.sampling import Judged, draw, judge
from grader.marking.scheme import allowed_mark, may_accept_in_bulk
from grader.marking.serving import Served, lease_these
from grader.marking.settings import ItemSettings
from grader.service.database import Database, now

_CHUNK = 500


@dataclass(frozen=True)
class Sample:
    """A sample of what the model is sure of. rest: answers that would be accepted with it; names: of the sample;
    waiting: of these, what the person has still to mark; accepted: when, or ""."""

    id: str
    item: str
    actor: str
    sure: float
    names: tuple[str, ...]
    waiting: tuple[str, ...]
    rest: int
    judged: Judged
    accepted: str


def draw_sample(database: Database, exam: str, actor: str, item: str) -> Sample:
    """Draw a sample of what waits for its first mark and the model is sure of.

    Raises NotAllowed where the scheme keeps markers blind to the model, UsageError where there is nothing to draw.
    """
    with database.begin() as connection:
        chosen = item_settings(connection, exam, item)
        if not may_accept_in_bulk(chosen.scheme):
            remedy = "mark one by one, or let the model propose at this item"
            raise NotAllowed("markers of this item are blind to the model", remedy)
        population = [row.name for row in _sure(connection, exam, item, chosen)]
        seed = secrets.token_hex(8)
        names = draw(population, chosen.bulk.sample, seed)
        id_ = secrets.token_urlsafe(12)
        values = {"id": id_, "exam": exam, "item": item, "actor": actor, "at": now(), "sure": chosen.bulk.sure}
        told = {"population": settling.dumps(population), "names": settling.dumps(names), "draw": seed}
        connection.execute(insert(schema.sample).values(**values, **told))
        return _sample(connection, exam, id_)


def sample_state(database: Database, exam: str, sample: str) -> Sample:
    """The sample as it stands. Raises NotFound."""
    with database.read() as connection:
        return _sample(connection, exam, sample)


def serve_sample(database: Database, exam: str, actor: str, sample: str) -> list[Served]:
    """What is left of the sample, leased to the person who drew it and marked with grader.marking.saving.save; what
    is on another desk is left out. Raises NotFound, NotAllowed for another person."""
    with database.begin() as connection:
        held = _sample(connection, exam, sample)
        _own(held, actor)
        return lease_these(connection, exam, actor, held.item, held.waiting)


def accept(database: Database, exam: str, actor: str, sample: str) -> int:
    """Give the rest of the population the model's marks, in the actor's name; how many answers.

    Left out is what was marked or taken on a desk since. Raises NotFound; NotAllowed for another person than the one
    who drew it, a sample that was not looked at whole or shows too many differences, or one accepted before.
    """
    with database.begin() as connection:
        held = _sample(connection, exam, sample)
        _own(held, actor)
        _acceptable(held)
        chosen = item_settings(connection, exam, held.item)
        version, shown = current_exam(connection, exam)
        population = set(settling.loads(_row(connection, exam, sample).population)) - set(held.names)
        most = shown.item(held.item).max_mark
        rows = [row for row in _sure(connection, exam, held.item, chosen, lock=True) if row.name in population]
        rows = [row for row in rows if allowed_mark(chosen.scheme, row.engine_mark, most)]
        base: dict[str, Any] = {
            "exam": exam,
            "item": held.item,
            "at": now(),
            "actor": actor,
            "kind": "mark",
            "giver": "person",
        }
        base |= {"rubric": version, "together": sample, "body": settling.dumps({"bulk": sample})}
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            events = [{**base, "answer": r.id, "mark": r.engine_mark, "criteria": _criteria(r)} for r in part]
            connection.execute(insert(schema.event), events)
        settling.settle_answers(connection, exam, [row.id for row in rows], chosen)
        connection.execute(update(schema.sample).where(schema.sample.c.id == sample).values(accepted=now()))
        return len(rows)


def _own(held: Sample, actor: str) -> None:
    if held.actor != actor:
        raise NotAllowed("another person drew this sample and looks at it", "draw one of your own")


def _acceptable(held: Sample) -> None:
    if held.accepted:
        raise NotAllowed("this sample was used already", "draw a new one")
    if not held.judged.complete:
        remedy = f"mark the other {held.judged.size - held.judged.looked}"
        raise NotAllowed("the sample was not looked at whole", remedy)
    if not held.judged.acceptable:
        what = f"{held.judged.beyond} of {held.judged.size} marks of the sample lie beyond the tolerance"
        raise NotAllowed(what, "mark the answers one by one, or ask for a higher confidence")


def _sure(connection: Connection, exam: str, item: str, chosen: ItemSettings, lock: bool = False) -> list[Any]:
    """What waits for its first mark, is on nobody's desk, and the model marks with enough confidence."""
    c = schema.answer.c
    query = select(c.id, c.name, c.engine_mark, c.engine_criteria).where(
        c.exam == exam,
        c.item == item,
        c.state == "first",
        c.seed == "",
        c.lease_until < now(),
        c.engine_status == "proposed",
        c.engine_mark.is_not(None),
        c.engine_confidence >= chosen.bulk.sure,
    )
    query = query.order_by(c.id)
    return list(connection.execute(query.with_for_update(skip_locked=True) if lock else query))


def _row(connection: Connection, exam: str, sample: str) -> Any:
    c = schema.sample.c
    row = connection.execute(select(schema.sample).where(c.exam == exam, c.id == sample).with_for_update()).first()
    if row is None:
        raise NotFound("there is no such sample", "draw a new one")
    return row


def _sample(connection: Connection, exam: str, sample: str) -> Sample:
    row = _row(connection, exam, sample)
    names = tuple(settling.loads(row.names))
    chosen = item_settings(connection, exam, row.item)
    a, e = schema.answer.c, schema.event.c
    drawn = (a.exam == exam) & a.name.in_(names)
    model = dict(connection.execute(select(a.name, a.engine_mark).where(drawn)).all())
    withdrawn = schema.event.alias("withdrawn")
    stands = ~select(withdrawn.c.id).where(withdrawn.c.undoes == e.id).exists()
    given = select(a.name, e.mark).join(schema.event, e.answer == a.id)
    # Another person's mark, given meanwhile, is a look at the answer too.
    given = given.where(drawn, e.kind.in_(("mark", "definitive")), e.giver != "model", stands).order_by(e.id)
    person = dict(connection.execute(given).all())
    waiting = tuple(name for name in names if name not in person)
    rest = len(settling.loads(row.population)) - len(names)
    judged = judge(names, model, person, chosen.scheme.tolerance, chosen.bulk.disagree)
    return Sample(sample, row.item, row.actor, row.sure, names, waiting, rest, judged, row.accepted)


def _criteria(row: Any) -> str | None:
    """The model's marks per criterion, where they make its mark."""
    held = {id_: mark for id_, mark, _, _ in settling.loads(row.engine_criteria)}
    return settling.criteria_text(held) if abs(sum(held.values()) - row.engine_mark) < 1e-9 else None
