"""The marks of an exam as rows for grader.marking.statistics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select

from grader.marking import schema
from grader.marking.answers import loaded
from grader.marking.scheme import MODEL
from grader.marking.settings import ItemSettings
from grader.marking.statistics import (
    Agreement,
    MarkerFigures,
    Row,
    marker_figures,
    model_with_people,
    people_with_people,
)
from grader.scoring.normal import normalise
from grader.service.database import Database


def marker_rows(database: Database, exam: str, item: str | None = None) -> list[Row]:
    """Every mark that stands or was given to a seed, in the order in which they were given: people's and, where the
    item is marked by people, the model's."""
    with database.read() as connection:
        return rows_in(connection, exam, item)


def figures(database: Database, exam: str, item: str | None = None) -> list[MarkerFigures]:
    """One row a marker, the model first; of one item, or of all."""
    return marker_figures(marker_rows(database, exam, item))


def agreements(database: Database, exam: str, item: str | None = None) -> tuple[Agreement, Agreement]:
    """People with each other, and the model with people."""
    rows = marker_rows(database, exam, item)
    return people_with_people(rows), model_with_people(rows)


def rows_in(connection: Connection, exam: str, item: str | None = None) -> list[Row]:
    """As `marker_rows`, within a transaction."""
    a, e = schema.answer.c, schema.event.c
    settings = _settings(connection, exam)
    withdrawn = schema.event.alias("withdrawn")
    stands = ~select(withdrawn.c.id).where(withdrawn.c.undoes == e.id).exists()
    columns = (e.actor, e.kind, e.giver, e.mark, e.seconds, a.item, a.name, a.text, a.seed, a.marker3)
    query = select(*columns, a.mark.label("final"), a.marker1)
    query = query.join(schema.answer, a.id == e.answer)
    query = query.where(e.exam == exam, e.kind.in_(("mark", "trial")), stands).order_by(e.id)
    if item is not None:
        query = query.where(e.item == item)
    return [_row(one, *settings[one.item]) for one in connection.execute(query) if _counts(one)]


def _counts(one: Any) -> bool:
    """Marks of people; of the model where a person marked the answer too, or it is a seed: elsewhere nothing can be
    compared. A leader's mark is what others are measured by, not one of theirs."""
    if one.giver == "model":
        return bool(one.marker1 or one.seed)
    return bool(one.giver == "person")


def _row(one: Any, chosen: ItemSettings, max_mark: float) -> Row:
    return Row(
        marker=MODEL if one.giver == "model" else one.actor,
        item=one.item,
        answer=one.name,
        mark=one.mark,
        max_mark=max_mark,
        tolerance=chosen.scheme.tolerance,
        step=chosen.scheme.step,
        seconds=one.seconds,
        text=normalise(one.text),
        definitive=one.final if one.kind == "trial" or (one.giver == "model" and one.seed) else None,
        third=bool(one.marker3),
    )


def _settings(connection: Connection, exam: str) -> Mapping[str, tuple[ItemSettings, float]]:
    c = schema.item.c
    query = select(c.item, c.settings, c.max_mark).where(c.exam == exam)
    return {item: (loaded(text), most) for item, text, most in connection.execute(query)}
