"""Changing the rubric after marking began: written as the exam file, previewed, and applied only as it was seen."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import yaml
from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from grader.centre import views
from grader.centre.people import namer
from grader.centre.showing import page, saved
from grader.errors import ExamError, UsageError
from grader.exam.exam import Exam
from grader.exam.load import parse_exam
from grader.marking import revising
from grader.marking.errors import Destroys, NotAllowed, NotFound
from grader.marking.revising import Sealed
from grader.service import audit
from grader.service.access import Form, Refused, TheActor, TheExam, TheService, allowed
from grader.service.exams import ExamPlace
from grader.service.pages import tell
from grader.service.service import Service

rooms = APIRouter(tags=["rubric"])
_LEAD = [Depends(allowed("lead"))]
_MAX_REASON = 500


@dataclass(frozen=True)
class Written:
    """What stands in the form. source: the exam as YAML; line: the pass line in percent, "" for none."""

    source: str
    line: str
    reason: str = ""


@dataclass(frozen=True)
class Refusal:
    """Why nothing was changed: a word for everybody, and the detail of what is wrong where."""

    word: str
    detail: str = ""


@rooms.get("/exams/{exam}/leader/rubric", dependencies=_LEAD)
def edit(request: Request, service: TheService, exam: TheExam) -> Response:
    """The exam in force as text, to be changed; and the versions that there were."""
    try:
        shown = views.standing_exam(service.database, exam.id)
    except NotFound as error:
        raise Refused(404, "not_here") from error
    return _page(request, service, exam, Written(as_text(shown), "60"))


@rooms.post("/exams/{exam}/leader/rubric", dependencies=_LEAD)
def preview(request: Request, service: TheService, actor: TheActor, exam: TheExam, form: Form) -> Response:
    """What the change would do; and, where its seal comes back with a reason, the change itself."""
    written = Written(
        str(form.get("source", "")).replace("\r\n", "\n"),
        str(form.get("line", "")).strip(),
        str(form.get("reason", "")).strip()[:_MAX_REASON],
    )
    seal, run = str(form.get("seal", "")), service.run(exam)
    try:
        new, line = _read(written)
        if form.get("act") == "apply":
            version = revising.apply(service.database, exam.id, run, actor.account, new, written.reason, seal, line)
            with service.database.begin() as connection:
                audit.record(connection, actor.account, "rubric_changed", exam.id, version=version)
            return saved(request, f"/exams/{exam.id}/leader/rubric", "rubric_applied", version=version)
        sealed = revising.preview(service.database, exam.id, run, new, line)
    except NotAllowed as error:
        return _again(request, service, exam, written, error)
    except Destroys as error:
        return _page(request, service, exam, written, refusal=Refusal("rubric_destroys", str(error)))
    except (ExamError, UsageError) as error:
        return _page(request, service, exam, written, refusal=Refusal("rubric_wrong", str(error)))
    return _page(request, service, exam, written, sealed)


def as_text(shown: Exam) -> str:
    """The exam as its file: what is not set is left out."""
    data = _plain(shown.model_dump(mode="json", exclude_defaults=True))
    text = io.StringIO()
    yaml.safe_dump(data, text, allow_unicode=True, sort_keys=False, width=100)
    return text.getvalue()


def _plain(value: Any) -> Any:
    """Whole numbers as a person writes them."""
    if isinstance(value, dict):
        return {key: _plain(held) for key, held in value.items()}
    if isinstance(value, list):
        return [_plain(held) for held in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _read(written: Written) -> tuple[Exam, float | None]:
    """The exam and the pass line. Raises ExamError with every problem, UsageError."""
    new = parse_exam(written.source, "exam.yaml")
    try:
        line = float(written.line.removesuffix("%")) / 100 if written.line else None
    except ValueError:
        raise UsageError(f"{written.line!r} is no pass line", "give a percentage such as 60, or nothing") from None
    return new, line


def _again(request: Request, service: Service, exam: ExamPlace, written: Written, error: NotAllowed) -> Response:
    """Nothing changed, no reason, or marking went on since the preview: what it would do now, and what to do."""
    try:
        new, line = _read(written)
        sealed = revising.preview(service.database, exam.id, service.run(exam), new, line)
    except NotAllowed:
        return _page(request, service, exam, written, refusal=Refusal("rubric_same"))
    word = "rubric_reason" if not written.reason else "rubric_went_on"
    return _page(request, service, exam, written, sealed, Refusal(word, "" if not written.reason else str(error)))


def _page(
    request: Request, service: Service, exam: ExamPlace, written: Written,
    sealed: Sealed | None = None, refusal: Refusal | None = None,
) -> Response:  # fmt: skip
    return page(
        request, "rubric", None, 422 if refusal else 200, room="leader", written=written, sealed=sealed,
        refusal=tell(request, refusal.word) if refusal else "", detail=refusal.detail if refusal else "",
        versions=revising.versions(service.database, exam.id), name_of=namer(request, service.database),
    )  # fmt: skip
