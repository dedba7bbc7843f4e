"""A centre's whole path in a real Chromium: two markers, tolerance exceeded, adjudication, release, appeal."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from centre_run import PLACE
from centre_server import CentreProcess, prepare
from service_client import PASSWORD
from sqlalchemy import create_engine, text

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install grader[dev])")
# Pictures of the pages are kept where this says, for a person to look at.
PICTURES = os.environ.get("DESK_PICTURES")
PATIENCE = 120_000  # milliseconds; nothing here is about speed


class Person:
    """Somebody in a browser of his own, signed in through the page, and what that browser complained about."""

    def __init__(self, browser: playwright.Browser, service: CentreProcess, login: str, **options: object) -> None:
        self.service = service
        self.context = browser.new_context(
            **{"viewport": {"width": 1360, "height": 860}, "locale": "zh-CN", **options}  # type: ignore[arg-type]
        )
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.outside: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))
        self.page.goto(f"{service.root}/login")
        self.page.fill("input[name=login]", login)
        self.page.fill("input[name=password]", PASSWORD)
        self.page.press("input[name=password]", "Enter")
        self.page.wait_for_url("**/exams")

    def _heard(self, message: playwright.ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def _asked(self, url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:")):
            self.outside.append(url)

    def open(self, path: str) -> None:
        self.page.goto(self.service.root + self.service.exam + path)
        self.page.wait_for_load_state("networkidle")

    @property
    def answer(self) -> str:
        """Opaque name of the answer on the desk."""
        return self.page.locator("main").get_attribute("data-answer") or ""

    @property
    def text(self) -> str:
        return self.page.inner_text("body")

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def go(self, key: str) -> None:
        """Press a key that leads to another page or answer, and wait until everything has been said."""
        self.page.evaluate("() => { document.querySelector('main').dataset.old = '1' }")
        self.page.keyboard.press(key)
        self.page.wait_for_selector("main:not([data-old])")
        self.page.wait_for_selector("#notice:not([aria-busy])", state="attached")
        self.page.wait_for_load_state("networkidle")

    def picture(self, name: str) -> None:
        if PICTURES:
            self.page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


def judged(person: Person) -> list[str]:
    """What axe finds wrong with the page, but for what a text file cannot hold."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    found = axe.Axe().run(person.page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
    return [f"{one['id']}: {node['html'][:160]}" for one in found.response["violations"] for node in one["nodes"]]


def test_two_markers_a_leader_a_release_and_an_appeal(chromium: playwright.Browser, tmp_path: Path) -> None:
    exam = prepare(tmp_path / "data", 3)
    with CentreProcess(tmp_path / "data", exam, tmp_path / "log") as service:
        ling = Person(chromium, service, "ling")
        set_double_marking(ling)
        chen, wang = (Person(chromium, service, login) for login in ("chen", "wang"))
        mark_with_keys(chen, ["4", "4", "0"])
        blind(wang)
        mark_with_keys(wang, ["4", "1", "0"])
        adjudicate(ling)
        release(ling, 1)
        appeal(ling, Person(chromium, service, "zhao"))
        release(ling, 2)
        assert "20260001" in ling.text
        ling.picture("centre-release-2")
        for person in (ling, chen, wang):
            assert person.complaints == []
            assert person.outside == []


def set_double_marking(ling: Person) -> None:
    ling.open("/leader")
    assert judged(ling) == []
    ling.picture("centre-leader")
    ling.open(f"/leader/items/{PLACE}")
    ling.page.select_option("select[name=kind]", "double")
    ling.page.select_option("select[name=model]", "off")
    ling.page.click("form.settings button.main")
    ling.page.wait_for_selector("text=已保存")
    assert ling.page.input_value("select[name=kind]") == "double"
    assert judged(ling) == []


def mark_with_keys(person: Person, marks: list[str]) -> None:
    person.open("/mark")
    person.go("Enter")
    met = []
    for number, mark in enumerate(marks):
        met.append(person.answer)
        person.press(mark)
        if number == 0:
            person.picture("centre-desk")
        person.go("Enter")
    assert len(set(met)) == len(marks)
    assert "没有待您评阅的作答" in person.text


def blind(wang: Person) -> None:
    wang.open("/mark")
    wang.go("Enter")
    assert "本份作答不显示建议分" in wang.text
    assert wang.page.locator("input[name=mark]").input_value() == ""
    assert "Chen" not in wang.text
    assert judged(wang) == []


def adjudicate(ling: Person) -> None:
    ling.open("/leader/queue")
    assert "分差超限" in ling.text
    assert judged(ling) == []
    ling.page.click("text=逐份裁定")
    ling.page.wait_for_selector(".side")
    assert "Chen" in ling.text
    assert "Wang" in ling.text
    ling.picture("centre-adjudicate")
    assert judged(ling) == []
    ling.press("2", "c")
    ling.page.keyboard.type("只答出一点")
    ling.press("Escape")
    ling.go("Enter")
    assert "没有待裁定的作答" in ling.text
    ling.open("/leader/markers")
    assert judged(ling) == []
    ling.picture("centre-markers")


def release(ling: Person, number: int) -> None:
    ling.open("/release")
    assert "未通过" not in ling.text
    if number == 1:
        assert judged(ling) == []
        ling.picture("centre-gate")
    ling.page.fill("input[name=reason]", "公布成绩")
    ling.page.click(f"text=发布第 {number} 次成绩")
    ling.page.wait_for_selector(f"h1:has-text('第 {number} 次发布')")


def appeal(ling: Person, zhao: Person) -> None:
    ling.open("/appeals")
    ling.page.fill("input[name=candidate]", "20260001")
    ling.page.select_option("select[name=item]", "2")
    ling.page.fill("textarea[name=ground]", "第二点已经写出")
    ling.page.click("button:has-text('登记')")
    ling.page.wait_for_selector("text=复核申请已登记")
    assert judged(ling) == []
    zhao.open("/appeals")
    zhao.page.click("a:has-text('查看')")
    zhao.page.click("text=领取复核")
    zhao.page.wait_for_selector("input[name=mark]")
    assert judged(zhao) == []
    zhao.picture("centre-appeal")
    zhao.press("3", "c")
    zhao.page.keyboard.type("第二点部分成立")
    zhao.press("Escape")
    zhao.page.keyboard.press("Enter")
    zhao.page.wait_for_selector("text=复核分已生效")


def test_nothing_acknowledged_or_typed_is_lost_when_the_service_is_killed(
    chromium: playwright.Browser, tmp_path: Path
) -> None:
    exam = prepare(tmp_path / "data", 8)
    with CentreProcess(tmp_path / "data", exam, tmp_path / "log") as service:
        chen = Person(chromium, service, "chen")
        chen.open("/mark")
        chen.go("Enter")
        acknowledged = []
        for mark in ("3", "2.5", "1"):
            acknowledged.append((chen.answer, float(mark)))
            chen.press(*mark)
            chen.go("Enter")
            chen.page.wait_for_selector(f"text=已保存：{mark} / 4")
        unsaved = chen.answer
        chen.page.evaluate("() => new Promise((done) => setTimeout(done, 300))")
        service.kill()
        chen.press("4", "c")
        chen.page.keyboard.type("还没有保存")
        chen.press("Escape", "Enter")
        chen.page.wait_for_selector("#lost:not([hidden])")
        chen.picture("centre-lost")
        port = service.port
    assert marks_in(tmp_path / "data") == acknowledged
    with CentreProcess(tmp_path / "data", exam, tmp_path / "log-again", port=port):
        chen.open(f"/mark/{PLACE}")
        assert chen.answer == unsaved, "it is on his desk still"
        assert chen.page.locator("input[name=mark]").input_value() == "4"
        assert chen.page.locator("textarea").input_value() == "还没有保存"
        chen.go("Enter")
        chen.page.wait_for_selector("text=已保存：4 / 4")
    assert marks_in(tmp_path / "data") == [*acknowledged, (unsaved, 4.0)]


def marks_in(data: Path) -> list[tuple[str, float]]:
    """People's marks on disk, in their order."""
    engine = create_engine(f"sqlite:///{data / 'service.sqlite'}")
    query = (
        "SELECT a.name, e.mark FROM mark_event e JOIN mark_answer a ON a.id = e.answer "
        "WHERE e.kind = 'mark' AND e.giver = 'person' ORDER BY e.id"
    )
    with engine.connect() as connection:
        found = [(name, mark) for name, mark in connection.execute(text(query))]
    engine.dispose()
    return found


def test_keys_raise_skip_undo_and_the_desk_fits_a_phone(chromium: playwright.Browser, tmp_path: Path) -> None:
    exam = prepare(tmp_path / "data", 8)
    with CentreProcess(tmp_path / "data", exam, tmp_path / "log") as service:
        chen = Person(chromium, service, "chen", viewport={"width": 390, "height": 844}, has_touch=True)
        chen.open("/mark")
        chen.picture("centre-phone-overview")
        chen.go("Enter")
        first = chen.answer
        assert chen.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        assert judged(chen) == []
        chen.picture("centre-phone")
        chen.press("r")
        assert chen.page.evaluate("() => document.activeElement.name") == "comment", "the leader needs a reason"
        chen.page.keyboard.type("两个答案")
        chen.go("Control+Enter")
        chen.page.wait_for_selector("text=已提交组长")
        second = chen.answer
        assert second != first
        chen.press("q")
        chen.go("s")
        assert chen.answer not in {first, second}
        third = chen.answer
        chen.go("f")
        chen.page.wait_for_selector("text=已保存：4 / 4")
        chen.go("u")
        assert chen.answer == third
        assert chen.complaints == []
