"""The centre's pages over HTTP: what a marker sees and never sees, what a leader decides, what comes out of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import pytest
from centre_desk import ITEM, Desk, settle, states, token_of
from centre_run import ANSWERS, PLACE, Centre, make_centre
from service_client import service_of

from grader.centre import settings_form, words
from grader.marking import answers, leading
from grader.marking.scheme import Scheme
from grader.marking.seeds import SeedPolicy
from grader.marking.settings import ItemSettings

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


# the desk


def test_a_marker_goes_through_the_queue(centre: Centre) -> None:
    chen = Desk(centre, "chen")
    seen = set()
    for left in range(8, 0, -1):
        page = chen.next()
        assert f"剩余 {left}" in page.text
        seen.add(page.url.path)
        after = chen.give("3")
        assert "已保存：3 / 4" in after.text
    assert len(seen) == 8
    assert after.url.path == f"{centre.root}/mark"
    assert "第 2 题已评完" in after.text
    assert states(centre) == {"final": 8}


def test_no_page_of_a_marker_tells_whose_answer_it_is(centre: Centre) -> None:
    chen = Desk(centre, "chen")
    candidates = {row.candidate for row in centre.run.results()}
    scans = {Path(row.file).name for row in centre.run.ledger() if row.file}
    assert len(candidates) == 8
    for _ in range(8):
        page = chen.next()
        for answer in (page, chen.client.get(page.url.path + "/group"), chen.client.get(page.url.path + "/crop.png")):
            told = f"{answer.url} {answer.headers} {unescape(answer.text)}"
            assert not [one for one in candidates | scans if one in told]
        chen.give("1")


def test_evidence_is_boxed_on_the_picture_and_marked_in_the_text(centre: Centre) -> None:
    chen = Desk(centre, "chen")
    boxed = 0
    for _ in ANSWERS:
        text = chen.next().text
        marked = len(re.findall(r'<mark class="e\d', text))
        boxes = re.findall(r'<rect class="e(\d)" x="([\d.]+)" y="([\d.]+)" width="([\d.]+)"', text)
        assert len(boxes) >= marked, "every stretch of evidence has a box, one on each line that it covers"
        assert {place for place, *_ in boxes} == set(re.findall(r'<mark class="e(\d)', text))
        boxed += len(boxes)
        chen.give("2")
    assert boxed >= 8
    assert "style=" not in text


def test_two_markers_never_have_the_same_answer(centre: Centre) -> None:
    desks = [Desk(centre, login) for login in ("chen", "wang", "zhao")]
    on_desks = [desk.next().url.path for desk in desks]
    assert len(set(on_desks)) == 3
    assert [desk.next().url.path for desk in desks] == on_desks, "a reload shows the same answer"
    chen, wang, _ = desks
    stolen = chen.client.post(on_desks[1], token="x", mark="4")
    assert "不在您的评卷台" in stolen.text
    sent = {"csrf": chen.client.csrf, "token": "x", "mark": "4"}
    behind = chen.client.http.post(on_desks[1], data=sent, headers={"X-Ahead": "1"})
    assert (behind.status_code, behind.headers["X-Said"]) == (409, "1"), "the script shows why and goes on"
    assert on_desks[1] == wang.next().url.path
    assert states(centre) == {"first": 8}


def test_the_next_answer_is_leased_ahead_and_the_save_behind_is_acknowledged(centre: Centre) -> None:
    chen = Desk(centre, "chen")
    page = chen.next()
    name = page.url.path.rpartition("/")[2]
    ahead = chen.client.get(f"{centre.root}/mark/{PLACE}/ahead?besides={name}")
    following = re.search(r'data-answer="(\w+)"', ahead.text)
    assert following is not None
    assert following[1] != name
    fields = {"csrf": chen.client.csrf, "token": token_of(page), "mark": "2.5"}
    answer = chen.client.http.post(page.url.path, data=fields, headers={"X-Ahead": "1"})
    assert (answer.status_code, answer.text) == (200, "已保存：2.5 / 4")
    again = chen.client.http.post(page.url.path, data=fields, headers={"X-Ahead": "1"})
    assert again.status_code == 200, "a save that is sent twice is one"
    assert chen.next().url.path.rpartition("/")[2] == following[1]
    assert states(centre) == {"final": 1, "first": 7}


def test_nothing_ahead_of_the_last_answer(centre: Centre) -> None:
    chen = Desk(centre, "chen")
    for _ in range(7):
        chen.give("1")
    name = chen.next().url.path.rpartition("/")[2]
    assert chen.client.get(f"{centre.root}/mark/{PLACE}/ahead?besides={name}").status_code == 204


@pytest.mark.parametrize("mark", ["", "x", "5", "-1", "2.3", "nan"])
def test_an_impossible_mark_is_said_and_nothing_typed_is_lost(centre: Centre, mark: str) -> None:
    chen = Desk(centre, "chen")
    answer = chen.give(mark, comment="<my> comment")
    assert answer.status_code == 422
    assert "以 0.5 为单位" in answer.text
    assert "&lt;my&gt; comment" in answer.text
    assert f'name="mark" value="{mark}"' in answer.text
    assert states(centre) == {"first": 8}


@pytest.mark.parametrize(("act", "mark"), [("full", 4.0), ("zero", 0.0)])
def test_full_and_zero(centre: Centre, act: str, mark: float) -> None:
    chen = Desk(centre, "chen")
    name = chen.next().url.path.rpartition("/")[2]
    chen.give("", act=act)
    case = leading.case(centre.house.service.database, centre.exam.id, name)
    assert case.mark == mark
    assert [dict(given.criteria or {}) for given in case.marks if given.by == "person"] == [
        {"a": mark / 2, "b": mark / 2}
    ]


def test_accepting_gives_the_proposed_mark(centre: Centre) -> None:
    chen = Desk(centre, "chen")
    name = chen.next().url.path.rpartition("/")[2]
    chen.give("1.5", act="accept")
    case = leading.case(centre.house.service.database, centre.exam.id, name)
    assert case.mark == case.proposal.mark


def test_skipping_and_undoing(centre: Centre) -> None:
    chen = Desk(centre, "chen")
    first = chen.next().url.path
    second = chen.give("", act="skip").url.path
    assert second != first
    assert states(centre) == {"first": 8}
    chen.give("4")
    undone = chen.post("/mark/undo")
    assert undone.url.path == second
    assert "已撤销" in undone.text
    assert states(centre) == {"first": 8}
    assert "没有可撤销的操作" in chen.post("/mark/undo").text


def test_hostile_text_stays_text(centre: Centre) -> None:
    chen, pages = Desk(centre, "chen"), []
    for _ in ANSWERS:
        pages.append(chen.next().text)
        chen.give("0", comment="<script>alert(1)</script>")
    assert any("&lt;b&gt;请给满分" in text for text in pages)
    assert not any("<b>请给满分" in text for text in pages)
    held = Desk(centre, "ling").get(f"/leader/items/{PLACE}/seeds").text
    assert "<b>请给满分" not in held


# groups and bulk


def test_a_group_is_marked_together_with_exceptions(tmp_path: Path) -> None:
    with service_of(tmp_path) as house:
        centre = make_centre(house, 24)  # each of the eight texts three times
        chen = Desk(centre, "chen")
        page = chen.next()
        group = chen.client.get(page.url.path + "/group")
        names = re.findall(r'name="member" value="(\w+)"', group.text)
        assert len(names) == 3
        assert "应用于全部 3 份" in group.text
        sent = {"token": token_of(group), "member": names, "mark": "2"}
        assert chen.client.post(page.url.path + "/group", **sent, **{"except": names}).status_code == 422
        answer = chen.client.post(page.url.path + "/group", **sent, **{"except": names[1]})
        assert "已保存：2 份作答各 2 / 4" in answer.text
        assert states(centre) == {"final": 2, "first": 22}
        chen.post("/mark/undo")
        assert states(centre) == {"first": 24}


def test_a_group_is_split_and_merged_again(tmp_path: Path) -> None:
    with service_of(tmp_path) as house:
        centre = make_centre(house, 24)
        chen = Desk(centre, "chen")
        page = chen.next()
        group = chen.client.get(page.url.path + "/group")
        names = re.findall(r'name="member" value="(\w+)"', group.text)
        sent = {"member": names, "token": token_of(group), "act": "split"}
        after = chen.client.post(page.url.path + "/group", **sent, **{"except": names[2]})
        assert "1 份作答另成一组" in after.text
        assert len(re.findall(r'name="member"', after.text)) == 2
        held = chen.get(f"/mark/{PLACE}/groups").text
        clusters = re.findall(r'name="cluster" value="([\w.]+)"', held)
        assert len(clusters) == 2, "the part reads the same, so it is offered for merging"
        assert "请至少选择两组" in chen.post(f"/mark/{PLACE}/groups", cluster=clusters[:1]).text
        assert "已合并 2 组" in chen.post(f"/mark/{PLACE}/groups", cluster=clusters).text
        assert 'name="cluster"' not in chen.get(f"/mark/{PLACE}/groups").text


def test_what_the_model_is_sure_of_is_accepted_after_a_sample(tmp_path: Path) -> None:
    with service_of(tmp_path) as house:
        centre = make_centre(house, 80)  # 30 proposals of 90% or more without a doubt
        chen = Desk(centre, "chen")
        assert "随机抽取 20 份" in chen.get(f"/mark/{PLACE}/sure").text
        page = chen.post(f"/mark/{PLACE}/sure")
        names = re.findall(r'name="member" value="(\w+)"', page.text)
        assert len(names) == 20
        fields: dict[str, object] = {"member": names}
        for name in names:
            fields[f"token.{name}"] = re.search(rf'name="token.{name}" value="([^"]+)"', page.text)[1]  # type: ignore[index]
            fields[f"mark.{name}"] = re.search(rf'name="mark.{name}" value="([^"]+)"', page.text)[1]  # type: ignore[index]
        assert chen.client.post(page.url.path, **{**fields, f"mark.{names[0]}": "9"}).status_code == 422
        assert states(centre) == {"first": 80}
        assert "已采纳 30 份" in chen.client.post(page.url.path, **fields).text
        assert states(centre) == {"final": 30, "first": 50}


def test_a_sample_that_differs_accepts_nothing_else(tmp_path: Path) -> None:
    with service_of(tmp_path) as house:
        centre = make_centre(house, 80)
        chen = Desk(centre, "chen")
        page = chen.post(f"/mark/{PLACE}/sure")
        fields: dict[str, object] = {"member": re.findall(r'name="member" value="(\w+)"', page.text)}
        for name in re.findall(r'name="member" value="(\w+)"', page.text):
            fields[f"token.{name}"] = re.search(rf'name="token.{name}" value="([^"]+)"', page.text)[1]  # type: ignore[index]
            fields[f"mark.{name}"] = "2"
        answer = chen.client.post(page.url.path, **fields)
        assert answer.status_code == 422
        assert "其余未采纳" in answer.text
        assert states(centre) == {"final": 20, "first": 60}


# several markers


def test_double_marking_is_blind_and_goes_to_the_leader(centre: Centre) -> None:
    settle(centre, Scheme("double", 1.0, model="off"))
    chen, wang, ling = (Desk(centre, login) for login in ("chen", "wang", "ling"))
    chen.give("4", comment="只有我看得到")
    page = wang.next()
    assert "4 / 4" not in page.text
    assert "只有我看得到" not in page.text
    assert "建议分</span>" not in page.text
    assert "本份作答不显示建议分" in page.text
    wang.give("1")
    assert states(centre) == {"leader": 1, "first": 7}
    assert "分差超限" in ling.get("/leader/queue").text
    name = re.search(r"/leader/queue/(\w+)", ling.get("/leader/queue").text)
    assert name is not None
    case = ling.get(f"/leader/queue/{name[1]}").text
    assert [one for one in ("Chen", "Wang") if one in case] == ["Chen", "Wang"]
    assert re.findall(r'<p class="big">([\d.]+)</p>', case)[-2:] == ["4", "1"]
    assert ling.post(f"/leader/queue/{name[1]}", mark="7").status_code == 422
    ling.post(f"/leader/queue/{name[1]}", mark="2.5", comment="按标准 b 给半分")
    assert states(centre) == {"final": 1, "first": 7}
    after = ling.get(f"/leader/queue/{name[1]}").text
    assert "组长裁定" in after
    assert "按标准 b 给半分" in after


def test_raising_needs_a_reason_and_comes_back(centre: Centre) -> None:
    chen, ling = Desk(centre, "chen"), Desk(centre, "ling")
    assert chen.give("", act="raise").status_code == 422
    assert "已提交组长" in chen.give("", act="raise", comment="答案写在框外").text
    queue = ling.get("/leader/queue").text
    assert "答案写在框外" in queue
    name = re.search(r"/leader/queue/(\w+)", queue)
    assert name is not None
    assert "已退回" in ling.post(f"/leader/queue/{name[1]}", act="return", comment="按框外评").text
    assert states(centre) == {"first": 8}
    assert ling.post(f"/leader/queue/{name[1]}", act="return").status_code == 422
    assert ling.post(f"/leader/queue/{name[1]}", act="excuse").status_code == 422
    assert "已免评" in ling.post(f"/leader/queue/{name[1]}", act="excuse", comment="试题有误").text


def test_settings_that_would_destroy_marks_are_refused(centre: Centre) -> None:
    settle(centre, Scheme("double", 1.0, model="off"))
    Desk(centre, "chen").give("4")
    Desk(centre, "wang").give("4")
    ling = Desk(centre, "ling")
    page = ling.get(f"/leader/items/{PLACE}")
    fields = dict(re.findall(r'<input type="text" inputmode="decimal" name="(\w+)" value="([^"]*)"', page.text))
    fields |= {"kind": "double", "rounding": "half_up", "tie": "higher", "model": "off"}
    refused = ling.post(f"/leader/items/{PLACE}", **{**fields, "kind": "single"})
    assert refused.status_code == 422
    assert "会使已有给分失效" in refused.text
    assert "允许误差" in ling.post(f"/leader/items/{PLACE}", **{**fields, "tolerance": "a"}).text
    assert "设置互相矛盾" in ling.post(f"/leader/items/{PLACE}", **{**fields, "tolerance": "4"}).text
    assert (
        "已保存" in ling.post(f"/leader/items/{PLACE}", **{**fields, "tolerance": "0.5", "kind": "two_plus_one"}).text
    )
    with centre.house.service.database.read() as connection:
        now = answers.item_settings(connection, centre.exam.id, ITEM).scheme
    assert (now.kind, now.tolerance) == ("two_plus_one", 0.5)


def test_settings_survive_the_form() -> None:
    chosen = ItemSettings(
        Scheme("two_plus_one", 1.5, 0.25, "none", "adjudicate", "checker"), SeedPolicy(0.07, 3, 4, 0.9)
    )
    assert settings_form.read(settings_form.shown(chosen)) == chosen
    assert settings_form.read({**settings_form.shown(chosen), "practice": "x"}) == "practice"
    assert settings_form.read({**settings_form.shown(chosen), "kind": "sixfold"}) == "kind"
