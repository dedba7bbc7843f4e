"""Print inside bubbles and tinted columns do not count as marks; marks over them do."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from foreign import TRUTH, corner_marks, drawn, foreign_form, page_of, values

from grader.exam.form import MarkersMethod
from grader.reading.page import read_page
from grader.reading.tone import tone_limits

FORM = foreign_form(MarkersMethod(), corner_marks("square"))


@pytest.mark.parametrize("tint", [0.95, 0.9])
def test_a_tinted_column(tint: float) -> None:
    gray = drawn(FORM).astype(np.float32)
    gray[230:970, 210:250] *= tint  # the B of the first column of questions
    assert values(gray.astype(np.uint8), FORM) == TRUTH


def test_heavy_print_inside_bubbles() -> None:
    empty = FORM.pages[0].model_copy(
        update={"fields": tuple(f.model_copy(update={"id": f"no{f.id}"}) for f in FORM.pages[0].fields)}
    )
    gray = drawn(FORM.model_copy(update={"pages": (empty,)}))
    for field in FORM.pages[0].fields:
        for b in field.bubbles:
            at = (round(b.x + 4), round(b.y + 18))
            cv2.putText(gray, b.label, at, cv2.FONT_HERSHEY_SIMPLEX, 0.62, 60, 3, cv2.LINE_AA)
    _, blank = read_page(page_of(gray), FORM)
    assert {reading.value for reading in blank} == {""}
    for field in FORM.pages[0].fields:
        for b in field.bubbles:
            if TRUTH[field.id] == b.label:
                centre = (round(b.x + b.w / 2), round(b.y + b.h / 2))
                layer = gray.copy()
                cv2.circle(layer, centre, 10, 120, -1, cv2.LINE_AA)
                gray = np.minimum(gray, layer)  # pencil over print
    assert values(gray, FORM) == TRUTH


def test_limits_follow_the_marks_of_the_sheet() -> None:
    blank = np.random.default_rng(0).normal(0, 0.004, 300)
    faint = tone_limits(np.concatenate([blank, np.full(60, 0.2)]))
    heavy = tone_limits(np.concatenate([blank, np.full(60, 0.7)]))
    assert faint.blank < faint.marked < 0.2
    assert faint.marked < heavy.marked < 0.7


def test_limits_widen_where_blank_bubbles_scatter() -> None:
    rng = np.random.default_rng(0)
    calm, restless = (tone_limits(rng.normal(0, spread, 400)) for spread in (0.003, 0.02))
    assert calm.blank < restless.blank
    assert calm.marked < restless.marked
