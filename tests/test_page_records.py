"""A page's record in the journal: what is written comes back to the bit, and what earlier versions wrote is read."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.records import (
    Bubble,
    Character,
    CriterionMark,
    Identity,
    Mark,
    PageRef,
    PageResult,
    Reading,
    Registration,
    Response,
    TextLine,
    Transcription,
)
from grader.store import records
from grader.store.entry import entry_of

BUBBLES = (Bubble(0, "A", 0.1 + 0.2, True), Bubble(0, "B", 0.0, False), Bubble(0, "C", 0.05, None))
WRITTEN = Transcription(
    "x²", 0.7, (TextLine("x²", 0.7, (1.0, 2.0, 3.0, 4.0), (Character("x", 0.7),)),), ("struck_out",)
)
PAGE = PageResult(
    PageRef("a.jpg", 2),
    "unmatched",
    "identity_doubtful",
    "",
    "ab" * 32,
    Identity("", 0.0, ("identity_doubtful",), (("bubbles", "20_6"),)),
    1,
    Registration(1, np.array([[7.9, 1e-7, 0.1], [0.0, 7.9, 0.2], [2e-6, 0.0, 1.0]]), 0.06, "fiducials", "code"),
    (
        Reading("q1", "marks", "A", 0.98, ("mark_doubtful",), (1.5, 2.0, 3.0, 4.0), BUBBLES),
        Reading("q2", "text", "x²", 0.7, (), (5.0, 6.0, 7.0, 8.0), (), WRITTEN),
    ),
    (Response("", "1", "A", 0.98, ("mark_doubtful",)), Response("", "2", "x²", 0.7, (), WRITTEN)),
    (
        Mark("", "1", 2.0, 2.0, 0.98, "review", ("mark_doubtful",), "rule:choice/1"),
        Mark("", "2", None, 4.0, 0.0, "review", (), "", (CriterionMark("c", 1.0, 0.5, (0, 2)),)),
    ),
    seconds={"decode": 0.004},
)
READ = (
    "ref",
    "outcome",
    "reason",
    "detail",
    "sha256",
    "identity",
    "sheet_page",
    "readings",
    "responses",
    "marks",
    "seconds",
)


def same(one: PageResult, other: PageResult) -> bool:
    assert one.registration is not None
    assert other.registration is not None
    places = [
        (p.to_pixels.tobytes(), p.page_number, p.residual, p.method, p.code)
        for p in (one.registration, other.registration)
    ]
    return places[0] == places[1] and all(getattr(one, name) == getattr(other, name) for name in READ)


def test_a_record_comes_back_to_the_bit() -> None:
    back, crops = records.from_json(records.to_json(PAGE, {"q1": "ff"}))
    assert same(back, PAGE)
    assert crops == {"q1": "ff"}


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_float_comes_back_to_the_bit(value: float) -> None:
    reading = replace(PAGE.readings[0], confidence=value, bubbles=(Bubble(0, "A", value, None),))
    (back,) = records.from_json(records.to_json(replace(PAGE, readings=(reading,)), {}))[0].readings
    assert np.float64(back.confidence).tobytes() == np.float64(value).tobytes()
    assert np.float64(back.bubbles[0].darkness).tobytes() == np.float64(value).tobytes()


def test_numpy_scalars_are_written_as_numbers() -> None:
    reading = replace(PAGE.readings[0], confidence=np.float32(0.5), bubbles=())  # type: ignore[arg-type]
    (back,) = records.from_json(records.to_json(replace(PAGE, readings=(reading,)), {}))[0].readings
    assert back.confidence == 0.5
    assert type(back.confidence) is float


def test_records_of_earlier_versions_name_the_measures_of_bubbles_and_are_read_alike() -> None:
    data = json.loads(records.to_json(PAGE, {"q1": "ff"}))
    for reading in data["readings"]:
        reading["bubbles"] = [dict(zip(Bubble._fields, bubble, strict=True)) for bubble in reading["bubbles"]]
    back, crops = records.from_json(json.dumps(data, ensure_ascii=False))
    assert same(back, PAGE)
    assert crops == {"q1": "ff"}


def test_an_outline_is_the_page_without_what_was_read_on_it() -> None:
    outline = records.outline(records.to_json(PAGE, {}))
    assert same(replace(outline, readings=PAGE.readings, responses=PAGE.responses, marks=PAGE.marks), PAGE)
    assert not outline.readings
    assert not outline.responses
    assert not outline.marks


def test_what_is_no_record_is_refused() -> None:
    data = json.loads(records.to_json(PAGE, {}))
    data["marks"][0]["confidence"] = "high"
    with pytest.raises(msgspec.ValidationError):
        records.from_json(json.dumps(data))


@pytest.mark.parametrize("nothing", [float("nan"), float("inf")])
def test_a_record_that_could_not_be_read_back_costs_its_page_alone(nothing: float) -> None:
    spoilt = replace(PAGE, registration=Registration(1, np.eye(3), nothing, "fiducials"))
    entry = entry_of(spoilt)
    assert (entry.ref, entry.outcome, entry.reason) == (PAGE.ref, "rejected", "internal_error")
    back, _ = records.from_json(entry.body)
    assert back.sha256 == PAGE.sha256
    assert "residual" in back.detail
