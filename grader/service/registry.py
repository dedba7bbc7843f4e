"""The pages of the exam registry: my exams, a new one, and one exam's start with its members."""

from __future__ import annotations

from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlalchemy import delete, select
from starlette.datastructures import UploadFile

from grader.errors import ExamError, Problem
from grader.exam.exam import Exam
from grader.exam.load import load_exam
from grader.service import audit, exams, incoming, schema, vault
from grader.service.access import Form, Refused, TheActor, TheExam, TheService, allowed
from grader.service.pages import go, say, show
from grader.service.permissions import MEMBER_ROLES, Role

rooms = APIRouter(prefix="/exams", tags=["exams"])

_EXAM_FILE = 3_000_000  # bytes; an exam file may have 2 MB


@rooms.get("", dependencies=[Depends(allowed("enter"))])
def my_exams(request: Request, service: TheService, actor: TheActor) -> Response:
    """The exams that I may see."""
    with service.database.read() as connection:
        mine = exams.visible(connection, service.exam_folders, actor)
    return show(request, "service/exams", exams=mine)


@rooms.get("/new", dependencies=[Depends(allowed("create_exam"))])
def new_exam(request: Request, service: TheService) -> Response:
    """Where an exam is made from its file, or from a run."""
    return _new_page(request, service)


@rooms.post("", dependencies=[Depends(allowed("create_exam", body=_EXAM_FILE))])
def make_exam(request: Request, service: TheService, actor: TheActor, form: Form) -> Response:
    """Make an exam from the text of an exam.yaml, or the file."""
    file = form.get("file")
    given = file.file.read() if isinstance(file, UploadFile) else b""
    data = given or str(form.get("text", "")).replace("\r\n", "\n").encode()
    try:
        definition = read_exam(data)
    except ExamError as error:
        return _new_page(request, service, 422, data.decode("utf-8", "replace")[:_EXAM_FILE], error.problems)
    with service.database.begin() as connection:
        exam = exams.create(connection, service.exam_folders, actor, definition, data.decode("utf-8-sig"))
        audit.record(connection, actor.account, "exam_made", exam.id, code=exam.code, sha256=definition.sha256)
    return go(f"/exams/{exam.id}")


def read_exam(data: bytes) -> Exam:
    """The exam in the bytes of an exam.yaml. Raises ExamError with every problem."""
    with NamedTemporaryFile(suffix=".yaml") as file:
        file.write(data)
        file.flush()
        return load_exam(Path(file.name))


@rooms.post("/from-run", dependencies=[Depends(allowed("create_exam"))])
def exam_from_run(service: TheService, actor: TheActor, form: Form) -> Response:
    """Make an exam from a finished run in `incoming/`."""
    arrival = _arrival(service, form)
    with service.database.begin() as connection:
        exam = incoming.take_in(service, connection, actor, arrival)
        audit.record(connection, actor.account, "exam_made", exam.id, code=exam.code, sha256=arrival.exam.sha256)
        audit.record(connection, actor.account, "run_attached", exam.id)
    return go(f"/exams/{exam.id}")


@rooms.get("/{exam}", dependencies=[Depends(allowed("see_exam"))])
def one_exam(request: Request, service: TheService, actor: TheActor, exam: TheExam) -> Response:
    """One exam's start: what can be done in it, and where."""
    definition = exam.definition()
    with service.database.read() as connection:
        named = vault.count(connection, exam.id)
    fits = [one for one in incoming.arrivals(service) if one.exam.sha256 == definition.sha256]
    waiting = fits if actor.may("edit_exam", exam.id) and not exam.has_run else []
    counts = service.run(exam).meta().get("summary", {}).get("counts", {}) if exam.has_run else {}
    doors = [door for door in request.app.state.doors if exam.kind in door.kinds and actor.may(door.action, exam.id)]
    values: dict[str, Any] = {"definition": definition, "counts": counts, "named": named, "waiting": waiting}
    return show(request, "service/exam", **values, doors=doors, roles=sorted(actor.roles_in(exam.id)))


@rooms.post("/{exam}/run", dependencies=[Depends(allowed("edit_exam"))])
def attach_run(request: Request, service: TheService, actor: TheActor, exam: TheExam, form: Form) -> Response:
    """Give the exam a finished run in `incoming/` that was marked by it."""
    incoming.attach(service, exam, _arrival(service, form))
    with service.database.begin() as connection:
        audit.record(connection, actor.account, "run_attached", exam.id)
    say(request, "saved_plain")
    return go(f"/exams/{exam.id}")


@rooms.get("/{exam}/members", dependencies=[Depends(allowed("members"))])
def members(request: Request, service: TheService, exam: TheExam) -> Response:
    """Who is what in this exam."""
    m, a = schema.membership.c, schema.account.c
    with service.database.read() as connection:
        query = select(a.id, a.name, a.login, m.role).join(schema.account, a.id == m.account)
        rows = connection.execute(query.where(m.exam == exam.id).order_by(m.role, a.login)).all()
        everybody = connection.execute(select(a.id, a.name, a.login).where(a.active).order_by(a.login)).all()
    return show(request, "service/members", members=rows, people=everybody, roles=MEMBER_ROLES)


@rooms.post("/{exam}/members", dependencies=[Depends(allowed("members"))])
def add_member(request: Request, service: TheService, actor: TheActor, exam: TheExam, form: Form) -> Response:
    """Give an account a role in this exam."""
    role, account = _role(form), str(form.get("account", ""))
    with service.database.begin() as connection:
        if connection.execute(select(schema.account.c.id).where(schema.account.c.id == account)).first() is None:
            raise Refused(404, "not_here")
        exams.admit(connection, exam.id, account, role)
        audit.record(connection, actor.account, "member_added", exam.id, account=account, role=role)
    say(request, "saved_plain")
    return go(f"/exams/{exam.id}/members")


@rooms.post("/{exam}/members/remove", dependencies=[Depends(allowed("members"))])
def remove_member(request: Request, service: TheService, actor: TheActor, exam: TheExam, form: Form) -> Response:
    """Take a role in this exam from an account. Marks that it gave stay."""
    role, account, m = _role(form), str(form.get("account", "")), schema.membership.c
    with service.database.begin() as connection:
        which = (m.exam == exam.id, m.account == account, m.role == role)
        if connection.execute(delete(schema.membership).where(*which)).rowcount:
            audit.record(connection, actor.account, "member_removed", exam.id, account=account, role=role)
    say(request, "saved_plain")
    return go(f"/exams/{exam.id}/members" if account != actor.account else "/exams")


def _role(form: Form) -> Role:
    for role in MEMBER_ROLES:
        if role == form.get("role"):
            return role
    raise Refused(422, "stale")


def _arrival(service: TheService, form: Form) -> incoming.Arrival:
    for arrival in incoming.arrivals(service):
        if arrival.name == form.get("name"):
            return arrival
    raise Refused(404, "not_here")


def _new_page(
    request: Request, service: TheService, status: int = 200, text: str = "", problems: tuple[Problem, ...] = ()
) -> Response:
    waiting = incoming.arrivals(service)
    return show(request, "service/new", status, text=text, problems=problems, waiting=waiting, given=status != 200)
