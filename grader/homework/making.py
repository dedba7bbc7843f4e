"""The pages where a teacher makes homework: written in the browser and checked as it is typed, or from a file."""

from __future__ import annotations

import secrets
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from starlette.datastructures import FormData, UploadFile

from grader.errors import ExamError, Problem
from grader.exam.exam import Exam
from grader.homework import classlist, drafts, mending
from grader.homework.drafts import Draft, Trouble
from grader.service import audit, exams
from grader.service.access import Form, Refused, TheActor, TheExam, TheService, allowed
from grader.service.pages import go, language_of, say, show

rooms = APIRouter(tags=["homework"])
_EXAM_FILE = 3_000_000  # bytes


@rooms.get("/homework/new", dependencies=[Depends(allowed("create_exam"))])
def new(request: Request) -> Response:
    """The form, with one item to begin with."""
    draft = Draft(language=language_of(request), code=_code(), items=(drafts.new_item(1, 1),))
    return _form_page(request, draft)


@rooms.get("/homework/item", dependencies=[Depends(allowed("create_exam"))])
def item(request: Request, key: int = 1, number: int = 1, kind: str = "choice") -> Response:
    """One more item for the form."""
    chosen = kind if kind in drafts.TYPES else "choice"
    added = drafts.new_item(max(1, min(key, 9999)), number, chosen)
    return show(request, "homework/item", item=added, types=drafts.TYPES, told={})


@rooms.post("/homework/check", dependencies=[Depends(allowed("create_exam"))])
def check(request: Request, form: Form) -> Response:
    """What is to be mended in what was typed so far: an error or nothing for every input, in place."""
    draft = _draft(form)
    exam, troubles = drafts.check(draft)
    return show(request, "homework/checked", **_state(request, draft, exam, troubles))


@rooms.post("/homework", dependencies=[Depends(allowed("create_exam", body=_EXAM_FILE))])
def make(request: Request, service: TheService, actor: TheActor, form: Form) -> Response:
    """Make the homework from the form, or from the file that came instead."""
    file = form.get("file")
    if isinstance(file, UploadFile) and file.filename:
        return _make_from_file(request, service, actor, file.file.read(_EXAM_FILE))
    draft = _draft(form)
    definition, troubles = drafts.check(draft)
    if definition is None:
        return _form_page(request, draft, troubles, 422)
    return _made(request, service, actor, definition, drafts.source(draft))


@rooms.get("/exams/{exam}/homework/edit", dependencies=[Depends(allowed("edit_exam"))])
def edit(request: Request, exam: TheExam) -> Response:
    """The items of homework of which nothing was read yet."""
    _untouched(exam)
    return _form_page(request, drafts.from_exam(exam.definition()), edited=exam.id)


@rooms.post("/exams/{exam}/homework/edit", dependencies=[Depends(allowed("edit_exam"))])
def save(request: Request, service: TheService, actor: TheActor, exam: TheExam, form: Form) -> Response:
    """Change the items. The number in page codes stays; sheets that were printed are made anew."""
    _untouched(exam)
    held = exam.definition()
    draft = _draft(form, held.exam.id)
    definition, troubles = drafts.check(draft)
    if definition is None:
        return _form_page(request, draft, troubles, 422, edited=exam.id)
    with service.database.begin() as connection:
        exams.rename(connection, exam.id, definition)
        audit.record(connection, actor.account, "homework_changed", exam.id, sha256=definition.sha256)
    exam.exam_file.write_text(drafts.source(draft), encoding="utf-8")
    exam.form_file.unlink(missing_ok=True)
    say(request, "saved_plain")
    return go(f"/exams/{exam.id}/homework")


def _untouched(exam: exams.ExamPlace) -> None:
    if exam.has_run or exam.kind != "homework":
        raise Refused(409, "stale")


def _make_from_file(request: Request, service: TheService, actor: TheActor, data: bytes) -> Response:
    try:
        definition = drafts.read(data)
    except ExamError as error:
        draft = Draft(language=language_of(request), code=_code(), items=(drafts.new_item(1, 1),))
        return _form_page(request, draft, (), 422, problems=error.problems)
    return _made(request, service, actor, definition, data.decode("utf-8-sig"))


def _made(request: Request, service: TheService, actor: TheActor, definition: Exam, source: str) -> Response:
    with service.database.begin() as connection:
        exam = exams.create(connection, service.exam_folders, actor, definition, source, kind="homework")
        classlist.set_paper(connection, exam.id, "plain")
        audit.record(connection, actor.account, "homework_made", exam.id, sha256=definition.sha256)
    say(request, "hw_made")
    return go(f"/exams/{exam.id}/homework")


def _draft(form: FormData, code: str = "") -> Draft:
    given = str(form.get("code", ""))
    known = code or (given if given.startswith("hw-") and len(given) <= 20 and given[3:].isalnum() else _code())
    language = "en" if form.get("language") == "en" else "zh"
    return drafts.from_form(dict(form), str(form.get("title", ""))[:200], language, known)


def _code() -> str:
    return f"hw-{secrets.token_hex(4)}"


def _form_page(
    request: Request, draft: Draft, troubles: tuple[Trouble, ...] | list[Trouble] = (), status: int = 200,
    edited: str = "", problems: tuple[Problem, ...] = (),
) -> Response:  # fmt: skip
    state = _state(request, draft, None, list(troubles))
    return show(request, "homework/new", status, edited=edited, problems=problems, types=drafts.TYPES, **state)


def _state(request: Request, draft: Draft, exam: Exam | None, troubles: list[Trouble]) -> dict[str, Any]:
    """What the form shows of a draft. told: input → its error."""
    troubles = [mending.told(trouble, language_of(request)) for trouble in troubles]
    told: dict[str, Trouble] = {}
    for trouble in troubles:
        told.setdefault(trouble.field, trouble)
    known = set(drafts.inputs(draft))
    return {
        "draft": draft, "exam_made": exam, "told": told, "inputs": sorted(known), "count": len(troubles),
        "others": [trouble for trouble in troubles if trouble.field not in known],
    }  # fmt: skip
