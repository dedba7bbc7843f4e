"""Deterministic marking: choices and blanks."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from items import ANYTHING, FULL, blank, choice, multi

from grader.scoring.blank import score_blank
from grader.scoring.choice import score_choice, score_multi_choice
from grader.scoring.lookalike import distance, near
from grader.scoring.normal import normalise

# choices


@pytest.mark.parametrize("text", ["B", "b", "Ｂ", " B. ", "(B)", "（b）", "选B", "答案：B", "B、", "Answer: B"])
def test_ways_to_write_a_choice(text: str) -> None:
    assert score_choice(choice(), text).mark == FULL


@pytest.mark.parametrize(
    ("text", "mark", "flag"),
    [
        ("A", 0, None),
        ("AB", 0, "multiple_marks"),
        ("E", None, "out_of_alphabet"),
        ("B?C or D", None, "out_of_alphabet"),
    ],
)
def test_other_choices(text: str, mark: float | None, flag: str | None) -> None:
    verdict = score_choice(choice(), text)
    assert verdict.mark == mark
    assert verdict.flags == ((flag,) if flag else ())


def test_right_or_wrong_in_any_shape_of_tick_and_cross() -> None:
    item = choice("×", "√×")
    assert [score_choice(item, text).mark for text in ("×", "x", "✗", "错", "√", "✓", "对")] == [FULL] * 4 + [0.0] * 3
    assert score_choice(choice("F", "ABCDEF"), "×").mark is None  # not a guess at F among six


@pytest.mark.parametrize("letters", sorted({"".join(p) for p in itertools.permutations("ACD")}))
def test_the_order_of_letters_does_not_matter(letters: str) -> None:
    for text in (letters, letters.lower(), "、".join(letters), " ".join(letters)):
        assert score_multi_choice(multi(), text).mark == FULL


@pytest.mark.parametrize(("text", "mark"), [("A", 2), ("CA", 2), ("AB", 0), ("ACDE", 0), ("B", 0), ("AAC", 2)])
def test_partial_marks(text: str, mark: float) -> None:
    assert score_multi_choice(multi(), text).mark == mark
    assert score_multi_choice(multi(None), text).mark == 0


# blanks


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("光合作用", "光合作用。"),
        ("光合作用", "“光合作用”"),
        ("光合作用", " 光 合 作 用 "),
        ("光合作用", "答：光合作用"),
        ("叶绿体", "葉綠體"),
        ("Cell membrane", "CELL  MEMBRANE."),
        ("cell membrane", "ｃｅｌｌ　ｍｅｍｂｒａｎｅ"),
        ("x-ray", "X-ray"),
        ("H2O", "H₂O"),
        ("Ca(OH)2", "Ca(OH)₂"),
        ("SO4^2-", "SO₄²⁻"),
        ("x^2", "x²"),
        ("x^2", "x^{2}"),
        ("氧气；二氧化碳", "氧气 二氧化碳"),
        ("No", "no"),
        ("5cm", "5 cm"),
        ("-5", "－5"),
        ("1,2", "1、2"),
        ("，", "，"),
    ],
)
def test_the_same_answer_in_another_dress(answer: str, text: str) -> None:
    verdict = score_blank(blank("不相干", answer), text)
    assert verdict.mark == FULL
    assert not verdict.flags


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("光合作用", "光和作用"),
        ("光合作用", "合光作用"),
        ("光合作用", "光合"),
        ("光合作用", "光合作用和呼吸作用"),
        ("叶绿体", "叶录体"),
        ("氧气", "养气"),
        ("二氧化碳", "氧化碳"),
        ("H2O", "H20"),
        ("H2O", "h2o"),
        ("CO", "Co"),
        ("osmosis", "osmossis"),
        ("cell membrane", "cell membranes"),
        ("3", "三"),
        ("3", "three"),
        ("0.5", "1/2"),
        ("5cm", "5厘米"),
        ("叶绿体", "叶绿体或线粒体"),
        ("氧气；二氧化碳", "二氧化碳、氧气"),
        ("氧气；二氧化碳", "氧气、氮气"),
        ("x^2", "x2"),
        ("SO4^2-", "SO42-"),
        ("cell membrane", "membrane"),
        ("5cm", "5"),
        ("5cm", "5m"),
        ("50%", "50"),
        ("1949年10月1日", "1949.10.1"),
        ("2n+1", "1+2n"),
        ("大于", "＞"),
        ("colour", "color"),
        ("并联", "并连"),
        ("增大", "变大"),
        ("能", "能够"),
        ("是", "对"),
        ("increases", "goes up"),
        ("叶绿体", "叶绿体（chloroplast）"),
    ],
)
def test_a_near_miss_is_shown_and_not_guessed(answer: str, text: str) -> None:
    verdict = score_blank(blank(answer), text)
    assert verdict.mark == 0
    assert verdict.flags == ("near_miss",)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("光合作用", "呼吸作用"),
        ("氧气", "氢气"),
        ("静脉血", "动脉血"),
        ("二氧化碳", "一氧化碳"),
        ("升华", "凝华"),
        ("mitosis", "meiosis"),
        ("12", "312"),
        ("12", "13"),
        ("CO2", "CO"),
        ("Ca(OH)2", "CaOH2"),
        ("1,2", "12"),
        ("-5", "5"),
        ("光合作用", "。。。"),
        ("2n+1", "2n-1"),
        ("凸透镜", "凹透镜"),
        ("能", "不能"),
        ("增大", "减小"),
        ("increases", "decreases"),
        ("变大", "变小"),
        ("DNA", "RNA"),
    ],
)
def test_another_word_is_plainly_wrong(answer: str, text: str) -> None:
    verdict = score_blank(blank(answer), text)
    assert verdict.mark == 0
    assert not verdict.flags


@given(ANYTHING)
@settings(max_examples=300, deadline=None)
def test_normalisation_is_idempotent(text: str) -> None:
    assert normalise(normalise(text)) == normalise(text)


@given(ANYTHING)
@settings(max_examples=150, deadline=None)
def test_any_listed_answer_earns_the_full_mark(text: str) -> None:
    if text.strip():
        assert score_blank(blank(text), text).mark == FULL


@given(st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_edit_distance_is_a_distance(one: str, other: str) -> None:
    assert distance(one, other, 9) == distance(other, one, 9)
    assert (distance(one, other, 9) == 0) == (one == other)
    assert distance(one, other, 1) == min(2, distance(one, other, 9))
    assert not near(one, one)
