"""Evidence stands where the characters were seen; what is raised waits; only what is sure is accepted in bulk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import hostile
import numpy as np
import pytest
import report_run
from desk_run import NUMERIC, SHORT, Visitor, rows, visiting
from hypothesis import given
from hypothesis import strategies as st

from grader.desk import sure
from grader.desk.geometry import evidence_boxes, png_size
from grader.desk.remedies import remedy
from grader.desk.sure import Proposed
from grader.flags import FLAGS
from grader.records import Character, CriterionMark, TextLine, Transcription


def line(text: str, y: float) -> TextLine:
    """A line of characters of 10 pixels each, each seen at its middle."""
    width = len(text)
    seen = tuple(Character(c, 0.9, (n + 0.4) / width, (n + 0.6) / width) for n, c in enumerate(text))
    return TextLine(text.strip(), 0.9, (100.0, y, 10.0 * width, 20.0), seen)


def boxes(text: str, evidence: tuple[int, int], *lines: TextLine) -> list[tuple[float, ...]]:
    marks = [CriterionMark("a", 1.0, 0.9, evidence)]
    found = evidence_boxes(text, Transcription(text, 0.9, lines), marks, {"a": 0})
    return [tuple(round(v, 1) for v in one.box) for one in found]


def test_a_span_stands_where_its_characters_were_seen() -> None:
    assert boxes("体积变大了", (2, 4), line("体积变大了", 50)) == [(118.8, 48.8, 22.4, 22.4)]


def test_a_span_over_two_lines_has_two_boxes() -> None:
    found = boxes("水凝固成冰", (1, 4), line("水凝固", 0), line("成冰", 40))
    assert [box[1] for box in found] == [-1.2, 38.8]
    assert [box[2] for box in found] == [22.4, 12.4]


def test_words_of_joined_lines_and_exponents_are_followed() -> None:
    first, second = line("melts ice", 0), line("at 0", 40)
    assert len(boxes("melts ice at 0", (6, 12), first, second)) == 2
    assert boxes("10^4m", (3, 4), line("104m", 0)) == [(118.8, -1.2, 12.4, 22.4)]


@pytest.mark.parametrize("transcription", [None, Transcription("", 1.0)])
def test_no_geometry_no_box(transcription: Transcription | None) -> None:
    assert evidence_boxes("体积", transcription, [CriterionMark("a", 1.0, 1.0, (0, 2))], {"a": 0}) == ()


def test_what_earned_nothing_has_no_box() -> None:
    read = Transcription("体积", 0.9, (line("体积", 0),))
    for mark in (
        CriterionMark("a", 0.0, 1.0, (0, 2)),
        CriterionMark("a", 1.0, 1.0),
        CriterionMark("b", 1.0, 1.0, (0, 2)),
    ):
        assert evidence_boxes("体积", read, [mark], {"a": 0}) == ()


@given(
    st.text("abc 体积^", max_size=12),
    st.text("abc 体积", max_size=12),
    st.tuples(st.integers(-3, 15), st.integers(-3, 15)),
)
def test_a_box_lies_on_its_line_whatever_was_corrected(text: str, seen: str, evidence: tuple[int, int]) -> None:
    read = line(seen, 0)
    found = evidence_boxes(text, Transcription(seen, 0.9, (read,)), [CriterionMark("a", 1, 1, evidence)], {"a": 0})
    for one in found:
        assert one.box[0] >= 98.7
        assert one.box[0] + one.box[2] <= 100 + read.box[2] + 1.3


def test_the_size_of_a_picture_is_in_its_header() -> None:
    assert png_size(hostile.encoded(np.zeros((60, 300), np.uint8), ".png")) == (300, 60)
    for bad in (b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(ValueError, match="not a PNG"):
            png_size(bad)


@pytest.mark.parametrize("code", [f.code for f in FLAGS.values() if f.stage in {"marks", "ocr", "scoring", "identity"}])
def test_every_flag_of_an_answer_has_a_remedy(code: str) -> None:
    assert remedy(code, "en")
    assert re.search("[\u4e00-\u9fff]", remedy(code, "zh"))


# raising and accepting


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Visitor]:
    with visiting(tmp_path) as found:
        yield found


def test_a_raised_answer_waits_for_the_leader_and_can_be_put_back(visitor: Visitor) -> None:
    path, before = visitor.first(NUMERIC), rows(visitor.desk)
    assert "已提交组长" in visitor.post(path, act="raise", comment="单位 <b>?").text
    assert rows(visitor.desk) == before
    assert visitor.first(NUMERIC) != path
    name = path.rpartition("/")[2]
    assert name not in visitor.desk.queue(NUMERIC)[1]
    assert "单位 &lt;b&gt;?" in visitor.client.get("/").text
    again = type(visitor)(type(visitor.desk)(visitor.desk.store, "li")).enter()
    assert name not in again.desk.queue(NUMERIC)[1], "it waits after a restart too"
    assert "chen 已提交组长" in again.client.get(path).text
    again.post(path + "/lower")
    assert name in again.desk.queue(NUMERIC)[1]
    assert "单位" not in again.client.get("/").text


def test_a_decision_settles_what_was_raised(visitor: Visitor) -> None:
    path = visitor.first(NUMERIC)
    visitor.post(path, act="raise")
    assert "未写理由" in visitor.client.get("/").text
    visitor.post(path, act="full")
    assert "未写理由" not in visitor.client.get("/").text
    assert visitor.desk.raised() == []


def test_accepting_takes_the_proposal_whatever_was_typed(visitor: Visitor) -> None:
    path = visitor.first(SHORT)
    name = path.rpartition("/")[2]
    before = visitor.desk.answer(SHORT, name)
    visitor.post(path, act="accept", mark="3")
    after = visitor.desk.answer(SHORT, name)
    assert (after.mark, after.status, after.marker) == (before.mark, "final", "person:chen")


def test_the_next_answer_is_fetched_ahead_and_the_save_behind_is_acknowledged(visitor: Visitor) -> None:
    path = visitor.first(NUMERIC)
    ahead = {"X-Ahead": "1"}
    page = visitor.client.get(f"/items/{NUMERIC}/next?after={path.rpartition('/')[2]}", headers=ahead)
    assert page.url.path != path
    assert "剩余 4" in page.text, "as it will be once the one before it is saved"
    said = visitor.client.post(path, data={"csrf": visitor.session.csrf, "mark": "1.5"}, headers=ahead)
    assert (said.status_code, said.text) == (200, "已保存：1.5 / 3")
    assert visitor.desk.answer(NUMERIC, path.rpartition("/")[2]).mark == 1.5
    assert visitor.first(NUMERIC) == page.url.path
    assert "已保存" not in visitor.client.get("/").text, "said once"


def test_what_the_model_is_sure_of_is_accepted_at_once_and_taken_back_at_once(visitor: Visitor) -> None:
    before = rows(visitor.desk)
    page = visitor.client.get(f"/items/{SHORT}/sure")
    assert "≥ 80%" in page.text
    assert "control_text" not in page.text
    names = re.findall(r'name="except" value="(\w+)"', page.text)
    assert len(names) == 4, "those with a flag that blocks are not among them"
    sent = {"least": "0.8", "count": "4"}
    assert visitor.post(f"/items/{SHORT}/sure", **{**sent, "count": "5"}).status_code == 409
    assert visitor.post(f"/items/{SHORT}/sure", **{**sent, "least": "0.1"}).status_code == 409
    assert rows(visitor.desk) == before
    assert "已采纳 3 份" in visitor.post(f"/items/{SHORT}/sure", **sent, **{"except": names[1]}).text
    changed = {key: row for key, row in rows(visitor.desk).items() if row != before[key]}
    assert set(changed.values()) == {(4.0, "final", "person:chen")}
    assert len(changed) == 3
    visitor.post("/undo")
    assert rows(visitor.desk) == before


def test_near_identical_answers_get_the_mark_only_when_taken_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = [(text, None, "review", ()) for text in ("水结冰体积会变大了", "水结冰体积会变大", "水结冰体积不会变大")]
    monkeypatch.setitem(report_run.ANSWERS, "4", waits)
    with visiting(tmp_path, candidates=3) as visitor:
        held = {visitor.desk.answer(SHORT, e.name).response: e.name for e in visitor.desk.queue(SHORT)[0].entries}
        name, other, opposite = (held[text] for text, *_ in waits)
        path = f"/items/{SHORT}/answers/{name}"
        assert other in {one.name for one in visitor.desk.near(SHORT, name)}
        assert opposite not in {one.name for one in visitor.desk.near(SHORT, name)}, "one word turns it round"
        assert f'name="with" value="{other}"' in visitor.client.get(path + "/group").text
        count = len(visitor.desk.identical(SHORT, name))
        visitor.post(path + "/group", mark="1", count=count)
        assert visitor.desk.answer(SHORT, other).status == "review"
        visitor.post("/undo")
        visitor.post(path + "/group", mark="1", count=count, **{"with": [other, opposite]})
        assert [visitor.desk.answer(SHORT, one).mark for one in (name, other, opposite)] == [1.0, 1.0, None]


def test_only_the_sure_without_a_flag_are_sure() -> None:
    one = Proposed("a", 2.0, 0.95, "proposed")
    others = [replace(one, status="review"), replace(one, mark=None), replace(one, confidence=0.94)]
    assert sure.sure([one, *others], 0.95) == [one]
    assert sure.level([one], None) == 0.95
    assert sure.level([one], 0.8) == 0.8
    assert sure.level([one], 0.123) == 0.95
    assert sure.level([], None) == 0.99


@given(st.sets(st.text("abcdef", min_size=5, max_size=8), max_size=40))
def test_a_sample_is_the_same_whatever_the_order(names: set[str]) -> None:
    held = sorted(names)
    assert sure.sample(held) == sure.sample(held[::-1])
    assert set(sure.sample(held)) <= names
    assert len(sure.sample(held)) == min(len(names), sure.SAMPLE)


def test_the_rule_of_three() -> None:
    assert sure.most_wrong(12, 12) == 0.0
    assert sure.most_wrong(12, 100) == 0.25
    assert sure.most_wrong(2, 100) == 1.0
