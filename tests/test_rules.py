"""Deterministic marking: choices, blanks, numbers with units, mathematics."""

from __future__ import annotations

import itertools
import os
import signal
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.exam import expression, number, units
from grader.exam.exam import BlankItem, ChoiceItem, MultiChoiceItem, NumericItem
from grader.scoring import maths
from grader.scoring.blank import score_blank
from grader.scoring.choice import score_choice, score_multi_choice
from grader.scoring.lookalike import distance, near
from grader.scoring.normal import normalise
from grader.scoring.numeric import score_numeric

FULL = 3.0
_USUAL = st.sampled_from("0123456789.+-*/^=xm米秒光合作用ABC,、 ()²×")
ANYTHING = st.text(alphabet=st.characters(codec="utf-8") | _USUAL, max_size=40)


def choice(answer: str = "B", options: str = "ABCD") -> ChoiceItem:
    return ChoiceItem(id="1", type="choice", options=options, answer=answer, max_mark=FULL)


def multi(partial: float | None = 2) -> MultiChoiceItem:
    subset = None if partial is None else {"subset": partial}
    return MultiChoiceItem(id="1", type="multi_choice", options="ABCDE", answer="ACD", max_mark=FULL, partial=subset)


def blank(*answers: str, **more: object) -> BlankItem:
    return BlankItem.model_validate({"id": "1", "type": "blank", "answers": answers, "max_mark": FULL, **more})


def numeric(answer: str = "3.2", unit: str | None = "m/s", tolerance: str | None = "1%") -> NumericItem:
    return NumericItem(id="1", type="numeric", answer=answer, unit=unit, tolerance=tolerance, max_mark=FULL)


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


# numbers


@pytest.mark.parametrize(
    "text",
    ["3200", "3.2×10^3", "3.2*10³", "3.2e3", "3.2E+3", "3.2 x 10^3", "3.2×10^{3}", "３２００",
     "3,200", "3 200", "32×10²",
     "6400/2", "3.2·10³", "3200.", "3200.0", "x=3200", "x = 6400/2 = 3200", "答：3200", "约3200", "0.32×10⁴"],
)  # fmt: skip
def test_ways_to_write_a_number(text: str) -> None:
    assert score_numeric(numeric("3200", None, None), text).mark == FULL


@pytest.mark.parametrize("text", ["1.5", "1 1/2", "1又1/2", "3/2", "1½", "150%", "+1.5", "6/4"])
def test_fractions(text: str) -> None:
    assert score_numeric(numeric("3/2", None, None), text).mark == FULL


@pytest.mark.parametrize(
    "text",
    ["3.2 m/s", "320 cm/s", "3.2米/秒", "3.2 米每秒", "11.52 km/h", "11.52千米/时",
     "３．２ｍ／ｓ。", "v=3.2 m/s", "3.2 m·s⁻¹",
     "v = s/t = 16/5 = 3.2 m/s", "v=16m/5s=3.2m/s", "3.2m/s=320cm/s", "3.23 m/s",
     "3.168m/s", "3.232m/s", "(3.2 m/s)",
     "3.2 M/S", "192 m/min", "3 1/5 m/s", "答：他的速度是3.2m/s。", "速度为3.2米每秒",
     "The speed is 3.2 m/s.", "它的速度约为3.2m/s", "3.2 metres per second"],
)  # fmt: skip
def test_the_same_speed(text: str) -> None:
    verdict = score_numeric(numeric(), text)
    assert verdict.mark == FULL
    assert not verdict.flags


@pytest.mark.parametrize(
    ("text", "flag"),
    [
        ("3.2", "unit_missing"),
        ("3.2 m", "unit_wrong"),
        ("3.2 km/h", "unit_wrong"),
        ("3.2 米每妙", "unit_wrong"),
        ("3.2 m/s²", "unit_wrong"),
        ("3.2 m/s 或 3.3 m/s", "several_answers"),
        ("3.1 = 3.2 m/s", "several_answers"),
        ("3.2±0.1 m/s", "several_answers"),
        ("3,2 m/s", "several_answers"),
        ("大于3.2 m/s", "unparsed"),
        ("不是3.2 m/s", "unparsed"),
        ("速度不是3.2 m/s", "unparsed"),
        ("速度大于3.2 m/s", "unparsed"),
        ("v=3.2 m/s，s=60 m", "several_answers"),
        ("三点二", "not_a_number"),
        ("不会", "not_a_number"),
        ("=", "not_a_number"),
        ("1e999 m/s", "not_a_number"),
        ("9" * 100, "not_a_number"),
        ("9**9**9**9", "several_answers"),
        ("3" * 201, "too_long"),
    ],
)
def test_what_a_person_must_see(text: str, flag: str) -> None:
    verdict = score_numeric(numeric(), text)
    assert verdict.flags == (flag,)
    assert not verdict.mark


@pytest.mark.parametrize("text", ["3.24 m/s", "-3.2 m/s", "320", "5 kg", "32 m/s", "3.2e3 cm/s"])
def test_plainly_wrong_numbers(text: str) -> None:
    assert score_numeric(numeric(), text).mark == 0
    assert not score_numeric(numeric(), text).flags


def test_temperatures_in_products_do_not_convert() -> None:
    assert score_numeric(numeric("-5", "℃", None), "-5 ℃°").flags == ("unit_wrong",)


def test_a_lost_superscript_is_not_guessed() -> None:
    assert score_numeric(numeric("3200", "m"), "3.2×103m").flags == ("ocr_ambiguous",)
    assert score_numeric(numeric("5", "m"), "3.2×103m").flags == ()


@pytest.mark.parametrize(
    ("item", "text"),
    [
        (numeric("-5", "℃", None), "零下5℃"),
        (numeric("25", "℃", None), "298.15 K"),
        (numeric("50", "%", None), "0.5"),
        (numeric("50", "%", None), "1/2"),
        (numeric("1.0e3", "kg/m^3"), "1g/cm³"),
        (numeric("9.8", "m/s^2"), "9.8 m/s2"),
        (numeric("3.6e6", "J", None), "1 kW·h"),
        (numeric("4.2e3", "J/(kg·℃)"), "4.2×10³ 焦/(千克·摄氏度)"),
        (numeric("5", None, None), "5个"),
        (numeric("0", "m", "0.1"), "10 cm"),
        (numeric("0.05", "A"), "50毫安"),
    ],
)
def test_units_of_school(item: NumericItem, text: str) -> None:
    assert score_numeric(item, text).mark == FULL


def test_rounding_without_a_stated_tolerance_is_for_a_person() -> None:
    assert score_numeric(numeric("1/3", None, None), "0.333").flags == ("near_miss",)
    assert score_numeric(numeric("7", None, None), "7.01").flags == ()


_SAME_QUANTITY = [
    ("m", "cm", "km", "mm", "厘米", "千米", "分米", "公里"),
    ("m/s", "km/h", "cm/s", "米/秒", "千米每小时", "m·s^-1"),
    ("kg/m^3", "g/cm³", "克/立方厘米", "千克每立方米"),
    ("J", "kJ", "kW·h", "焦", "千焦", "千瓦时"),
    ("Pa", "kPa", "帕", "MPa"),
    ("s", "min", "h", "分钟", "小时", "毫秒"),
]


@given(st.sampled_from(_SAME_QUANTITY), st.data(), st.integers(1, 99999), st.integers(-3, 3))
@settings(max_examples=150, deadline=None)
def test_a_value_is_right_in_every_unit_of_its_quantity(
    family: tuple[str, ...], data: st.DataObject, digits: int, power: int
) -> None:
    one, other = data.draw(st.sampled_from(family)), data.draw(st.sampled_from(family))
    value = digits * 10.0**power
    source, target = units.parse(one), units.parse(other)
    assert source
    assert target
    converted = units.convert(value, source, target)
    assert converted is not None
    assert score_numeric(numeric(f"{value:.12g}", one, "0.01%"), f"{converted:.12g} {other}").mark == FULL
    wrong = score_numeric(numeric(f"{value:.12g}", one, "0.01%"), f"{converted * 1.5:.12g} {other}")
    assert wrong.mark == 0


@given(st.floats(1e-12, 1e12, allow_nan=False))
def test_written_numbers_are_read_back(value: float) -> None:
    for text in (f"{value:.10e}", f"-{value:.6f}", f"{value:,.3f}"):
        assert number.parse(text) == pytest.approx(float(text.replace(",", "")))


# mathematics


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("(x+1)(x-1)", "x²-1"),
        ("x^2-1", "x²-1=(x+1)(x-1)"),
        ("1/2", "0.5"),
        ("1 1/2", "3/2"),
        ("x=1或x=2", "x₁=2, x₂=1"),
        ("±2", "2或-2"),
        ("3", "x=3"),
        ("x=3", "x=6/2=3"),
        ("x>3", "3<x"),
        ("-1<x<3", "3>x>-1"),
        ("2x+3y=6", "4x+6y=12"),
        ("(1,2)", "( 1 , 2 )"),
        ("√2/2", "1/√2"),
        ("3/4", r"\frac{3}{4}"),
        ("2πr", "2*pi*r"),
        ("|x|", "√(x²)"),
        ("ρga", "a g ρ"),
        ("y=2x+1", "y=1+2x"),
    ],
)
def test_equivalent(answer: str, text: str) -> None:
    assert maths.relation(answer, text) == "same"


@pytest.mark.parametrize(
    ("answer", "text", "relation"),
    [
        ("x=3", "3", "near"),
        ("x=3", "2x=6", "near"),
        ("4", "2+2", "near"),
        ("4", "8/2", "near"),
        ("x=3", "x=5=3", "near"),
        ("x>3", "2x>6", "near"),
        ("x>3", "x≥3", "different"),
        ("(1,2)", "(2,1)", "different"),
        ("x=1或x=2", "x=1", "different"),
        ("x", "y", "different"),
        ("x+1", "x-1", "different"),
        ("x^2", "x2", "unparsed"),
        ("1/(2x)", "1/2x", "unparsed"),
        ("ln(x^2)", "2ln(x)", "unsure"),
        ("1", "1/0", "unsure"),
    ],
)
def test_not_equivalent(answer: str, text: str, relation: str) -> None:
    assert maths.relation(answer, text) == relation


@pytest.mark.parametrize(
    "text",
    ["9**9**9**9", "9^(9^9)", "9^99999", "(" * 10000 + "1" + ")" * 10000, "5!",
     "99999999!", "__import__('os')", "x.__class__",
     "lambda: 1", "exec('1')", "((((99999999999)^50)^50)^50)", "sin(99999999999999999999^60)",
     "exp(10^9)", "x" * 201, "1" * 300,
     "∫x dx", "x=" * 50, "|" * 30, "√" * 100, "-" * 100 + "1", "\\frac{1}", "", ",", "^", "2^", "(",
     "1e5x(", "x_", "½½"],
)  # fmt: skip
def test_hostile_expressions_are_refused_and_cost_nothing(text: str) -> None:
    verdict = score_blank(blank("x+1", math=True), text)
    assert not verdict.mark
    assert verdict.flags in (("unparsed",), ("too_long",), ())


@given(ANYTHING)
@settings(max_examples=200, deadline=None)
def test_the_parser_refuses_or_parses(text: str) -> None:
    with suppress(expression.NotMaths):
        assert expression.parse(text)


def test_a_slow_comparison_is_cut_off_and_the_worker_goes_on() -> None:
    assert maths.relation("x(a+b+c+d+f+g)^40", "(a+b+c+d+f+g)^39(ax+bx+cx+dx+fx+gx)") == "unsure"
    process = maths._worker()._process
    assert maths.relation("x+x", "2x") == "same"
    assert maths._worker()._process is process


def test_a_worker_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert maths.relation("x+x+1", "2x+1") == "same"
    process = maths._worker()._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    monkeypatch.setattr(maths, "WALL_SECONDS", 0.3)
    assert maths.relation("x+x+2", "2x+2") == "unsure"
    assert process.wait() < 0
    monkeypatch.undo()
    assert maths.relation("x+x+3", "2x+3") == "same"


def test_a_killed_worker_is_replaced() -> None:
    assert maths.relation("x+x+x", "3x") == "same"
    process = maths._worker()._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert maths.relation("x+y+x", "2x+y+0") == "same"
    assert maths._worker()._process is not process


def test_repeating_the_question_is_not_an_answer() -> None:
    item = blank("(x+1)(x-1)", math=True, prompt="因式分解：x² - 1 = ____")
    assert score_blank(item, "x^2-1").flags == ("copied_question",)
    assert score_blank(item, "(x-1)(x+1)").flags == ()
