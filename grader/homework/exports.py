"""Marks in the files that gradebooks take: a workbook, and CSV for Canvas, Moodle and Gradescope.

Columns after the services' own guides: Canvas (Student, ID, SIS User ID, SIS Login ID, Section, then the assignment
with a row "Points Possible"), Moodle ("Identifier", "Full name", "ID number", "Grade", "Maximum Grade", "Feedback
comments", as its assignments offer and take back), Gradescope (First Name, Last Name, SID, Email, Total Score, Max
Points, Status, a column a question). A candidate number stands where they have a student's number; whoever may not
see names gets numbers only. Text that a spreadsheet would run is made inert.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

from grader.exam.exam import Exam
from grader.homework.outcome import Pupil
from grader.run.output import inert, number

Format = Literal["canvas", "moodle", "gradescope"]
FORMATS: tuple[Format, ...] = ("canvas", "moodle", "gradescope")
Row = Sequence[Any]


def table(kind: Format, exam: Exam, everybody: Sequence[Pupil], names: Mapping[str, str]) -> str:
    """The CSV file as text (UTF-8). Pupils of whom nothing came have no mark; their row stays."""
    rows = {"canvas": _canvas, "moodle": _moodle, "gradescope": _gradescope}[kind](exam, everybody, names)
    file = io.StringIO()
    writer = csv.writer(file)
    for row in rows:
        writer.writerow([inert(cell) if isinstance(cell, str) else cell for cell in row])
    return file.getvalue()


def _full(exam: Exam) -> float:
    return sum(item.max_mark for item in exam.items)


def _total(pupil: Pupil) -> str:
    return number(pupil.total) if pupil.came else ""


def _canvas(exam: Exam, everybody: Sequence[Pupil], names: Mapping[str, str]) -> Iterable[Row]:
    title = f"{exam.exam.title} ({exam.exam.id})"
    yield "Student", "ID", "SIS User ID", "SIS Login ID", "Section", title
    yield "    Points Possible", "", "", "", "", number(_full(exam))
    for pupil in everybody:
        shown = names.get(pupil.candidate) or pupil.candidate
        yield shown, "", pupil.candidate, pupil.candidate, "", _total(pupil)


def _moodle(exam: Exam, everybody: Sequence[Pupil], names: Mapping[str, str]) -> Iterable[Row]:
    yield "Identifier", "Full name", "ID number", "Email address", "Grade", "Maximum Grade", "Feedback comments"
    for pupil in everybody:
        name = names.get(pupil.candidate, "")
        yield pupil.candidate, name, pupil.candidate, "", _total(pupil), number(_full(exam)), feedback(pupil)


def _gradescope(exam: Exam, everybody: Sequence[Pupil], names: Mapping[str, str]) -> Iterable[Row]:
    questions = [f"{item.id} ({number(item.max_mark)} pts)" for item in exam.items]
    yield "First Name", "Last Name", "SID", "Email", "Total Score", "Max Points", "Status", *questions
    for pupil in everybody:
        first, last = split_name(names.get(pupil.candidate, ""))
        status = "Graded" if pupil.came and not pupil.open else "Ungraded" if pupil.came else "Missing"
        marks = [number(answer.mark) for answer in pupil.answers]
        yield first, last, pupil.candidate, "", _total(pupil), number(_full(exam)), status, *marks


def split_name(name: str) -> tuple[str, str]:
    """First and last name: at the last blank, or after the first character of a Chinese name (its surname)."""
    first, blank, last = name.strip().rpartition(" ")
    if blank:
        return first, last
    return (name[1:], name[:1]) if len(name) > 1 and "一" <= name[:1] <= "鿿" else (name, "")


def feedback(pupil: Pupil) -> str:
    """In a line: what each item earned, and which criteria were missed."""
    parts = []
    for answer in pupil.answers:
        missed = "; ".join(one.criterion for one in answer.missing)
        said = f"{answer.item.id}: {number(answer.mark) or '–'}/{number(answer.item.max_mark)}"
        parts.append(f"{said} (– {missed})" if missed else said)
    return " | ".join(parts) if pupil.came else ""


def workbook(
    exam: Exam, everybody: Sequence[Pupil], names: Mapping[str, str], words: Mapping[str, str], with_names: bool
) -> bytes:
    """The marks as XLSX: a row a pupil, and a second sheet with every answer. words: headers by key."""
    import xlsxwriter

    stream = io.BytesIO()
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False, "strings_to_numbers": False,
               "nan_inf_to_errors": True}  # fmt: skip
    with xlsxwriter.Workbook(stream, options) as book:
        head = book.add_format({"bold": True, "bottom": 1, "bg_color": "#EEF2F1", "valign": "top", "text_wrap": True})
        soft = book.add_format({"font_color": "#8A5A00", "italic": True})
        who = ["candidate", *(["name"] if with_names else [])]
        marks = book.add_worksheet(words["marks_sheet"][:31])
        columns = [words[key] for key in who] + [item.id for item in exam.items] + [words["total"], words["open"]]
        marks.write_row(0, 0, columns, head)
        marks.write_row(1, 0, [words["max_mark"], *[""] * (len(who) - 1)], soft)
        for column, item in enumerate(exam.items, start=len(who)):
            marks.write_number(1, column, item.max_mark, soft)
        marks.write_number(1, len(who) + len(exam.items), _full(exam), soft)
        for line, pupil in enumerate(everybody, start=2):
            _write(marks, line, [pupil.candidate, *([names.get(pupil.candidate, "")] if with_names else [])])
            for column, answer in enumerate(pupil.answers, start=len(who)):
                if answer.mark is not None:
                    marks.write_number(line, column, answer.mark, None if answer.settled else soft)
            if pupil.came:
                marks.write_number(line, len(who) + len(exam.items), pupil.total)
                marks.write_number(line, len(who) + len(exam.items) + 1, pupil.open)
        marks.freeze_panes(2, len(who))
        marks.set_column(0, len(who) - 1, 14)
        answers = book.add_worksheet(words["answers"][:31])
        keys = ("candidate", "item", "response", "mark", "max_mark", "status", "missed", "comment")
        answers.write_row(0, 0, [words[key] for key in keys], head)
        line = 0
        for pupil in everybody:
            for answer in pupil.answers:
                if answer.row is None:
                    continue
                line += 1
                missed = "; ".join(one.criterion for one in answer.missing)
                row, full = answer.row, answer.item.max_mark
                _write(answers, line, [pupil.candidate, answer.item.id, row.response, row.mark, full,
                                       words[row.status], missed, row.comment])  # fmt: skip
        answers.freeze_panes(1, 2)
        answers.set_column(2, 2, 48)
        answers.set_column(6, 7, 36)
    return stream.getvalue()


def _write(sheet: Any, line: int, values: Sequence[object]) -> None:
    """Text as text, never as a formula or a link; numbers as numbers; nothing where there is nothing."""
    for column, value in enumerate(values):
        if isinstance(value, int | float):
            sheet.write_number(line, column, value)
        elif value:
            sheet.write_string(line, column, str(value)[:32_000])
