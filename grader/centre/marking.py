"""The markers' desk in the service: one answer at a time across candidates, leased, saved, taken back.

The desk's script fetches the next answer ahead (`/ahead`) and shows it while this one is being saved; a request
that carries its header is answered in a word instead of a page. Without the script every page works as a form.
"""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from grader.centre import views, workload
from grader.centre.showing import not_saved, page, saved
from grader.centre.views import NONE, path_of
from grader.desk.desk import criteria_of
from grader.desk.forms import criteria_in, mark_in, typed_in
from grader.desk.requests import AHEAD
from grader.desk.views import Typed
from grader.exam.exam import Exam, Item
from grader.marking import saving, serving, trials
from grader.marking.answers import item_settings
from grader.marking.errors import NotAllowed, NotFound, Taken
from grader.marking.serving import Idle, Served
from grader.run.output import number
from grader.service.access import Form, Refused, TheActor, TheExam, TheService, allowed
from grader.service.exams import ExamPlace
from grader.service.pages import go, say, tell
from grader.service.permissions import Actor
from grader.service.service import Service

rooms = APIRouter(tags=["marking"])
_MARK = [Depends(allowed("mark"))]


@rooms.get("/exams/{exam}/mark", dependencies=_MARK)
def overview(request: Request, service: TheService, actor: TheActor, exam: TheExam) -> Response:
    """The items, what waits in each, and where the marker stands."""
    lines: list[workload.Line] = []
    try:
        shown = views.standing_exam(service.database, exam.id)
        lines = workload.lines(service.database, exam.id, shown, actor.account)
    except NotFound:
        pass  # nothing was brought in yet: the page says so
    following = next((one for one in lines if one.waiting and one.phase not in ("failed", "stopped")), None)
    return page(request, "mark", "overview", room="mark", lines=lines, following=following)


@rooms.post("/exams/{exam}/mark/undo", dependencies=_MARK)
def undo(request: Request, service: TheService, actor: TheActor, exam: TheExam) -> Response:
    """Take back the marker's last action and show its answer."""
    undone = saving.undo(service.database, exam.id, actor.account)
    if undone is None:
        say(request, "nothing_to_undo")
        return go(f"/exams/{exam.id}/mark")
    say(request, "undone_many" if len(undone.names) > 1 else "undone", count=len(undone.names))
    shown = views.standing_exam(service.database, exam.id)
    place = next(at for at, item in enumerate(shown.items) if item.id == undone.item)
    return go(path_of(exam, place, undone.names[0]))


@rooms.get("/exams/{exam}/mark/{place}", dependencies=_MARK)
def next_answer(
    request: Request, service: TheService, actor: TheActor, exam: TheExam, place: int, after: str = ""
) -> Response:
    """Lease the next answer to the item and show it; after: the one that is left for later."""
    item = _item(_exam(service, exam), place)
    found = serving.next_answer(service.database, exam.id, actor.account, item.id, after=after)
    if isinstance(found, Idle):
        return _idle(request, service, actor, exam, place, item, found)
    return go(path_of(exam, place, found.name))


@rooms.get("/exams/{exam}/mark/{place}/ahead", dependencies=_MARK)
def ahead(
    request: Request, service: TheService, actor: TheActor, exam: TheExam, place: int, besides: str = ""
) -> Response:
    """The page of the answer behind the one on the desk, leased; 204 where there is none."""
    shown = _exam(service, exam)
    item = _item(shown, place)
    found = serving.next_answer(service.database, exam.id, actor.account, item.id, besides=[besides])
    if isinstance(found, Idle):
        return Response(status_code=204)
    return _answer(request, service, actor, exam, shown, place, found)


@rooms.get("/exams/{exam}/mark/{place}/answers/{name}", dependencies=_MARK)
def answer(request: Request, service: TheService, actor: TheActor, exam: TheExam, place: int, name: str) -> Response:
    """The desk with one answer on it. What is no longer the marker's own leads on to the next one."""
    try:
        served = serving.look(service.database, exam.id, actor.account, name)
    except Taken:
        say(request, "taken")
        return go(f"/exams/{exam.id}/mark/{place}")
    except NotFound as error:
        raise Refused(404, "not_here") from error
    return _answer(request, service, actor, exam, _exam(service, exam), place, served)


@rooms.get("/exams/{exam}/mark/{place}/answers/{name}/crop.png", dependencies=_MARK)
def crop(service: TheService, actor: TheActor, exam: TheExam, place: int, name: str) -> Response:
    """The picture of an answer."""
    digest = views.crop_of(service.database, exam.id, name)
    if not digest:
        raise Refused(404, "not_here")
    service.saw(actor.account, exam.id, "crops", [name])
    headers = {"Cache-Control": "private, max-age=600"}  # fetched ahead, then shown
    return Response(service.run(exam).crop(digest), media_type="image/png", headers=headers)


@rooms.post("/exams/{exam}/mark/{place}/answers/{name}/renew", dependencies=_MARK)
def renew(service: TheService, actor: TheActor, exam: TheExam, place: int, name: str) -> Response:
    """A sign of life: the answer stays on the marker's desk."""
    serving.renew(service.database, exam.id, actor.account, [name])
    return Response(status_code=204)


@rooms.post("/exams/{exam}/mark/{place}/answers/{name}", dependencies=_MARK)
def decide(
    request: Request, service: TheService, actor: TheActor, exam: TheExam, place: int, name: str, form: Form
) -> Response:
    """Give the answer a mark, raise it, or leave it for later."""
    shown = _exam(service, exam)
    item = _item(shown, place)
    typed, token, pressed = typed_in(item, form), str(form.get("token", "")), form.get("act", "save")
    onward = f"/exams/{exam.id}/mark/{place}"
    try:
        if pressed == "skip":
            serving.give_back(service.database, exam.id, actor.account, [name])
            return saved(request, f"{onward}?after={name}", "skipped")
        if pressed == "raise":
            saving.raise_to_leader(service.database, exam.id, actor.account, name, token, typed.comment)
            return saved(request, onward, "raised_on")
        mark, criteria = _given(service, exam, actor, item, name, typed, form)
        seconds = _seconds(str(form.get("seconds", "")))
        done = saving.save(
            service.database, exam.id, actor.account, name, token, mark, criteria, typed.comment, seconds
        )
    except Taken:
        return _gone(request, onward)
    except NotAllowed:
        return _again(request, service, actor, exam, shown, place, name, typed)
    if done.definitive is not None:
        return _feedback(request, service, exam, shown, place, name, done)
    return saved(request, onward, "saved", mark=f"{number(mark)} / {number(item.max_mark)}")


# what is given


def _given(
    service: Service, exam: ExamPlace, actor: Actor, item: Item, name: str, typed: Typed, form: Form
) -> tuple[float, dict[str, float] | None]:
    """The mark and its criteria. Raises NotAllowed where the form has none that the item allows, Taken."""
    if form.get("act") == "accept":
        proposal = serving.look(service.database, exam.id, actor.account, name).proposal or NONE
        if proposal.mark is None:
            raise NotAllowed("no mark is proposed", "write one")
        return proposal.mark, criteria_of(item, proposal.mark, [c.mark for c in proposal.criteria]) or None
    mark = mark_in(item, typed, form)
    if mark is None:
        raise NotAllowed("no mark can be read", "write a number")
    return mark, criteria_of(item, mark, criteria_in(item, typed, form)) or None


def _seconds(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


# where it leads


def _answer(
    request: Request, service: Service, actor: Actor, exam: ExamPlace, shown: Exam, place: int, served: Served,
    typed: Typed | None = None, error: str = "",
) -> Response:  # fmt: skip
    view = views.on_desk(service.database, service.run(exam), exam, shown, place, served, typed)
    left = _left(request, service, exam, actor, served)
    return page(request, "answer", "answer", 422 if error else 200, room="mark", a=view, left=left, error=error)


def _left(request: Request, service: Service, exam: ExamPlace, actor: Actor, served: Served) -> int | None:
    """How many wait, this one included. None where control answers are served: the count would give them away."""
    with service.database.read() as connection:
        rate = item_settings(connection, exam.id, served.item).seeds.rate
    if served.trial or rate:
        return None
    waiting = workload.left(service.database, exam.id, served.item, actor.account)
    return waiting - 1 if AHEAD in request.headers else waiting  # the one before it is saved when it is shown


def _again(
    request: Request, service: Service, actor: Actor, exam: ExamPlace, shown: Exam, place: int, name: str, typed: Typed
) -> Response:  # fmt: skip
    """The same answer with what was typed, and why it was not saved."""
    onward = f"/exams/{exam.id}/mark/{place}"
    if trials.phase_of(service.database, exam.id, actor.account, shown.items[place].id) in ("failed", "stopped"):
        return not_saved(request, 409, tell(request, "idle_stopped")) if AHEAD in request.headers else go(onward)
    with service.database.read() as connection:
        chosen = item_settings(connection, exam.id, shown.items[place].id)
    item = shown.items[place]
    bounds = {"max": number(item.max_mark), "step": number(chosen.scheme.step)}
    reason = tell(request, "bad_mark_or_reason", **bounds)
    if AHEAD in request.headers:
        return not_saved(request, 422, reason)
    try:
        served = serving.look(service.database, exam.id, actor.account, name)
    except Taken:
        return _gone(request, onward)
    return _answer(request, service, actor, exam, shown, place, served, typed, reason)


def _gone(request: Request, onward: str) -> Response:
    if AHEAD in request.headers:
        return not_saved(request, 409, tell(request, "taken"))
    say(request, "taken")
    return go(onward)


def _feedback(
    request: Request, service: Service, exam: ExamPlace, shown: Exam, place: int, name: str, done: saving.Saved
) -> Response:  # fmt: skip
    """After practice: the mark given beside the definitive one."""
    view = views.practised(service.database, exam, shown, place, name)
    return page(
        request, "feedback", "overview", room="mark", a=view, given=done.mark, definitive=done.definitive,
        within=done.within,
    )  # fmt: skip


def _idle(
    request: Request, service: Service, actor: Actor, exam: ExamPlace, place: int, item: Item, idle: Idle
) -> Response:
    if idle.why == "done":
        say(request, "item_done", item=item.id)
        return go(f"/exams/{exam.id}/mark")
    seeds = workload.tally(service.database, exam.id, item.id, actor.account) if idle.why == "stopped" else None
    return page(request, "idle", "overview", room="mark", item=item, why=idle.why, seeds=seeds)


def _exam(service: Service, exam: ExamPlace) -> Exam:
    try:
        return views.standing_exam(service.database, exam.id)
    except NotFound as error:
        raise Refused(404, "not_here") from error


def _item(shown: Exam, place: int) -> Item:
    if not 0 <= place < len(shown.items):
        raise Refused(404, "not_here")
    return shown.items[place]
