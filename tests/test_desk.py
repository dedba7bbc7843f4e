"""Every route of the desk: what it shows and does, to whom, and what it never shows."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import report_run
from desk_run import NUMERIC, SHORT, Visitor, links, rows, visiting
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from grader.desk.app import entrance, rooms
from grader.desk.desk import Desk
from grader.errors import StoreError
from grader.store.decisions import MARKER
from grader.store.store import RunStore

ROUTES = [(route.path, next(iter(route.methods))) for route in rooms.routes if isinstance(route, APIRoute)]


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Visitor]:
    with visiting(tmp_path) as found:
        yield found


def path_of(route: str, visitor: Visitor) -> str:
    """A real address of a route."""
    one = visitor.first(SHORT).rpartition("/")[2]
    page = next(iter(visitor.desk.lost_pages())).name
    name = page if route.startswith("/pages") else one
    return route.replace("{order}", str(SHORT)).replace("{name}", name)


def saved(visitor: Visitor) -> int:
    return sum(marker.startswith(MARKER) for _, _, marker in rows(visitor.desk).values())


# who may use it


@pytest.mark.parametrize(("route", "method"), ROUTES)
def test_nobody_gets_in_without_the_cookie(visitor: Visitor, route: str, method: str) -> None:
    stranger = TestClient(visitor.app, base_url="http://127.0.0.1:8765")
    path = path_of(route, visitor)
    for cookies in ({}, {"desk": "x" * 43}):
        stranger.cookies = cookies  # type: ignore[assignment]
        answer = stranger.request(method, path, data={"csrf": visitor.session.csrf} if method == "POST" else None)
        assert answer.status_code == 401
        assert report_run.EXAM.exam.title not in unescape(answer.text)
        assert "csrf" not in answer.text
    assert saved(visitor) == 0


@pytest.mark.parametrize("route", [path for path, method in ROUTES if method == "POST"])
@pytest.mark.parametrize("token", [None, "", "wrong"])
def test_no_change_without_our_own_form(visitor: Visitor, route: str, token: str | None) -> None:
    before, language = rows(visitor.desk), visitor.session.language
    fields = {"act": "full", "candidate": "1"} | ({} if token is None else {"csrf": token})
    answer = visitor.client.post(path_of(route, visitor), data=fields)
    assert answer.status_code == 403
    assert (rows(visitor.desk), visitor.session.language) == (before, language)


def test_the_ticket_works_once(visitor: Visitor, tmp_path: Path) -> None:
    assert visitor.session.ticket is None
    again = TestClient(visitor.app, base_url="http://127.0.0.1:8765")
    for ticket in ("", "wrong", "é"):
        assert again.get("/enter", params={"ticket": ticket}).status_code == 403
    with RunStore.open(tmp_path / "run") as store:
        fresh = Visitor(Desk(store, "chen"))
        ticket = fresh.session.ticket
        assert fresh.client.get("/enter", params={"ticket": "wrong"}).status_code == 403
        entered = fresh.client.get("/enter", params={"ticket": ticket}, follow_redirects=False)
        cookie = entered.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        thief = TestClient(fresh.app, base_url="http://127.0.0.1:8765")
        assert thief.get("/enter", params={"ticket": ticket}).status_code == 403


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.168.0.2:8765", ""])
def test_other_hosts_are_refused(visitor: Visitor, host: str) -> None:
    assert visitor.client.get("/", headers={"host": host}).status_code == 400
    assert visitor.client.get("/static/desk.css", headers={"host": host}).status_code == 400


def test_every_answer_is_sent_with_care(visitor: Visitor) -> None:
    paths = ["/", "/pages", "/none", "/static/desk.js", visitor.first(SHORT)]
    for path in paths:
        headers = visitor.client.get(path).headers
        policy = headers["content-security-policy"]
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"]
    text = visitor.client.get(visitor.first(NUMERIC)).text
    assert "<script>" not in text
    assert not re.search(r"\s(on\w+|style)=", text), "nothing that the policy would have to allow"


def test_the_desk_loads_nothing_from_outside(visitor: Visitor) -> None:
    for path in ("/", "/pages", visitor.first(SHORT), visitor.first(SHORT) + "/group"):
        for link in links(visitor.client.get(path).text):
            assert link.startswith("/"), link
            assert not link.startswith("//"), link


def test_forms_are_bounded(visitor: Visitor) -> None:
    path = visitor.first(SHORT)
    assert visitor.post(path, mark="1", comment="x" * 1_100_000).status_code == 413
    endless = visitor.client.post(path, content=iter([b"mark=1"]), headers={"content-type": "text/plain"})
    assert endless.status_code == 411
    assert saved(visitor) == 0


# what it shows


def test_the_desk_is_blind(visitor: Visitor) -> None:
    candidates = {row.candidate for row in visitor.desk.store.results()} - {""}
    scans = {Path(row.file).name for row in visitor.desk.store.ledger() if row.file}
    assert len(candidates) == 8
    for order in range(len(visitor.desk.exam.items)):
        for one in visitor.desk.queue(order)[0].entries:
            for path in (f"/items/{order}/answers/{one.name}", f"/items/{order}/answers/{one.name}/group"):
                answer = visitor.client.get(path)
                seen = f"{answer.url} {answer.headers} {unescape(answer.text)}"
                assert answer.status_code == 200
                assert not [told for told in candidates | scans if told in seen]
    assert not [told for told in candidates | scans if told in visitor.client.get("/").text]


def test_hostile_text_stays_text(visitor: Visitor) -> None:
    queue, _ = visitor.desk.queue(SHORT)
    hostile = next(one.name for one in queue.entries if "<script>" in visitor.desk.answer(SHORT, one.name).response)
    for path in (f"/items/{SHORT}/answers/{hostile}", f"/items/{SHORT}/answers/{hostile}/group"):
        text = visitor.client.get(path).text
        assert "alert(1)" in text
        assert "<script>alert" not in text
        assert "<img src=x" not in text
        assert "{{ 7*7 }}" in text
        assert "物态变化 &lt;b&gt;" in text
    visitor.post(f"/items/{SHORT}/answers/{hostile}", mark="0", comment="<script>alert(3)</script>")
    again = visitor.client.get(f"/items/{SHORT}/answers/{hostile}").text
    assert "&lt;script&gt;alert(3)" in again
    assert "<script>alert(3)" not in again


def test_an_answer_stands_with_all_that_decides_it(visitor: Visitor) -> None:
    text = unescape(visitor.client.get(visitor.first(SHORT)).text)
    for told in ("水凝固成冰时体积变大", "体积变大", "含指令性文字", "建议分", "置信度 80%"):
        assert told in text
    assert "3.2 m/s" in visitor.client.get(visitor.first(NUMERIC)).text
    picture = visitor.client.get(visitor.first(SHORT) + "/crop.png")
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")


def test_the_language_can_be_switched(visitor: Visitor) -> None:
    path = visitor.first(SHORT)
    assert "识读文本" in visitor.client.get(path).text
    shown = visitor.post("/language", back=path)
    assert urlsplit(str(shown.url)).path == path
    assert "Transcription" in shown.text
    assert "识读文本" not in shown.text
    answer = visitor.client.post(
        "/language", data={"csrf": visitor.session.csrf, "back": "//evil.example"}, follow_redirects=False
    )
    assert answer.headers["location"] == "/"


@pytest.mark.parametrize(
    "path",
    ["/none", "/items/99/next", "/items/-1/next", "/items/x/next", "/items/0/answers/aaaa", "/pages/a/picture.jpg"],
)  # fmt: skip
def test_what_is_not_there_is_said(visitor: Visitor, path: str) -> None:
    answer = visitor.client.get(path)
    assert answer.status_code == 404
    assert "没有此页" in answer.text
    assert "Traceback" not in answer.text


# what it does


def test_accepting_the_proposal_goes_on_to_the_next(visitor: Visitor) -> None:
    path = visitor.first(SHORT)
    name = path.rpartition("/")[2]
    before = visitor.desk.answer(SHORT, name)
    text = visitor.client.get(path).text
    shown = re.search(r'name="mark" value="([^"]*)"', text)
    assert shown is not None
    criterion = re.search(r'name="criterion.0" value="([^"]*)"', text)
    assert criterion is not None
    answer = visitor.post(path, mark=shown[1], **{"criterion.0": criterion[1]}, act="save")
    assert urlsplit(str(answer.url)).path != path
    assert "已保存" in answer.text
    after = visitor.desk.answer(SHORT, name)
    assert (after.mark, after.status, after.marker) == (before.mark, "final", "person:chen")
    assert {c.id: c.mark for c in after.criteria} == {c.id: c.mark for c in before.criteria}
    assert "已保存" not in visitor.client.get("/").text, "said once"


@pytest.mark.parametrize(("act", "mark"), [("full", 4.0), ("zero", 0.0)])
def test_full_and_zero(visitor: Visitor, act: str, mark: float) -> None:
    path = visitor.first(SHORT)
    visitor.post(path, act=act, mark="", comment="seen")
    row = visitor.desk.answer(SHORT, path.rpartition("/")[2])
    assert (row.mark, row.comment) == (mark, "seen")
    assert [(c.id, c.mark) for c in row.criteria] == [("a", mark)]


@pytest.mark.parametrize("mark", ["", "x", "5", "-1", "nan", "inf", "1e9", "４.５"])
def test_an_impossible_mark_is_said_and_nothing_typed_is_lost(visitor: Visitor, mark: str) -> None:
    path = visitor.first(SHORT)
    before = rows(visitor.desk)
    answer = visitor.post(path, mark=mark, comment="<my> comment", **{"criterion.0": "9"})
    assert answer.status_code == 422
    assert "分数须为 0 至 4 的数字" in answer.text
    assert "&lt;my&gt; comment" in answer.text
    assert f'value="{mark}"' in answer.text
    assert rows(visitor.desk) == before


def test_the_queue_ends_on_the_overview(visitor: Visitor) -> None:
    _, waiting = visitor.desk.queue(NUMERIC)
    count = len(waiting)
    assert count == 5
    for left in range(count, 0, -1):
        answer = visitor.client.get(f"/items/{NUMERIC}/next")
        assert f"剩余 {left}" in answer.text
        answer = visitor.post(urlsplit(str(answer.url)).path, act="zero")
    assert urlsplit(str(answer.url)).path == "/"
    assert "第 3 题已评完" in answer.text


def test_skipping_comes_back_later(visitor: Visitor) -> None:
    met = [visitor.first(NUMERIC)]
    for _ in range(5):
        name = met[-1].rpartition("/")[2]
        answer = visitor.client.get(f"/items/{NUMERIC}/next", params={"after": name})
        met.append(urlsplit(str(answer.url)).path)
    assert len(set(met[:5])) == 5
    assert met[5] == met[0]


def test_undo_takes_back_and_shows_the_answer(visitor: Visitor) -> None:
    before = rows(visitor.desk)
    paths = [visitor.first(SHORT)]
    visitor.post(paths[0], act="full")
    paths.append(visitor.first(NUMERIC))
    visitor.post(paths[1], act="zero")
    for path in reversed(paths):
        answer = visitor.post("/undo")
        assert urlsplit(str(answer.url)).path == path
        assert "已撤销" in answer.text
    assert rows(visitor.desk) == before
    assert "没有可撤销的操作" in visitor.post("/undo").text
    assert visitor.first(SHORT) == paths[0], "it waits again"


def test_identical_answers_are_marked_together_with_exceptions(visitor: Visitor) -> None:
    before = rows(visitor.desk)
    path = visitor.first(NUMERIC)
    page = visitor.client.get(path + "/group").text
    names = re.findall(r'name="except" value="(\w+)"', page)
    assert len(names) == 5
    assert "应用于全部 5 份" in page
    assert visitor.post(path + "/group", mark="9", count="5").status_code == 422
    assert visitor.post(path + "/group", mark="2", count="6").status_code == 409, "not the group that was seen"
    assert rows(visitor.desk) == before
    answer = visitor.post(path + "/group", mark="2", count="5", **{"except": names[3]})
    assert "已保存：4 份作答各 2 / 3" in answer.text
    changed = {key: row for key, row in rows(visitor.desk).items() if row != before[key]}
    assert set(changed.values()) == {(2.0, "final", "person:chen")}
    assert len(changed) == 4
    assert visitor.desk.answer(NUMERIC, names[3]).status == "review"
    assert "已撤销 4 份" in visitor.post("/undo").text
    assert rows(visitor.desk) == before


def test_a_page_without_a_candidate_is_given_to_one(visitor: Visitor) -> None:
    pages = {page.row.reason: page for page in visitor.desk.lost_pages()}
    unread, foreign = pages["identity_unread"], pages["no_fiducials"]
    shown = visitor.client.get("/pages").text
    assert shown.count('name="candidate"') == 1, "a page that does not lie on the form has no answers to give"
    picture = visitor.client.get(f"/pages/{unread.name}/picture.jpg")
    assert picture.content.startswith(b"\xff\xd8")
    assert visitor.post(f"/pages/{unread.name}/candidate", candidate=" ").status_code == 422
    assert visitor.post(f"/pages/{foreign.name}/candidate", candidate="2001").status_code == 409
    answer = visitor.post(f"/pages/{unread.name}/candidate", candidate=" 2001 ")
    assert "页面已归属考生 2001" in answer.text
    with (visitor.desk.store.folder / "results.csv").open(encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert {row["item"] for row in written if row["candidate"] == "2001"} == {"1", "2", "3", "4"}
    assert visitor.client.get(f"/pages/{unread.name}/picture.jpg").status_code == 404, "it is not lost any more"


def test_a_page_given_to_a_candidate_who_has_it_is_a_duplicate(visitor: Visitor) -> None:
    unread = next(page for page in visitor.desk.lost_pages() if page.attributable)
    assert "已有其他扫描" in visitor.post(f"/pages/{unread.name}/candidate", candidate="1001").text


def test_the_files_are_written_by_the_button_and_at_the_end(visitor: Visitor) -> None:
    results = visitor.desk.store.folder / "results.csv"

    def marked() -> int:
        with results.open(encoding="utf-8") as file:
            return sum(row["status"] == "final" for row in csv.DictReader(file))

    visitor.post(visitor.first(SHORT), act="full")
    assert not results.exists()
    assert "results.csv 已写入" in visitor.post("/refresh").text
    first = marked()
    with visitor.client:  # starts and stops the application in order
        visitor.post(visitor.first(SHORT), act="full")
        assert marked() == first
    assert marked() == first + 1


def test_marks_stand_after_the_desk_is_opened_again(visitor: Visitor) -> None:
    path = visitor.first(SHORT)
    visitor.post(path, mark="2", comment="half")
    again = Visitor(Desk(visitor.desk.store, "chen")).enter()
    text = again.client.get(path).text
    assert "chen 已评：2" in text
    assert 'value="2"' in text
    assert "half" in text
    answer = again.post("/undo")
    assert urlsplit(str(answer.url)).path == path, "undo reaches back over a restart"


def test_a_run_that_is_not_finished_has_no_desk(tmp_path: Path) -> None:
    with RunStore.create(tmp_path) as store, pytest.raises(StoreError, match="not finished"):
        Desk(store, "chen")


def test_every_route_but_the_entrance_is_guarded() -> None:
    assert [route.path for route in entrance.routes if isinstance(route, APIRoute)] == ["/enter"]
    assert len(ROUTES) > 10
