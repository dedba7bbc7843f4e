"""What mark reading may never do, on sheets drawn from a form and degraded like scans."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from drawn import draw, mark, page_of, scan, sheet_form
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.exam.form import BubbleBox, MarksField
from grader.reading.marks import read_marks
from grader.reading.registration import register
from grader.records import Reading

FORM = sheet_form(items=30)
CANDIDATE = "20260117"


def some_truth(seed: int = 0) -> dict[str, str]:
    rng = np.random.default_rng(seed)
    marks = {str(n + 1): "ABCD"[rng.integers(4)] for n in range(28)}
    return {**marks, "29": "ABD", "30": "", "candidate": CANDIDATE}


def read(gray: np.ndarray) -> dict[str, Reading]:
    page = page_of(np.ascontiguousarray(gray))
    registration = register(page, FORM)
    return {r.field: r for r in read_marks(page, FORM.page(1), registration)}


def wrong(readings: dict[str, Reading], truth: dict[str, str]) -> list[tuple[str, str, str]]:
    return [(f, r.value, truth.get(f, "")) for f, r in readings.items() if r.value != truth.get(f, "")]


DEGRADED = {
    "flat": {},
    "skewed photo": {"angle": -3, "perspective": 0.05, "blur": 1.2, "margin": 60, "shadow": 0.45},
    "bad jpeg": {"angle": 1.5, "noise": 8.0, "quality": 40, "shadow": 0.6},
    "dark desk": {"margin": 200, "background": 50, "perspective": 0.04, "angle": 2},
}


@pytest.mark.parametrize("degraded", DEGRADED)
@pytest.mark.parametrize(("style", "ink"), [("fill", 60), ("fill", 180), ("tick", 60), ("cross", 90), ("fill", 0)])
def test_every_mark_is_read_and_none_is_invented(style: str, ink: int, degraded: str) -> None:
    truth = some_truth()
    readings = read(scan(draw(FORM, truth, style=style, ink=ink), 3, **DEGRADED[degraded]))
    assert wrong(readings, truth) == []
    assert [r for r in readings.values() if r.flags] == []


@pytest.mark.parametrize("dpi", [150, 300])
def test_resolution_does_not_matter(dpi: int) -> None:
    truth = some_truth(1)
    readings = read(scan(draw(FORM, truth, style="tick", ink=70, dpi=dpi), 1, angle=1))
    assert wrong(readings, truth) == []


def test_one_bit_scan() -> None:
    truth = some_truth(2)
    gray = scan(draw(FORM, truth), 1, angle=1)
    readings = read(np.where(gray > 128, 255, 0).astype(np.uint8))
    assert wrong(readings, truth) == []


def test_coloured_card() -> None:
    truth = some_truth(3)
    readings = read((scan(draw(FORM, truth, ink=40), 1, angle=1) * 0.6).astype(np.uint8))
    assert wrong(readings, truth) == []


def test_turning_the_page_changes_nothing() -> None:
    truth = {**some_truth(4), "3": "AB"}
    gray = scan(draw(FORM, truth, style="cross"), 4, angle=2, perspective=0.03, margin=40)
    upright = read(gray)
    for turns in (1, 2, 3):
        turned = read(np.rot90(gray, turns))
        assert {f: (r.value, r.flags) for f, r in turned.items()} == {f: (r.value, r.flags) for f, r in upright.items()}


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 10**6), angle=st.floats(-3, 3), shadow=st.floats(0, 0.6), noise=st.floats(0, 9),
    perspective=st.floats(0, 0.06),
)  # fmt: skip
def test_a_blank_sheet_yields_no_marks(
    seed: int, angle: float, shadow: float, noise: float, perspective: float
) -> None:
    gray = scan(draw(FORM, {}), seed, angle=angle, shadow=shadow, noise=noise, perspective=perspective, margin=50)
    readings = read(gray)
    assert all(r.value == "" for r in readings.values())
    assert not any(bubble.marked for r in readings.values() for bubble in r.bubbles)


def test_a_darker_mark_is_never_less_marked() -> None:
    """As one bubble is filled more, its verdict goes from blank over doubt to marked, never back."""
    rank = {False: 0, None: 1, True: 2}
    seen = []
    for ink in (245, 240, 230, 215, 200, 180, 140, 90, 40):
        gray = draw(FORM, {**some_truth(5), "7": ""})
        mark(gray, bubble_of("7", "B"), "smudge", ink, np.random.default_rng(0), 200 / 25.4)
        reading = read(scan(gray, 5))["7"]
        seen.append(rank[next(b.marked for b in reading.bubbles if b.label == "B")])
    assert seen == sorted(seen)
    assert seen[0] == 0
    assert seen[-1] == 2


def test_two_marks_are_reported_as_such() -> None:
    reading = read(scan(draw(FORM, {**some_truth(), "5": "BD"})))["5"]
    assert reading.value == "BD"
    assert "multiple_marks" in reading.flags


def test_several_marks_are_fine_where_the_item_allows_them() -> None:
    reading = read(scan(draw(FORM, {**some_truth(), "29": "ACD"})))["29"]
    assert (reading.value, reading.flags) == ("ACD", ())


def test_an_erased_mark_beside_a_clear_one_is_flagged() -> None:
    gray = draw(FORM, {**some_truth(), "9": "C"})
    mark(gray, bubble_of("9", "A"), "smudge", 215, np.random.default_rng(0), 200 / 25.4)
    reading = read(scan(gray))["9"]
    assert reading.value == "C"
    assert set(reading.flags) & {"erased", "mark_doubtful"}


def test_a_crossed_out_fill_is_flagged() -> None:
    gray = draw(FORM, {**some_truth(), "29": "ABD"})
    scale = 200 / 25.4
    crossed = ((-0.62, -0.64), (0.62, 0.64), (-0.62, 0.64), (0.62, -0.64))
    bubble = bubble_of("29", "B")
    x, y = bubble.x + bubble.w / 2, bubble.y + bubble.h / 2
    points = [(round((x + a * bubble.w) * scale), round((y + b * bubble.h) * scale)) for a, b in crossed]
    for start, end in zip(points[::2], points[1::2], strict=True):
        cv2.line(gray, start, end, 50, 4, cv2.LINE_AA)
    reading = read(scan(gray, angle=1))["29"]
    assert (reading.value, reading.flags) == ("ABD", ("cancelled",))


def test_a_fill_that_runs_over_one_corner_is_not_crossed_out() -> None:
    gray = draw(FORM, some_truth())
    bubble = bubble_of("29", "D")
    corner = (round((bubble.x - 0.5) * 200 / 25.4), round((bubble.y - 0.4) * 200 / 25.4))
    middle = (round((bubble.x + 2.5) * 200 / 25.4), round((bubble.y + 1.5) * 200 / 25.4))
    cv2.line(gray, corner, middle, 50, 4, cv2.LINE_AA)
    assert read(scan(gray, angle=1))["29"].flags == ()


def test_a_lone_residue_is_doubtful_and_no_mark() -> None:
    gray = draw(FORM, {**some_truth(), "9": ""})
    mark(gray, bubble_of("9", "A"), "smudge", 215, np.random.default_rng(0), 200 / 25.4)
    reading = read(scan(gray))["9"]
    assert (reading.value, reading.flags) == ("", ("mark_doubtful",))


def test_specks_are_no_marks() -> None:
    gray = draw(FORM, some_truth())
    rng = np.random.default_rng(7)
    for field in FORM.page(1).fields:
        for bubble in field.bubbles if isinstance(field, MarksField) else ():
            place = (bubble.x + rng.uniform(1, bubble.w - 1), bubble.y + rng.uniform(0.8, 2.2))
            x, y = (int(at * 200 / 25.4) for at in place)
            gray[y : y + 2, x : x + 2] = 60  # a quarter of a millimetre
    assert wrong(read(scan(gray)), some_truth()) == []


def test_a_gap_in_the_candidate_number_is_shown_and_flagged() -> None:
    reading = read(scan(draw(FORM, {**some_truth(), "candidate": "2026_117"})))["candidate"]
    assert reading.value == "2026_117"
    assert reading.flags == ("mark_doubtful",)


def test_everybody_chose_the_same_label() -> None:
    """A look of which all bubbles are marked is not taken for print."""
    truth = {**{str(n + 1): "A" for n in range(30)}, "candidate": "00000000"}
    assert wrong(read(scan(draw(FORM, truth))), truth) == []


def test_a_field_off_the_picture_is_flagged_not_guessed() -> None:
    gray = scan(draw(FORM, some_truth()), noise=0, blur=0)
    page = page_of(gray)
    registration = register(page, FORM)
    cropped = page_of(np.ascontiguousarray(gray[: int(150 * 200 / 25.4)]))
    readings = {r.field: r for r in read_marks(cropped, FORM.page(1), registration)}
    lost = [f.id for f in FORM.page(1).fields if isinstance(f, MarksField) and f.bubbles[0].y > 151]
    assert lost
    assert all("field_outside" in readings[field].flags and readings[field].value == "" for field in lost)


def test_confidence_falls_towards_the_limits() -> None:
    gray = draw(FORM, {**some_truth(), "7": ""})
    mark(gray, bubble_of("7", "B"), "tick", 150, np.random.default_rng(0), 200 / 25.4)
    readings = read(scan(gray, blur=1.0))
    sure = [r.confidence for f, r in readings.items() if f != "7"]
    assert readings["7"].confidence < min(sure)


def bubble_of(field_id: str, label: str) -> BubbleBox:
    field = next(f for f in FORM.page(1).fields if f.id == field_id)
    return next(b for b in field.bubbles if b.label == label)
