"""Statistics against values worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.report.statistics import (
    complete_rows,
    cronbach_alpha,
    distribution,
    exam_statistics,
    item_rest_correlations,
    item_statistics,
    option_counts,
    pearson,
)

# Five candidates, three items of 2, 2 and 4 marks. Totals 8, 5, 4, 2, 1.
MARKS = np.array([[2, 2, 4], [2, 0, 3], [0, 2, 2], [0, 0, 2], [0, 0, 1]], dtype=float)
ITEMS = [("a", 2.0), ("b", 2.0), ("c", 4.0)]


def test_facility_is_the_mean_share_of_the_marks() -> None:
    a, b, c = item_statistics(ITEMS, MARKS)
    assert (a.mean, a.facility, a.full, a.zero, a.marked) == (0.8, 0.4, 0.4, 0.6, 5)
    assert (b.mean, b.facility) == (0.8, 0.4)
    assert c.facility == pytest.approx(12 / 5 / 4)
    assert (c.full, c.zero) == (0.2, 0.0)


def test_discrimination_leaves_the_item_out_of_the_total() -> None:
    # a = 2 2 0 0 0 and the rest = 6 3 4 2 1: deviations 1.2 1.2 -.8 -.8 -.8 and 2.8 -.2 .8 -1.2 -2.2;
    # products 3.36 - .24 - .64 + .96 + 1.76 = 5.2; sums of squares 4.8 and 14.8.
    # c = 4 3 2 2 1 and the rest = 4 2 2 0 0: deviations 1.6 .6 -.4 -.4 -1.4 and 2.4 .4 .4 -1.6 -1.6;
    # products 3.84 + .24 - .16 + .64 + 2.24 = 6.8; sums of squares 5.2 and 11.2.
    a, b, c = item_rest_correlations(MARKS)
    assert a == pytest.approx(5.2 / math.sqrt(4.8 * 14.8))
    assert c == pytest.approx(6.8 / math.sqrt(5.2 * 11.2))
    assert b == pytest.approx(float(np.corrcoef(MARKS[:, 1], MARKS[:, 0] + MARKS[:, 2])[0, 1]))


def test_alpha_and_the_standard_error() -> None:
    # item variances (n - 1): 1.2, 1.2, 1.3; totals 8 5 4 2 1 have mean 4, variance (16+1+0+4+9)/4 = 7.5
    alpha = 3 / 2 * (1 - 3.7 / 7.5)
    overall = exam_statistics(MARKS)
    assert cronbach_alpha(MARKS) == pytest.approx(alpha)
    assert (overall.complete, overall.mean, overall.median, overall.lowest, overall.highest) == (5, 4, 4, 1, 8)
    assert overall.sd == pytest.approx(math.sqrt(7.5))
    assert overall.standard_error == pytest.approx(math.sqrt(7.5) * math.sqrt(1 - alpha))


def test_a_candidate_with_an_open_item_counts_for_its_marked_items_alone() -> None:
    marks = np.vstack([MARKS, [2, np.nan, 4]])
    a, b, _ = item_statistics(ITEMS, marks)
    assert (a.marked, b.marked) == (6, 5)
    assert a.facility == pytest.approx(6 / 6 / 2)
    assert a.discrimination == pytest.approx(item_rest_correlations(MARKS)[0])
    assert exam_statistics(marks).complete == 5


def test_what_the_data_does_not_carry_is_none() -> None:
    nobody = np.empty((0, 3))
    assert exam_statistics(nobody).mean is None
    assert [row.facility for row in item_statistics(ITEMS, nobody)] == [None] * 3
    assert item_rest_correlations(MARKS[:4]) == [None] * 3
    assert cronbach_alpha(np.ones((9, 3))) is None
    assert pearson(np.ones(9), np.arange(9.0)) is None
    assert exam_statistics(MARKS[:1]).sd is None


@pytest.mark.parametrize(
    ("total", "width", "number"), [(100, 5, 20), (12, 1, 12), (30, 2, 15), (4, 0.2, 20), (0.5, 0.025, 20)]
)
def test_distribution_has_round_bins_that_hold_everybody(total: float, width: float, number: int) -> None:
    scores = np.array([0, total / 2, total, total])
    bins = distribution(scores, total)
    assert len(bins) == number
    assert bins[0].high == pytest.approx(width)
    assert sum(b.count for b in bins) == 4
    assert bins[-1].count == 2


@given(st.lists(st.floats(0, 37)), st.just(37.0))
def test_distribution_loses_nobody(totals: list[float], most: float) -> None:
    assert sum(b.count for b in distribution(np.array(totals, dtype=float), most)) == len(totals)


def test_option_frequencies() -> None:
    counts = option_counts("ABC", "B", ["A", "B", "B", "", "AC"], [0.2, 0.8, 0.6, None, 0.4])
    by_label = {row.label: row for row in counts}
    assert [row.label for row in counts] == ["A", "B", "C", ""]
    assert [row.count for row in counts] == [2, 2, 1, 1]
    assert by_label["B"].key
    assert not by_label["A"].key
    assert by_label["B"].rest_mean == pytest.approx(0.7)
    assert by_label["A"].rest_mean == pytest.approx(0.3)
    assert by_label[""].rest_mean is None
    assert by_label["A"].share == 0.4


def test_complete_rows_keeps_the_order() -> None:
    marks = np.array([[1, 1], [np.nan, 2], [3, 3]])
    assert complete_rows(marks).tolist() == [[1, 1], [3, 3]]
