"""Answers marked together: groups that read alike, and what the model is sure of after a sample was looked at."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from grader.centre import views
from grader.centre.showing import page, saved
from grader.desk.desk import criteria_of
from grader.desk.forms import criteria_in, mark_in, typed_in
from grader.desk.sure import most_wrong
from grader.desk.views import Typed
from grader.errors import UsageError
from grader.exam.exam import Exam, Item
from grader.marking import bulk, grouping, saving, serving
from grader.marking.answers import item_settings
from grader.marking.errors import NotAllowed, NotFound, Taken
from grader.marking.scheme import allowed_mark, may_accept_in_bulk
from grader.marking.serving import Served
from grader.run.output import number
from grader.service.access import Form, Refused, TheActor, TheExam, TheService, allowed
from grader.service.exams import ExamPlace
from grader.service.pages import go, say, tell
from grader.service.service import Service

rooms = APIRouter(tags=["marking together"])
_MARK = [Depends(allowed("mark"))]


@dataclass(frozen=True)
class Member:
    """One answer of a group or a sample. crop: address of its picture, "" for none."""

    name: str
    token: str
    crop: str
    text: str
    flags: tuple[str, ...]
    mark: float | None
    confidence: float


@dataclass(frozen=True)
class NearGroup:
    """Groups that read nearly alike. likeness: 0 to 1, to the first of them."""

    clusters: tuple[str, ...]
    texts: tuple[str, ...]
    likeness: tuple[float, ...]
    open: int


# groups


@rooms.get("/exams/{exam}/mark/{place}/groups", dependencies=_MARK)
def groups(request: Request, service: TheService, exam: TheExam, place: int) -> Response:
    """The largest groups of answers that read the same, and those that read nearly so."""
    item = _item(service, exam, place)
    held = grouping.groups_of(service.database, exam.id, item.id, least=2)
    known = {one.cluster: one for one in grouping.groups_of(service.database, exam.id, item.id)}
    near = [
        NearGroup(
            one.clusters,
            tuple(known[cluster].text for cluster in one.clusters),
            one.likeness,
            sum(known[cluster].open for cluster in one.clusters),
        )
        for one in grouping.propose_near(service.database, exam.id, item.id)
        if all(cluster in known for cluster in one.clusters)
    ]
    return page(request, "groups", "overview", room="mark", item=item, place=place, held=held, near=near)


@rooms.post("/exams/{exam}/mark/{place}/groups", dependencies=_MARK)
def merge(request: Request, service: TheService, actor: TheActor, exam: TheExam, place: int, form: Form) -> Response:
    """Make one group of the chosen ones."""
    item = _item(service, exam, place)
    chosen = [str(value) for value in form.getlist("cluster")]
    back = f"/exams/{exam.id}/mark/{place}/groups"
    try:
        grouping.merge(service.database, exam.id, actor.account, item.id, chosen)
    except UsageError:
        say(request, "merge_two")
        return go(back)
    return saved(request, back, "merged", count=len(chosen))


@rooms.get("/exams/{exam}/mark/{place}/answers/{name}/group", dependencies=_MARK)
def group(request: Request, service: TheService, actor: TheActor, exam: TheExam, place: int, name: str) -> Response:
    """All answers of the group that this marker can mark, leased together."""
    return _group(request, service, actor.account, exam, place, name)


@rooms.post("/exams/{exam}/mark/{place}/answers/{name}/group", dependencies=_MARK)
def decide_group(
    request: Request, service: TheService, actor: TheActor, exam: TheExam, place: int, name: str, form: Form
) -> Response:
    """One mark for all of them but those taken out; or make those taken out a group of their own."""
    item = _item(service, exam, place)
    typed, onward = typed_in(item, form), f"/exams/{exam.id}/mark/{place}"
    members = {str(value) for value in form.getlist("member")}
    taken_out = {str(value) for value in form.getlist("except")} & members
    try:
        if form.get("act") == "split":
            cluster = serving.look(service.database, exam.id, actor.account, name).cluster
            grouping.split(service.database, exam.id, actor.account, item.id, cluster, sorted(taken_out))
            return saved(request, f"{onward}/answers/{name}/group", "split_done", count=len(taken_out))
        mark = mark_in(item, typed, form)
        if mark is None:
            raise NotAllowed("no mark can be read", "write a number")
        criteria = criteria_of(item, mark, criteria_in(item, typed, form)) or None
        token, names = str(form.get("token", "")), sorted(members - taken_out)
        done = saving.save_group(service.database, exam.id, actor.account, names, token, mark, criteria, typed.comment)
    except (Taken, NotFound):
        say(request, "taken")
        return go(onward)
    except NotAllowed:
        key = "split_some" if form.get("act") == "split" else "bad_mark_step"
        return _group(request, service, actor.account, exam, place, name, typed, key)
    given = f"{number(mark)} / {number(item.max_mark)}"
    return saved(request, onward, "saved_many", mark=given, count=len(done.names))


def _group(
    request: Request, service: Service, actor: str, exam: ExamPlace, place: int, name: str,
    typed: Typed | None = None, error: str = "",
) -> Response:  # fmt: skip
    shown = views.standing_exam(service.database, exam.id)
    try:
        served = serving.lease_group(service.database, exam.id, actor, name)
    except (Taken, NotFound):
        say(request, "taken")
        return go(f"/exams/{exam.id}/mark/{place}")
    first = served[0]
    view = views.on_desk(service.database, service.run(exam), exam, shown, place, first, typed)
    members = [_member(exam, place, one) for one in served]
    bounds = {"max": number(view.item.max_mark), "step": number(view.scheme.step)}
    return page(
        request, "group", "group", 422 if error else 200, room="mark", a=view, members=members, count=len(members),
        error=tell(request, error, **bounds) if error else "",
    )  # fmt: skip


# what the model is sure of


@rooms.get("/exams/{exam}/mark/{place}/sure", dependencies=_MARK)
def sure(request: Request, service: TheService, exam: TheExam, place: int) -> Response:
    """What accepting in bulk does at this item, before a sample is drawn."""
    item = _item(service, exam, place)
    with service.database.read() as connection:
        chosen = item_settings(connection, exam.id, item.id)
    may = may_accept_in_bulk(chosen.scheme)
    return page(request, "sure", "overview", room="mark", item=item, place=place, chosen=chosen, allowed=may)


@rooms.post("/exams/{exam}/mark/{place}/sure", dependencies=_MARK)
def draw(request: Request, service: TheService, actor: TheActor, exam: TheExam, place: int) -> Response:
    """Draw a random sample."""
    item = _item(service, exam, place)
    try:
        drawn = bulk.draw_sample(service.database, exam.id, actor.account, item.id)
    except UsageError:
        say(request, "nothing_sure")
        return go(f"/exams/{exam.id}/mark/{place}/sure")
    return go(f"/exams/{exam.id}/mark/{place}/sure/{drawn.id}")


@rooms.get("/exams/{exam}/mark/{place}/sure/{sample}", dependencies=_MARK)
def sample(request: Request, service: TheService, actor: TheActor, exam: TheExam, place: int, sample: str) -> Response:
    """The sample, each with the proposed mark to confirm or correct."""
    return _sample(request, service, actor.account, exam, place, sample)


@rooms.post("/exams/{exam}/mark/{place}/sure/{sample}", dependencies=_MARK)
def accept(
    request: Request, service: TheService, actor: TheActor, exam: TheExam, place: int, sample: str, form: Form
) -> Response:
    """Save the marks of the sample; the rest is accepted where few enough differ from the model's."""
    item = _item(service, exam, place)
    given = _given(service, exam, item, form)
    if given is None:
        return _sample(request, service, actor.account, exam, place, sample, "bad_mark_step")
    try:
        for name, token, mark in given:
            saving.save(service.database, exam.id, actor.account, name, token, mark)
        count = bulk.accept(service.database, exam.id, actor.account, sample)
    except (Taken, NotFound) as error:
        raise Refused(409, "stale") from error
    except NotAllowed:
        return _sample(request, service, actor.account, exam, place, sample, "sample_differs")
    return saved(request, f"/exams/{exam.id}/mark/{place}", "accepted_many", count=count + len(given))


def _given(service: Service, exam: ExamPlace, item: Item, form: Form) -> list[tuple[str, str, float]] | None:
    """Name, token and mark of every answer in the form, or None where one is no mark."""
    with service.database.read() as connection:
        scheme = item_settings(connection, exam.id, item.id).scheme
    found = []
    for value in form.getlist("member"):
        name = str(value)
        try:
            mark = round(float(str(form.get(f"mark.{name}", "")).replace(",", ".")), 2)
        except ValueError:
            return None
        if not allowed_mark(scheme, mark, item.max_mark):
            return None
        found.append((name, str(form.get(f"token.{name}", "")), mark))
    return found


def _sample(
    request: Request, service: Service, actor: str, exam: ExamPlace, place: int, sample: str, error: str = ""
) -> Response:
    item = _item(service, exam, place)
    try:
        served = bulk.serve_sample(service.database, exam.id, actor, sample)
        drawn = bulk.sample_state(service.database, exam.id, sample)
    except (NotFound, NotAllowed) as error_:
        raise Refused(404, "not_here") from error_
    with service.database.read() as connection:
        step = item_settings(connection, exam.id, item.id).scheme.step
    size = len(drawn.names)
    return page(
        request, "sample", "sure", 422 if error else 200, room="mark", item=item, place=place, drawn=drawn,
        members=[_member(exam, place, one) for one in served], bound=most_wrong(size, size + drawn.rest), size=size,
        error=tell(request, error, max=number(item.max_mark), step=number(step)) if error else "",
    )  # fmt: skip


def _member(exam: ExamPlace, place: int, one: Served) -> Member:
    crop = f"{views.path_of(exam, place, one.name)}/crop.png" if one.crop else ""
    proposal = one.proposal or views.NONE
    return Member(one.name, one.token, crop, one.text, one.flags, proposal.mark, proposal.confidence)


def _item(service: Service, exam: ExamPlace, place: int) -> Item:
    try:
        shown: Exam = views.standing_exam(service.database, exam.id)
    except NotFound as error:
        raise Refused(404, "not_here") from error
    if not 0 <= place < len(shown.items):
        raise Refused(404, "not_here")
    return shown.items[place]
