"""The pages of names and of keeping: the roster, the date on which pictures go, export and deletion."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import NamedTemporaryFile

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlalchemy import select, update
from starlette.datastructures import UploadFile

from grader.errors import Problem, RosterError
from grader.service import audit, exams, retention, schema, vault
from grader.service.access import Form, Refused, TheActor, TheExam, TheService, allowed
from grader.service.database import metadata
from grader.service.pages import go, say, show
from grader.service.permissions import Actor
from grader.service.service import Service

rooms = APIRouter(prefix="/exams/{exam}", tags=["keeping"])

_ROSTER = 10_000_000  # bytes


@rooms.get("/names", dependencies=[Depends(allowed("see_names"))])
def names(request: Request, service: TheService, actor: TheActor, exam: TheExam) -> Response:
    """The candidates' names."""
    return show(request, "service/names", names=vault.names(service, actor, exam), problems=())


@rooms.post("/names", dependencies=[Depends(allowed("see_names", body=_ROSTER))])
def give_names(request: Request, service: TheService, actor: TheActor, exam: TheExam, form: Form) -> Response:
    """Put the names of a roster (CSV: candidate, name) into the vault."""
    file = form.get("file")
    try:
        given = _roster(file.file.read() if isinstance(file, UploadFile) else b"")
    except RosterError as error:
        return show(request, "service/names", 422, names=vault.names(service, actor, exam), problems=error.problems)
    with service.database.begin() as connection:
        vault.keep(connection, exam.id, given)
        audit.record(connection, actor.account, "names_given", exam.id, count=len(given))
    say(request, "names_kept", count=len(given))
    return go(f"/exams/{exam.id}/names")


def _roster(data: bytes) -> dict[str, str]:
    from grader.reading.roster import Roster

    with NamedTemporaryFile(suffix=".csv") as file:
        file.write(data)
        file.flush()
        try:
            roster = Roster.load(Path(file.name))
        except RosterError as error:
            raise RosterError("roster", error.problems) from error
    given = {candidate: roster.name(candidate) for candidate in roster.candidates}
    if not any(given.values()):
        raise RosterError("roster", [Problem("name", "no names are in it", "add a column `name` (or 姓名)")])
    return given


@rooms.get("/keeping", dependencies=[Depends(allowed("erase"))])
def keeping(request: Request, exam: TheExam) -> Response:
    """How long things are kept, and how they go."""
    return show(request, "service/keeping", error="")


@rooms.post("/keeping", dependencies=[Depends(allowed("erase"))])
def keep_until(request: Request, service: TheService, actor: TheActor, exam: TheExam, form: Form) -> Response:
    """Set the date on which names, scans and crops go; none: they stay until somebody deletes them."""
    given = str(form.get("until", "")).strip()
    try:
        soon = given and date.fromisoformat(given) <= datetime.now(UTC).date()
    except ValueError:
        soon = True
    if soon:  # today's date would delete tonight: that is what the button below is for
        return show(request, "service/keeping", 422, error="bad_date")
    with service.database.begin() as connection:
        connection.execute(update(schema.exam).where(schema.exam.c.id == exam.id).values(keep_until=given))
        audit.record(connection, actor.account, "keep_until", exam.id, date=given)
    say(request, "saved_plain")
    return go(f"/exams/{exam.id}/keeping")


@rooms.post("/clear", dependencies=[Depends(allowed("erase"))])
def clear(request: Request, service: TheService, actor: TheActor, exam: TheExam, form: Form) -> Response:
    """Delete names, scans and crops now. The form repeats the exam's code."""
    _confirmed(exam, form)
    gone = retention.clear(service, exam, actor.account, "asked")
    say(request, "cleared", names=gone["names"], scans=gone["scans"], crops=gone["crops"])
    return go(f"/exams/{exam.id}/keeping")


@rooms.post("/forget", dependencies=[Depends(allowed("erase"))])
def forget(request: Request, service: TheService, actor: TheActor, exam: TheExam, form: Form) -> Response:
    """Delete what leads to one candidate."""
    candidate = str(form.get("candidate", "")).strip()
    if not 0 < len(candidate) <= 64:
        raise Refused(422, "stale")
    gone = retention.forget_candidate(service, exam, candidate, actor.account)
    say(request, "cleared", names=gone["names"], scans=gone["scans"], crops=gone["crops"])
    return go(f"/exams/{exam.id}/keeping")


@rooms.post("/delete", dependencies=[Depends(allowed("erase"))])
def delete(request: Request, service: TheService, actor: TheActor, exam: TheExam, form: Form) -> Response:
    """Delete the exam with all that is in it. The form repeats the exam's code."""
    _confirmed(exam, form)
    retention.delete_exam(service, exam, actor.account)
    say(request, "deleted", title=exam.title)
    return go("/exams")


def _confirmed(exam: exams.ExamPlace, form: Form) -> None:
    if str(form.get("code", "")).strip() != exam.code:
        raise Refused(422, "not_confirmed")


@rooms.get("/export.zip", dependencies=[Depends(allowed("export"))])
def export(service: TheService, actor: TheActor, exam: TheExam) -> Response:
    """All that the service holds of the exam, but pictures; names for those who may see them."""
    service.note_views()
    with service.database.begin() as connection:
        audit.record(connection, actor.account, "exam_exported", exam.id)
    named = vault.names(service, actor, exam)
    headers = {"Content-Disposition": 'attachment; filename="exam.zip"'}
    return Response(_archive(service, actor, exam, named), media_type="application/zip", headers=headers)


def _archive(service: Service, actor: Actor, exam: exams.ExamPlace, named: dict[str, str]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("exam.yaml", "form.json", "run/results.csv", "run/ledger.csv", "run/run.json"):
            if (exam.folder / name).is_file():
                archive.write(exam.folder / name, name)
        if named:
            text = io.StringIO()
            csv.writer(text).writerows([("candidate", "name"), *named.items()])
            archive.writestr("names.csv", "\ufeff" + text.getvalue())
        with service.database.read() as connection:
            for table in metadata.sorted_tables:
                if "exam" in table.c and table not in {schema.candidate_name, schema.erasing}:
                    query = select(*(c for c in table.c if c.name != "secret")).where(table.c.exam == exam.id)
                    rows = (dict(row._mapping) for row in connection.execute(query))
                    lines = (json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in rows)
                    archive.writestr(f"tables/{table.name}.jsonl", "".join(lines))
    return packed.getvalue()
