"""The draft of a form finds what is printed; the form command draws, checks and describes."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner
from exams import CHOICE, make_exam
from foreign import TRUTH, corner_marks, drawn, foreign_form, page_of, photographed
from pypdfium2 import PdfDocument

from grader.cli.form import command
from grader.errors import FormError, PageError
from grader.exam.form import Form, MarkersMethod, MarksField, TextField, load_form
from grader.paper.sheets import print_sheets
from grader.reading.draft import draft_form
from grader.reading.page import read_page


def blank(kind: str = "square") -> tuple[Form, np.ndarray]:
    form = foreign_form(MarkersMethod(), corner_marks(kind))
    empty = [f.model_copy(update={"id": f"no{n}"}) for n, f in enumerate(form.pages[0].fields)]
    page = form.pages[0].model_copy(update={"fields": tuple(empty)})
    gray = drawn(form.model_copy(update={"pages": (page,)}))
    cv2.rectangle(gray, (500, 960), (700, 1010), 40, 2)
    return form, gray


@pytest.mark.parametrize("kind", ["square", "disc", "ring", "corner"])
def test_the_draft_finds_bubbles_boxes_and_corner_marks(kind: str) -> None:
    form, gray = blank(kind)
    found = draft_form(gray, "drawn", "reference.png").pages[0]
    wanted = {(b.x + b.w / 2, b.y + b.h / 2) for f in form.pages[0].fields for b in f.bubbles}
    marks = [f for f in found.fields if isinstance(f, MarksField)]
    centres = [(b.x + b.w / 2, b.y + b.h / 2) for f in marks for b in f.bubbles]
    for x, y in wanted:
        assert min(abs(x - a) + abs(y - b) for a, b in centres) < 3
    assert sum(len(f.bubbles) == 4 for f in marks) == 40
    texts = [f for f in found.fields if isinstance(f, TextField)]
    assert any(abs(t.x - 500) < 5 and abs(t.w - 200) < 8 for t in texts)
    assert len(found.fiducials) == 4
    for seen, there in zip(found.fiducials, form.pages[0].fiducials, strict=True):
        assert abs(seen.x - there.x) + abs(seen.y - there.y) < 8


def test_a_drafted_form_reads_a_photographed_sheet() -> None:
    form, gray = blank()
    draft = draft_form(gray, "drawn", "reference.png")
    filled = photographed(drawn(form), 1)
    _, readings = read_page(page_of(filled), draft)
    values = {r.value for r in readings if len(r.bubbles) == 4}
    assert values == {"A", "B", "C", "D"}
    by_place = {}
    for f in draft.pages[0].fields:
        if isinstance(f, MarksField) and len(f.bubbles) == 4:
            by_place[(round(f.bubbles[0].x / 50), round(f.bubbles[0].y / 12))] = f.id
    read = {r.field: r.value for r in readings}
    for field in form.pages[0].fields:
        first = field.bubbles[0]
        assert read[by_place[(round(first.x / 50), round(first.y / 12))]] == TRUTH[field.id]


def test_the_commands(tmp_path: Path) -> None:
    form, gray = blank()
    picture = tmp_path / "blank.png"
    cv2.imwrite(str(picture), gray)
    runner = CliRunner()
    result = runner.invoke(command, ["draft", str(picture), "--out", str(tmp_path / "out")], catch_exceptions=False)
    assert result.exit_code == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"form.json", "draft.png", "reference.png"}
    drafted = load_form(tmp_path / "out" / "form.json")
    assert drafted.pages[0].fields
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), photographed(drawn(form), 3))
    checked = ["check", str(tmp_path / "out" / "form.json"), str(photo), "--out", str(tmp_path / "over.png")]
    assert runner.invoke(command, checked, catch_exceptions=False).exit_code == 0
    over = cv2.imread(str(tmp_path / "over.png"))
    assert over is not None
    assert (over[..., 0] != over[..., 2]).any(), "the form is drawn in colour"
    schema = json.loads(runner.invoke(command, ["schema"]).output)
    jsonschema.validate(json.loads((tmp_path / "out" / "form.json").read_text()), schema)


def test_what_cannot_be_used_is_said_in_words(tmp_path: Path) -> None:
    bad = tmp_path / "form.json"
    bad.write_text('{"id": 3, "pages": []}')
    runner = CliRunner()
    with pytest.raises(FormError):
        runner.invoke(command, ["check", str(bad)], catch_exceptions=False)
    with pytest.raises(PageError):
        runner.invoke(command, ["draft", str(bad), "--out", str(tmp_path)], catch_exceptions=False)


def test_printed_numerals_and_digit_boxes_are_no_bubbles_of_a_row(tmp_path: Path) -> None:
    """A sheet with bold question numbers left of the bubbles, and boxes to write digits in above a number grid."""
    printed = print_sheets(make_exam([CHOICE] * 9), tmp_path).pages[0]
    image = PdfDocument(str(tmp_path / "paper.pdf"))[0].render(scale=200 / 72, grayscale=True).to_numpy()
    gray = np.ascontiguousarray(image.reshape(image.shape[0], image.shape[1]))
    drafted = [f for f in draft_form(gray, "sheet", "sheet.png").pages[0].fields if isinstance(f, MarksField)]

    choices = [f for f in printed.fields if isinstance(f, MarksField) and f.role == "item"]
    real = np.array([(b.x + b.w / 2, b.y + b.h / 2) for field in choices for b in field.bubbles])
    found = 25.4 / 200 * np.array([(b.x + b.w / 2, b.y + b.h / 2) for field in drafted for b in field.bubbles])
    rows = found[(found[:, 1] > real[:, 1].min() - 2) & (found[:, 1] < real[:, 1].max() + 2)]
    nearest = np.linalg.norm(rows[:, None] - real[None], axis=2).min(axis=1)
    assert len(rows) > len(real) / 2
    assert nearest.max() < 0.5, "what is proposed in the rows of bubbles is a bubble"
    (number,) = [field for field in drafted if field.role == "candidate"]
    assert {b.position for b in number.bubbles} == set(range(8))
