"""Coming in, staying in and being put out: links, passwords, sessions, guesses, roles."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from argon2 import PasswordHasher, Type
from service_client import PASSWORD, Client, House, service_of
from sqlalchemy import select, update

from grader.service import accounts, audit, schema, sessions, throttle
from grader.service.database import now
from grader.service.service import Settings

SECRET = "rather long and odd"


COST = accounts._hasher


@pytest.fixture(autouse=True)
def cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same function at the least cost: its real one is what one test looks at."""
    cheap = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    monkeypatch.setattr(accounts, "_hasher", cheap)
    monkeypatch.setattr(accounts, "_NOBODY", cheap.hash("nobody's password"))


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    with service_of(tmp_path / "data", database_url) as made:
        yield made


@pytest.fixture
def empty(tmp_path: Path, database_url: str) -> Iterator[House]:
    """A service that nobody has set up."""
    with service_of(tmp_path / "data", database_url, people={}) as made:
        yield made


def link_in(text: str) -> str:
    found = re.search(r"/invite\?ticket=[\w-]+", text)
    assert found is not None
    return found[0]


def set_password(house: House, login: str, password: str = PASSWORD) -> None:
    with house.service.database.begin() as connection:
        accounts.set_password(connection, house.ids[login], accounts.protect(password))


def sign_in(client: Client, login: str, password: str) -> Any:
    return client.http.post(
        "/login", data={"csrf": client.csrf, "login": login, "password": password}, follow_redirects=False
    )


def actions(house: House) -> list[str]:
    with house.service.database.read() as connection:
        return [entry.action for entry in audit.entries(connection)]


# the set-up link


def set_up_ticket(house: House) -> str:
    with house.service.database.begin() as connection:
        return accounts.new_ticket(connection, None)


def test_the_set_up_link_makes_one_administrator_and_works_once(empty: House) -> None:
    ticket, visitor = set_up_ticket(empty), empty.client(None)
    fields = {"ticket": ticket, "login": "Root", "name": "Root R", "password": SECRET, "again": SECRET}
    assert visitor.get(f"/setup?ticket={ticket}").status_code == 200
    first = visitor.token
    done = visitor.post("/setup", **fields)
    assert done.status_code == 200
    assert done.url.path == "/exams"
    assert visitor.http.cookies["grader_session"] != first, "a new session has a new token"
    assert visitor.get("/accounts").status_code == 200
    for again in (empty.client(None), visitor):
        assert again.get(f"/setup?ticket={ticket}").status_code == 404
        assert again.post("/setup", **{**fields, "login": "second"}).status_code == 404
    with empty.service.database.read() as connection:
        people = accounts.everybody(connection)
        held = connection.scalar(select(schema.account.c.password))
    assert [(one.login, one.role, one.ready) for one in people] == [("root", "administrator", True)]
    assert str(held).startswith("$argon2id$")
    assert actions(empty) == ["set_up", "sign_in"]


def test_a_link_of_two_people_at_once_makes_one_account(empty: House) -> None:
    ticket, codes = set_up_ticket(empty), []

    def take(login: str) -> None:
        fields = {"ticket": ticket, "login": login, "name": login, "password": SECRET, "again": SECRET}
        client = empty.client(None)
        data = {"csrf": client.csrf, **fields}
        codes.append(client.http.post("/setup", data=data, follow_redirects=False).status_code)

    threads = [Thread(target=take, args=(f"login{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(codes) == [303, 404, 404, 404]


@pytest.mark.parametrize("ticket", ["", "wrong", "é", "' OR 1=1 --"])
def test_without_the_link_nobody_sets_up(empty: House, ticket: str) -> None:
    visitor = empty.client(None)
    assert visitor.get("/setup", params={"ticket": ticket}).status_code == 404
    fields = {"ticket": ticket, "login": "eve", "name": "Eve", "password": SECRET, "again": SECRET}
    assert visitor.post("/setup", **fields).status_code == 404
    with empty.service.database.read() as connection:
        assert not accounts.set_up(connection)


def test_a_newer_link_voids_the_older_one(empty: House) -> None:
    old, new = set_up_ticket(empty), set_up_ticket(empty)
    assert empty.client(None).get(f"/setup?ticket={old}").status_code == 404
    assert empty.client(None).get(f"/setup?ticket={new}").status_code == 200


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"password": "short", "again": "short"}, "at least 10"),
        ({"password": "1234567890", "again": "1234567890"}, "easily guessed"),
        ({"password": "aaaaaaaaaaaa", "again": "aaaaaaaaaaaa"}, "easily guessed"),
        ({"password": "newcomer99", "again": "newcomer99"}, "easily guessed"),
        ({"password": "x1y2" * 60, "again": "x1y2" * 60}, "at most 200"),
        ({"again": SECRET + "!"}, "not the same"),
        ({"login": "a b"}, "2 to 64 letters"),
        ({"name": ""}, "1 to 64 letters"),
    ],
)
def test_what_does_not_do_is_said_and_the_link_stays_good(empty: House, change: dict[str, str], word: str) -> None:
    ticket, visitor = set_up_ticket(empty), empty.client(None)
    fields = {"ticket": ticket, "login": "newcomer", "name": "New", "password": SECRET, "again": SECRET}
    answer = visitor.post("/setup", **{**fields, **change})
    assert answer.status_code == 422
    assert word in answer.text
    assert SECRET not in answer.text
    assert visitor.post("/setup", **fields).url.path == "/exams"


# invitations


def test_an_invitation_lets_one_person_in_once(house: House) -> None:
    page = house.client("ada").post("/accounts", login="Neu", name="Neu N", role="marker")
    link, guest = link_in(page.text), house.client(None)
    assert "neu" in guest.get(link).text
    fields = {"ticket": link.partition("=")[2], "password": SECRET, "again": SECRET}
    assert guest.post("/invite", **fields).url.path == "/exams"
    assert guest.get("/me").status_code == 200
    assert house.client(None).get(link).status_code == 404
    assert house.client(None).post("/invite", **fields).status_code == 404
    assert sign_in(house.client(None), "NEU ", SECRET).status_code == 303
    assert link not in house.client("ada").get("/accounts").text, "shown once"


def test_a_new_link_ends_sessions_when_it_is_used(house: House) -> None:
    chen = house.client("chen")
    link = link_in(house.client("ada").post(f"/accounts/{house.ids['chen']}/link").text)
    assert chen.get("/me").status_code == 200
    house.client(None).post("/invite", ticket=link.partition("=")[2], password=SECRET, again=SECRET)
    assert chen.get("/me", follow_redirects=False).status_code == 303


def test_a_link_grows_old(house: House) -> None:
    link = link_in(house.client("ada").post(f"/accounts/{house.ids['chen']}/link").text)
    with house.service.database.begin() as connection:
        connection.execute(update(schema.ticket).values(expires=now(-timedelta(seconds=1))))
    assert house.client(None).get(link).status_code == 404


# signing in


def test_passwords_cost_what_is_advised() -> None:
    """OWASP's least for argon2id: 19 MiB and two turns."""
    assert COST.type is Type.ID
    assert COST.memory_cost >= 19 * 1024
    assert COST.time_cost >= 2


def test_signing_in_gives_a_new_token_and_out_ends_it(house: House) -> None:
    set_password(house, "chen")
    visitor = house.client(None)
    before = visitor.token
    answer = sign_in(visitor, "chen", PASSWORD)
    after = visitor.http.cookies["grader_session"]
    cookie = answer.headers["set-cookie"].lower()
    assert after != before
    assert all(flag in cookie for flag in ("httponly", "samesite=lax", "path=/"))
    with house.service.database.read() as connection:
        held = connection.execute(select(schema.session.c.token)).scalars().all()
    assert sessions.digest(after) in held
    assert after not in held, "the database does not hold what the cookie holds"
    visitor.post("/logout")
    visitor.http.cookies.set("grader_session", after, domain="127.0.0.1", path="/")
    assert visitor.get("/exams", follow_redirects=False).headers["location"] == "/login?back=/exams"


@pytest.mark.parametrize(
    ("login", "password"), [("chen", "wrong password"), ("nobody", PASSWORD), ("chen", ""), ("wang", "")]
)
def test_a_wrong_password_and_an_unknown_name_read_the_same(house: House, login: str, password: str) -> None:
    set_password(house, "chen")
    visitor = house.client(None)
    answer = sign_in(visitor, login, password)
    assert answer.status_code == 401
    assert "The login or the password is wrong" in answer.text
    assert login not in answer.text.partition("<main")[2]
    assert actions(house)[-1] == "sign_in_failed"
    assert visitor.get("/exams", follow_redirects=False).status_code == 303


def test_unknown_names_cost_a_verification_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []
    right = accounts._right

    def watched(held: str, password: str) -> bool:
        verified.append(held)
        return right(held, password)

    monkeypatch.setattr(accounts, "_right", watched)
    for login in ("chen", "nobody"):  # chen has no password yet
        assert accounts.sign_in(house.service.database, login, "x", "a") is None
    assert [held.startswith("$argon2id$") for held in verified] == [True, True]


def test_where_one_goes_after_signing_in_is_inside(house: House) -> None:
    set_password(house, "chen")
    for back, to in (
        ("/exams/x?y=1", "/exams/x?y=1"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\e", "/"),
    ):
        visitor = house.client(None)
        data = {"csrf": visitor.csrf, "login": "chen", "password": PASSWORD, "back": back}
        assert visitor.http.post("/login", data=data, follow_redirects=False).headers["location"] == to


def test_guessing_ends_for_a_name_and_a_restart_forgets_nothing(tmp_path: Path, database_url: str) -> None:
    with service_of(tmp_path / "data", database_url) as house:
        set_password(house, "chen")
        codes = [sign_in(house.client(None), "chen", f"wrong {n}").status_code for n in range(throttle.FOR_NAME)]
        assert codes == [401] * throttle.FOR_NAME
        refused = sign_in(house.client(None), "Chen", PASSWORD)
        assert refused.status_code == 429
        assert "quarter of an hour" in refused.text
    with service_of(tmp_path / "data", database_url, people={}) as house:
        assert sign_in(house.client(None), "chen", PASSWORD).status_code == 429, "after a restart as well"
        with house.service.database.begin() as connection:
            connection.execute(update(schema.attempt).values(at=now(-throttle.WINDOW - timedelta(seconds=1))))
        assert sign_in(house.client(None), "chen", PASSWORD).status_code == 303


def test_guessing_ends_for_an_address_whatever_the_name(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "FOR_ADDRESS", 5)
    set_password(house, "chen")
    codes = [sign_in(house.client(None), f"name{n}", "wrong").status_code for n in range(6)]
    assert codes == [401] * 5 + [429]
    assert sign_in(house.client(None), "chen", PASSWORD).status_code == 429


def test_the_right_password_forgives_earlier_mistakes(house: House) -> None:
    set_password(house, "chen")
    for _ in range(3):
        for n in range(throttle.FOR_NAME - 1):
            assert sign_in(house.client(None), "chen", f"wrong {n}").status_code == 401
        assert sign_in(house.client(None), "chen", PASSWORD).status_code == 303


# sessions


@pytest.mark.parametrize(
    ("column", "age", "stands"),
    [
        ("seen", sessions.IDLE - timedelta(minutes=5), True),
        ("seen", sessions.IDLE + timedelta(seconds=1), False),
        ("created", sessions.ABSOLUTE - timedelta(minutes=5), True),
        ("created", sessions.ABSOLUTE + timedelta(seconds=1), False),
    ],
)
def test_sessions_end_by_themselves(house: House, column: str, age: timedelta, stands: bool) -> None:
    chen = house.client("chen")
    with house.service.database.begin() as connection:
        connection.execute(update(schema.session).values({column: now(-age)}))
    assert chen.get("/me", follow_redirects=False).status_code == (200 if stands else 303)
    if stands and column == "seen":
        with house.service.database.read() as connection:
            assert str(connection.scalar(select(schema.session.c.seen))) > now(-timedelta(minutes=1)), "it was used now"
    with house.service.database.begin() as connection:
        sessions.sweep(connection)
        assert (connection.execute(select(schema.session)).first() is not None) == stands


def test_out_everywhere_ends_every_session_of_mine_alone(house: House) -> None:
    one, two, other = house.client("chen"), house.client("chen"), house.client("wang")
    one.post("/me/everywhere")
    codes = [client.get("/me", follow_redirects=False).status_code for client in (one, two, other)]
    assert codes == [303, 303, 200]


def test_a_new_password_needs_the_old_one_and_ends_other_sessions(house: House) -> None:
    set_password(house, "chen")
    here, there = house.client("chen"), house.client("chen")
    assert here.post("/me/password", old="wrong", password=SECRET, again=SECRET).status_code == 422
    assert sign_in(house.client(None), "chen", PASSWORD).status_code == 303
    assert here.post("/me/password", old=PASSWORD, password=SECRET, again=SECRET).url.path == "/me"
    assert here.get("/me", follow_redirects=False).status_code == 200
    assert there.get("/me", follow_redirects=False).status_code == 303
    assert sign_in(house.client(None), "chen", PASSWORD).status_code == 401
    assert sign_in(house.client(None), "chen", SECRET).status_code == 303


def test_a_closed_account_is_out_at_once_and_stays_out(house: House) -> None:
    set_password(house, "chen")
    chen, ada = house.client("chen"), house.client("ada")
    link = link_in(ada.post(f"/accounts/{house.ids['chen']}/link").text)
    ada.post(f"/accounts/{house.ids['chen']}/active", active="")
    assert chen.get("/me", follow_redirects=False).status_code == 303
    assert sign_in(house.client(None), "chen", PASSWORD).status_code == 401
    assert house.client(None).get(link).status_code == 404
    ada.post(f"/accounts/{house.ids['chen']}/active", active="yes")
    assert sign_in(house.client(None), "chen", PASSWORD).status_code == 303


def test_roles_count_from_the_next_request_on(house: House) -> None:
    exam, chen, ada = house.exam(), house.client("chen"), house.client("ada")
    assert chen.get("/accounts").status_code == 403
    ada.post(f"/accounts/{house.ids['chen']}/role", role="administrator")
    assert chen.get("/accounts").status_code == 200
    ada.post(f"/accounts/{house.ids['chen']}/role", role="marker")
    assert chen.get("/accounts").status_code == 403
    ling = house.client("ling")
    assert chen.get(f"/exams/{exam.id}").status_code == 200
    ling.post(f"/exams/{exam.id}/members/remove", account=house.ids["chen"], role="marker")
    assert chen.get(f"/exams/{exam.id}").status_code == 404
    ling.post(f"/exams/{exam.id}/members", account=house.ids["chen"], role="viewer")
    assert chen.get(f"/exams/{exam.id}").status_code == 200
    assert ling.post(f"/exams/{exam.id}/members", account=house.ids["chen"], role="administrator").status_code == 422


def test_the_last_administrator_stays(house: House) -> None:
    ada, me = house.client("ada"), house.ids["ada"]
    set_password(house, "ada")
    assert ada.post(f"/accounts/{me}/active", active="").status_code == 409
    assert ada.post(f"/accounts/{me}/role", role="viewer").status_code == 409
    ada.post(f"/accounts/{house.ids['ling']}/role", role="administrator")
    assert ada.post(f"/accounts/{me}/role", role="viewer").status_code == 409, "ling cannot sign in yet"
    set_password(house, "ling")
    assert ada.post(f"/accounts/{me}/role", role="viewer").status_code in {200, 403}
    assert ada.get("/accounts").status_code == 403


def test_the_language_is_remembered_with_the_account(house: House) -> None:
    chen = house.client("chen")
    assert "My account" in chen.get("/me", headers={"accept-language": "en"}).text
    assert "修改密码" in chen.post("/language", back="/me").text
    assert "修改密码" in house.client("chen").get("/me", headers={"accept-language": "en"}).text
    visitor = house.client(None)
    assert "登录" in visitor.get("/login", headers={"accept-language": "zh-CN,zh;q=0.9"}).text


def test_behind_tls_the_cookie_says_so(tmp_path: Path) -> None:
    with service_of(tmp_path / "data", settings=Settings(hosts=("marks.example",), secure=True)) as house:
        set_password(house, "chen")
        visitor = house.client(None)
        visitor.http.base_url = "https://marks.example"
        visitor.http.cookies.clear()
        page = visitor.get("/login")
        token = re.search(r'name="csrf" value="(\w+)"', page.text)
        assert token is not None
        data = {"csrf": token[1], "login": "chen", "password": PASSWORD}
        answer = visitor.http.post("/login", data=data, follow_redirects=False)
        assert answer.status_code == 303
        assert answer.headers["set-cookie"].startswith("__Host-grader=")
        assert "; secure" in answer.headers["set-cookie"].lower()
        assert "max-age" in answer.headers["strict-transport-security"]
