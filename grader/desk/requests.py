"""What every route of the desk is given, what it refuses, and where it goes next."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import PlainTextResponse, RedirectResponse, Response
from starlette.datastructures import FormData

from grader.desk.desk import Desk
from grader.desk.security import Session
from grader.desk.views import Pages, answer_path
from grader.desk.words import word

_SEE_OTHER = 303
AHEAD = "x-ahead"  # header of a save behind which the desk's script shows the next answer already


class Refused(Exception):
    """A request that gets a message instead of what it asked for. what: "denied", "stale" or "not_here"."""

    def __init__(self, status: int, what: str) -> None:
        super().__init__(what)
        self.status, self.what = status, what


async def authorised(request: Request) -> None:
    """Refuse whoever has no session, and changes that our own pages did not send."""
    session: Session = request.app.state.session
    if not session.holds(request.cookies.get(session.cookie)):
        raise Refused(401, "denied")
    if request.method not in {"GET", "HEAD"}:
        form = await request.form(max_files=0)
        if not session.sent_by_us(form.get("csrf")):
            raise Refused(403, "stale")


async def form_of(request: Request) -> FormData:
    """The form that was sent."""
    return await request.form(max_files=0)


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _pages(request: Request) -> Pages:
    pages: Pages = request.app.state.pages
    return pages


TheDesk = Annotated[Desk, Depends(_desk)]
ThePages = Annotated[Pages, Depends(_pages)]
Form = Annotated[FormData, Depends(form_of)]


def go(path: str) -> Response:
    """To another page, after a change."""
    return RedirectResponse(path, _SEE_OTHER)


def go_on(desk: Desk, pages: Pages, order: int, after: str | None) -> Response:
    """To the next answer that waits, or to the overview where none does."""
    following = desk.next(order, after)
    if following is not None:
        return go(answer_path(order, following.name))
    pages.session.notify(word("item_done", pages.session.language, item=desk.item(order).id))
    return go("/")


def saved(request: Request, desk: Desk, pages: Pages, order: int, name: str, key: str, **values: object) -> Response:
    """A change is acknowledged: in a word where the desk's script has gone on already, else on the next page."""
    text = word(key, pages.session.language, **values)
    if AHEAD in request.headers:
        return PlainTextResponse(text)
    pages.session.notify(text)
    return go_on(desk, pages, order, name)
