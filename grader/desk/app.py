"""The desk as a web application. Every page is whole, so it works without scripts; htmx only swaps it in place.

Addresses name answers by opaque names: no candidate number, name or file name is in an address or a marking
page.
"""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.middleware.trustedhost import TrustedHostMiddleware

from grader.desk import views
from grader.desk.bulk import router as bulk
from grader.desk.desk import Desk, NotHere, criteria_of
from grader.desk.forms import criteria_in, mark_in, typed_in
from grader.desk.requests import AHEAD, Form, Refused, TheDesk, ThePages, authorised, go, go_on, saved
from grader.desk.security import HEADERS, HOSTS, MAX_BODY, Session
from grader.desk.views import Pages, Typed, answer_path
from grader.desk.words import word
from grader.errors import GraderError, PageError
from grader.records import PageRef
from grader.run.output import number


def create_app(desk: Desk, session: Session) -> FastAPI:
    """The application of one desk. When it shuts down the run's files are written."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        desk.finish()

    app = FastAPI(title="grader desk", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.desk, app.state.session, app.state.pages = desk, session, Pages(desk, session)
    app.include_router(entrance)
    app.include_router(rooms)
    app.mount("/static", StaticFiles(packages=[("grader.desk", "static"), ("grader.report", "templates")]))
    app.middleware("http")(_careful)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(HOSTS))
    for error in (Refused, NotHere, GraderError, RequestValidationError, 404):
        app.add_exception_handler(error, _refuse)
    return app


async def _careful(request: Request, proceed: Callable[[Request], Awaitable[Response]]) -> Response:
    """Forms of bounded size in, careful headers out."""
    length = request.headers.get("content-length", "0")
    if request.method == "POST" and not (length.isdigit() and int(length) <= MAX_BODY):
        response: Response = Response("too large", 413)
    elif request.method == "POST" and "transfer-encoding" in request.headers:
        response = Response("a form has a length", 411)
    else:
        response = await proceed(request)
    for name, value in HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault("Cache-Control", "no-store")
    return response


def _refuse(request: Request, error: Exception) -> Response:
    what, status = "not_here", 404
    if isinstance(error, Refused):
        what, status = error.what, error.status
    elif isinstance(error, GraderError):
        what, status = "stale", 409
    pages: Pages = request.app.state.pages
    if not pages.session.holds(request.cookies.get(pages.session.cookie)):
        return HTMLResponse(pages.denied(), 401 if status == 404 else status)
    return HTMLResponse(pages.page("message", None, what=what), status)


entrance = APIRouter()
rooms = APIRouter(dependencies=[Depends(authorised)])
rooms.include_router(bulk)


@entrance.get("/enter")
def enter(request: Request, pages: ThePages, ticket: str = "") -> Response:
    """Exchange the ticket for the cookie."""
    session = pages.session
    if session.holds(request.cookies.get(session.cookie)):
        return go("/")
    value = session.enter(ticket)
    if value is None:
        raise Refused(403, "denied")
    response = go("/")
    response.set_cookie(session.cookie, value, httponly=True, samesite="strict", path="/")
    return response


# overview


@rooms.get("/")
def overview(desk: TheDesk, pages: ThePages) -> Response:
    """Every item and how far it is."""
    progress = desk.progress()
    raised = [views.raised_view(desk, *one) for one in desk.raised()]
    lost = sum(1 for _ in desk.lost_pages())
    following = next((item for item in progress if item.waiting), None)
    return HTMLResponse(
        pages.page("overview", "overview", progress=progress, lost=lost, following=following, raised=raised)
    )


@rooms.post("/refresh")
def write_files(desk: TheDesk, pages: ThePages) -> Response:
    """Write the run's files now."""
    counts = desk.refresh()
    pages.session.notify(word("refreshed", pages.session.language, **counts))
    return go("/")


@rooms.post("/language")
def language(pages: ThePages, form: Form) -> Response:
    """Switch between Chinese and English."""
    pages.session.language = "en" if pages.session.language == "zh" else "zh"
    back = str(form.get("back", "/"))
    return go(back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/")


# marking


@rooms.get("/items/{order}/next")
def next_answer(desk: TheDesk, pages: ThePages, order: int, after: str | None = None) -> Response:
    """The next answer to the item, or the overview when there is none."""
    return go_on(desk, pages, order, after)


@rooms.get("/items/{order}/answers/{name}")
def answer(request: Request, desk: TheDesk, pages: ThePages, order: int, name: str) -> Response:
    """The desk with one answer on it."""
    view = views.answer_view(desk, order, name)
    if AHEAD in request.headers:  # when it is shown, the one before it is saved
        view = replace(view, left=view.left - 1, final=view.final + 1)
    return HTMLResponse(pages.page("answer", "answer", a=view, error=""))


@rooms.get("/items/{order}/answers/{name}/crop.png")
def crop(desk: TheDesk, order: int, name: str) -> Response:
    """The picture of an answer."""
    headers = {"Cache-Control": "private, max-age=600"}  # fetched ahead, then shown
    return Response(desk.picture(order, name), media_type="image/png", headers=headers)


@rooms.post("/items/{order}/answers/{name}")
def decide(request: Request, desk: TheDesk, pages: ThePages, order: int, name: str, form: Form) -> Response:
    """Give the answer a mark and go on to the next."""
    item = desk.item(order)
    typed = typed_in(item, form)
    if form.get("act") == "raise":
        desk.raise_to_leader(order, name, typed.comment)
        return saved(request, desk, pages, order, name, "raised_done")
    if form.get("act") == "accept":
        desk.accept(order, [name])
        return saved(request, desk, pages, order, name, "accepted")
    mark = mark_in(item, typed, form)
    if mark is None:
        view = views.answer_view(desk, order, name, typed)
        error = word("bad_mark", pages.session.language, max=number(item.max_mark))
        return HTMLResponse(pages.page("answer", "answer", a=view, error=error), 422)
    desk.decide(order, [name], mark, criteria_of(item, mark, criteria_in(item, typed, form)), typed.comment)
    return saved(request, desk, pages, order, name, "saved", mark=f"{number(mark)} / {number(item.max_mark)}")


@rooms.get("/items/{order}/answers/{name}/group")
def group(desk: TheDesk, pages: ThePages, order: int, name: str) -> Response:
    """All waiting answers that read the same."""
    return _group_page(desk, pages, order, name, None, 200)


@rooms.post("/items/{order}/answers/{name}/group")
def decide_group(desk: TheDesk, pages: ThePages, order: int, name: str, form: Form) -> Response:
    """Give them all one mark, except those taken out."""
    item = desk.item(order)
    typed = typed_in(item, form)
    mark = mark_in(item, typed, form)
    if mark is None:
        return _group_page(desk, pages, order, name, typed, 422)
    waiting = [one.name for one in desk.identical(order, name)]
    if str(len(waiting)) != form.get("count"):  # not the group that was looked at
        raise Refused(409, "stale")
    taken_out = {str(value) for value in form.getlist("except")}
    added = {str(value) for value in form.getlist("with")}
    names = [one for one in waiting if one not in taken_out]
    names += [one.name for one in desk.near(order, name) if one.name in added]
    if names:
        criteria = criteria_of(item, mark, criteria_in(item, typed, form))
        desk.decide(order, names, mark, criteria, typed.comment)
        given = f"{number(mark)} / {number(item.max_mark)}"
        pages.session.notify(word("saved_many", pages.session.language, mark=given, count=len(names)))
    return go_on(desk, pages, order, name)


@rooms.post("/undo")
def undo(desk: TheDesk, pages: ThePages) -> Response:
    """Take back the last action and show its answer."""
    withdrawn, language = desk.undo(), pages.session.language
    if not withdrawn:
        pages.session.notify(word("nothing_to_undo", language))
        return go("/")
    many = len(withdrawn) > 1
    pages.session.notify(word("undone_many" if many else "undone", language, count=len(withdrawn)))
    return go(answer_path(*withdrawn[0]))


# pages that belong to nobody yet


@rooms.get("/pages")
def lost_pages(desk: TheDesk, pages: ThePages) -> Response:
    """The unmatched pages with their pictures."""
    return HTMLResponse(pages.page("pages", "pages", lost=list(desk.lost_pages()), error="", failed=""))


@rooms.get("/pages/{name}/picture.jpg")
def page_picture(desk: TheDesk, name: str) -> Response:
    """A page as scanned, decoded and encoded again."""
    from PIL import Image

    from grader.intake.decode import load_page

    row = desk.lost_page(name).row
    try:
        gray = load_page(PageRef(row.file, row.page), pdf_dpi=100).gray
    except PageError as error:
        raise Refused(404, "not_here") from error
    image, encoded = Image.fromarray(gray), io.BytesIO()
    image.thumbnail((1600, 1600))
    image.save(encoded, "JPEG", quality=80)
    return Response(encoded.getvalue(), media_type="image/jpeg")


@rooms.post("/pages/{name}/candidate")
def give_page(desk: TheDesk, pages: ThePages, name: str, form: Form) -> Response:
    """Say whose page it is."""
    language = pages.session.language
    candidate = str(form.get("candidate", "")).strip()
    if not 0 < len(candidate) <= 64 or not candidate.isprintable():
        lost = list(desk.lost_pages())
        text = pages.page("pages", "pages", lost=lost, error=word("bad_candidate", language), failed=name)
        return HTMLResponse(text, 422)
    row = desk.give(name, candidate)
    said = "given_twice" if row.outcome == "duplicate" else "given"
    pages.session.notify(word(said, language, candidate=candidate))
    return go("/pages")


def _group_page(desk: Desk, pages: Pages, order: int, name: str, typed: Typed | None, status: int) -> Response:
    view = views.answer_view(desk, order, name, typed)
    shown, count = views.members(desk, order, name)
    if not count:
        return go_on(desk, pages, order, name)
    error = "" if typed is None else word("bad_mark", pages.session.language, max=number(view.item.max_mark))
    near = views.near(desk, order, name)
    text = pages.page("group", "group", a=view, members=shown, near=near, count=count, error=error)
    return HTMLResponse(text, status)
