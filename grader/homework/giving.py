"""What goes back: the class view, a page a pupil, and the files that gradebooks take."""

from __future__ import annotations

import io
import zipfile
from base64 import b64encode
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from grader.desk.views import expected
from grader.homework import exports, outcome, reviewing
from grader.homework.board import definition_of
from grader.homework.outcome import Answer, Pupil
from grader.homework.prints import printed
from grader.homework.words import WORDS
from grader.report.words import WORDS as REPORT
from grader.service import audit, vault
from grader.service.access import Refused, TheActor, TheExam, TheService, allowed
from grader.service.exams import ExamPlace
from grader.service.pages import language_of, show
from grader.service.permissions import Actor
from grader.service.service import Service

rooms = APIRouter(prefix="/exams/{exam}/homework", tags=["homework"])
_EXPORT = [Depends(allowed("export"))]
_SHEETS = ("marks_sheet", "candidate", "name", "total", "open", "max_mark", "answers", "item", "response", "mark",
           "status", "missed", "comment", "final", "proposed", "review")  # fmt: skip


@rooms.get("/class", dependencies=[Depends(allowed("see_results"))])
def class_view(request: Request, service: TheService, actor: TheActor, exam: TheExam) -> Response:
    """Which items and criteria went wrong, and for whom."""
    everybody = reviewing.everybody(service, exam)
    seen = outcome.items(definition_of(service, exam), everybody)
    hardest = sorted((view for view in seen if view.marked), key=lambda view: view.share)
    names = vault.names(service, actor, exam)
    who = {pupil.place: names.get(pupil.candidate) or pupil.candidate for pupil in everybody}
    values: dict[str, Any] = {"views": seen, "hardest": hardest, "everybody": everybody, "who": who, "names": names}
    return show(request, "homework/class", **values, came=sum(pupil.came for pupil in everybody))


@rooms.get("/pupils", dependencies=_EXPORT)
def all_pages(request: Request, service: TheService, actor: TheActor, exam: TheExam) -> Response:
    """Everybody's page, to print in one go."""
    return _pages(request, service, actor, exam, [p for p in reviewing.everybody(service, exam) if p.came])


@rooms.get("/pupils/{place}", dependencies=_EXPORT)
def one_page(request: Request, service: TheService, actor: TheActor, exam: TheExam, place: int) -> Response:
    """One pupil's page."""
    return _pages(request, service, actor, exam, [_pupil(service, exam, place)])


@rooms.get("/pupils/{place}/{number}.png", dependencies=_EXPORT)
def crop(service: TheService, actor: TheActor, exam: TheExam, place: int, number: int) -> Response:
    """The picture of one answer."""
    answers = _pupil(service, exam, place).answers
    row = answers[number].row if 0 <= number < len(answers) else None
    if row is None or not row.crop:
        raise Refused(404, "not_here")
    service.saw(actor.account, exam.id, "crops", [row.crop[:16]])
    headers = {"Cache-Control": "private, max-age=600"}
    return Response(printed(service.run(exam).crop(row.crop)), media_type="image/png", headers=headers)


@rooms.get("/files/{name}", dependencies=_EXPORT)
def download(request: Request, service: TheService, actor: TheActor, exam: TheExam, name: str) -> Response:
    """A file to keep: marks.xlsx, canvas.csv, moodle.csv, gradescope.csv, pupils.html or pupils.zip."""
    everybody, names = reviewing.everybody(service, exam), vault.names(service, actor, exam)
    definition, language = definition_of(service, exam), language_of(request)
    kind, _, ending = name.rpartition(".")
    if name == "marks.xlsx":
        words = {key: (WORDS.get(key) or REPORT.get(key) or _OTHER[key])[language == "zh"] for key in _SHEETS}
        data, media = exports.workbook(definition, everybody, names, words, bool(names)), _XLSX
    elif ending == "csv" and kind in exports.FORMATS:
        # the mark at the beginning tells spreadsheets that Chinese names are UTF-8; these services accept it
        data, media = exports.table(kind, definition, everybody, names).encode("utf-8-sig"), "text/csv; charset=utf-8"
    elif name == "pupils.html":
        data, media = _file(request, service, exam, [p for p in everybody if p.came], names), "text/html"
    elif name == "pupils.zip":
        data, media = _zipped(request, service, exam, everybody, names), "application/zip"
    else:
        raise Refused(404, "not_here")
    with service.database.begin() as connection:
        audit.record(connection, actor.account, "exported", exam.id, file=name, names=bool(names))
    shown = f'attachment; filename="{_plain(exam.code)}-{name}"'
    return Response(data, media_type=media, headers={"Content-Disposition": shown})


_XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_OTHER = {"name": ("Name", "姓名"), "comment": ("Comment", "评语")}


def _plain(code: str) -> str:
    return "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in code)[:60]


def _pupil(service: Service, exam: ExamPlace, place: int) -> Pupil:
    everybody = reviewing.everybody(service, exam)
    if not 1 <= place <= len(everybody) or not everybody[place - 1].came:
        raise Refused(404, "not_here")
    return everybody[place - 1]


def _pages(request: Request, service: Service, actor: Actor, exam: ExamPlace, chosen: list[Pupil]) -> Response:
    names = vault.names(service, actor, exam)
    root = f"/exams/{exam.id}/homework/pupils"

    def picture(pupil: Pupil, number: int) -> str:
        return f"{root}/{pupil.place}/{number}.png"

    return show(request, "homework/pupils", **_values(service, exam, chosen, names, picture))


def _values(
    service: Service, exam: ExamPlace, chosen: list[Pupil], names: dict[str, str], picture: Any
) -> dict[str, Any]:
    definition = definition_of(service, exam)
    most = sum(item.max_mark for item in definition.items)
    return {"chosen": chosen, "names": names, "most": most, "picture": picture, "definition": definition,
            "expected": expected, "lost": _lost}  # fmt: skip


def _lost(answer: Answer) -> bool:
    """Whether the answer earned less than all of its marks."""
    return answer.mark is None or answer.mark < answer.item.max_mark


def _file(request: Request, service: Service, exam: ExamPlace, chosen: list[Pupil], names: dict[str, str]) -> bytes:
    """Pages that need nothing else: pictures and style are in the file, and it may ask for nothing outside."""
    store = service.run(exam)

    def picture(pupil: Pupil, number: int) -> str:
        row = pupil.answers[number].row
        assert row is not None
        return f"data:image/png;base64,{b64encode(printed(store.crop(row.crop))).decode()}"

    style = (files("grader.homework") / "static" / "pupils.css").read_text(encoding="utf-8")
    pages = request.app.state.pages
    text: str = pages.text(request, "homework/alone", style=style, **_values(service, exam, chosen, names, picture))
    return text.encode()


def _zipped(
    request: Request, service: Service, exam: ExamPlace, everybody: list[Pupil], names: dict[str, str]
) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for pupil in everybody:
            if pupil.came:
                data = _file(request, service, exam, [pupil], names)
                archive.writestr(f"{pupil.place:03d}-{_plain(pupil.candidate)}.html", data)
    return stream.getvalue()
