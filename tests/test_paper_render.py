"""The printed PDF agrees with its form, and its codes can be read."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
import pytest
import zxingcpp
from click.testing import CliRunner
from exams import BLANK, CHOICE, SHORT, make_exam

from grader.cli.paper import command
from grader.errors import ExamError, UsageError
from grader.exam.exam import Exam
from grader.exam.form import CodeField, Form, MarksField, load_form
from grader.paper.baseline import blank_page, with_baseline
from grader.paper.layout import lay_out
from grader.paper.pagecode import parse
from grader.paper.render import render_pdf
from grader.paper.sheets import digits_for, print_sheets, unfit
from grader.reading.roster import Entry, Roster

DPI = 200
SCALE = DPI / 25.4


@pytest.fixture(scope="module")
def exam() -> Exam:
    return make_exam([CHOICE] * 12 + [BLANK] * 3 + [SHORT] * 5)


@pytest.fixture(scope="module", params=["A4", "A3"])
def printed(request: pytest.FixtureRequest, exam: Exam, tmp_path_factory: pytest.TempPathFactory) -> tuple[Form, Path]:
    form = lay_out(exam, size=request.param)
    pdf = tmp_path_factory.mktemp("paper") / "paper.pdf"
    render_pdf(exam, form, None, pdf)
    return form, pdf


def patch(image: np.ndarray, x: float, y: float, w: float, h: float) -> np.ndarray:
    """Darkness (0 to 1) of a region in millimetres."""
    rows = slice(round(y * SCALE), round((y + h) * SCALE))
    return 1 - image[rows, round(x * SCALE) : round((x + w) * SCALE)] / 255


def test_page_size_is_that_of_the_form(printed: tuple[Form, Path]) -> None:
    form, pdf = printed
    document = pdfium.PdfDocument(str(pdf))
    assert len(document) == len(form.pages)
    for page, sheet in zip(form.pages, document, strict=True):
        assert np.allclose(np.array(sheet.get_size()) * 25.4 / 72, (page.width, page.height), atol=0.01)


def test_ink_lies_where_the_form_says(printed: tuple[Form, Path]) -> None:
    form, pdf = printed
    for page in form.pages:
        image = blank_page(pdf, page.number, DPI)
        for mark in page.fiducials:
            half = mark.size / 2
            inside = patch(image, mark.x - half, mark.y - half, mark.size, mark.size)
            expected = 1.0 if mark.kind == "square" else 1 - (5**2 - 3**2) / 7**2
            assert inside.mean() == pytest.approx(expected, abs=0.05)
            around = patch(image, mark.x - half - 1, mark.y - half - 1, mark.size + 2, 0.8)
            assert around.max() < 0.05
        for field in page.fields:
            for b in field.bubbles if isinstance(field, MarksField) else ():
                outline = patch(image, b.x - 0.2, b.y + b.h / 2 - 0.3, 0.4, 0.6).mean()
                middle = patch(image, b.x + 0.4, b.y + 0.4, b.w - 0.8, b.h - 0.8)
                gap = patch(image, b.x - 0.7, b.y + 0.2, 0.4, b.h - 0.4)
                assert outline > 0.2
                assert 0.2 < middle.max() < 0.7, "the letter is there, and pale"
                assert gap.max() < 0.1


def test_nothing_is_printed_in_boxes_but_pale_lines(printed: tuple[Form, Path]) -> None:
    form, pdf = printed
    for page in form.pages:
        image = blank_page(pdf, page.number, DPI)
        for field in page.fields:
            if field.kind == "text" and not field.cells:
                assert patch(image, field.x + 0.5, field.y + 0.5, field.w - 1, field.h - 1).max() < 0.4


@pytest.mark.parametrize("dpi", [150, 200])
def test_page_code_is_read_back(printed: tuple[Form, Path], dpi: int) -> None:
    form, pdf = printed
    for page in form.pages:
        image = blank_page(pdf, page.number, dpi)
        found = zxingcpp.read_barcodes(image, formats=zxingcpp.BarcodeFormat.QRCode)
        code = parse(found[0].text)
        assert code is not None
        assert (code.exam, code.version, code.page, code.candidate) == (
            "test-exam",
            form.version,
            page.number,
            "",
        )
        field = next(f for f in page.fields if isinstance(f, CodeField))
        corner = found[0].position.top_left
        assert field.x < corner.x / dpi * 25.4 < field.x + field.w / 2
        assert field.y < corner.y / dpi * 25.4 < field.y + field.h / 2


def test_roster_gives_everybody_own_pages(exam: Exam, tmp_path: Path) -> None:
    form = lay_out(exam)
    people = ["20260001", "20260002", "A-7.3"]
    render_pdf(exam, form, people, tmp_path / "paper.pdf", names={"20260001": "欧阳 Zoë"})
    document = pdfium.PdfDocument(str(tmp_path / "paper.pdf"))
    assert len(document) == len(people) * len(form.pages)
    for index in range(len(document)):
        found = zxingcpp.read_barcodes(blank_page(tmp_path / "paper.pdf", index + 1, 150))
        code = parse(found[0].text)
        assert code is not None
        assert code.candidate == people[index // len(form.pages)]
        assert code.page == index % len(form.pages) + 1
        assert people[index // len(form.pages)] in document[index].get_textpage().get_text_bounded()
    assert "欧阳" in document[0].get_textpage().get_text_bounded()


def test_baseline_is_measured_and_leaves_the_version(printed: tuple[Form, Path]) -> None:
    form, pdf = printed
    measured = with_baseline(form, pdf)
    assert measured.version == form.version
    levels = [b.baseline for p in measured.pages for f in p.fields if isinstance(f, MarksField) for b in f.bubbles]
    assert all(level is not None and 0.03 < level < 0.2 for level in levels)


@pytest.mark.parametrize("language", ["zh", "en"])
def test_long_titles_stay_between_the_corner_marks(language: str, tmp_path: Path) -> None:
    title = (
        "普通高等学校招生全国统一考试模拟试题汇编" * 4 if language == "zh" else "A rather long title of an exam " * 6
    )
    exam = make_exam([CHOICE], language, title)
    form = lay_out(exam)
    render_pdf(exam, form, None, tmp_path / "paper.pdf")
    image = blank_page(tmp_path / "paper.pdf", 1, DPI)
    assert patch(image, 14.0, 4.0, 0.9, 14.0).max() < 0.1
    assert patch(image, 195.1, 4.0, 0.9, 14.0).max() < 0.1
    assert patch(image, 14.0, 0.0, 180.0, 4.5).max() < 0.1, "two lines fit above the head"
    assert patch(image, 30.0, 5.0, 150.0, 9.0).max() > 0.8


def test_missing_characters_are_named_not_printed_as_boxes(tmp_path: Path) -> None:
    exam = make_exam([CHOICE], title="𠮷野家 ♞")
    with pytest.raises(ExamError) as caught:
        render_pdf(exam, lay_out(exam), None, tmp_path / "paper.pdf")
    assert "U+20BB7" in str(caught.value)
    assert "U+265E" in str(caught.value)


def test_rare_characters_in_names_are_marked_and_reported(
    exam: Exam, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        render_pdf(exam, lay_out(exam), ["1"], tmp_path / "paper.pdf", names={"1": "王𬭎"})
    assert "U+2CB4E" in caplog.text
    document = pdfium.PdfDocument(str(tmp_path / "paper.pdf"))
    assert "王〓" in document[0].get_textpage().get_text_bounded()


def test_a_code_too_fine_to_read_is_refused(tmp_path: Path) -> None:
    exam = make_exam([CHOICE])
    exam = exam.model_copy(update={"exam": exam.exam.model_copy(update={"id": "中" * 40})})
    with pytest.raises(UsageError, match="too fine"):
        render_pdf(exam, lay_out(exam), None, tmp_path / "paper.pdf")


def test_printing_twice_gives_the_same_bytes(exam: Exam, tmp_path: Path) -> None:
    for name in ("a.pdf", "b.pdf"):
        render_pdf(exam, lay_out(exam), ["1", "2"], tmp_path / name)
    assert (tmp_path / "a.pdf").read_bytes() == (tmp_path / "b.pdf").read_bytes()


def test_names_never_reach_the_form(exam: Exam, tmp_path: Path) -> None:
    print_sheets(exam, tmp_path, roster=Roster([Entry("123456", "王小明")]))
    text = (tmp_path / "form.json").read_text(encoding="utf-8")
    assert "王小明" not in text
    assert "123456" not in text
    assert load_form(tmp_path / "form.json").pages[0].fields


def test_a_folder_that_cannot_be_written_is_reported(exam: Exam, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UsageError, match="cannot be written"):
        print_sheets(exam, tmp_path / "file" / "out")


@pytest.mark.parametrize(
    ("candidates", "digits"),
    [((), 8), (("007", "12345"), 5), (("A-1",), 8), (("A-1", "42"), 2), (("1" * 20,), 8)],
)
def test_the_number_has_as_many_columns_as_the_roster_needs(candidates: tuple[str, ...], digits: int) -> None:
    assert digits_for(candidates) == digits


def test_numbers_that_cannot_be_bubbled_are_named(exam: Exam, tmp_path: Path) -> None:
    form = lay_out(exam, candidate_digits=3)
    assert unfit(form, ("007", "1234", "A-1", "42")) == ["1234", "A-1"]
    roster = Roster([Entry("1234")])
    with pytest.raises(UsageError, match="more than 3 digits"):
        print_sheets(exam, tmp_path, roster=roster, digits=3)
    assert not list(tmp_path.iterdir())


def test_the_command_prints_for_a_roster(tmp_path: Path) -> None:
    exam_file, roster = tmp_path / "exam.yaml", tmp_path / "roster.csv"
    exam_file.write_text(
        "exam: {id: t, title: 测试, language: zh}\n"
        'items:\n  - {id: "1", type: choice, options: ABCD, answer: B, max_mark: 2}\n',
        encoding="utf-8",
    )
    roster.write_text("candidate,name\n001,张三\n002,李四\n", encoding="utf-8")
    arguments = [str(exam_file), "--out", str(tmp_path / "out"), "--candidates", str(roster), "--size", "A3"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0
    assert result.stdout == ""
    form = load_form(tmp_path / "out" / "form.json")
    assert form.pages[0].width == 420
    assert len(pdfium.PdfDocument(str(tmp_path / "out" / "paper.pdf"))) == 2
