"""Homework without the web: drafts and their mistakes, class lists, outcomes, exports that no spreadsheet runs."""

from __future__ import annotations

import csv
import io
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

from grader.homework import classlist, drafts, exports, mending, outcome
from grader.homework.prints import printed
from grader.homework.words import WORDS
from grader.records import CriterionMark
from grader.report.words import WORDS as REPORT
from grader.run.pipeline import png
from grader.store.store import ResultRow

FORM = {
    "item.4.id": "1", "item.4.type": "choice", "item.4.max_mark": "2", "item.4.options": "ABCD", "item.4.answer": "B",
    "item.7.id": "2", "item.7.type": "short_answer", "item.7.max_mark": "4", "item.7.prompt": "为什么？",
    "item.7.criterion.0": "体积", "item.7.marks.0": "2", "item.7.criterion.1": "", "item.7.marks.1": "",
    "item.7.criterion.2": "密度", "item.7.marks.2": "2",
}  # fmt: skip


def draft(**more: str) -> drafts.Draft:
    return drafts.from_form({**FORM, **more}, "练习", "zh", "hw-1")


def test_a_draft_becomes_the_exam_that_it_shows() -> None:
    exam, troubles = drafts.check(draft())
    assert troubles == []
    assert exam is not None
    assert [item.id for item in exam.items] == ["1", "2"]
    assert [c.criterion for c in exam.item("2").rubric] == ["体积", "密度"]  # type: ignore[union-attr]
    again, _ = drafts.check(drafts.from_exam(exam))
    assert again == exam


@pytest.mark.parametrize(
    ("changed", "field", "chinese"),
    [
        ({"item.4.answer": "F"}, "item.4.answer", "答案 F 不在选项"),
        ({"item.4.answer": "", "item.4.prompt": "?"}, "item.4.answer", "未填写"),
        ({"item.4.max_mark": "two"}, "item.4.max_mark", "应为数字"),
        ({"item.4.max_mark": "-1"}, "item.4.max_mark", "应大于 0"),
        ({"item.7.marks.2": "1"}, "item.7.rubric", "要点分值合计 3 分"),
        ({"item.7.marks.2": "x"}, "item.7.marks.2", "应为数字"),
        ({"item.7.criterion.2": ""}, "item.7.criterion.2", "未填写"),
        ({"item.7.id": "1"}, "item.7.id", "题号 1 重复"),
        ({"item.4.type": "numeric"}, "item.4.answer", "B 不是数值"),
        ({"item.4.type": "numeric", "item.4.answer": "3", "item.4.unit": "qq"}, "item.4.unit", "无法识别单位 qq"),
    ],
)
def test_a_mistake_stands_beside_its_field_in_both_languages(changed: dict[str, str], field: str, chinese: str) -> None:
    exam, troubles = drafts.check(draft(**changed))
    assert exam is None
    found = {trouble.field: trouble for trouble in troubles}
    assert field in found
    assert field in set(drafts.inputs(draft(**changed)))
    assert mending.told(found[field], "en") == found[field]
    assert chinese in mending.told(found[field], "zh").message


def test_an_empty_item_is_left_out_and_an_empty_form_is_told() -> None:
    exam, _ = drafts.check(draft(**{"item.9.id": "3", "item.9.type": "blank", "item.9.max_mark": "2"}))
    assert exam is not None
    assert len(exam.items) == 2
    assert drafts.check(drafts.from_form({}, "x", "zh", "hw-1"))[1]


def test_hostile_field_names_do_nothing() -> None:
    fields: dict[str, Any] = {
        "item.1.__class__": "x",
        "item.99999.id": "1",
        "item.1.criterion.99": "y",
        "item..id": "z",
    }
    assert drafts.from_form(fields, "x", "zh", "hw-1").items == ()


def test_a_class_list_is_read_in_many_shapes() -> None:
    pupils, bad = classlist.parse("\ufeff学号\t姓名\n1001\t李明\n\n1002,王芳\n1003 Ann Lee\n1004\n")
    assert bad == []
    assert [(p.candidate, p.name) for p in pupils] == [
        ("1001", "李明"), ("1002", "王芳"), ("1003", "Ann Lee"), ("1004", ""),
    ]  # fmt: skip
    _, bad = classlist.parse("1001 a\n../.. b\n1001 c\n")
    assert [(one.line, one.what) for one in bad] == [(2, "bad_number"), (3, "number_twice")]


EXAM, _ = drafts.check(draft())
assert EXAM is not None


def row(
    candidate: str, item: str, mark: float | None, status: str = "final", text: str = "B", **more: Any
) -> ResultRow:
    most = EXAM.item(item).max_mark
    values: dict[str, Any] = {"page": 1, "confidence": 1.0, "flags": (), "file": "f", "file_page": 1, "crop": "",
                              "marker": "rule", "criteria": (), "box": (0, 0, 0, 0), **more}  # fmt: skip
    return ResultRow(candidate=candidate, item=item, response=text, mark=mark, max_mark=most, status=status, **values)


def everybody() -> list[outcome.Pupil]:
    half = (CriterionMark("a", 2, 1.0), CriterionMark("b", 0, 1.0))
    rows = [
        row("1001", "1", 2), row("1001", "2", 2, "proposed", '=HYPERLINK("http://x")', criteria=half),
        row("1002", "1", 0), row("1002", "2", None, "review"),
        row("99", "1", 2), row("1002", "1", 2, flags=("identity_unread",)),
    ]  # fmt: skip
    return outcome.pupils(EXAM, ["1001", "1002", "1003"], rows)


def test_pupils_have_totals_and_what_was_missing() -> None:
    first, second, third, other = everybody()
    assert (first.total, first.open, first.came) == (4, 1, True)
    assert [one.criterion for one in first.answers[1].missing] == ["密度"]
    assert (second.total, second.open) == (0, 1)
    assert not third.came
    assert other.candidate == "99"


def test_the_class_view_says_what_went_wrong_for_whom() -> None:
    choice, short = outcome.items(EXAM, everybody())
    assert (choice.full, choice.none) == ((1, 4), (2,))
    assert choice.mean == pytest.approx(4 / 3)
    assert (short.marked, short.part) == (1, (1,))
    assert [(c.criterion, c.mean, c.short) for c in short.criteria] == [("体积", 2, ()), ("密度", 0, (1,))]


@pytest.mark.parametrize("kind", exports.FORMATS)
def test_no_export_holds_a_formula_and_everybody_has_a_row(kind: exports.Format) -> None:
    names = {"1001": "=cmd|' /C calc'!A0", "1002": "+1+cmd", "1003": "@SUM(A1)"}
    rows = list(csv.reader(io.StringIO(exports.table(kind, EXAM, everybody(), names))))
    cells = [cell for line in rows for cell in line]
    assert not [cell for cell in cells if cell[:1] in "=+-@\t\r" and cell]
    assert [c for c in ("1001", "1002", "1003", "99") if not any(c in line for line in rows)] == []
    missing = next(line for line in rows if "1003" in line)
    assert "0" not in missing


def test_canvas_moodle_and_gradescope_columns() -> None:
    canvas, moodle, gradescope = (
        list(csv.DictReader(io.StringIO(exports.table(kind, EXAM, everybody(), {"1001": "Ann Lee"}))))
        for kind in exports.FORMATS
    )
    assert canvas[0]["Student"].strip() == "Points Possible"
    assert canvas[0]["练习 (hw-1)"] == "6"
    assert canvas[1]["SIS User ID"] == "1001"
    assert moodle[0]["Grade"] == "4"
    assert "密度" in moodle[0]["Feedback comments"]
    assert (gradescope[0]["First Name"], gradescope[0]["Last Name"]) == ("Ann", "Lee")
    assert [line["Status"] for line in gradescope] == ["Ungraded", "Ungraded", "Missing", "Graded"]


def test_the_workbook_has_names_only_where_they_may_be_seen() -> None:
    words = {key: pair[0] for key, pair in (REPORT | WORDS).items()} | {"name": "Name", "comment": "Comment"}
    for shown in (True, False):
        data = exports.workbook(EXAM, everybody(), {"1001": "李明"}, words, shown)
        with ZipFile(io.BytesIO(data)) as book:
            sheets = [book.read(name).decode() for name in book.namelist() if name.endswith(".xml")]
        text = "".join(sheets)
        assert ("李明" in text) is shown
        assert "<f>" not in text
        assert "HYPERLINK" in text


def test_names_are_split_as_people_write_them() -> None:
    assert exports.split_name("欧阳明") == ("阳明", "欧")
    assert exports.split_name("Ann Maria Lee") == ("Ann Maria", "Lee")
    assert exports.split_name("Plato") == ("Plato", "")
    assert exports.split_name("") == ("", "")


def test_a_gray_photograph_is_printed_on_white() -> None:
    import cv2

    photograph = np.full((80, 900), 150, np.uint8) + np.linspace(0, 60, 900).astype(np.uint8)
    cv2.putText(photograph, "2. 3.2 m/s", (60, 55), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 40, 3)
    made = cv2.imdecode(np.frombuffer(printed(png(photograph)), np.uint8), cv2.IMREAD_GRAYSCALE)
    assert made is not None
    assert np.median(made) == 255
    assert made.min() < 60
    assert made.shape[1] < 500


def test_every_word_is_there_in_both_languages() -> None:
    assert [key for key, pair in WORDS.items() if len(pair) != 2 or not all(pair)] == []
