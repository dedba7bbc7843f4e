"""Coming in and going out: signing in, the set-up link, invitations, the language, one's own password."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response
from sqlalchemy import update

from grader.service import accounts, audit, schema, sessions
from grader.service.access import Form, Refused, TheActor, TheService, allowed
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
        account = accounts.sign_in(service.database, str(form.get("login", "")), str(form.get("password", "")), address)
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


@rooms.get("/setup", dependencies=[Depends(allowed("anyone"))])
def set_up_page(request: Request, service: TheService, ticket: str = "") -> Response:
    """The first administrator's account, for whoever holds the link that the server printed."""
    return _ticket_page(request, service, ticket, first=True)


@rooms.get("/invite", dependencies=[Depends(allowed("anyone"))])
def invitation(request: Request, service: TheService, ticket: str = "") -> Response:
    """Where an invited person sets a password."""
    return _ticket_page(request, service, ticket, first=False)


@rooms.post("/setup", dependencies=[Depends(allowed("anyone"))])
def set_up(request: Request, service: TheService, form: Form) -> Response:
    """Make the first administrator."""
    ticket, login = str(form.get("ticket", "")), accounts.normal(str(form.get("login", "")))
    _holder(service, ticket, first=True)
    name = str(form.get("name", "")).strip()
    error = accounts.unfit(login, name) or _wrong_password(form, login)
    if error:
        return show(request, "service/password", 422, first=True, ticket=ticket, login=login, name=name, error=error)
    protected = accounts.protect(str(form["password"]))
    with service.database.begin() as connection:
        if not accounts.use_ticket(connection, ticket) or accounts.set_up(connection):
            raise Refused(404, "ticket_used")
        account = accounts.create(connection, login, name, "administrator")
        accounts.set_password(connection, account, protected)
        audit.record(connection, account, "set_up", login=login)
    return enter(request, service, account, "/")


@rooms.post("/invite", dependencies=[Depends(allowed("anyone"))])
def accept(request: Request, service: TheService, form: Form) -> Response:
    """Set the invited account's password; sessions that it had end."""
    ticket = str(form.get("ticket", ""))
    account, login = _holder(service, ticket, first=False)
    error = _wrong_password(form, login)
    if error:
        return show(request, "service/password", 422, first=False, ticket=ticket, login=login, name="", error=error)
    protected = accounts.protect(str(form["password"]))
    with service.database.begin() as connection:
        if not accounts.use_ticket(connection, ticket):
            raise Refused(404, "ticket_used")
        accounts.set_password(connection, account, protected)
        sessions.end_all(connection, account)
        audit.record(connection, account, "password_set")
    return enter(request, service, account, "/")


def _ticket_page(request: Request, service: TheService, ticket: str, first: bool) -> Response:
    _, login = _holder(service, ticket, first)
    return show(request, "service/password", first=first, ticket=ticket, login=login, name="", error="")


def _holder(service: TheService, ticket: str, first: bool) -> tuple[str, str]:
    """Account and login that a ticket is for; both "" for the first administrator. Raises Refused for a used one."""
    with service.database.read() as connection:
        good, account = accounts.holder(connection, ticket)
        if not good or first != (account is None):
            raise Refused(404, "ticket_used")
        return ("", "") if account is None else (account, sessions.actor(connection, account).login)


def _wrong_password(form: Form, login: str) -> str:
    """Key of what is wrong with the new password in a form, or ""."""
    password = str(form.get("password", ""))
    if password != str(form.get("again", "")):
        return "password_differs"
    return accounts.weakness(password, login) or ""


@rooms.get("/me", dependencies=[Depends(allowed("enter"))])
def my_account(request: Request) -> Response:
    """One's own account."""
    return show(request, "service/me", error="")


@rooms.post("/me/password", dependencies=[Depends(allowed("enter"))])
def change_password(request: Request, service: TheService, actor: TheActor, form: Form) -> Response:
    """Change one's own password; every other session ends."""
    address = address_of(request)
    try:
        right = accounts.sign_in(service.database, actor.login, str(form.get("old", "")), address) == actor.account
    except TooMany as many:
        raise Refused(429, "too_many") from many
    error = _wrong_password(form, actor.login) if right else "wrong_password"
    if error:
        return show(request, "service/me", 422, error=error)
    protected = accounts.protect(str(form["password"]))
    with service.database.begin() as connection:
        accounts.set_password(connection, actor.account, protected)
        sessions.end_all(connection, actor.account)
        audit.record(connection, actor.account, "password_changed")
    return enter(request, service, actor.account, "/me")


@rooms.post("/me/everywhere", dependencies=[Depends(allowed("enter"))])
def sign_out_everywhere(service: TheService, actor: TheActor) -> Response:
    """End all of one's own sessions."""
    with service.database.begin() as connection:
        sessions.end_all(connection, actor.account)
        audit.record(connection, actor.account, "sign_out_everywhere")
    return go("/login")


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
