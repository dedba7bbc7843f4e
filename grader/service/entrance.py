"""Coming in and going out: signing in, the set-up link, invitations, the language, one's own password."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import update

from grader.service import audit, schema, sessions
from grader.service.access import Form, Refused, TheService, allowed
from grader.service.accounts import sign_in
from grader.service.pages import LANGUAGE_COOKIE, give_cookie, go, language_of, show
from grader.service.throttle import TooMany

rooms = APIRouter(tags=["entrance"])


@rooms.get("/", dependencies=[Depends(allowed("enter"))])
def start() -> Response:
    """To the exams."""
    return go("/exams")


@rooms.get("/login", dependencies=[Depends(allowed("anyone"))])
def login_page(request: Request, back: str = "/") -> Response:
    """Where one signs in."""
    return go(inside(back)) if request.state.actor else show(request, "service/login", back=inside(back), error="")


@rooms.post("/login", dependencies=[Depends(allowed("anyone"))])
def login(request: Request, service: TheService, form: Form) -> Response:
    """Sign in: a new session with a new token."""
    address, back = address_of(request), inside(str(form.get("back", "/")))
    try:
        account = sign_in(service.database, str(form.get("login", "")), str(form.get("password", "")), address)
    except TooMany as error:
        raise Refused(429, "too_many") from error
    if account is None:
        return show(request, "service/login", 401, back=back, error="wrong_login")
    return enter(request, service, account, back)


def enter(request: Request, service: TheService, account: str, back: str) -> Response:
    """Begin a session of the account and go on to `back`."""
    with service.database.begin() as connection:
        sessions.end(connection, request.cookies.get(service.cookie, ""))
        token = sessions.begin(connection, account, address_of(request))
        audit.record(connection, account, "sign_in", address=address_of(request))
    response = go(back)
    give_cookie(request, response, token)
    return response


@rooms.post("/logout", dependencies=[Depends(allowed("enter"))])
def logout(request: Request, service: TheService) -> Response:
    """Sign out of this session."""
    with service.database.begin() as connection:
        sessions.end(connection, request.cookies.get(service.cookie, ""))
        audit.record(connection, request.state.actor.account, "sign_out")
    response = go("/login")
    response.delete_cookie(service.cookie, path="/", secure=service.settings.secure, httponly=True)
    return response


@rooms.post("/language", dependencies=[Depends(allowed("anyone"))])
def language(request: Request, service: TheService, form: Form) -> Response:
    """Switch between Chinese and English; an account remembers it."""
    chosen = "en" if language_of(request) == "zh" else "zh"
    if request.state.actor:
        with service.database.begin() as connection:
            mine = schema.account.c.id == request.state.actor.account
            connection.execute(update(schema.account).where(mine).values(language=chosen))
    response = RedirectResponse(inside(str(form.get("back", "/"))), 303)
    response.set_cookie(LANGUAGE_COOKIE, chosen, max_age=31_536_000, samesite="lax", path="/", httponly=True)
    return response


def inside(path: str) -> str:
    """The path if it is one of ours, else the start."""
    return path if path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable() else "/"


def address_of(request: Request) -> str:
    """Where the request came from. Behind a proxy uvicorn puts the client's address in its place (--proxy)."""
    return request.client.host if request.client else ""
