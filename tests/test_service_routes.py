"""Every route of the service as everybody: what its own declaration allows, and nothing else.

The routes are taken from the application, so that a new one is tried of itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from fastapi import APIRouter, Depends
from fastapi.routing import APIRoute
from service_client import PEOPLE, Client, House, service_of
from sqlalchemy import func, select

from grader.service import app as service_app
from grader.service import sessions
from grader.service.access import FORM, allowed
from grader.service.database import metadata
from grader.service.permissions import ABROAD, ANYONE, IN_EXAM, MEMBER_ROLES
from grader.service.shield import body_of, permission


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    with service_of(tmp_path / "data", database_url) as made:
        yield made


def cases(house: House, exam: str, account: str) -> Iterator[tuple[APIRoute, str, str]]:
    """(route, method, a real address): what is not an exam or an account is one that is not there."""
    for route in house.app.state.routes:
        for method in sorted(route.methods - {"HEAD"}):
            path = route.path.replace("{exam}", exam).replace("{account}", account)
            yield route, method, re.sub(r"\{[^}]*\}", "0", path)


def ask(client: Client, method: str, path: str) -> SimpleNamespace:
    data = {"csrf": client.csrf} if method != "GET" else None
    answer = client.http.request(method, path, data=data, follow_redirects=False)
    return SimpleNamespace(status=answer.status_code, text=answer.text, to=answer.headers.get("location", ""))


def rows(house: House) -> dict[str, int]:
    """How many rows every table has, but those that any visit changes."""
    with house.service.database.read() as connection:
        tables = [table for table in metadata.sorted_tables if table.name not in {"session", "attempt"}]
        return {t.name: connection.scalar(select(func.count()).select_from(t)) or 0 for t in tables}


def test_every_route_lets_in_whom_it_declares_and_nobody_else(house: House) -> None:
    exam = house.exam()
    wrong: list[object] = []
    tried = 0
    for login in (None, "chen", "vera", "tian", "ling", "ada"):
        role, client = PEOPLE[login] if login else None, house.client(login)
        every = [
            (permission(route).action, method, path) for route, method, path in cases(house, exam.id, house.ids["zhao"])
        ]
        may = {action: action == ANYONE or role in {**ABROAD, **IN_EXAM}.get(action, ()) for action, _, _ in every}
        before = rows(house)
        for action, method, path in every:
            if not may[action]:
                answer = ask(client, method, path)
                if role is not None:
                    right = answer.status == 403
                else:
                    right = answer.to.startswith("/login?back=") if method == "GET" else answer.status == 401
                if not right or exam.title in answer.text.partition("</header>")[2]:
                    wrong.append((login, method, path, action, answer.status))
        if rows(house) != before:
            wrong.append((login, "something was changed"))
        for action, method, path in every:
            if may[action]:
                answer = ask(client, method, path)
                if answer.status in {401, 403, 500} and path != "/login":  # where 401 means a wrong password
                    wrong.append((login, method, path, action, answer.status))
                client = house.client(login) if path in {"/logout", "/me/everywhere"} else client
        tried += len(every)
    assert not wrong
    assert tried > 6 * 35


def test_an_exam_of_others_looks_like_one_that_is_not_there(house: House) -> None:
    mine, theirs, wrong = house.exam(), house.exam(members=False), []
    before = rows(house)
    with house.service.database.begin() as connection:
        sessions.sweep(connection)
    for login in ("chen", "vera", "tian"):
        client = house.client(login)
        for _, method, path in cases(house, theirs.id, house.ids["zhao"]):
            if theirs.id not in path:
                continue
            answer, none = (ask(client, method, p) for p in (path, path.replace(theirs.id, "A" * len(theirs.id))))
            same = answer.text.replace(theirs.id, "") == none.text.replace("A" * len(theirs.id), "")
            if (answer.status, none.status) != (404, 404) or not same:
                wrong.append((login, method, path, answer.status, none.status))
    assert not wrong
    assert rows(house) == before
    assert mine.id in house.client("chen").get("/exams").text
    assert theirs.id not in house.client("chen").get("/exams").text


@pytest.mark.parametrize("token", [None, "", "wrong", "stolen"])
def test_no_change_without_the_token_of_ones_own_page(house: House, token: str | None) -> None:
    exam = house.exam()
    before, wrong = rows(house), []
    stolen = house.client("chen").csrf
    for login in (None, "ada", "tian"):
        client = house.client(login)
        for _, method, path in cases(house, exam.id, house.ids["zhao"]):
            if method == "GET":
                continue
            sent = {} if token is None else {"csrf": stolen if token == "stolen" else token}
            for headers in ({}, {"x-csrf-token": sent.get("csrf", "")}):
                answer = client.http.request(method, path, data=sent, headers=headers, follow_redirects=False)
                if answer.status_code != 403:
                    wrong.append((login, method, path, answer.status_code))
    assert not wrong
    assert rows(house) == before


def test_a_form_that_another_site_sent_is_not_even_read(house: House) -> None:
    client = house.client("ada")
    for site in ("cross-site", "same-site"):
        data, headers = {"csrf": client.csrf, "back": "/exams"}, {"sec-fetch-site": site}
        assert client.http.post("/language", data=data, headers=headers).status_code == 403
    data, headers = {"back": "/exams"}, {"sec-fetch-site": "same-origin", "x-csrf-token": client.csrf}
    assert client.http.post("/language", data=data, headers=headers, follow_redirects=False).status_code == 303


def test_the_contract_lists_every_route(house: House) -> None:
    listed = house.client(None).get("/openapi.json").json()["paths"]
    missing = [
        (method, route.path)
        for route in house.app.state.routes
        for method in route.methods - {"HEAD"}
        if method.lower() not in listed.get(route.path, {})
    ]
    assert not missing
    assert {"/login", "/setup", "/exams", "/accounts", "/audit"} <= set(listed)


@pytest.mark.parametrize("declared", [[], ["mark", "lead"], ["accounts"]])
def test_a_route_that_does_not_say_who_may_use_it_stops_the_start(
    tmp_path: Path, declared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = APIRouter()
    rooms.add_api_route("/exams/{exam}/new", lambda: None, dependencies=[Depends(allowed(a)) for a in declared])
    room = SimpleNamespace(
        router=lambda: rooms, doors=(), words="", own_words=dict, prefix="x", package="grader.service"
    )
    monkeypatch.setattr(service_app, "ROOMS", (room,))
    with pytest.raises(LookupError), service_of(tmp_path / "data"):
        pass


def test_an_action_that_is_none_cannot_be_declared() -> None:
    with pytest.raises(KeyError):
        allowed("everything")


def test_the_table_gives_every_action_to_somebody_and_marking_to_no_administrator() -> None:
    assert all({**ABROAD, **IN_EXAM}.values())
    assert "administrator" not in IN_EXAM["mark"] | IN_EXAM["lead"] | IN_EXAM["release"]
    assert "marker" not in IN_EXAM["see_names"]
    assert all(set(MEMBER_ROLES) >= who - {"administrator"} for who in IN_EXAM.values())


def test_bodies_are_bounded_before_anything_is_read(house: House) -> None:
    exam, client = house.exam(), house.client("ada")
    wrong = []
    for route, method, path in cases(house, exam.id, house.ids["zhao"]):
        if method == "GET":
            continue
        headers = {"content-type": "application/x-www-form-urlencoded", "x-csrf-token": client.csrf}
        too_long = {**headers, "content-length": str(body_of(route) + 1)}
        endless = {**headers, "transfer-encoding": "chunked"}
        for sent, status in ((too_long, 413), (endless, 411), ({**headers, "content-length": "-1"}, 400)):
            request = client.http.build_request(method, path, headers=sent, content=b"csrf=1")
            if client.http.send(request).status_code != status:
                wrong.append((path, status))
    assert not wrong


def test_of_a_strangers_files_nothing_is_read(house: House) -> None:
    exam, stranger = house.exam(), house.client(None)
    large = [
        (method, path)
        for route, method, path in cases(house, exam.id, "0")
        if method != "GET" and body_of(route) > FORM and permission(route).action != ANYONE
    ]
    assert ("POST", f"/exams/{exam.id}/names") in large
    for method, path in large:
        files = {"file": ("a.csv", b"x" * (FORM + 1))}
        answer = stranger.http.request(method, path, data={"csrf": stranger.csrf}, files=files)
        assert answer.status_code == 401, path


def test_every_answer_is_sent_with_care(house: House) -> None:
    exam = house.exam()
    with ExitStack() as stack:
        stack.callback(house.service.note_views)
        for login in (None, "ada", "tian"):
            client = house.client(login)
            for _, method, path in cases(house, exam.id, house.ids["zhao"]):
                if method != "GET":
                    continue
                answer = client.get(path, follow_redirects=False)
                policy = answer.headers["content-security-policy"]
                assert "default-src 'none'" in policy
                assert "unsafe" not in policy
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert answer.headers["x-frame-options"] == "DENY"
                assert answer.headers["cache-control"]
                if answer.headers.get("content-type", "").startswith("text/html"):
                    assert not re.search(r"<[^>]+\s(on\w+|style)=", answer.text), path
                    assert not re.search(r"<script(?![^>]*\ssrc=)", answer.text), path
                    outside = [u for u in re.findall(r'(?:href|src|action)="([^"]*)"', answer.text) if u[:1] != "/"]
                    assert not [u for u in outside if u[:1] not in {"#", "?", ""}], (path, outside)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.168.0.2:8000", ""])
def test_other_hosts_are_refused(house: House, host: str) -> None:
    client = house.client("ada")
    for path in ("/login", "/exams", "/static/desk.css", "/openapi.json"):
        assert client.get(path, headers={"host": host}).status_code == 400
