"""The pages of the audit log: reading it, checking its chain, taking it away."""

from __future__ import annotations

import json
from collections.abc import Iterator

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response, StreamingResponse
from sqlalchemy import select

from grader.service import audit, schema
from grader.service.access import TheActor, TheService, allowed
from grader.service.actions import told
from grader.service.pages import language_of, show

rooms = APIRouter(prefix="/audit", tags=["audit"])

_SHOWN = 100


@rooms.get("", dependencies=[Depends(allowed("audit"))])
def latest(request: Request, service: TheService, before: int | None = None) -> Response:
    """The log, newest first."""
    service.note_views()
    with service.database.read() as connection:
        entries = audit.latest(connection, _SHOWN, before)
        people = {row.id: row.name for row in connection.execute(select(schema.account.c.id, schema.account.c.name))}
        titles = {row.id: row.title for row in connection.execute(select(schema.exam.c.id, schema.exam.c.title))}
    language = language_of(request)
    rows = [(entry, told(entry.action, language), _told(entry.detail)) for entry in entries]
    more = entries[-1].id if entries and entries[-1].id > 1 else None
    return show(request, "service/audit", rows=rows, people=people, titles=titles, more=more, verdict=None)


@rooms.get("/verify", dependencies=[Depends(allowed("audit"))])
def verify(request: Request, service: TheService) -> Response:
    """Follow the chain from its beginning and name the first row that does not fit."""
    with service.database.read() as connection:
        verdict = audit.verify(connection)
    return show(request, "service/audit", rows=[], people={}, titles={}, more=None, verdict=verdict)


@rooms.get("/export", dependencies=[Depends(allowed("audit"))])
def export(service: TheService, actor: TheActor) -> Response:
    """Every row as JSON lines, with the hashes, so that the chain can be checked elsewhere."""
    service.note_views()
    with service.database.begin() as connection:
        audit.record(connection, actor.account, "audit_exported")

    def lines() -> Iterator[str]:
        with service.database.read() as connection:
            for entry in audit.entries(connection):
                yield json.dumps(vars(entry), ensure_ascii=False) + "\n"

    headers = {"Content-Disposition": 'attachment; filename="audit.jsonl"'}
    return StreamingResponse(lines(), media_type="application/x-ndjson", headers=headers)


def _told(detail: str) -> str:
    """What a row's detail says, for reading: `login: ada, role: leader`."""
    pairs = json.loads(detail).items()
    told = ", ".join(
        f"{key}: {value if not isinstance(value, list) else ' '.join(map(str, value))}" for key, value in pairs
    )
    return told if len(told) <= 200 else told[:199] + "…"
