"""The form of paper without a form: homework on plain sheets, the items numbered by hand."""

from __future__ import annotations

from grader.exam.exam import Exam
from grader.exam.form import Form, PageForm, PlainMethod, TextField

WIDTH, HEIGHT = 210.0, 297.0  # millimetres by which a sheet of any size is spoken of
LEAD = "(lead)"  # names the reading of what stands above the first item of a page


def plain_form(exam: Exam) -> Form:
    """A form on which every item may stand anywhere, on any page.

    Each item is a field as large as the sheet; where the answer really is, every page says for itself.
    """
    fields = tuple(
        TextField(id=item.id, item=item.id, x=0, y=0, w=WIDTH, h=HEIGHT, lines=2, alphabet="any") for item in exam.items
    )
    return Form(
        id="plain",
        exam=exam.exam.id,
        title=exam.exam.title,
        registration=(PlainMethod(),),
        pages=(PageForm(number=1, width=WIDTH, height=HEIGHT, fields=fields),),
    )
