"""A form that cannot carry the exam is refused before a page is read, with everything wrong at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from exams import BLANK, make_exam

from grader.errors import FormError
from grader.exam.form import FeaturesMethod, Form, PageForm, TextField
from grader.run.job import check_form_fits


def form(*pages: tuple[str, ...], **options: object) -> Form:
    """Pages with a text field for each item named."""
    made = [
        PageForm(
            number=number,
            width=210,
            height=297,
            fields=tuple(TextField(id=f"{number}-{i}", item=i, x=9, y=9, w=9, h=9) for i in items),
        )
        for number, items in enumerate(pages, 1)
    ]
    return Form.model_validate({"id": "f", "pages": made, **options})


def test_a_form_that_fits(tmp_path: Path) -> None:
    check_form_fits(make_exam([BLANK, BLANK]), form(("1",), ("2", "2")), tmp_path / "form.json")


def test_everything_that_does_not_fit_is_named(tmp_path: Path) -> None:
    other = form(
        ("1", "9"), ("1",), exam="another", registration=[FeaturesMethod(image="blank.png")], reference="r.png"
    )
    with pytest.raises(FormError) as caught:
        check_form_fits(make_exam([BLANK, BLANK]), other, tmp_path / "form.json")
    said = [str(problem) for problem in caught.value.problems]
    for words in ("belongs to exam", "item 9", "item 2", "pages [1, 2]", "blank.png", "r.png"):
        assert sum(words in line for line in said) == 1, words
    (tmp_path / "blank.png").touch()
    with pytest.raises(FormError) as caught:
        check_form_fits(make_exam([BLANK, BLANK]), other, tmp_path / "form.json")
    assert not any("blank.png" in str(problem) for problem in caught.value.problems)
