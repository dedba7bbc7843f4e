"""Appeals: lodged by the leader or a teacher, marked again by somebody else, with the trail for all to read."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from grader.centre import cases, views
from grader.centre.leading import item_at
from grader.centre.people import namer
from grader.centre.showing import page, saved
from grader.desk.desk import criteria_of
from grader.desk.forms import criteria_in, mark_in, typed_in
from grader.desk.views import Typed
from grader.marking import appealing, leading
from grader.marking.appealing import Appeal
from grader.marking.appeals import CLOSED
from grader.marking.errors import NotAllowed, NotFound
from grader.marking.serving import Proposed
from grader.run.output import number
from grader.service import audit
from grader.service.access import Form, Refused, TheActor, TheExam, TheService, allowed
from grader.service.exams import ExamPlace
from grader.service.pages import say, tell
from grader.service.permissions import Actor
from grader.service.service import Service

rooms = APIRouter(tags=["appeals"])
_MARK, _LEAD = [Depends(allowed("mark"))], [Depends(allowed("lead"))]
_MAX_GROUND = 2000


@rooms.get("/exams/{exam}/appeals", dependencies=_MARK)
def overview(request: Request, service: TheService, actor: TheActor, exam: TheExam) -> Response:
    """The appeals, and for a leader the form to lodge one."""
    return _overview(request, service, exam)


@rooms.post("/exams/{exam}/appeals", dependencies=_LEAD)
def lodge(request: Request, service: TheService, actor: TheActor, exam: TheExam, form: Form) -> Response:
    """Lodge an appeal against the mark of a candidate's answer."""
    typed = {name: str(form.get(name, "")).strip()[:_MAX_GROUND] for name in ("candidate", "item", "ground")}
    try:
        name = appealing.find_answer(service.database, exam.id, typed["candidate"], typed["item"])
    except NotFound:
        return _overview(request, service, exam, typed, "appeal_nobody")
    try:
        made = appealing.open_appeal(service.database, exam.id, actor.account, name, typed["ground"])
    except NotAllowed:
        key = "appeal_ground" if not typed["ground"] else "appeal_not_now"
        return _overview(request, service, exam, typed, key)
    with service.database.begin() as connection:
        audit.record(connection, actor.account, "appeal_opened", exam.id, appeal=made)
    return saved(request, f"/exams/{exam.id}/appeals/{made}", "appeal_opened")


@rooms.get("/exams/{exam}/appeals/{appeal}", dependencies=_MARK)
def one_appeal(request: Request, service: TheService, actor: TheActor, exam: TheExam, appeal: str) -> Response:
    """One appeal with its trail; for whoever took it, the answer to mark again."""
    return _page(request, service, actor, exam, _found(service, exam, appeal))


@rooms.post("/exams/{exam}/appeals/{appeal}", dependencies=_MARK)
def step(request: Request, service: TheService, actor: TheActor, exam: TheExam, appeal: str, form: Form) -> Response:
    """Take it, hand it back, or give the answer the mark that stands from now on."""
    held, pressed = _found(service, exam, appeal), form.get("act", "save")
    here, database = f"/exams/{exam.id}/appeals/{appeal}", service.database
    note = str(form.get("comment", "")).replace("\r\n", "\n").strip()[:_MAX_GROUND]
    try:
        if pressed == "take":
            appealing.take(database, exam.id, actor.account, appeal)
            return saved(request, here, "appeal_took")
        if pressed == "return":
            appealing.hand_back(database, exam.id, actor.account, appeal, note)
            return saved(request, f"/exams/{exam.id}/appeals", "appeal_handed_back")
    except NotAllowed:
        say(request, "appeal_not_you")
        return _page(request, service, actor, exam, _found(service, exam, appeal))
    item = item_at(service, exam, _place(service, exam, held))
    typed = typed_in(item, form)
    mark = mark_in(item, typed, form)
    try:
        if mark is None:
            raise NotAllowed("no mark can be read", "write a number")
        criteria = criteria_of(item, mark, criteria_in(item, typed, form)) or None
        done = appealing.re_mark(database, exam.id, actor.account, appeal, mark, criteria, typed.comment)
    except NotAllowed:
        error = tell(request, "appeal_note" if not typed.comment else "bad_mark", max=number(item.max_mark))
        return _page(request, service, actor, exam, held, typed, error)
    with database.begin() as connection:
        audit.record(connection, actor.account, "appeal_marked", exam.id, appeal=appeal, outcome=done.state)
    return saved(request, here, "appeal_done")


@rooms.post("/exams/{exam}/appeals/{appeal}/withdraw", dependencies=_LEAD)
def withdraw(
    request: Request, service: TheService, actor: TheActor, exam: TheExam, appeal: str, form: Form
) -> Response:
    """Close the appeal; the mark stays as it is."""
    _found(service, exam, appeal)
    note = str(form.get("comment", "")).strip()[:_MAX_GROUND]
    try:
        appealing.withdraw(service.database, exam.id, actor.account, appeal, note)
    except NotAllowed as error:
        raise Refused(409, "stale") from error
    with service.database.begin() as connection:
        audit.record(connection, actor.account, "appeal_withdrawn", exam.id, appeal=appeal)
    return saved(request, f"/exams/{exam.id}/appeals", "appeal_withdrawn")


def _overview(
    request: Request, service: Service, exam: ExamPlace, typed: dict[str, str] | None = None, error: str = ""
) -> Response:
    try:
        items = [item.id for item in views.standing_exam(service.database, exam.id).items]
    except NotFound:
        items = []
    held = appealing.appeals_of(service.database, exam.id)
    return page(
        request, "appeals", None, 422 if error else 200, room="appeals", held=held[::-1], items=items, closed=CLOSED,
        typed=typed or {"candidate": "", "item": "", "ground": ""}, error=tell(request, error) if error else "",
        name_of=namer(request, service.database),
    )  # fmt: skip


def _page(
    request: Request, service: Service, actor: Actor, exam: ExamPlace, held: Appeal,
    typed: Typed | None = None, error: str = "",
) -> Response:  # fmt: skip
    database = service.database
    shown = views.standing_exam(database, exam.id)
    case = leading.case(database, exam.id, held.answer)
    mine = held.state == "taken" and held.taken_by == actor.account
    view = cases.view(database, service.run(exam), exam, shown, case, typed, held.state in CLOSED)
    if mine and typed is None:  # who marks again sees neither the model's mark nor the one appealed against
        blank = views.as_proposed(Proposed(None, 0.0, "", ()), [""] * len(view.criteria))
        view = views.with_typed(view, blank)
    with database.read() as connection:
        earlier = appealing.earlier_markers(connection, cases.id_of(connection, exam.id, held.answer))
    return page(
        request, "appeal", "answer" if mine else None, 422 if error else 200, room="appeals", a=view, held=held,
        trail=appealing.trail(database, exam.id, held.id), mine=mine, could=actor.account not in earlier,
        tells=held.state in CLOSED or actor.may("lead", exam.id), closed=CLOSED, error=error,
        name_of=namer(request, database),
    )  # fmt: skip


def _found(service: Service, exam: ExamPlace, appeal: str) -> Appeal:
    for one in appealing.appeals_of(service.database, exam.id):
        if one.id == appeal:
            return one
    raise Refused(404, "not_here")


def _place(service: Service, exam: ExamPlace, held: Appeal) -> int:
    shown = views.standing_exam(service.database, exam.id)
    return next(at for at, item in enumerate(shown.items) if item.id == held.item)
