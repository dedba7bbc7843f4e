"""Answer sheets for an exam: where everything stands, in millimetres. Pure; drawing is grader.paper.render.

The same sheet carries the form (what is read) and the ink (what is only printed), so that paper and form
cannot disagree.
"""

from __future__ import annotations

from dataclasses import dataclass

from grader.errors import UsageError
from grader.exam.exam import Exam
from grader.exam.form import Form, PageForm, TextField
from grader.paper.blocks import Block, blocks_of
from grader.paper.furniture import SIZES, Size, fiducials, foot, head, head_bottom
from grader.paper.ink import Ink, Part, Text
from grader.paper.words import words_of

TOP = 18.0  # of a column that has no head above it: below the corner marks
BOTTOM_MARGIN = 18.0
MAX_DIGITS = 12


@dataclass(frozen=True)
class Sheet:
    """form: what is read. ink: for each page, what else is printed."""

    form: Form
    ink: tuple[tuple[Ink, ...], ...]


def lay_out(exam: Exam, *, size: str = "A4", candidate_digits: int = 8) -> Form:
    """The form of the exam's answer sheets. Raises UsageError for options that cannot be printed."""
    return compose(exam, size=size, candidate_digits=candidate_digits).form


def compose(exam: Exam, *, size: str = "A4", candidate_digits: int = 8) -> Sheet:
    """Form and ink of the exam's answer sheets. Raises UsageError for options that cannot be printed."""
    if size not in SIZES:
        raise UsageError(f"there is no paper size {size!r}", f"choose one of: {', '.join(SIZES)}")
    if not 1 <= candidate_digits <= MAX_DIGITS:
        raise UsageError(
            f"a candidate number of {candidate_digits} digits cannot be printed",
            f"use 1 to {MAX_DIGITS} digits",
        )
    paper = SIZES[size]
    tallest = paper.height - BOTTOM_MARGIN - head_bottom(first_page=True)
    pages = _flow(exam, paper, candidate_digits, blocks_of(exam, paper.column_width, tallest))
    for number, page in enumerate(pages, start=1):
        page.add(foot(exam, paper, number, len(pages)))
    form = Form(
        id=exam.exam.id,
        exam=exam.exam.id,
        title=exam.exam.title,
        pages=tuple(
            PageForm(
                number=number,
                width=paper.width,
                height=paper.height,
                fiducials=fiducials(paper),
                fields=tuple(page.fields),
            )
            for number, page in enumerate(pages, start=1)
        ),
    )
    return Sheet(form, tuple(tuple(page.ink) for page in pages))


def recompose(exam: Exam, form: Form) -> Sheet:
    """The sheet that `form` was laid out from. Raises UsageError if it is not the form of this exam."""
    size = next((name for name, s in SIZES.items() if s.width == form.pages[0].width), None)
    digits = [f.cells for f in form.pages[0].fields if isinstance(f, TextField) and f.role == "candidate"]
    if size is not None and digits:
        sheet = compose(exam, size=size, candidate_digits=digits[0])
        if sheet.form.version == form.version:
            return sheet
    raise UsageError(
        f"the form {form.version} was not laid out from the exam {exam.exam.id}",
        "make it again: grader paper",
    )


def _flow(exam: Exam, paper: Size, digits: int, blocks: list[Block]) -> list[Part]:
    """Set the blocks down the columns, page after page; a heading moves on with what follows it."""
    pages: list[Part] = []
    column, y = paper.columns - 1, paper.height  # as if a page were full
    bottom = paper.height - BOTTOM_MARGIN
    for index, block in enumerate(blocks):
        need = block.height + (blocks[index + 1].height if block.glued else 0.0)
        if y + need > bottom:
            column = (column + 1) % paper.columns
            if column == 0:
                pages.append(head(exam, paper, digits, first_page=not pages))
                y = head_bottom(first_page=len(pages) == 1)
            else:
                y = TOP
        pages[-1].add(block.place(paper.column_x(column), y))
        y += block.height
    _close(exam, paper, pages[-1], column, y, bottom)
    return pages


def _close(exam: Exam, paper: Size, page: Part, column: int, y: float, bottom: float) -> None:
    """Say where the answers end, if there is room for it."""
    if y + 8.0 < bottom:
        words = words_of(exam.exam.language)
        middle = paper.column_x(column) + paper.column_width / 2
        page.ink.append(Text(middle, y + 6.0, f"— {words.end} —", 7, align="centre", gray=0.45))
