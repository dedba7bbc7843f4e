"""The leader's pages over HTTP: control answers, stopped markers, release, appeal, rubric; and every page in both
languages."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from centre_desk import ITEM, Desk, settle
from centre_run import ANSWERS, PLACE, Centre, make_centre
from service_client import service_of

from grader.centre import charts, leading_words, release_words, words
from grader.centre.revising import as_text
from grader.centre.rooms import WORDS
from grader.desk.words import WORDS as DESK
from grader.exam.load import parse_exam
from grader.marking import releasing
from grader.marking.scheme import Scheme
from grader.marking.seeds import SeedPolicy
from grader.report.words import WORDS as REPORT
from grader.service.rooms import ROOMS

# what an exam says in its own language, whatever that of the page
EXAM_WORDS = [
    "八年级物理联考",
    "冬天水管里的水结冰后，水管为什么会冻裂？",
    "中文",
    "公布",
    *(text for text, *_ in ANSWERS),
]
CENTRE = Path(words.__file__).parent


@pytest.fixture
def centre(tmp_path: Path) -> Iterator[Centre]:
    with service_of(tmp_path) as house:
        yield make_centre(house, 8)


# practice, qualification, seeds


def seeded(centre: Centre, use: str, count: int) -> None:
    """The leader makes that many seeds of answers whose right mark is 4."""
    ling = Desk(centre, "ling")
    names = re.findall(r"/leader/queue/(\w+)", ling.get(f"/leader/items/{PLACE}/seeds").text)
    for name in names[:count]:
        assert ling.post(f"/leader/queue/{name}/seed", mark="4", use=use).status_code == 200
    assert ling.get(f"/leader/items/{PLACE}/seeds").text.count(f'tag {use}"') == count


def test_practice_tells_and_qualification_does_not(centre: Centre) -> None:
    settle(centre, Scheme(tolerance=1.0, model="off"), SeedPolicy(practice=1, qualification=2))
    seeded(centre, "practice", 1)
    ling = Desk(centre, "ling")
    names = re.findall(r"/leader/queue/(\w+)", ling.get(f"/leader/items/{PLACE}/seeds").text)
    for name in names[1:3]:
        ling.post(f"/leader/queue/{name}/seed", mark="4", use="qualification")
    wang = Desk(centre, "wang")
    assert "试评" in wang.get("/mark").text
    told = wang.give("1")
    assert "标准分" in told.text
    assert "超出允许误差" in told.text
    for _ in range(2):
        page = wang.next()
        assert "资格考核" in page.text
        assert "您的给分" not in wang.give("1").text
    refused = wang.next()
    assert "未通过本题资格考核" in refused.text
    page = ling.get(f"/leader/items/{PLACE}")
    assert "允许重新考核" in page.text
    path = f"/leader/items/{PLACE}/markers/{centre.house.ids['wang']}/lift"
    assert "评卷人可继续" in ling.post(path, comment="谈过了").text
    assert "资格考核" in wang.next().text


def test_who_drifts_from_the_seeds_is_stopped_and_sees_why(tmp_path: Path) -> None:
    with service_of(tmp_path) as house:
        centre = make_centre(house, 24)
        settle(centre, Scheme(tolerance=0.5, model="off"), SeedPolicy(rate=0.5, window=2, limit=0.6))
        seeded(centre, "seed", 4)
        wang = Desk(centre, "wang")
        for _ in range(20):
            page = wang.next()
            assert "质控" not in page.text, "a seed looks like any other answer"
            if "已暂停" in (after := wang.give("0")).text:
                break
        assert "您对本题的评卷已暂停" in after.text
        assert "允许误差内" in after.text
        assert "已暂停" in wang.get("/mark").text
        assert "已暂停" in Desk(centre, "ling").get(f"/leader/items/{PLACE}").text
        lift = f"/leader/items/{PLACE}/markers/{house.ids['ling']}/lift"
        assert "不能为自己恢复" in Desk(centre, "ling").post(lift).text


# release, appeal, rubric


def released(centre: Centre) -> Desk:
    chen, ling = Desk(centre, "chen"), Desk(centre, "ling")
    for _ in range(8):
        chen.give("3")
    assert "第 1 次成绩已发布" in ling.post("/release", reason="公布").text
    return ling


def test_nothing_is_released_before_the_gate_opens(centre: Centre) -> None:
    ling = Desk(centre, "ling")
    page = ling.get("/release").text
    assert "未通过" in page
    assert re.search(r'<button class="main" disabled>', page)
    assert ling.post("/release", reason="早").status_code == 422
    assert releasing.releases(centre.house.service.database, centre.exam.id) == []
    assert "一致率须为" in ling.post("/release/gate", agreement="x", pairs="0").text
    assert "已保存" in ling.post("/release/gate", agreement="95", pairs="10").text
    assert "下限 95.0%" in ling.get("/release").text


def test_an_appeal_is_marked_by_somebody_else_and_comes_out_with_the_next_release(centre: Centre) -> None:
    ling = released(centre)
    chen, wang = Desk(centre, "chen"), Desk(centre, "wang")
    assert "没有该作答" in ling.post("/appeals", candidate="7", item=ITEM, ground="x").text
    assert "请填写申请理由" in ling.post("/appeals", candidate="20260003", item=ITEM, ground=" ").text
    appeal = ling.post("/appeals", candidate="20260003", item=ITEM, ground="第二点已写").url.path
    path = appeal.removeprefix(centre.root)
    assert "您曾评过该作答" in chen.get(path).text
    assert "您曾评过该作答" in chen.post(path, act="take").text
    taken = wang.post(path, act="take")
    assert "第二点已写" in taken.text
    assert ">3<" not in taken.text, "who marks again does not see the mark appealed against"
    assert wang.post(path, mark="4").status_code == 422, "with a note for whoever appealed"
    assert "上调" in wang.post(path, mark="4", comment="第二点成立").text
    assert "第 2 次成绩已发布" in ling.post("/release", reason="复核").text
    changed = ling.get("/release/2").text
    assert re.search(r"20260003</td><td>2</td><td class=\"n\">3</td><td class=\"n\"><b>4</b>", changed)
    assert ling.get("/release/2/changes.csv").text.splitlines()[1:] == ["20260003,2,3,4"]
    assert len(ling.get("/release/1/marks.csv").text.splitlines()) == 17
    results = {(row.candidate, row.item): row.mark for row in centre.run.results()}
    assert results["20260003", ITEM] == 4.0, "the run has it too"


def test_a_rubric_is_changed_only_as_it_was_previewed(centre: Centre) -> None:
    ling, chen = Desk(centre, "ling"), Desk(centre, "chen")
    chen.give("3")
    source = unescape(re.search(r'class="source"[^>]*>(.*?)</textarea>', ling.get("/leader/rubric").text, re.S)[1])  # type: ignore[index]
    assert "与现行版本相同" in ling.post("/leader/rubric", source=source, line="60").text
    assert "试卷文件有误" in ling.post("/leader/rubric", source="exam: [", line="60").text
    changed = source.replace("answer: B", "answer: A")
    page = ling.post("/leader/rubric", source=changed, line="60")
    assert "第 2 版的影响" in page.text
    seal = re.search(r'name="seal" value="(\w+)"', page.text)
    assert seal is not None
    sent = {"source": changed, "line": "60", "act": "apply", "seal": seal[1]}
    assert "请填写修改原因" in ling.post("/leader/rubric", **sent).text
    chen.give("4")
    assert "预览之后又有新的给分" in ling.post("/leader/rubric", **sent, reason="答案错了").text
    page = ling.post("/leader/rubric", source=changed, line="60")
    sent["seal"] = re.search(r'name="seal" value="(\w+)"', page.text)[1]  # type: ignore[index]
    assert "第 2 版已启用" in ling.post("/leader/rubric", **sent, reason="答案错了").text
    lowered = changed.replace("max_mark: 4", "max_mark: 2").replace("marks: 2", "marks: 1")
    refused = ling.post("/leader/rubric", source=lowered, line="60")
    assert "人工给分将不再适用" in refused.text
    assert refused.status_code == 422


def test_an_exam_survives_being_written_as_text(centre: Centre) -> None:
    shown = centre.exam.definition()
    assert parse_exam(as_text(shown), "exam.yaml") == shown


# everybody


def test_both_languages_and_both_say_the_same_things(centre: Centre) -> None:
    fields = re.compile(r"\{(\w*)\}")
    for key, (en, zh) in WORDS.items():
        assert en.strip(), key
        assert re.search("[\u4e00-\u9fff]", zh), key
        assert sorted(fields.findall(en)) == sorted(fields.findall(zh)), key
    known = {**REPORT, **DESK} | {key: pair for room in ROOMS for key, pair in room.own_words().items()}
    sources = [*CENTRE.glob("templates/*.j2"), *CENTRE.glob("*.py")]
    used = re.compile(r'\b(?:t|tell|say|saved)\((?:request, (?:[^"()]*, )?)?"(\w+)"(?! ~)')
    for path in sources:
        for key in used.findall(path.read_text(encoding="utf-8")):
            assert key in known, f"{path.name}: {key}"
    bare = re.compile(r">[^<>{}]*[\u4e00-\u9fff][^<>{}]*<")
    for path in CENTRE.glob("templates/*.j2"):
        assert not bare.search(path.read_text(encoding="utf-8")), path.name
    assert not words.WORDS.keys() & leading_words.WORDS.keys()
    assert not release_words.WORDS.keys() & (words.WORDS.keys() | leading_words.WORDS.keys())


@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_page_stands_in_each_language(centre: Centre, language: str) -> None:
    released(centre)
    desk = Desk(centre, "ling")
    desk.client.http.cookies.set("grader_language", language)
    paths = ["/mark", "/leader", "/leader/queue", f"/leader/items/{PLACE}", f"/leader/items/{PLACE}/seeds",
             "/leader/markers", "/leader/rubric", "/release", "/release/1", "/appeals", f"/mark/{PLACE}/groups",
             f"/mark/{PLACE}/sure"]  # fmt: skip
    for path in paths:
        page = desk.get(path)
        assert page.status_code == 200, path
        text = re.sub(r"<textarea.*?</textarea>|<[^>]+>", " ", page.text, flags=re.S)
        if language == "en":
            own = unescape(text)
            for shown in EXAM_WORDS:
                own = own.replace(shown, "")
            assert not re.search("[\u4e00-\u9fff]", own), path
        assert "<script>" not in page.text
        assert not re.search(r"\s(on\w+|style)=", page.text), path


def test_what_is_not_there_is_said(centre: Centre) -> None:
    ling = Desk(centre, "ling")
    for path in ("/mark/9", "/mark/1/answers/nobody", "/leader/queue/nobody", "/leader/items/9", "/release/9",
                 "/appeals/nobody", "/mark/1/sure/nobody", "/mark/1/answers/nobody/crop.png"):  # fmt: skip
        answer = ling.get(path)
        assert answer.status_code == 404, path
        assert "Traceback" not in answer.text


def test_only_numbers_stand_in_the_charts() -> None:
    for chart in (charts.leaning(-0.4), charts.share(0.3, 0.7), charts.spread([0, 3, 1])):
        assert re.fullmatch(r"(<[a-z/][^<>]*>)+", chart)
        assert "style" not in chart
    assert (charts.leaning(None), charts.share(None), charts.spread([0, 0])) == ("", "", "")
