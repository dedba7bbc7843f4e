"""One item as the leader sees it: how it is marked, by whom, and how they do."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlalchemy import select

from grader.centre import charts, settings_form
from grader.centre.leading import item_at
from grader.centre.people import namer
from grader.centre.showing import page, saved
from grader.errors import UsageError
from grader.marking import answers, figures, schema, trials
from grader.marking.errors import Destroys, NotFound
from grader.marking.scheme import MODEL
from grader.marking.seeds import Phase
from grader.marking.settings import ItemSettings
from grader.marking.statistics import (
    Agreement,
    MarkerFigures,
    Row,
    marker_figures,
    model_with_people,
    people_with_people,
)
from grader.service import audit
from grader.service.access import Form, TheActor, TheExam, TheService, allowed
from grader.service.database import Database
from grader.service.pages import tell
from grader.service.service import Service

rooms = APIRouter(tags=["leading"])
_LEAD = [Depends(allowed("lead"))]
_COLUMNS = 12  # of the little chart of marks given


@dataclass(frozen=True)
class MarkerLine:
    """A marker beside the others. phase: at the item, "" for the model; given: how often each mark, none to full."""

    account: str
    figures: MarkerFigures
    phase: Phase | str
    given: tuple[int, ...]


@dataclass(frozen=True)
class Quality:
    """What marks say about those who gave them."""

    lines: tuple[MarkerLine, ...]
    people: Agreement
    model: Agreement


@rooms.get("/exams/{exam}/leader/markers", dependencies=_LEAD)
def markers(request: Request, service: TheService, exam: TheExam) -> Response:
    """Everybody's figures over all items."""
    held = quality(service.database, exam.id, None)
    name_of = namer(request, service.database)
    return page(request, "markers", None, room="leader", held=held, name_of=name_of, charts=charts)


@rooms.get("/exams/{exam}/leader/items/{place}", dependencies=_LEAD)
def one_item(request: Request, service: TheService, exam: TheExam, place: int) -> Response:
    """The item's settings and its markers."""
    return _page(request, service, exam, place)


@rooms.post("/exams/{exam}/leader/items/{place}", dependencies=_LEAD)
def change(request: Request, service: TheService, actor: TheActor, exam: TheExam, place: int, form: Form) -> Response:
    """Mark the item this way from now on. What would destroy marks is refused."""
    item = item_at(service, exam, place)
    typed = {name: str(value) for name, value in form.multi_items() if name != "csrf"}
    chosen = settings_form.read(typed)
    if isinstance(chosen, str):
        error = tell(request, "bad_field", field=tell(request, f"set_{chosen}"))
        return _page(request, service, exam, place, typed, error)
    try:
        changed = answers.set_item_settings(service.database, exam.id, actor.account, item.id, chosen)
    except Destroys as refusal:
        return _page(request, service, exam, place, typed, tell(request, "settings_destroy"), str(refusal))
    except UsageError as refusal:
        return _page(request, service, exam, place, typed, tell(request, "settings_refused"), str(refusal))
    with service.database.begin() as connection:
        audit.record(connection, actor.account, "item_settings", exam.id, item=item.id, changed=changed)
    return saved(request, f"/exams/{exam.id}/leader/items/{place}", "settings_saved", count=changed)


def quality(database: Database, exam: str, item: str | None) -> Quality:
    """The figures of everybody who marked the item, or any item, and of the model."""
    rows = figures.marker_rows(database, exam, item)
    phases = _phases(database, exam, item) if item is not None else {}
    known = marker_figures(rows)
    lines = [MarkerLine(one.marker, one, phases.get(one.marker, ""), _given(rows, one.marker)) for one in known]
    return Quality(tuple(lines), people_with_people(rows), model_with_people(rows))


def _given(rows: list[Row], marker: str) -> tuple[int, ...]:
    counts = [0] * _COLUMNS
    for row in rows:
        if row.marker == marker:
            counts[min(int(row.mark / row.max_mark * _COLUMNS), _COLUMNS - 1)] += 1
    return tuple(counts)


def _phases(database: Database, exam: str, item: str) -> dict[str, Phase]:
    m, t = schema.marker.c, schema.trial.c
    with database.read() as connection:
        seen = set(connection.scalars(select(m.actor).where(m.exam == exam, m.item == item)))
        seen |= set(connection.scalars(select(t.actor).where(t.exam == exam, t.item == item)))
        policy = answers.item_settings(connection, exam, item).seeds
        return {who: trials.phase_in(connection, exam, who, item, policy) for who in sorted(seen)}


def _page(
    request: Request, service: Service, exam: TheExam, place: int, typed: dict[str, str] | None = None,
    error: str = "", detail: str = "",
) -> Response:  # fmt: skip
    item = item_at(service, exam, place)
    with service.database.read() as connection:
        try:
            chosen = answers.item_settings(connection, exam.id, item.id)
        except NotFound:  # brought in before the item was
            chosen = ItemSettings()
    held = quality(service.database, exam.id, item.id)
    waiting = [
        (who, phase) for who, phase in _phases(service.database, exam.id, item.id).items()
        if phase in ("failed", "stopped") and who != MODEL
    ]  # fmt: skip
    return page(
        request, "item", None, 422 if error else 200, room="leader", item=item, place=place, held=held,
        fields=settings_form.GROUPS, choices=settings_form.CHOICES, percent=settings_form.percent,
        values=typed or settings_form.shown(chosen), chosen=chosen, error=error, detail=detail, stopped=waiting,
        name_of=namer(request, service.database), charts=charts,
    )  # fmt: skip
