"""What comes in: from the board, from a phone, and the pages that belong to nobody yet."""

from __future__ import annotations

import hashlib
import ipaddress
from datetime import timedelta
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse, Response
from markupsafe import Markup
from sqlalchemy import delete, insert, select
from starlette.datastructures import FormData, UploadFile

from grader.desk.queue import opaque
from grader.errors import PageError
from grader.flags import words as flag_words
from grader.homework import classlist, jobs, keeper, schema, uploads
from grader.homework.board import board_page
from grader.homework.uploads import MAX_FILES, MAX_REQUEST, Arrived
from grader.marking import answers
from grader.report.words import REMEDIES
from grader.run.refresh import refresh
from grader.service import audit, exams, pictures, vault
from grader.service.access import Form, Refused, TheActor, TheExam, TheService, allowed
from grader.service.database import now
from grader.service.exams import ExamPlace
from grader.service.pages import go, language_of, say, show, tell
from grader.service.permissions import ANYONE
from grader.service.service import Service
from grader.service.sessions import new_token
from grader.store.decisions import Attribution, attribute
from grader.store.store import LedgerRow

rooms = APIRouter(tags=["homework"])
_HERE = "/exams/{exam}/homework"
_LINK = timedelta(hours=2)
_UPLOAD = [Depends(allowed("upload"))]


# from the board, and from a phone that is signed in


@rooms.get(f"{_HERE}/upload", dependencies=_UPLOAD)
def upload_page(request: Request, service: TheService, actor: TheActor, exam: TheExam) -> Response:
    """The page for a phone."""
    return _phone_page(request, service, exam, f"/exams/{exam.id}/homework/upload", vault.names(service, actor, exam))


@rooms.post(f"{_HERE}/upload", dependencies=[Depends(allowed("upload", body=MAX_REQUEST))])
def upload(request: Request, service: TheService, actor: TheActor, exam: TheExam, form: Form) -> Response:
    """Take files in. The page's script sends one at a time and is told what became of it; a form sends them all."""
    arrived = _take(service, exam, actor.account, form)
    if "x-upload" in request.headers:
        return _told(request, arrived)
    return board_page(request, service, actor, exam, 200 if all(a.taken for a in arrived) else 422, sent=arrived)


@rooms.post(f"{_HERE}/phone", dependencies=_UPLOAD)
def phone(request: Request, service: TheService, actor: TheActor, exam: TheExam) -> Response:
    """A link for a phone, as a code to scan. It is shown once."""
    import segno

    token = new_token()
    with service.database.begin() as connection:
        connection.execute(delete(schema.link).where(schema.link.c.expires <= now()))
        values = {"token": _digest(token), "exam": exam.id, "actor": actor.account, "expires": now(_LINK)}
        connection.execute(insert(schema.link).values(**values))
        audit.record(connection, actor.account, "upload_link", exam.id)
    address = f"{str(request.base_url).rstrip('/')}/upload/{token}"
    code = segno.make(address, error="m").svg_inline(scale=5, border=2, dark="#1d2433", light="#ffffff")
    local = _local(request.url.hostname or "")
    shown = {"code": Markup(code), "address": address, "local": request.url.hostname if local else ""}
    return board_page(request, service, actor, exam, phone=shown)


# from a phone that holds a link


def _holds_link(request: Request) -> None:
    _linked(request.app.state.service, request.path_params["token"])


@rooms.get("/upload/{token}", dependencies=[Depends(allowed(ANYONE))])
def linked_page(request: Request, service: TheService, token: str) -> Response:
    """The page for a phone that holds a link. It tells numbers, no names."""
    exam, _ = _linked(service, token)
    return _phone_page(request, service, exam, f"/upload/{token}", {})


@rooms.post("/upload/{token}", dependencies=[Depends(allowed(ANYONE, body=MAX_REQUEST, guard=_holds_link))])
def linked_upload(request: Request, service: TheService, token: str, form: Form) -> Response:
    """Take files in for whoever made the link."""
    exam, actor = _linked(service, token)
    arrived = _take(service, exam, actor, form)
    if "x-upload" in request.headers:
        return _told(request, arrived)
    return _phone_page(request, service, exam, f"/upload/{token}", {}, arrived)


def _linked(service: Service, token: str) -> tuple[ExamPlace, str]:
    c = schema.link.c
    with service.database.read() as connection:
        query = select(c.exam, c.actor).where(c.token == _digest(token), c.expires > now())
        row = connection.execute(query).first()
        exam = exams.find(connection, service.exam_folders, row.exam) if row is not None else None
    if row is None or exam is None:
        raise Refused(404, "hw_link_over")
    return exam, row.actor


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _phone_page(
    request: Request, service: Service, exam: ExamPlace, action: str, names: dict[str, str],
    sent: list[Arrived] | None = None,
) -> Response:  # fmt: skip
    with service.database.read() as connection:
        pupils, paper = classlist.candidates(connection, exam.id), classlist.paper(connection, exam.id)
        came = uploads.counts(connection, exam.id)[2]
    values: dict[str, Any] = {"pupils": pupils, "names": names, "paper": paper, "came": came, "sent": sent}
    return show(request, "homework/phone", place=exam, action=action, **values)


def _take(service: Service, exam: ExamPlace, actor: str, form: FormData) -> list[Arrived]:
    with service.database.read() as connection:
        plain = classlist.paper(connection, exam.id) == "plain"
        pupils = classlist.candidates(connection, exam.id)
    if (plain and not pupils) or (not plain and not exam.form_file.is_file()) or exam.state != "open":
        raise Refused(409, "stale")
    candidate = str(form.get("candidate", ""))
    paths = [str(path) for path in form.getlist("path")]
    files = [file for file in form.getlist("files") if isinstance(file, UploadFile) and file.filename]
    arrived = []
    for number, file in enumerate(files[:MAX_FILES]):
        name = paths[number] if len(paths) == len(files) else file.filename or ""
        arrived.append(uploads.take(service, exam, actor, name, file.file, candidate, plain))
    new = sum(not one.reason for one in arrived)
    if new:
        with service.database.begin() as connection:
            jobs.ask(connection, exam.id, actor)
            audit.record(connection, actor, "uploaded", exam.id, files=new)
    return arrived


def _told(request: Request, arrived: list[Arrived]) -> Response:
    """What became of one file, for the page's script."""
    if not arrived:
        return JSONResponse({"taken": False, "words": tell(request, "hw_refused"), "remedy": ""}, 422)
    one, language = arrived[0], language_of(request)
    remedy = ""
    if not one.reason:
        words = tell(request, "hw_taken_for", candidate=one.candidate) if one.candidate else tell(request, "hw_taken")
    elif one.taken:
        words = tell(request, "hw_again")
    else:
        words = flag_words(one.reason, language)
        remedy = REMEDIES.get(one.reason, ("", ""))[1 if language == "zh" else 0]
    return JSONResponse({"taken": one.taken, "words": words, "remedy": remedy, "candidate": one.candidate})


# pages that belong to nobody yet


@rooms.get(f"{_HERE}/pages", dependencies=_UPLOAD)
def unclaimed(request: Request, service: TheService, actor: TheActor, exam: TheExam) -> Response:
    """The pages of which it is not known whose they are."""
    with service.database.read() as connection:
        pupils = classlist.candidates(connection, exam.id)
    names, lost = vault.names(service, actor, exam), _lost(service, exam)
    return show(request, "homework/pages", lost=sorted(lost.items()), pupils=pupils, names=names)


@rooms.get(f"{_HERE}/pages/{{name}}.jpg", dependencies=_UPLOAD)
def page_picture(service: TheService, actor: TheActor, exam: TheExam, name: str) -> Response:
    """One of them, decoded and encoded again."""
    row = _lost_page(service, exam, name)
    service.saw(actor.account, exam.id, "scans", [name])
    from pathlib import Path

    try:
        data = pictures.shown(Path(row.file), row.page)
    except PageError as error:
        raise Refused(404, "not_here") from error
    return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})


@rooms.post(f"{_HERE}/pages/{{name}}", dependencies=_UPLOAD)
def claim(request: Request, service: TheService, actor: TheActor, exam: TheExam, name: str, form: Form) -> Response:
    """Say whose page it is; everything is settled again."""
    row, candidate = _lost_page(service, exam, name), str(form.get("candidate", ""))
    with service.database.read() as connection:
        known = candidate in classlist.candidates(connection, exam.id)
        job = jobs.latest(connection, exam.id)
    if not known or row.sheet_page is None or (job is not None and job.active):
        raise Refused(409, "stale")
    store = service.run(exam)
    keeper.finish(service, exam)
    attribute(store, actor.account, Attribution(row.file, row.page, candidate))
    refresh(store)
    answers.bring_in(service.database, exam.id, store, actor.account)
    with service.database.begin() as connection:
        audit.record(connection, actor.account, "page_claimed", exam.id, candidate=candidate)
    say(request, "hw_given", candidate=candidate)
    return go(f"/exams/{exam.id}/homework/pages" if _lost(service, exam) else f"/exams/{exam.id}/homework")


def _lost(service: Service, exam: ExamPlace) -> dict[str, LedgerRow]:
    if not keeper.settled(exam):
        return {}
    rows = [row for row in service.run(exam).ledger() if row.file and row.outcome == "unmatched"]
    return {opaque(exam.id.encode(), "page", row.file, row.page): row for row in rows}


def _lost_page(service: Service, exam: ExamPlace, name: str) -> LedgerRow:
    row = _lost(service, exam).get(name)
    if row is None:
        raise Refused(404, "not_here")
    return row
