"""Deterministic marking: numbers with units."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from items import FULL, numeric

from grader.exam import number, units
from grader.exam.exam import NumericItem
from grader.scoring.numeric import score_numeric


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
