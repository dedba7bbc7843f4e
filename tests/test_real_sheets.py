"""The real sheets of other makers: no silent error, nearly all right, few flags, at every turn."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

pytestmark = pytest.mark.data


def total(turn: int, names: set[str] | None = None) -> tuple[Counter[str], list[str]]:
    """Counts of all sheets (or those named) turned by quarter turns, and the refused ones."""
    from benchmarks.omr import read_turned
    from benchmarks.sheets import all_sheets, compare

    counts: Counter[str] = Counter()
    refused = []
    for sheet in all_sheets():
        if names is not None and sheet.name not in names:
            continue
        readings, reason = read_turned(sheet, turn)
        if reason:
            refused.append(f"{sheet.name}: {reason}")
            continue
        counts["sheets"] += 1
        counts += compare(readings, sheet.truth)[0]
    return counts, refused


def check(counts: Counter[str], refused: list[str]) -> None:
    assert refused == []
    assert counts["silent"] == 0
    assert counts["unread"] == 0
    assert counts["right"] >= 0.995 * counts["compared"]
    assert counts["wrong_flagged"] + counts["right_flagged"] <= 0.03 * counts["compared"]


def test_every_sheet_as_it_came() -> None:
    counts, refused = total(0)
    check(counts, refused)
    assert counts["sheets"] >= 26
    assert counts["compared"] >= 1400


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_turned_sheets_read_the_same(turn: int) -> None:
    names = {
        "omrchecker/college100",
        "omrchecker/mobile_sheet1",
        "omrchecker/survey1",
        "omrchecker/upsc_angle1",
        "cn_zhongkao_card/cyihui_test11",
        "misc/es_crosses_1",
        "misc/cn_webcam_1",
        "formscanner/questionnaire3",
    }
    counts, refused = total(turn, names)
    check(counts, refused)
    assert counts["sheets"] == len(names)
