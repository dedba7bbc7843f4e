"""The service as a web application: every part's routes behind one set of rules.

Pages are whole and work without scripts, but for uploads by drag; htmx swaps them in place.
"""

from __future__ import annotations

import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import quote

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse, Response
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware

from grader import __version__
from grader.errors import GraderError
from grader.service import retention, sessions
from grader.service.access import Refused, ours
from grader.service.pages import Pages, show
from grader.service.permissions import IN_EXAM
from grader.service.rooms import ROOMS, STATIC
from grader.service.service import Service
from grader.service.shield import Shield, permission

_VIEWS_EVERY, _SWEEP_EVERY = 5.0, 3600.0  # seconds


def create_app(service: Service) -> FastAPI:
    """The application. It closes the service when it shuts down. Raises LookupError for a route that does not
    declare who may use it."""
    routers = [room.router() for room in ROOMS]
    routes = _routes(routers)
    _check(routes)
    app = FastAPI(
        title="grader", version=__version__, lifespan=_lifespan, docs_url=None, redoc_url=None,
        dependencies=[Depends(ours)],
    )  # fmt: skip
    app.state.service, app.state.routes = service, routes
    words = {room.words: room.own_words() for room in ROOMS}
    app.state.pages = Pages({room.prefix: room.package for room in ROOMS}, list(words.values()))
    # What an exam is for stands before what keeps it in order.
    app.state.doors = [door for room in sorted(ROOMS, key=lambda r: r.prefix == "service") for door in room.doors]
    for router in routers:
        app.include_router(router)
    app.mount("/static", StaticFiles(packages=STATIC))
    app.add_middleware(Shield, routes=routes, secure=service.settings.secure)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(service.settings.hosts), www_redirect=False)
    for error in (Refused, GraderError, RequestValidationError, HTTPException):
        app.add_exception_handler(error, refuse)
    return app


def _routes(routers: list[APIRouter]) -> list[APIRoute]:
    """Every route. Raises LookupError for a router within a router, whose routes nobody would check."""
    found = [route for router in routers for route in router.routes]
    hidden = [type(route).__name__ for route in found if not isinstance(route, APIRoute)]
    if hidden:
        raise LookupError(f"not a plain route: {', '.join(hidden)}; extend the routes of a part's router instead")
    return [route for route in found if isinstance(route, APIRoute)]


def _check(routes: list[APIRoute]) -> None:
    for route in routes:
        if (permission(route).action in IN_EXAM) != ("{exam}" in route.path):
            raise LookupError(f"{route.path}: an action in an exam goes with {{exam}} in the path, and no other does")


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    over = threading.Event()

    def housekeeping() -> None:
        swept = time.monotonic()
        while not over.wait(_VIEWS_EVERY):
            service.note_views()
            if time.monotonic() - swept > _SWEEP_EVERY:
                swept = time.monotonic()
                tidy(service)

    thread = threading.Thread(target=housekeeping, name="housekeeping", daemon=True)
    thread.start()
    stops = [stop for room in ROOMS if (stop := room.start(service)) is not None]
    yield
    for stop in stops:
        stop()
    over.set()
    thread.join()
    service.close()


def tidy(service: Service) -> None:
    """What time alone brings about: exams whose date has come, sessions that are over."""
    retention.remove_leftovers(service)
    retention.sweep(service)
    with service.database.begin() as connection:
        sessions.sweep(connection)


def refuse(request: Request, error: Exception) -> Response:
    """A page that says why not, and nothing else."""
    status, what, detail = 404, "not_here", ""
    if isinstance(error, Refused):
        status, what = error.status, error.what
    elif isinstance(error, GraderError):
        status, what, detail = 409, "unusable", str(error)
    elif isinstance(error, HTTPException) and error.status_code != 404:
        status, what = error.status_code, "stale"
    if what == "denied" and request.method == "GET":
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/login?back={quote(back)}", 303)
    return show(request, "service/message", status, what=what, detail=detail)
