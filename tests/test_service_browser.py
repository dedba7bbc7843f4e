"""The pages of the service in a real Chromium: how one comes in, and whether everybody can use them (axe).

Pages are found by following links, so that a new page is looked at of itself.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from centre_run import make_centre
from service_client import PASSWORD, House, service_of
from service_server import Site, serving
from starlette.routing import Match

from grader.service import accounts, vault

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install grader[dev])")
axe = pytest.importorskip(
    "axe_playwright_python.sync_playwright", reason="axe is not installed (pip install grader[dev])"
)
# Pictures of the pages are kept where this says, for a person to look at.
PICTURES = os.environ.get("SERVICE_PICTURES")
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"], "resultTypes": ["violations"]}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with service_of(tmp_path / "data") as house, serving(house) as made:
        yield made


def keep(page: Page, name: str) -> None:
    if PICTURES:
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{PICTURES}/{name}.png", full_page=True)


def faults(page: Page) -> list[str]:
    """What axe calls serious or critical on this page."""
    found = axe.Axe().run(page, options=RULES).response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]} ({node['failureSummary'][:300]})"
        for one in found
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


def route_of(house: House, path: str) -> str | None:
    """The path of the route that an address leads to, so that each is looked at once."""
    scope = {"type": "http", "method": "GET", "path": path, "root_path": ""}
    return next((r.path for r in house.app.state.routes if r.matches(scope)[0] is Match.FULL), None)


def walk(page: Page, site: Site, starts: list[str], who: str, said: dict[str, list[str]]) -> None:
    """Follow links; what axe says about a page of each route that nobody met before goes into `said`."""
    waiting, fresh = list(starts), set(starts)
    while waiting:
        path = waiting.pop(0)
        route = route_of(site.house, urlsplit(path).path)
        if (
            route is None
            or (route in said and path not in fresh)
            or re.search(r"\.(png|jpg|zip|csv|xlsx|pdf|jsonl)$|export|file", route)
        ):
            continue
        answer = page.goto(site.root + path)
        assert answer is not None
        assert answer.status < 400, (who, path, answer.status)
        fresh.discard(path)
        html = (answer.headers.get("content-type") or "").startswith("text/html")
        if route not in said:
            said[route] = faults(page) if html else []
            keep(page, f"{who}-{re.sub(r'[^a-z]+', '-', route.lower()).strip('-') or 'start'}")
        if html:
            links = page.eval_on_selector_all("a[href]", "all => all.map(a => a.getAttribute('href'))")
            waiting += [link for link in links if link.startswith("/") and not link.startswith("/static")]


def test_every_control_has_a_name_and_every_word_can_be_read(site: Site, chromium: Browser) -> None:
    house = site.house
    centre = make_centre(house)
    homework = house.exam(kind="homework")
    with house.service.database.begin() as connection:
        vault.keep(connection, centre.exam.id, {"20260001": "王小明", "20260002": "Chloë Doe"})
    said: dict[str, list[str]] = {}
    heard: list[str] = []
    for who, locale in (("tian", "zh-CN"), ("ling", "en-GB"), ("chen", "zh-CN"), ("ada", "en-GB")):
        context = chromium.new_context(viewport={"width": 1360, "height": 860}, locale=locale)
        context.add_cookies([site.cookie(who)])  # type: ignore[list-item]
        page = context.new_page()
        page.on("console", lambda message: heard.append(message.text) if message.type == "error" else None)
        walk(page, site, ["/exams", f"/exams/{centre.exam.id}", f"/exams/{homework.id}"], who, said)
        context.close()
    assert {route: found for route, found in said.items() if found} == {}
    assert {"/exams", "/exams/{exam}", "/exams/{exam}/keeping", "/accounts", "/audit", "/exams/new"} <= set(said)
    assert heard == [], "nothing that the policy refuses, nothing that is missing"


def test_coming_in_from_the_link_to_the_first_exam(tmp_path: Path, chromium: Browser) -> None:
    with service_of(tmp_path / "data", people={}) as house, serving(house) as site:
        with house.service.database.begin() as connection:
            ticket = accounts.new_ticket(connection, None)
        context = chromium.new_context(viewport={"width": 1000, "height": 760}, locale="zh-CN")
        page = context.new_page()
        page.goto(f"{site.root}/setup?ticket={ticket}")
        keep(page, "entrance-setup")
        assert faults(page) == []
        page.fill("[name=login]", "ada")
        page.fill("[name=name]", "Ada L")
        page.fill("[name=password]", PASSWORD)
        page.fill("[name=again]", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_url("**/exams")
        page.goto(f"{site.root}/accounts")
        page.fill("[name=login]", "ling")
        page.fill("[name=name]", "凌老师")
        page.select_option(".row [name=role]", "leader")
        page.click(".row .main")
        link = page.inner_text(".issued code")
        keep(page, "accounts-link")
        assert faults(page) == []
        guest = chromium.new_context(viewport={"width": 390, "height": 800}, locale="zh-CN").new_page()
        guest.goto(link)
        guest.fill("[name=password]", PASSWORD)
        guest.fill("[name=again]", PASSWORD)
        keep(guest, "entrance-invite-phone")
        guest.keyboard.press("Enter")
        guest.wait_for_url("**/exams")
        guest.goto(f"{site.root}/exams/new")
        guest.fill("[name=text]", "exam: {id: x}\nitems: [{id: 1}]")
        guest.click("button.main")
        guest.wait_for_selector(".problems")
        keep(guest, "exam-problems-phone")
        assert faults(guest) == []
        guest.click("text=English")
        guest.goto(f"{site.root}/me")
        assert guest.is_visible("text=Change the password")
        guest.goto(f"{site.root}/login")
        assert urlsplit(guest.url).path == "/exams"
        guest.click("text=Sign out")
        guest.wait_for_url("**/login")
        keep(guest, "login-phone")
        assert faults(guest) == []
        guest.context.close()
        context.close()
