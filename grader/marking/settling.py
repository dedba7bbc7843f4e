"""From the events of an answer to its state: the projection `mark_answer`, always derived from `mark_event`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from grader.marking import schema, settings
from grader.marking.scheme import Adjudication, Final, Given, resolve
from grader.marking.settings import ItemSettings

_CHUNK = 500
_PROJECTED = (
    "state", "why", "marker1", "marker2", "marker3", "mark", "how", "markers", "criteria", "comment", "version",
)  # fmt: skip


def dumps(value: Any) -> str:
    """As JSON text of the database."""
    return json.dumps(value, ensure_ascii=False)


def loads(text: str) -> Any:
    """From JSON text of the database."""
    return json.loads(text)


def criteria_text(criteria: Mapping[str, float] | None) -> str | None:
    """Marks per criterion as the database holds them."""
    return dumps(dict(criteria)) if criteria else None


@dataclass(frozen=True)
class Standing:
    """What stands of an answer's events. raised: by whom, "" if nobody; excused: the reason, ""; comment: the last."""

    marks: tuple[Given, ...]
    raised: str
    excused: str
    comment: str


def standing(events: Iterable[Any]) -> Standing:
    """What stands of the events of one answer, in their order (rows of mark_event).

    Withdrawing takes back any event. A leader's mark or handing back ends a raise; a mark by the leader or on appeal
    ends an excuse.
    """
    rows = list(events)
    withdrawn = {row.undoes for row in rows if row.kind == "withdraw"}
    marks: list[Given] = []
    raised, excused, comment = "", "", ""
    for row in rows:
        if row.id in withdrawn:
            continue
        if row.kind in ("mark", "definitive"):
            criteria = json.loads(row.criteria) if row.criteria else None
            marks.append(Given(row.actor, row.mark, row.giver, criteria))
            comment = row.comment or comment
            if row.giver in ("leader", "appeal"):
                raised = excused = ""
        elif row.kind == "raise":
            raised = row.actor
        elif row.kind == "return":
            raised = excused = ""
            # Handing back asks the markers again: only a leader's mark is set aside by it.
            marks = [given for given in marks if given.by not in ("leader", "appeal")]
        elif row.kind == "excuse":
            excused = row.comment
    return Standing(tuple(marks), raised, excused, comment)


def project(held: Mapping[str, Any], stands: Standing, chosen: ItemSettings) -> dict[str, Any]:
    """The derived columns of an answer. held: its row as it is."""
    # Under another version of the exam the model may have nothing to say: then what it said before counts no more.
    marks = [given for given in stands.marks if given.by != "model" or held["engine_mark"] is not None]
    people = [given.marker for given in marks if given.by == "person"][:3]
    first, second, third = (*people, "", "", "")[:3]
    above = any(given.by in ("leader", "appeal") for given in marks)
    found = resolve(chosen.scheme, marks)
    values: dict[str, Any] = {"marker1": first, "marker2": second, "marker3": third, "comment": stands.comment}
    values |= {"mark": None, "how": "", "markers": "[]", "criteria": None, "why": ""}
    if stands.excused:
        values |= {"state": "excused", "why": stands.excused}
    elif stands.raised and not above:
        values |= {"state": "leader", "why": "raised"}
    elif held["engine_status"] == "final" and not people and not above:
        values |= _by_rule(held)
    elif isinstance(found, Final):
        values |= _final(found)
    elif isinstance(found, Adjudication):
        values |= {"state": "leader", "why": found.why}
    elif "missing_page" in held["flags"].split():
        values |= {"state": "leader", "why": "missing_page"}  # no marker can mark what nobody has
    else:
        values |= {"state": found.role}
    told = ("state", "mark", "how", "markers", "criteria", "comment")
    changed = "final" in (held["state"], values["state"]) and any(values[name] != held[name] for name in told)
    return {**values, "version": held["version"] + changed}


def _final(found: Final) -> dict[str, Any]:
    criteria = None if found.criteria is None else json.dumps(dict(found.criteria))
    return {
        "state": "final",
        "mark": found.mark,
        "how": found.how,
        "markers": json.dumps(found.of),
        "criteria": criteria,
    }


def _by_rule(held: Mapping[str, Any]) -> dict[str, Any]:
    how, marker = ("rule", held["engine_marker"]) if not held["engine_by"] else ("revision", held["engine_by"])
    return {"state": "final", "mark": held["engine_mark"], "how": how, "markers": json.dumps([marker])}


def settle_answers(
    connection: Connection, exam: str, ids: Sequence[int], chosen: ItemSettings | None = None
) -> list[dict[str, Any]]:
    """Derive the answers with these ids again; returns the rows whose state or mark is another one, as they are now.

    chosen: the settings of their item, where they are known and the same for all.
    """
    per_item: dict[str, ItemSettings] = {}
    if chosen is None:
        query = select(schema.item.c.item, schema.item.c.settings).where(schema.item.c.exam == exam)
        per_item = {name: settings.load(text) for name, text in connection.execute(query)}
    changed = []
    for start in range(0, len(ids), _CHUNK):
        part = ids[start : start + _CHUNK]
        rows = connection.execute(select(schema.answer).where(schema.answer.c.id.in_(part))).mappings().all()
        events: dict[int, list[Any]] = {id_: [] for id_ in part}
        c = schema.event.c
        for event in connection.execute(select(schema.event).where(c.answer.in_(part)).order_by(c.id)):
            events[event.answer].append(event)
        for held in rows:
            values = project(dict(held), standing(events[held["id"]]), chosen or per_item[held["item"]])
            if any(values[name] != held[name] for name in _PROJECTED):
                changed.append({**held, **values})
    if changed:
        change = update(schema.answer).where(schema.answer.c.id == bindparam("row"))
        values_of = [{"row": row["id"], **{name: row[name] for name in _PROJECTED}} for row in changed]
        connection.execute(change.values({name: bindparam(name) for name in _PROJECTED}), values_of)
    return changed


def settle_item(connection: Connection, exam: str, item: str, chosen: ItemSettings) -> int:
    """Derive every answer of the item again; how many are in another state."""
    c = schema.answer.c
    ids = list(connection.scalars(select(c.id).where(c.exam == exam, c.item == item).order_by(c.id)))
    return len(settle_answers(connection, exam, ids, chosen))
