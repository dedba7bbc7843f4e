"""The teacher's board of one homework: the class, the paper, what came in, how far reading is, what comes next."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from grader.exam.exam import Exam
from grader.homework import classlist, jobs, keeper, reviewing, uploads
from grader.homework.jobs import Job
from grader.marking import answers
from grader.report.words import REMEDIES
from grader.service import audit, vault
from grader.service.access import Form, Refused, TheActor, TheExam, TheService, allowed
from grader.service.exams import ExamPlace
from grader.service.pages import go, language_of, say, show, tell
from grader.service.permissions import Actor
from grader.service.service import Service

rooms = APIRouter(prefix="/exams/{exam}/homework", tags=["homework"])
_SHOWN = 50  # pages that were not read, on the board


@dataclass(frozen=True)
class NotRead:
    """A page that could not be read. number: of its upload; reason: a code of grader.flags."""

    number: int
    page: int
    candidate: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class State:
    """How far it is. waiting: answers that wait for a person; statuses: status → answers."""

    job: Job | None
    ahead: int
    statuses: dict[str, int]
    not_read: tuple[NotRead, ...]
    unclaimed: int

    @property
    def waiting(self) -> int:
        return self.statuses.get("review", 0) + self.statuses.get("proposed", 0)

    @property
    def answers(self) -> int:
        return sum(self.statuses.values())


@rooms.get("", dependencies=[Depends(allowed("upload"))])
def board(request: Request, service: TheService, actor: TheActor, exam: TheExam) -> Response:
    """Everything about one homework."""
    return board_page(request, service, actor, exam)


@rooms.get("/progress", dependencies=[Depends(allowed("upload"))])
def progress(request: Request, service: TheService, exam: TheExam) -> Response:
    """How far reading is, as a part of the board that is asked for again while there is something to see."""
    return show(request, "homework/progress", state=state_of(service, exam, language_of(request)))


@rooms.post("/read", dependencies=[Depends(allowed("upload"))])
def read(service: TheService, actor: TheActor, exam: TheExam) -> Response:
    """Have what came in read (again)."""
    with service.database.begin() as connection:
        if uploads.counts(connection, exam.id)[0]:
            jobs.ask(connection, exam.id, actor.account)
    return go(f"/exams/{exam.id}/homework")


@rooms.post("/class", dependencies=[Depends(allowed("see_names"))])
def give_class(request: Request, service: TheService, actor: TheActor, exam: TheExam, form: Form) -> Response:
    """Set the class list."""
    text = str(form.get("class", ""))
    pupils, bad = classlist.parse(text)
    wrong = [f"{tell(request, 'hw_line', line=one.line)}: {tell(request, one.what)}" for one in bad]
    listed = {pupil.candidate for pupil in pupils}
    with service.database.read() as connection:
        came = uploads.counts(connection, exam.id)[2]
    wrong += [tell(request, "pupil_has_work", candidate=c) for c in sorted(came) if c and c not in listed]
    if wrong or not pupils:
        return board_page(request, service, actor, exam, 422, class_text=text, wrong=wrong[:12])
    with service.database.begin() as connection:
        classlist.keep(connection, exam.id, pupils)
        audit.record(connection, actor.account, "class_list", exam.id, count=len(pupils))
        if came:
            jobs.ask(connection, exam.id, actor.account)  # a name at the top of a page may be known now
    say(request, "hw_class_saved", count=len(pupils))
    return go(f"/exams/{exam.id}/homework")


@rooms.post("/paper", dependencies=[Depends(allowed("edit_exam"))])
def choose_paper(service: TheService, actor: TheActor, exam: TheExam, form: Form) -> Response:
    """Plain paper or printed sheets; fixed once work has come in."""
    chosen = "sheets" if form.get("paper") == "sheets" else "plain"
    with service.database.begin() as connection:
        if uploads.counts(connection, exam.id)[0]:
            raise Refused(409, "stale")
        classlist.set_paper(connection, exam.id, chosen)
        audit.record(connection, actor.account, "homework_paper", exam.id, paper=chosen)
    return go(f"/exams/{exam.id}/homework")


@rooms.get("/sheets.pdf", dependencies=[Depends(allowed("upload"))])
def sheets(service: TheService, actor: TheActor, exam: TheExam) -> Response:
    """The answer sheets of the class, to print. Names stand on them for those who may see names."""
    with service.database.read() as connection:
        pupils = classlist.candidates(connection, exam.id)
    names = vault.names(service, actor, exam)
    data = print_class(exam, pupils, names)
    name = f'attachment; filename="sheets-{exam.code}.pdf"'
    return Response(data, media_type="application/pdf", headers={"Content-Disposition": name})


def print_class(exam: ExamPlace, pupils: list[str], names: dict[str, str]) -> bytes:
    """The PDF of everybody's sheets. The form is made once: sheets that are printed later fit it too."""
    import shutil
    from tempfile import TemporaryDirectory

    from grader.exam.form import load_form
    from grader.paper.render import render_pdf
    from grader.paper.sheets import print_sheets

    roster = classlist.roster(pupils, names) if pupils else None
    with TemporaryDirectory() as folder:
        out = Path(folder)
        if exam.form_file.is_file():
            form = load_form(exam.form_file)
            shown = {pupil: names.get(pupil, "") for pupil in pupils}
            render_pdf(exam.definition(), form, tuple(pupils) or None, out / "paper.pdf", names=shown)
        else:
            print_sheets(exam.definition(), out, roster=roster)
            shutil.move(out / "form.json", exam.form_file)
        return (out / "paper.pdf").read_bytes()


def board_page(
    request: Request, service: Service, actor: Actor, exam: ExamPlace, status: int = 200, class_text: str | None = None,
    wrong: list[str] | None = None, **more: Any,
) -> Response:  # fmt: skip
    """The board, with what was typed or sent and could not be used."""
    with service.database.read() as connection:
        pupils = classlist.candidates(connection, exam.id)
        paper = classlist.paper(connection, exam.id)
        files, pages, came = uploads.counts(connection, exam.id)
    names = vault.names(service, actor, exam)
    text = classlist.written(pupils, names) if class_text is None else class_text
    values = {
        "definition": definition_of(service, exam), "state": state_of(service, exam, language_of(request)),
        "pupils": pupils, "names": names, "paper": paper, "files": files, "pages": pages, "came": came,
        "class_text": text, "wrong": wrong or [], "sent": None, "phone": None,
    }  # fmt: skip
    values |= more
    return show(request, "homework/board", status, **values)


def definition_of(service: Service, exam: ExamPlace) -> Exam:
    """The exam as it stands: its newest version once marking has begun."""
    from grader.marking.errors import NotFound

    try:
        with service.database.read() as connection:
            return answers.current_exam(connection, exam.id)[1]
    except NotFound:
        return exam.definition()


def state_of(service: Service, exam: ExamPlace, language: str) -> State:
    """How far reading and review are."""
    with service.database.read() as connection:
        job = jobs.latest(connection, exam.id)
        ahead = jobs.ahead_of(connection, job) if job is not None and job.state == "queued" else 0
    if not keeper.settled(exam):
        return State(job, ahead, {}, (), 0)
    rows = list(service.run(exam).ledger())
    bad = [row for row in rows if row.file and row.outcome == "rejected"]
    unclaimed = sum(row.outcome == "unmatched" for row in rows if row.file)
    return State(
        job, ahead, reviewing.statuses(service.database, exam.id), tuple(_not_read(r, language) for r in bad[:_SHOWN]),
        unclaimed,
    )  # fmt: skip


def _not_read(row: Any, language: str) -> NotRead:
    path = Path(row.file)
    head = path.name.partition("-")[0]
    remedy = REMEDIES.get(row.reason, ("", ""))[1 if language == "zh" else 0]
    candidate = "" if path.parent.name in ("scans", uploads.UNSORTED) else path.parent.name
    return NotRead(int(head) if head.isdecimal() else 0, row.page, candidate, row.reason, remedy)
