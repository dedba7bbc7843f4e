"""The small things that everything stands on: flags, page codes, the registry, a form's version."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader import flags, registry
from grader.errors import FormError, UsageError
from grader.exam.form import BubbleBox, CodeField, Form, MarksField, PageForm, TextField, load_form
from grader.paper.pagecode import PageCode, parse

FORM = Form(
    id="f",
    pages=(
        PageForm(
            number=1,
            width=210,
            height=297,
            fields=(
                MarksField(id="1", item="1", bubbles=(BubbleBox(label="A", x=1, y=1, w=4, h=3),)),
                TextField(id="2", item="2", x=10, y=10, w=50, h=12),
            ),
        ),
    ),
)


def test_every_flag_has_words_in_both_languages() -> None:
    for code, flag in flags.FLAGS.items():
        assert code == flag.code == code.lower()
        assert flags.words(code, "en").isascii()
        assert not flags.words(code, "zh").isascii()


def test_an_invented_flag_is_refused() -> None:
    with pytest.raises(KeyError):
        flags.check(("mark_doubtful", "seems_fine"))
    assert flags.check(("erased", "mark_doubtful", "erased")) == ("mark_doubtful", "erased")


def test_every_engine_in_the_registry_is_importable() -> None:
    for kind, engines in registry.ENGINES.items():
        for name, target in engines.items():
            module, attribute = target.split(":")
            assert callable(getattr(import_module(module), attribute)), (kind, name)


def test_an_unknown_engine_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="ppocr"):
        registry.create("ocr", "nothing")


texts = st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20)


@given(texts, st.integers(1, 99), st.text(st.characters(exclude_categories=("Cs",)), max_size=12))
def test_a_page_code_comes_back_and_is_plain_ascii(exam: str, page: int, candidate: str) -> None:
    code = PageCode(exam, "0123abcd", page, candidate)
    assert code.encode().isascii()
    assert parse(code.encode()) == code


@given(st.data())
def test_a_damaged_page_code_is_refused(data: st.DataObject) -> None:
    text = PageCode("physics", "0123abcd", 2, "20260101").encode()
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(min_codepoint=33, max_codepoint=126).filter(lambda c: c != text[at]))
    assert parse(text[:at] + other + text[at + 1 :]) is None


def test_a_forms_version_is_that_of_its_geometry(tmp_path: Path) -> None:
    assert len(FORM.version) == 8
    FORM.save(tmp_path / "form.json")
    assert load_form(tmp_path / "form.json").version == FORM.version
    data = json.loads((tmp_path / "form.json").read_text())
    data["pages"][0]["fields"][0]["bubbles"][0]["baseline"] = 0.25
    assert Form.model_validate(data).version == FORM.version, "what is measured on paper is not geometry"
    data["max_residual"] = 3.0
    assert Form.model_validate(data).version == FORM.version, "nor is how well a scan must fit"
    data["pages"][0]["fields"][0]["bubbles"][0]["x"] += 0.01
    assert Form.model_validate(data).version != FORM.version


def test_fields_of_different_kinds_never_share_a_version() -> None:
    def of(field: TextField | CodeField) -> str:
        return Form(id="f", pages=(PageForm(number=1, width=9, height=9, fields=(field,)),)).version

    assert of(TextField(id="a", x=1, y=1, w=1, h=1)) != of(CodeField(id="a", x=1, y=1, w=1, h=1))


def test_a_broken_form_reports_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "form.json"
    path.write_text('{"id": "f", "pages": [{"number": 0, "width": -1, "height": 9}]}')
    with pytest.raises(FormError) as caught:
        load_form(path)
    assert {problem.field for problem in caught.value.problems} >= {"pages.0.number", "pages.0.width"}
