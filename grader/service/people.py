"""The pages of accounts: who there is, what they may do, and the links that let them in."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response
from sqlalchemy import Connection, delete, select, update

from grader.service import accounts, audit, schema, sessions
from grader.service.access import Form, Refused, TheActor, TheService, allowed
from grader.service.pages import go, say, show
from grader.service.permissions import ROLES

rooms = APIRouter(prefix="/accounts", tags=["accounts"])


@rooms.get("", dependencies=[Depends(allowed("accounts"))])
def people(request: Request, service: TheService) -> Response:
    """Everybody."""
    return _page(request, service)


@rooms.post("", dependencies=[Depends(allowed("accounts"))])
def invite(request: Request, service: TheService, actor: TheActor, form: Form) -> Response:
    """A new account; the page shows its link once."""
    login, name = accounts.normal(str(form.get("login", ""))), str(form.get("name", "")).strip()
    role = _role(form)
    error = accounts.unfit(login, name)
    if error:
        return _page(request, service, 422, error=error)
    with service.database.begin() as connection:
        if not accounts.taken(connection, login):
            account = accounts.create(connection, login, name, role)
            ticket = accounts.new_ticket(connection, account)
            audit.record(connection, actor.account, "account_made", account=account, login=login, role=role)
        else:
            ticket = ""
    if not ticket:
        return _page(request, service, 422, error="login_taken")
    return _page(request, service, link=_link(request, ticket), guest=login)


@rooms.post("/{account}/link", dependencies=[Depends(allowed("accounts"))])
def new_link(request: Request, service: TheService, actor: TheActor, account: str) -> Response:
    """A new link for an account, as when its password is forgotten; earlier links are void."""
    with service.database.begin() as connection:
        login = _login(connection, account)
        ticket = accounts.new_ticket(connection, account)
        audit.record(connection, actor.account, "link_made", account=account)
    return _page(request, service, link=_link(request, ticket), guest=login)


@rooms.post("/{account}/role", dependencies=[Depends(allowed("accounts"))])
def change_role(request: Request, service: TheService, actor: TheActor, account: str, form: Form) -> Response:
    """Another role; it counts from the next request on."""
    role = _role(form)
    with service.database.begin() as connection:
        _login(connection, account)
        if role != "administrator" and accounts.last_administrator(connection, account):
            raise Refused(409, "last_administrator")
        connection.execute(update(schema.account).where(schema.account.c.id == account).values(role=role))
        audit.record(connection, actor.account, "role_changed", account=account, role=role)
    say(request, "saved_plain")
    return go("/accounts")


@rooms.post("/{account}/active", dependencies=[Depends(allowed("accounts"))])
def open_or_close(request: Request, service: TheService, actor: TheActor, account: str, form: Form) -> Response:
    """Close an account, which ends its sessions and links, or open it again. What it did stays under its name."""
    active = form.get("active") == "yes"
    with service.database.begin() as connection:
        _login(connection, account)
        if not active and accounts.last_administrator(connection, account):
            raise Refused(409, "last_administrator")
        connection.execute(update(schema.account).where(schema.account.c.id == account).values(active=active))
        if not active:
            sessions.end_all(connection, account)
            connection.execute(delete(schema.ticket).where(schema.ticket.c.account == account))
        audit.record(connection, actor.account, "account_opened" if active else "account_closed", account=account)
    if account == actor.account and not active:
        return go("/login")
    say(request, "saved_plain")
    return go("/accounts")


def _page(
    request: Request, service: TheService, status: int = 200, error: str = "", link: str = "", guest: str = ""
) -> Response:
    with service.database.read() as connection:
        everybody = accounts.everybody(connection)
    values = {"people": everybody, "roles": ROLES, "error": error, "link": link, "guest": guest}
    return show(request, "service/accounts", status, **values)


def _role(form: Form) -> accounts.Role:
    for role in ROLES:
        if role == form.get("role"):
            return role
    raise Refused(422, "stale")


def _login(connection: Connection, account: str) -> str:
    login = connection.scalar(select(schema.account.c.login).where(schema.account.c.id == account))
    if login is None:
        raise Refused(404, "not_here")
    return str(login)


def _link(request: Request, ticket: str) -> str:
    return f"{request.url.scheme}://{request.url.netloc}/invite?ticket={ticket}"
