"""A teacher's whole path in a real Chromium: make homework, upload, wait, review with keys only, give back."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from plain_paper import PHONE, photographed, written
from service_client import House, service_of
from service_server import Site, serving

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install grader[dev])")
# Pictures of the pages are kept where this says, for a person to look at.
PICTURES = os.environ.get("DESK_PICTURES")
PATIENCE = 120_000  # milliseconds; nothing here is about speed
CAMERA = replace(PHONE, dpi=(150,), shadow=0.0)
WORK = {
    "1001": ["1. B", "2. 3.2 m/s", "3. 水结冰时体积变大，密度变小，", "所以冰浮在水面上。"],
    "1002": ["1. C", "2. 3.2 m/s", "3. 因为冰比较轻。"],
    "1003": ["1. B", "2. 32 m/s", "3. 体积变大。"],
}


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with service_of(tmp_path / "data") as made:
        yield made


class Teacher:
    """A browser in which the teacher has signed in, and what it complained about."""

    def __init__(self, browser: playwright.Browser, site: Site, login: str | None = "tian", **options: object) -> None:
        self.site = site
        self.context = browser.new_context(
            **{"viewport": {"width": 1280, "height": 860}, "locale": "zh-CN", **options}  # type: ignore[arg-type]
        )
        if login:
            self.context.add_cookies([site.cookie(login)])
        self.page = self.context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.complaints: list[str] = []
        self.outside: list[str] = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self._asked(request.url))

    def _heard(self, message: playwright.ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def _asked(self, url: str) -> None:
        if not url.startswith((self.site.root, "data:", "blob:")):
            self.outside.append(url)

    @property
    def text(self) -> str:
        return self.page.inner_text("body")

    def go(self, key: str) -> None:
        """Press a key that leads to another page or answer."""
        self.page.evaluate("() => { document.querySelector('main').dataset.old = '1' }")
        self.page.keyboard.press(key)
        self.page.wait_for_selector("main:not([data-old])")
        self.page.wait_for_load_state("networkidle")

    def picture(self, name: str, whole: bool = True) -> None:
        if PICTURES:
            self.page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=whole)


def judged(page: playwright.Page) -> list[str]:
    """What axe finds wrong with the page."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    found = axe.Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
    return [f"{one['id']}: {node['html'][:160]}" for one in found.response["violations"] for node in one["nodes"]]


def photographs(folder: Path) -> list[Path]:
    folder.mkdir()
    paths = []
    for seed, (candidate, lines) in enumerate(WORK.items(), start=1):
        path = folder / f"{candidate}-1.jpg"
        path.write_bytes(photographed(written(lines, seed=seed), seed=seed, profile=CAMERA))
        paths.append(path)
    broken = folder / "1002-2.jpg"
    broken.write_bytes(paths[0].read_bytes()[:20_000])
    return [*paths, broken]


def test_a_teacher_from_the_first_item_to_the_last_page(
    chromium: playwright.Browser, house: House, tmp_path: Path
) -> None:
    with serving(house) as site:
        teacher = Teacher(chromium, site)
        make(teacher)
        give_the_class(teacher)
        bring(teacher, photographs(tmp_path / "photos"))
        root = teacher.page.url.partition("#")[0]
        review(teacher)
        give_back(teacher, root)
        phone(chromium, site, teacher, root, tmp_path / "photos")
        # A refused file is told in the page; the browser's own console notes nothing.
        assert teacher.complaints == []
        assert teacher.outside == []


def make(teacher: Teacher) -> None:
    page = teacher.page
    page.goto(f"{teacher.site.root}/exams")
    page.get_by_role("link", name="布置作业").click()
    page.get_by_label("标题").fill("物理 第三单元 练习")
    item(page, 1, "选择题", 答案="F", 题目内容="下列单位中，表示速度的是（ ）")
    page.locator("#item-1 .told", has_text="F").wait_for()
    teacher.picture("teacher-1-mistake")
    assert page.locator("[name='item.1.answer']").get_attribute("aria-invalid") == "true"
    page.locator("[name='item.1.answer']").fill("B")
    page.get_by_role("button", name="添加题目").click()
    page.locator("[name='item.2.type']").select_option("numeric")
    for name, value in {"prompt": "小明 10 s 走 32 m，平均速度是多少？", "answer": "3.2", "unit": "m/s"}.items():
        page.locator(f"[name='item.2.{name}']").fill(value)
    page.get_by_role("button", name="添加题目").click()
    page.locator("[name='item.3.type']").select_option("short_answer")
    fields = {
        "max_mark": "4", "prompt": "冰为什么浮在水面上？", "reference_answers": "水结冰时体积变大，密度变小",
        "criterion.0": "指出体积变大", "marks.0": "2", "criterion.1": "指出密度变小", "marks.1": "1",
    }  # fmt: skip
    for name, value in fields.items():
        page.locator(f"[name='item.3.{name}']").fill(value)
    page.locator("[id='e-item.3.rubric']", has_text="3").wait_for()
    page.locator("[name='item.3.marks.1']").fill("2")
    page.locator("#checked .good").wait_for()
    assert judged(page) == []
    teacher.picture("teacher-2-making")
    page.get_by_role("button", name="创建作业").click()
    page.wait_for_url("**/homework")


def item(page: playwright.Page, key: int, _kind: str, **fields: str) -> None:
    for label, value in fields.items():
        page.locator(f"#item-{key}").get_by_label(label, exact=True).fill(value)


def give_the_class(teacher: Teacher) -> None:
    page = teacher.page
    page.locator("[name=class]").fill("1001 李明\n1002 王芳\n1003 赵雷\n1004 孙悦\n")
    page.get_by_role("button", name="保存名单").click()
    page.get_by_text("4 名学生").first.wait_for()
    assert judged(page) == []
    teacher.picture("teacher-3-board")


def bring(teacher: Teacher, paths: list[Path]) -> None:
    page = teacher.page
    page.locator("form[data-upload] input[type=file]").first.set_input_files(paths)
    page.locator(".sent li.ok").nth(2).wait_for()
    page.locator(".sent li.bad").wait_for()
    assert "1002" in page.locator(".sent").inner_text()
    page.wait_for_selector("#state[data-state=queued], #state[data-state=running]")
    teacher.picture("teacher-4-reading")
    page.wait_for_selector("#state[data-state=done]")
    teacher.picture("teacher-5-read")
    assert judged(page) == []
    assert "3 页已识读" in teacher.text


def review(teacher: Teacher) -> None:
    page = teacher.page
    page.get_by_role("link", name=re.compile("开始复核")).focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/mark")
    page.wait_for_load_state("networkidle")
    for number in range(40):
        if not page.locator("main").get_attribute("data-answer"):
            if not page.locator("[data-keys='Enter']").count():
                break
            teacher.go("Enter")
            teacher.picture(f"teacher-6-review-{number}", whole=False)
            assert not re.search("李明|王芳|赵雷|100[1-4]", teacher.text)
        teacher.go("a" if page.locator("button[value=accept]").count() else "z")
    assert page.url.endswith("/mark")


def give_back(teacher: Teacher, root: str) -> None:
    page = teacher.page
    page.goto(root)
    assert "全部作答均已定分" in teacher.text
    teacher.picture("teacher-7-done")
    for name in ("Excel 工作簿", "Canvas (CSV)", "每名学生一个网页文件（ZIP）"):
        with page.expect_download() as coming:
            page.get_by_role("link", name=name).click()
        assert Path(coming.value.path()).stat().st_size > 100
    page.get_by_role("link", name=re.compile("班级分析")).click()
    page.wait_for_url("**/class")
    assert "赵雷" in teacher.text
    assert judged(page) == []
    teacher.picture("teacher-8-class")
    page.goto(f"{root}/pupils")
    page.wait_for_load_state("networkidle")
    assert "李明" in teacher.text
    assert judged(page) == []
    teacher.picture("teacher-9-pupils")
    if PICTURES:
        page.pdf(path=str(Path(PICTURES) / "pupils.pdf"), prefer_css_page_size=True)
    page.goto(root)


def phone(chromium: playwright.Browser, site: Site, teacher: Teacher, root: str, folder: Path) -> None:
    page = teacher.page
    page.get_by_role("button", name="显示手机二维码").click()
    page.locator("#phone figure svg").wait_for()
    teacher.picture("teacher-10-code")
    link = page.locator("#phone code").inner_text()
    mobile = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
    camera = Teacher(chromium, site, None, **mobile)
    camera.page.goto(link)
    assert "王芳" not in camera.text
    assert judged(camera.page) == []
    camera.page.locator("select[name=candidate]").select_option("1004")
    fresh = folder / "IMG_0001.jpg"
    fresh.write_bytes(photographed(written(["1. B", "2. 3.2 m/s"], seed=9), seed=9, profile=CAMERA))
    camera.page.locator("input[capture]").set_input_files(fresh)
    camera.page.locator(".sent li.ok").wait_for()
    camera.picture("teacher-11-phone")
    assert "1004" in camera.page.locator(".sent").inner_text()
    assert camera.complaints == []
    page.goto(root)
    page.wait_for_selector("#state[data-state=done]")
    page.get_by_text("孙悦").first.wait_for(state="attached")


def test_the_pages_are_there_in_english_and_without_scripts(chromium: playwright.Browser, house: House) -> None:
    with serving(house) as site:
        teacher = Teacher(chromium, site, locale="en-GB", java_script_enabled=False)
        teacher.page.goto(f"{site.root}/homework/new")
        assert "What you type is checked as you go" in teacher.text
        page = teacher.page
        page.fill("[name=title]", "Unit 3")
        page.fill("[name='item.1.prompt']", "Which?")
        page.fill("[name='item.1.answer']", "B")
        page.get_by_role("button", name="Make the homework").click()
        page.fill("[name=class]", "1 Ann Lee\n2 Bo Chen\n")
        page.get_by_role("button", name="Save the class list").click()
        assert "2 pupils" in teacher.text
        assert page.get_by_role("button", name="Send").is_visible()
        teacher.picture("teacher-12-english")
