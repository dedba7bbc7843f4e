"""The centre's pages over HTTP: what a marker sees and never sees, what a leader decides, what comes out of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from centre_run import ANSWERS, PLACE, Centre, make_centre
from service_client import service_of

from grader.centre import charts, leading_words, release_words, settings_form, words
from grader.centre.revising import as_text
from grader.centre.rooms import WORDS
from grader.desk.words import WORDS as DESK
from grader.exam.load import parse_exam
from grader.marking import answers, leading, releasing
from grader.marking.scheme import Scheme
from grader.marking.seeds import SeedPolicy
from grader.marking.settings import ItemSettings
from grader.report.words import WORDS as REPORT
from grader.service.rooms import ROOMS

ITEM = "2"
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


class Desk:
    """A person at the markers' desk, with a browser without scripts."""

    def __init__(self, centre: Centre, login: str) -> None:
        self.centre, self.client = centre, centre.house.client(login)
        self.client.http.cookies.set("grader_language", "zh")

    def get(self, path: str) -> Any:
        return self.client.get(self.centre.root + path)

    def post(self, path: str, **fields: object) -> Any:
        return self.client.post(self.centre.root + path, **fields)

    def next(self) -> Any:
        """The page of the next answer."""
        return self.get(f"/mark/{PLACE}")

    def give(self, mark: str, **fields: object) -> Any:
        """Save a mark for the next answer; the page that follows."""
        page = self.next()
        return self.client.post(page.url.path, token=token_of(page), mark=mark, **fields)


def token_of(page: Any) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def settle(centre: Centre, scheme: Scheme, seeds: SeedPolicy | None = None) -> None:
    chosen = ItemSettings(scheme, seeds or SeedPolicy())
    answers.set_item_settings(centre.house.service.database, centre.exam.id, centre.house.ids["ling"], ITEM, chosen)


def states(centre: Centre) -> dict[str, int]:
    one = leading.progress(centre.house.service.database, centre.exam.id)[PLACE]
    return {name: getattr(one, name) for name in ("first", "second", "third", "leader", "final") if getattr(one, name)}


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
