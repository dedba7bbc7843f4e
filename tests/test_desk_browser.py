"""The desk in a real Chromium, from the printed address to the written results, with keys only."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import report_run
from desk_server import DeskProcess

from grader.store.store import RunStore

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install grader[dev])")
# Pictures of the pages are kept where this says, for a person to look at.
PICTURES = os.environ.get("DESK_PICTURES")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run whose queues always have the same order."""
    made = report_run.make_run(tmp_path)
    with RunStore.open(made) as store:
        store.set_meta(desk_secret="5a" * 32)
    return made


@pytest.fixture
def tab(chromium: playwright.Browser) -> Iterator[Tab]:
    context = chromium.new_context(viewport={"width": 1360, "height": 860})
    yield Tab(context.new_page())
    context.close()


class Tab:
    """A page, and what the browser complained about."""

    def __init__(self, page: playwright.Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self.outside: list[str] = []
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self._asked(request.url))

    def _heard(self, message: playwright.ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def _asked(self, url: str) -> None:
        if not url.startswith("http://127.0.0.1:"):
            self.outside.append(url)

    @property
    def answer(self) -> str:
        """Opaque name of the answer on the desk."""
        return self.page.locator("main").get_attribute("data-answer") or ""

    @property
    def mark(self) -> str:
        """What stands in the box of the mark."""
        return self.page.locator("input[name=mark]").input_value()

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)

    def go(self, key: str) -> str:
        """Press a key that leads to another page; what that page says."""
        self.page.evaluate("() => { document.querySelector('main').dataset.old = '1' }")
        self.page.keyboard.press(key)
        self.page.wait_for_selector("main:not([data-old])")
        self.page.wait_for_selector("#notice:not([aria-busy])", state="attached")
        self.page.wait_for_load_state("networkidle")
        return self.text

    @property
    def text(self) -> str:
        return self.page.inner_text("body")

    def picture(self, name: str) -> None:
        if PICTURES:
            self.page.screenshot(path=str(Path(PICTURES) / f"{name}.png"))


def test_the_whole_queue_with_keys_only(tab: Tab, run: Path, tmp_path: Path) -> None:
    with DeskProcess(run, tmp_path / "log") as desk:
        tab.page.goto(desk.address)
        assert "ticket" not in tab.page.url
        tab.picture("overview")
        tab.go("Enter")
        accept_skip_and_undo(tab)
        tab.go("Enter")
        assert "第 2 题已评完" in tab.go("f")
        tab.go("Enter")
        mark_identical_answers(tab)
        tab.go("Enter")
        mark_by_criteria(tab)
        tab.go("o")
        while "全部作答均已定分" not in tab.text:
            tab.go("f" if tab.answer else "Enter")
        tab.picture("done")
        assert tab.complaints == []
        assert tab.outside == []
        assert desk.stop() == 0
    with (run / "results.csv").open(encoding="utf-8") as file:
        written = list(csv.DictReader(file))
    assert {row["status"] for row in written} == {"final"}
    assert [row["mark"] for row in written if "unit_missing" in row["flags"]] == ["1.5"] * 5


def accept_skip_and_undo(tab: Tab) -> None:
    """Item 1: proposals are accepted until one is left; it is skipped, met again and given another mark."""
    met = [tab.answer]
    while "剩余 1" not in tab.text:
        proposal = tab.mark
        assert f"已保存：{proposal} / 2" in tab.go("Enter")
        met.append(tab.answer)
    assert len(set(met)) == len(met) == 3
    tab.go("s")
    assert tab.answer == met[-1], "the only one left comes back"
    proposal = tab.mark
    tab.press("1")
    assert tab.mark == "1", "a digit replaces the mark shown"
    assert "第 1 题已评完" in tab.go("Enter")
    tab.go("u")
    assert (tab.answer, tab.mark) == (met[-1], proposal), "it is as it was before"
    assert "第 1 题已评完" in tab.go("z")


def mark_identical_answers(tab: Tab) -> None:
    """Item 3: nothing was proposed, so Enter alone is refused; all get one mark together."""
    tab.picture("numeric")
    assert tab.mark == ""
    assert "分数须为 0 至 3 的数字" in tab.go("Enter")
    assert "422" in tab.complaints.pop(), "the browser says so in its console too"
    assert "应用于全部 5 份" in tab.go("g")
    tab.page.locator("input[name=except]").first.focus()
    tab.press("Space")
    assert "应用于全部 4 份" in tab.text
    tab.picture("group")
    tab.press("Space", "1", ".", "5")
    assert "5 份作答各 1.5 / 3" in tab.go("Enter")


def mark_by_criteria(tab: Tab) -> None:
    """Item 4: criteria, comment, zoom, help and language leave the answer where it is and what was typed in it."""
    short = tab.answer
    assert tab.mark == "1"
    tab.press("q")
    assert tab.mark == "0"
    tab.press("q")
    assert tab.mark == "4"
    tab.press("c")
    tab.page.keyboard.type("fzs 只写了现象")
    tab.press("Escape")
    picture = tab.page.locator(".sheet img")
    width = picture.bounding_box()["width"]
    tab.press("+", "+")
    assert picture.bounding_box()["width"] > 1.5 * width
    tab.press("-", "-", "?")
    assert tab.page.locator("dialog[open]").is_visible()
    tab.picture("help")
    tab.press("f", "Escape")
    assert not tab.page.locator("dialog[open]").is_visible()
    assert "Transcription" in tab.go("x")
    tab.picture("short-answer-en")
    assert (tab.answer, tab.mark) == (short, "4"), "what was typed outlives a load of the page"
    assert tab.page.locator("textarea").input_value() == "fzs 只写了现象"
    assert "识读文本" in tab.go("x")
    tab.go("Enter")
    assert tab.answer != short
    tab.go("b")
    assert tab.answer == short
    assert "chen 已评：4" in tab.text


def test_what_was_typed_outlives_the_desk(tab: Tab, run: Path, tmp_path: Path) -> None:
    with DeskProcess(run, tmp_path / "log") as desk:
        tab.page.goto(desk.address)
        tab.go("Enter")
        kept = tab.answer
        desk.kill()
        tab.press("c")
        tab.page.keyboard.type("not saved yet")
        tab.press("Escape", "1", "Enter")
        tab.page.wait_for_selector("#lost:not([hidden])")
        tab.picture("lost")
        assert tab.answer == kept
        port = desk.root.rpartition(":")[2]
    with DeskProcess(run, tmp_path / "log-again", port=port) as desk:
        tab.page.goto(desk.address)
        tab.go("Enter")
        assert tab.answer == kept
        assert (tab.mark, tab.page.locator("textarea").input_value()) == ("1", "not saved yet")
        assert "已保存：1 / 2" in tab.go("Enter")
        tab.go("u")
        assert tab.answer == kept
        assert tab.page.locator("textarea").input_value() == "", "a saved draft is gone"


def test_hostile_text_does_nothing(tab: Tab, run: Path, tmp_path: Path) -> None:
    with DeskProcess(run, tmp_path / "log") as desk:
        alarms: list[str] = []
        tab.page.on("dialog", lambda dialog: (alarms.append(dialog.message), dialog.dismiss()))
        tab.page.goto(desk.address)
        tab.page.goto(f"{desk.root}/items/3/next")
        assert "<script>alert(1)</script>" in tab.text
        assert tab.page.locator("main img[src=x]").count() == 0
        tab.go("g")
        assert "<script>alert(1)</script>" in tab.text
        assert alarms == []
        assert tab.complaints == []
