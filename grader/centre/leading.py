"""The leader's pages: how far marking is, what waits for a decision, and who may mark."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from grader.centre import cases, views
from grader.centre.people import namer
from grader.centre.showing import page, saved
from grader.desk.desk import criteria_of
from grader.desk.forms import criteria_in, mark_in, typed_in
from grader.exam.exam import Item
from grader.marking import answers, leading, outbox, trials
from grader.marking.errors import NotAllowed, NotFound
from grader.run.output import number
from grader.service import audit
from grader.service.access import Form, Refused, TheActor, TheExam, TheService, allowed
from grader.service.exams import ExamPlace
from grader.service.pages import go, say, tell
from grader.service.service import Service

rooms = APIRouter(tags=["leading"])
_LEAD = [Depends(allowed("lead"))]


@rooms.get("/exams/{exam}/leader", dependencies=_LEAD)
def overview(request: Request, service: TheService, exam: TheExam) -> Response:
    """Every item and how far it is, and what waits for the leader."""
    progress = leading.progress(service.database, exam.id)
    waiting = sum(one.leader for one in progress)
    return page(request, "leader", None, room="leader", progress=progress, waiting=waiting)


@rooms.post("/exams/{exam}/leader/bring-in", dependencies=_LEAD)
def bring_in(request: Request, service: TheService, actor: TheActor, exam: TheExam) -> Response:
    """Take the answers of the exam's run into marking; what is there already stays as it is."""
    if not exam.has_run:
        say(request, "no_run_yet")
        return go(f"/exams/{exam.id}/leader")
    brought = answers.bring_in(service.database, exam.id, service.run(exam), actor.account)
    with service.database.begin() as connection:
        audit.record(connection, actor.account, "brought_in", exam.id, added=brought.added)
    say(request, "brought_in", added=brought.added, gone=brought.gone)
    return go(f"/exams/{exam.id}/leader")


@rooms.post("/exams/{exam}/leader/write", dependencies=_LEAD)
def write(request: Request, service: TheService, exam: TheExam) -> Response:
    """Write the final marks into the run, so that its results and its report have them."""
    written = outbox.write_finals(service.database, exam.id, service.run(exam))
    say(request, "written", count=written.decided + written.withdrawn)
    return go(f"/exams/{exam.id}/leader")


# the queue


@rooms.get("/exams/{exam}/leader/queue", dependencies=_LEAD)
def queue(request: Request, service: TheService, exam: TheExam) -> Response:
    """What was raised, and where marks differ too much."""
    shown = _standing(service, exam)
    waiting = leading.leader_queue(service.database, exam.id)
    places = {item.id: place for place, item in enumerate(shown.items)}
    name_of = namer(request, service.database)
    return page(request, "queue", None, room="leader", waiting=waiting, places=places, name_of=name_of)


@rooms.get("/exams/{exam}/leader/queue/{name}", dependencies=_LEAD)
def one_case(request: Request, service: TheService, actor: TheActor, exam: TheExam, name: str) -> Response:
    """One answer with every mark that stands, side by side."""
    return _case(request, service, exam, name)


@rooms.post("/exams/{exam}/leader/queue/{name}", dependencies=_LEAD)
def decide(request: Request, service: TheService, actor: TheActor, exam: TheExam, name: str, form: Form) -> Response:
    """Adjudicate, hand back to the markers, or excuse; then the next."""
    item, _ = _item_of(service, exam, name)
    typed, pressed = typed_in(item, form), form.get("act", "save")
    following = cases.following(service.database, exam.id, name)
    onward = f"/exams/{exam.id}/leader/queue" + (f"/{following}" if following else "")
    if pressed == "skip":
        return go(onward)
    try:
        if pressed == "return":
            leading.hand_back(service.database, exam.id, actor.account, name, typed.comment)
            return saved(request, onward, "handed_back")
        if pressed == "excuse":
            leading.excuse(service.database, exam.id, actor.account, name, typed.comment)
            return saved(request, onward, "excused_one")
        mark = mark_in(item, typed, form)
        if mark is None:
            raise NotAllowed("no mark can be read", "write a number")
        criteria = criteria_of(item, mark, criteria_in(item, typed, form)) or None
        leading.adjudicate(service.database, exam.id, actor.account, name, mark, criteria, typed.comment)
    except NotAllowed:
        with service.database.read() as connection:
            step = answers.item_settings(connection, exam.id, item.id).scheme.step
        key = {"return": "cannot_hand_back", "excuse": "excuse_needs_reason"}.get(str(pressed), "bad_mark_step")
        error = tell(request, key, max=number(item.max_mark), step=number(step))
        return _case(request, service, exam, name, typed, error)
    return saved(request, onward, "saved", mark=f"{number(mark)} / {number(item.max_mark)}")


# seeds and markers


@rooms.post("/exams/{exam}/leader/queue/{name}/seed", dependencies=_LEAD)
def make_seed(request: Request, service: TheService, actor: TheActor, exam: TheExam, name: str, form: Form) -> Response:
    """Give an answer its definitive mark and use it for control, practice or qualification; or stop using it."""
    item, place = _item_of(service, exam, name)
    back = f"/exams/{exam.id}/leader/items/{place}/seeds"
    use = str(form.get("use", ""))
    if use == "drop":
        trials.drop_seed(service.database, exam.id, name)
        return saved(request, back, "seed_dropped")
    typed = typed_in(item, form)
    mark = mark_in(item, typed, form)
    if mark is None or use not in ("seed", "practice", "qualification"):
        error = tell(request, "bad_mark", max=number(item.max_mark))
        return _case(request, service, exam, name, typed, error)
    criteria = criteria_of(item, mark, criteria_in(item, typed, form)) or None
    try:
        trials.make_seed(service.database, exam.id, actor.account, name, mark, use, criteria)  # type: ignore[arg-type]
    except NotAllowed:
        return _case(request, service, exam, name, typed, tell(request, "bad_mark", max=number(item.max_mark)))
    return saved(request, back, "seed_made")


@rooms.get("/exams/{exam}/leader/items/{place}/seeds", dependencies=_LEAD)
def seeds(request: Request, service: TheService, exam: TheExam, place: int, beyond: str = "") -> Response:
    """The item's seeds, and answers of which one can be made."""
    item = item_at(service, exam, place)
    held = cases.seeds(service.database, exam.id, item.id)
    offered = cases.offered(service.database, exam.id, item.id, beyond)
    with service.database.read() as connection:
        chosen = answers.item_settings(connection, exam.id, item.id)
    return page(
        request, "seeds", None, room="leader", item=item, place=place, held=held, offered=offered, chosen=chosen
    )


@rooms.post("/exams/{exam}/leader/items/{place}/markers/{account}/lift", dependencies=_LEAD)
def lift(
    request: Request, service: TheService, actor: TheActor, exam: TheExam, place: int, account: str, form: Form
) -> Response:
    """Let a stopped marker go on, or a failed one try again."""
    item = item_at(service, exam, place)
    comment = str(form.get("comment", "")).strip()[:2000]
    try:
        trials.lift(service.database, exam.id, actor.account, "leader", item.id, account, comment)
    except NotAllowed:
        say(request, "cannot_lift")
    else:
        with service.database.begin() as connection:
            audit.record(connection, actor.account, "lifted", exam.id, marker=account, item=item.id)
        say(request, "lifted")
    return go(f"/exams/{exam.id}/leader/items/{place}")


# what stands


def _case(
    request: Request, service: Service, exam: ExamPlace, name: str, typed: views.Typed | None = None, error: str = ""
) -> Response:
    try:
        case = leading.case(service.database, exam.id, name)
    except NotFound as error_:
        raise Refused(404, "not_here") from error_
    shown = _standing(service, exam)
    view = cases.view(service.database, service.run(exam), exam, shown, case, typed)
    name_of = namer(request, service.database)
    return page(
        request, "case", "adjudicate", 422 if error else 200, room="leader", a=view, case=case, name_of=name_of,
        error=error,
    )  # fmt: skip


def _standing(service: Service, exam: ExamPlace) -> views.Exam:
    try:
        return views.standing_exam(service.database, exam.id)
    except NotFound as error:
        raise Refused(404, "not_here") from error


def item_at(service: Service, exam: ExamPlace, place: int) -> Item:
    """The item at a place of the exam, or the page that says that there is none."""
    shown = _standing(service, exam)
    if not 0 <= place < len(shown.items):
        raise Refused(404, "not_here")
    return shown.items[place]


def _item_of(service: Service, exam: ExamPlace, name: str) -> tuple[Item, int]:
    shown = _standing(service, exam)
    item = cases.item_of(service.database, exam.id, name)
    if item is None:
        raise Refused(404, "not_here")
    place = next(at for at, one in enumerate(shown.items) if one.id == item)
    return shown.items[place], place
