"""What every route is given: who asks, in which exam, and whether that is allowed.

A route declares its permission once, as `dependencies=[Depends(allowed("mark"))]`; the actions are those of
grader.service.permissions. An action in an exam goes with a path that has `{exam}`; an exam that does not exist
and one that this person may not see give the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData

from grader.service import exams, sessions
from grader.service.exams import ExamPlace
from grader.service.permissions import ABROAD, ANYONE, IN_EXAM, Actor
from grader.service.service import Service

FORM = 1_000_000  # bytes of an ordinary form
_FIELD = 2_500_000  # bytes of one field of a form that is no file: an exam's text is the largest
_SAFE = {"GET", "HEAD"}


class Refused(Exception):
    """A request that gets a message instead. what: "denied" (not signed in), "forbidden" (signed in, and may not),
    "stale" (no token of ours, or not the state that was looked at), "not_here", "too_many" or "too_large"."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status, self.what = status, what


Guard = Callable[[Request], None]


class Allowed:
    """The dependency of one action. body: bytes that a request to this route may have. guard: for what anyone may
    ask, what lets a request in instead (a link's token, say); it raises Refused, before a large body is read."""

    def __init__(self, action: str, body: int = FORM, guard: Guard | None = None) -> None:
        if action not in {ANYONE, *ABROAD, *IN_EXAM}:
            raise KeyError(action)
        if action == ANYONE and body > FORM and guard is None:
            raise ValueError("what anyone may send is small, or guarded")
        self.action, self.body, self.guard = action, body, guard

    def __call__(self, request: Request) -> None:
        """Lets through whoever may; raises Refused otherwise."""
        service: Service = request.app.state.service
        with service.database.read() as connection:
            actor = _actor(service, connection, request)
            request.state.actor, request.state.exam = actor, None
            if self.action == ANYONE:
                if self.guard is not None:
                    self.guard(request)
                return
            if actor is None:
                raise Refused(401, "denied")
            if self.action in ABROAD:
                if not actor.may(self.action):
                    raise Refused(403, "forbidden")
                return
            exam = exams.find(connection, service.exam_folders, request.path_params["exam"])
        if exam is None or not actor.may("see_exam", exam.id):
            raise Refused(404, "not_here")
        if not actor.may(self.action, exam.id):
            raise Refused(403, "forbidden")
        request.state.exam = exam


def allowed(action: str, body: int = FORM, guard: Guard | None = None) -> Allowed:
    """The dependency that lets only those through who may do `action`; body and guard as of `Allowed`."""
    return Allowed(action, body, guard)


def _actor(service: Service, connection: Connection, request: Request) -> Actor | None:
    token = request.cookies.get(service.cookie, "")
    found = sessions.find(connection, token) if token else None
    if found is None:
        return None
    actor, due = found
    if due:
        service.touch(token)
    return actor


async def ours(request: Request) -> None:
    """Refuses a change that no page of ours sent (CSRF). The app asks this of every route.

    The token comes in the field `csrf`, or in the header `X-CSRF-Token`, which uploads use so that a stranger's
    files are not even read.
    """
    if request.method in _SAFE:
        return
    service: Service = request.app.state.service
    token = request.cookies.get(service.cookie, "")
    sent = request.headers.get("x-csrf-token")
    if sent is None and request.headers.get("sec-fetch-site", "same-origin") in {"same-origin", "none"}:
        if int(request.headers.get("content-length", "0")) > FORM:  # of a stranger's files nothing is read
            await run_in_threadpool(_not_a_stranger, request, service, token)
        value = (await _form(request)).get("csrf")
        sent = value if isinstance(value, str) else None
    if not token or sent is None or not sessions.same(sessions.csrf_of(token), sent):
        raise Refused(403, "stale")


def _not_a_stranger(request: Request, service: Service, token: str) -> None:
    declared = [one.dependency for one in getattr(request.scope.get("route"), "dependencies", ())]
    for guard in (one.guard for one in declared if isinstance(one, Allowed) and one.guard is not None):
        guard(request)
        return
    if not _known(service, token):
        raise Refused(401, "denied")


def _known(service: Service, token: str) -> bool:
    with service.database.read() as connection:
        return bool(token) and sessions.find(connection, token) is not None


async def _form(request: Request) -> FormData:
    service: Service = request.app.state.service
    return await request.form(max_files=service.max_files, max_part_size=_FIELD)


# async, though they wait for nothing: FastAPI gives every other dependency a thread of its own, which costs more.


async def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


async def _signed_in(request: Request) -> Actor:
    actor: Actor | None = request.state.actor
    if actor is None:
        raise Refused(401, "denied")
    return actor


async def _exam(request: Request) -> ExamPlace:
    exam: ExamPlace | None = request.state.exam
    if exam is None:
        raise RuntimeError("this route's action is not one in an exam")
    return exam


TheService = Annotated[Service, Depends(_service)]
TheActor = Annotated[Actor, Depends(_signed_in)]
TheExam = Annotated[ExamPlace, Depends(_exam)]
Form = Annotated[FormData, Depends(_form)]
