"""OMRChecker layouts as forms: field types, ranges, labels, preprocessors, and every problem at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from grader.errors import FormError
from grader.exam.form import Form, MarksField
from grader.reading.omrchecker import load_template
from grader.reading.table import open_form


def layout(**changes: Any) -> dict[str, Any]:
    block = {"fieldType": "QTYPE_MCQ4", "origin": [50, 60], "bubblesGap": 40, "labelsGap": 30, "fieldLabels": ["q1..3"]}
    raw = {
        "pageDimensions": [600, 800],
        "bubbleDimensions": [20, 16],
        "preProcessors": [],
        "fieldBlocks": {"MCQ": block},
    }
    return {**raw, **changes}


def block(**changes: Any) -> dict[str, Any]:
    return {"B": {**layout()["fieldBlocks"]["MCQ"], **changes}}


def load(folder: Path, raw: object) -> Form:
    path = folder / "template.json"
    path.write_text(raw if isinstance(raw, str) else json.dumps(raw), encoding="utf-8")
    return load_template(path)[0]


def fields(form: Form) -> dict[str, MarksField]:
    found = {}
    for field in form.pages[0].fields:
        assert isinstance(field, MarksField)
        found[field.id] = field
    return found


def test_a_block_of_questions(tmp_path: Path) -> None:
    form = load(tmp_path, layout())
    assert (form.unit, form.pages[0].width, form.pages[0].height) == ("px", 600, 800)
    assert list(fields(form)) == ["q1", "q2", "q3"]
    third = fields(form)["q3"].bubbles
    assert [(b.label, b.x, b.y, b.w, b.h) for b in third] == [
        (label, 50 + 40 * n, 120, 20, 16) for n, label in enumerate("ABCD")
    ]


@pytest.mark.parametrize(
    ("kind", "labels", "horizontal"),
    [
        ("QTYPE_INT", "0123456789", False),
        ("QTYPE_INT_FROM_1", "1234567890", False),
        ("QTYPE_MCQ4", "ABCD", True),
        ("QTYPE_MCQ5", "ABCDE", True),
        ("QTYPE_MCQ4_RTL", "DCBA", True),
        ("QTYPE_MCQ5_RTL", "EDCBA", True),
    ],
)
def test_field_types(kind: str, labels: str, horizontal: bool, tmp_path: Path) -> None:
    bubbles = fields(load(tmp_path, layout(fieldBlocks=block(fieldType=kind))))["q2"].bubbles
    assert "".join(b.label for b in bubbles) == labels
    assert len({b.y for b in bubbles}) == (1 if horizontal else len(labels))
    assert len({b.x for b in bubbles}) == (len(labels) if horizontal else 1)


def test_own_values_direction_and_size(tmp_path: Path) -> None:
    own = block(bubbleValues=["E", "H"], direction="vertical", bubbleDimensions=[30, 10], fieldLabels=["Medium"])
    del own["B"]["fieldType"]
    bubbles = fields(load(tmp_path, layout(fieldBlocks=own)))["Medium"].bubbles
    assert [(b.label, b.x, b.y, b.w, b.h) for b in bubbles] == [("E", 50, 60, 30, 10), ("H", 50, 100, 30, 10)]


def test_custom_labels_join_columns_in_order(tmp_path: Path) -> None:
    digits = block(fieldType="QTYPE_INT", fieldLabels=["roll1..3", "x1"])
    raw = layout(fieldBlocks=digits, customLabels={"Roll": ["roll1..3"]})
    found = fields(load(tmp_path, raw))
    assert list(found) == ["Roll", "x1"]
    assert found["Roll"].role == "candidate"
    assert {b.position for b in found["Roll"].bubbles} == {0, 1, 2}
    assert [b.x for b in found["Roll"].bubbles if b.label == "0"] == [50, 80, 110]


def test_what_cuts_the_page_out_becomes_the_registration(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "mark.jpg"), np.zeros((20, 20), np.uint8))
    blur = {"name": "GaussianBlur", "options": {"kSize": [3, 3]}}

    def method(*steps: dict[str, Any]) -> str:
        return load(tmp_path, layout(preProcessors=list(steps))).registration[0].method

    assert method() == "whole"
    assert method(blur, {"name": "Levels", "options": {}}, {"name": "MedianBlur", "options": {}}) == "whole"
    assert method({"name": "CropPage", "options": {"morphKernel": [10, 10]}}, blur) == "contour"
    markers = {"name": "CropOnMarkers", "options": {"relativePath": "mark.jpg", "sheetToMarkerWidthRatio": 20}}
    assert method(blur, markers) == "markers"
    assert load(tmp_path, layout(preProcessors=[markers])).registration[0].marker_width == 30
    assert method({"name": "FeatureBasedAlignment", "options": {"reference": "mark.jpg"}}) == "features"


def test_every_problem_is_reported_at_once(tmp_path: Path) -> None:
    raw = layout(
        pageDimensions=[600],
        preProcessors=[
            {"name": "Twirl", "options": {}},
            {"name": "CropOnMarkers", "options": {"relativePath": "no.jpg"}},
        ],
        fieldBlocks={
            "A": block(fieldType="QTYPE_ODD", fieldLabels=["q5..2"])["B"],
            "B": {"origin": [1, 2], "bubblesGap": "wide", "labelsGap": 5, "fieldLabels": ["q1", "q1"]},
        },
        customLabels={"Roll": ["roll1..2"]},
        outputColumns=["q99"],
    )
    with pytest.raises(FormError) as wrong:
        load(tmp_path, raw)
    text = str(wrong.value)
    for place in (
        "pageDimensions",
        "preProcessors.0.name",
        "preProcessors.1.options.relativePath",
        "fieldBlocks.A.fieldType",
        "fieldBlocks.A.fieldLabels",
        "fieldBlocks.B:",
        "fieldBlocks.B.bubblesGap",
        "fieldBlocks.B.fieldLabels",
        "customLabels.Roll",
        "outputColumns",
    ):
        assert place in text, place
    assert all(problem.remedy for problem in wrong.value.problems)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "{}", '{"fieldBlocks": 3, "preProcessors": "x"}'])
def test_what_is_no_layout_is_an_error_in_words(text: str, tmp_path: Path) -> None:
    with pytest.raises(FormError):
        load(tmp_path, text)


def test_a_field_off_the_page_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FormError, match="outside the page"):
        load(tmp_path, layout(fieldBlocks=block(origin=[560, 60])))


def test_damaged_files_beside_the_layout_are_reported(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(FormError, match=r"config\.json"):
        load(tmp_path, layout())


def test_read_marks_tells_a_layout_from_a_form(tmp_path: Path) -> None:
    load(tmp_path, layout())
    form, folder = open_form(tmp_path / "template.json")
    assert form.unit == "px"
    assert folder == tmp_path


@pytest.mark.data
def test_every_layout_of_the_project_loads(data: Path) -> None:
    paths = sorted((data / "omr" / "omrchecker" / "layouts").rglob("template*.json"))
    assert len(paths) >= 21
    for path in paths:
        assert load_template(path)[0].pages[0].fields
