"""Answer sheets: what must hold for every exam that can be printed."""

from __future__ import annotations

from collections import Counter
from itertools import combinations, pairwise

import pytest
from exams import BLANK, CHOICE, NUMERIC, SHORT, make_exam
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.errors import UsageError
from grader.exam.exam import Exam
from grader.exam.form import CodeField, Form, MarksField, PageForm, TextField
from grader.paper.blocks import lines_for
from grader.paper.furniture import FIDUCIAL_SIZE
from grader.paper.layout import compose, lay_out, recompose

Box = tuple[float, float, float, float]


@st.composite
def exams(draw: st.DrawFn) -> Exam:
    """Any mix of items in any order, with any number of options and any marks."""
    options = st.integers(2, 12).map(lambda n: "ABCDEFGHIJKL"[:n])
    choice = options.map(lambda o: {"type": "choice", "options": o, "answer": o[0]})
    multiple = options.map(lambda o: {"type": "multi_choice", "options": o, "answer": o[:2]})
    blank = st.sampled_from(["水", "photosynthesis in the leaves", "三角形 ABC 的面积等于底乘高的一半"]).map(
        lambda a: {"type": "blank", "answers": [a]}
    )
    kinds = st.one_of(choice, multiple, blank, st.just(NUMERIC), st.just(SHORT))
    items = draw(st.lists(kinds, min_size=1, max_size=45))
    marks = draw(st.lists(st.sampled_from([1, 2, 2.5, 6, 12, 30]), min_size=len(items), max_size=len(items)))
    language = draw(st.sampled_from(["zh", "en"]))
    return make_exam([{**i, "max_mark": m} for i, m in zip(items, marks, strict=True)], language)


sheets = st.tuples(exams(), st.sampled_from(["A4", "A3"]), st.integers(1, 12))


def boxes(page: PageForm) -> list[Box]:
    """Everything that is read on a page, and its corner marks with the white around them."""
    found: list[Box] = []
    for field in page.fields:
        parts = field.bubbles if isinstance(field, MarksField) else [field]
        found += [(p.x, p.y, p.w, p.h) for p in parts]
    reach = FIDUCIAL_SIZE / 2 + 1.0
    return [*found, *((f.x - reach, f.y - reach, 2 * reach, 2 * reach) for f in page.fiducials)]


def overlap(a: Box, b: Box) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


@settings(max_examples=60, deadline=None)
@given(sheets)
def test_fields_lie_inside_the_page_and_touch_nothing(sheet: tuple[Exam, str, int]) -> None:
    exam, size, digits = sheet
    for page in lay_out(exam, size=size, candidate_digits=digits).pages:
        placed = boxes(page)
        for x, y, w, h in placed:
            assert x >= 5
            assert y >= 5
            assert x + w <= page.width - 5
            assert y + h <= page.height - 5
        # sorted by their tops, a box can only meet those that begin before it ends
        placed.sort(key=lambda box: box[1])
        for i, box in enumerate(placed):
            for other in placed[i + 1 :]:
                if other[1] >= box[1] + box[3]:
                    break
                assert not overlap(box, other), (page.number, box, other)


@settings(max_examples=60, deadline=None)
@given(sheets)
def test_every_item_stands_once_and_in_order(sheet: tuple[Exam, str, int]) -> None:
    exam, size, digits = sheet
    form = lay_out(exam, size=size, candidate_digits=digits)
    placed = [f for page in form.pages for f in page.fields if f.role == "item"]
    assert [f.item for f in placed] == [item.id for item in exam.items]
    for field, item in zip(placed, exam.items, strict=True):
        if item.type in ("choice", "multi_choice"):
            assert isinstance(field, MarksField)
            assert [b.label for b in field.bubbles] == list(item.options)
            assert field.multiple == (item.type == "multi_choice")
            assert all(a.x + a.w < b.x for a, b in pairwise(field.bubbles))
        else:
            assert isinstance(field, TextField)
            assert field.h >= 10
            assert field.w >= 40


@settings(max_examples=30, deadline=None)
@given(sheets)
def test_every_page_says_what_it_is_and_whose(sheet: tuple[Exam, str, int]) -> None:
    exam, size, digits = sheet
    form = lay_out(exam, size=size, candidate_digits=digits)
    places = set()
    for page in form.pages:
        kinds = Counter(f.kind for f in page.fiducials)
        assert kinds == {"ring": 3, "square": 1}
        code = [f for f in page.fields if isinstance(f, CodeField) and f.page_code]
        grid = [f for f in page.fields if isinstance(f, MarksField) and f.role == "candidate"]
        assert len(code) == len(grid) == 1
        places.add((code[0].x, code[0].y, code[0].w, code[0].h))
        assert Counter(b.position for b in grid[0].bubbles) == dict.fromkeys(range(digits), 10)
        written = [f for f in page.fields if isinstance(f, TextField) and f.role == "candidate"]
        assert [f.cells for f in written] == ([digits] if page.number == 1 else [])
    assert len(places) == 1


@settings(max_examples=20, deadline=None)
@given(sheets)
def test_paper_and_form_come_from_one_layout(sheet: tuple[Exam, str, int]) -> None:
    exam, size, digits = sheet
    form = lay_out(exam, size=size, candidate_digits=digits)
    again = Form.model_validate_json(form.model_dump_json(by_alias=True))
    assert recompose(exam, again) == compose(exam, size=size, candidate_digits=digits)


def test_a_form_of_another_exam_is_refused() -> None:
    form = lay_out(make_exam([CHOICE] * 3))
    with pytest.raises(UsageError, match="not laid out"):
        recompose(make_exam([CHOICE] * 4), form)


def test_one_item_takes_one_page() -> None:
    form = lay_out(make_exam([SHORT]))
    assert len(form.pages) == 1


def test_a_hundred_choice_items_fit_on_one_page() -> None:
    form = lay_out(make_exam([CHOICE] * 100))
    assert len(form.pages) == 1
    columns = {b.x for f in form.pages[0].fields if f.role == "item" for b in f.bubbles}  # type: ignore[union-attr]
    assert len(columns) == 5 * 4


def test_a3_holds_two_columns() -> None:
    form = lay_out(make_exam([SHORT] * 7), size="A3")
    assert (form.pages[0].width, form.pages[0].height) == (420, 297)
    lefts = {f.x for f in form.pages[0].fields if f.role == "item" and isinstance(f, TextField)}
    assert len(lefts) == 2


def test_the_size_of_a_box_does_not_depend_on_its_own_answer() -> None:
    long_answer = {"type": "blank", "answers": ["a very long answer of many words and then some"]}
    form = lay_out(make_exam([BLANK, long_answer, NUMERIC]))
    sizes = {(f.w, f.h) for f in form.pages[0].fields if f.role == "item" and isinstance(f, TextField)}
    assert len(sizes) == 1


@given(st.floats(0.5, 100), st.floats(0.5, 100))
def test_more_marks_never_get_fewer_lines(a: float, b: float) -> None:
    low, high = sorted((a, b))
    assert 3 <= lines_for(low) <= lines_for(high) <= 18


@pytest.mark.parametrize(("size", "digits"), [("A5", 8), ("A4", 0), ("A4", 13)])
def test_sheets_that_cannot_be_printed_are_refused(size: str, digits: int) -> None:
    with pytest.raises(UsageError):
        lay_out(make_exam([CHOICE]), size=size, candidate_digits=digits)


def test_layout_is_pure() -> None:
    exam = make_exam([CHOICE, BLANK, SHORT] * 5)
    assert lay_out(exam) == lay_out(exam)
    assert all(a != b for a, b in combinations([lay_out(exam).version, lay_out(exam, size="A3").version], 2))


def test_many_options_still_fit_and_too_many_are_refused() -> None:
    many = {"type": "choice", "options": "".join(chr(0x4E00 + i) for i in range(40)), "answer": chr(0x4E00)}
    form = lay_out(make_exam([many]))
    field = next(f for f in form.pages[0].fields if f.role == "item")
    assert isinstance(field, MarksField)
    assert len(field.bubbles) == 40
    assert max(b.x + b.w for b in field.bubbles) < 196
    assert min(b.w for b in field.bubbles) > 2.5
    with pytest.raises(UsageError, match="options"):
        lay_out(make_exam([{**many, "options": "".join(chr(0x4E00 + i) for i in range(41))}]))
