"""Draw answer sheets as a PDF. Every printed position comes from the form or from the ink laid out with it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import segno
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from grader.errors import ExamError, Problem, UsageError
from grader.exam.exam import Exam
from grader.exam.form import CodeField, Fiducial, Form, MarksField, PageForm
from grader.paper import typeface
from grader.paper.furniture import SIZES, Size, name_place
from grader.paper.ink import GRAY, Ink, Line, Rect, Text
from grader.paper.layout import Sheet, recompose
from grader.paper.pagecode import PageCode

log = logging.getLogger(__name__)

LETTER_GRAY = 0.5  # the letter in a bubble: legible, yet much lighter than a pencil mark
MIN_MODULE = 0.5  # millimetres; about three pixels at 150 dpi
SMALLEST = 0.6  # a text is set down to this part of its size before it is broken into two lines


def render_pdf(
    exam: Exam,
    form: Form,
    candidates: Sequence[str] | None,
    path: Path,
    *,
    names: Mapping[str, str] | None = None,
    progress: Callable[[], None] = lambda: None,
) -> None:
    """Write the answer sheets of `exam` to a PDF: one set of pages for each candidate, or one blank set.

    names: candidate → name to print on the sheet. progress is called after each candidate.
    Raises UsageError if `form` is not the form of `exam` or its codes would be too fine to read, ExamError
    for characters that the print font does not have.
    """
    typeface.register()
    sheet = recompose(exam, form)
    _check_characters(exam, sheet)
    _warn_about_names(names or {})
    version = form.version
    size = next(s for s in SIZES.values() if s.width == form.pages[0].width)
    canvas = Canvas(str(path), pagesize=(size.width * mm, size.height * mm), pageCompression=1, invariant=1)
    canvas.setTitle(exam.exam.title)
    canvas.setAuthor("grader")
    canvas.setSubject(f"form {version}")
    for page, ink in zip(form.pages, sheet.ink, strict=True):
        canvas.beginForm(f"page{page.number}", 0, 0, size.width * mm, size.height * mm)
        _draw_page(canvas, page, ink)
        canvas.endForm()
    for candidate in candidates if candidates is not None else [""]:
        for page in form.pages:
            canvas.doForm(f"page{page.number}")
            _draw_own(canvas, form, version, page, candidate, (names or {}).get(candidate, ""), size)
            canvas.showPage()
        progress()
    canvas.save()


def _draw_page(canvas: Canvas, page: PageForm, ink: Sequence[Ink]) -> None:
    """All that is the same for every candidate."""
    for fiducial in page.fiducials:
        _draw_fiducial(canvas, page, fiducial)
    for stroke in ink:
        _draw_ink(canvas, page, stroke)
    for field in page.fields:
        if isinstance(field, MarksField):
            _draw_bubbles(canvas, page, field)


def _draw_own(canvas: Canvas, form: Form, version: str, page: PageForm, candidate: str, name: str, size: Size) -> None:
    """What differs between candidates: the page code, its text and the name."""
    code = next(f for f in page.fields if isinstance(f, CodeField) and f.page_code)
    text = PageCode(form.exam or form.id, version, page.number, candidate).encode()
    _draw_code(canvas, page, code, text)
    middle, below = code.x + code.w / 2, code.y + code.h + 2.5
    label = f"{version} · {page.number}/{len(form.pages)}"
    _draw_ink(canvas, page, Text(middle, below, label, 6.5, align="centre", gray=GRAY, max_width=code.w))
    if candidate:
        own = typeface.replace_missing(candidate)
        _draw_ink(canvas, page, Text(middle, below + 5.0, own, 10, True, "centre", max_width=code.w))
    if name:
        place = name_place(size, len({b.position for b in _grid(page).bubbles}))
        _draw_ink(
            canvas,
            page,
            Text(place.x, place.y, typeface.replace_missing(name), place.size, max_width=place.max_width),
        )


def _grid(page: PageForm) -> MarksField:
    return next(f for f in page.fields if isinstance(f, MarksField) and f.role == "candidate")


def _draw_fiducial(canvas: Canvas, page: PageForm, mark: Fiducial) -> None:
    """ring: a square ring with a square centre, its parts in the proportion 1:1:3:1:1."""
    parts = [(1.0, 0)] if mark.kind == "square" else [(1.0, 0), (5 / 7, 1), (3 / 7, 0)]
    for scale, gray in parts:
        side = mark.size * scale
        canvas.setFillGray(gray)
        canvas.rect(
            (mark.x - side / 2) * mm,
            (page.height - mark.y - side / 2) * mm,
            side * mm,
            side * mm,
            stroke=0,
            fill=1,
        )


def _draw_bubbles(canvas: Canvas, page: PageForm, field: MarksField) -> None:
    canvas.setStrokeGray(GRAY)
    canvas.setLineWidth(0.22 * mm)
    for bubble in field.bubbles:
        bottom = page.height - bubble.y - bubble.h
        canvas.roundRect(bubble.x * mm, bottom * mm, bubble.w * mm, bubble.h * mm, 0.7 * mm)
    for bubble in field.bubbles:
        baseline = bubble.y + bubble.h / 2 + 0.78
        room = bubble.w - 0.8
        letter = Text(bubble.x + bubble.w / 2, baseline, bubble.label, 6, False, "centre", LETTER_GRAY, max_width=room)
        _draw_ink(canvas, page, letter)


def _draw_code(canvas: Canvas, page: PageForm, field: CodeField, text: str) -> None:
    """A QR code with its quiet zone of four modules, as one path of runs."""
    code = segno.make_qr(text, error="m", boost_error=True)
    rows = [bytes(row) for row in code.matrix]
    module = field.w / (len(rows) + 8)
    if module < MIN_MODULE:
        raise UsageError(
            f"the page code would be printed too fine to be read ({module:.2f} mm a module)",
            "shorten the exam's id, or the candidate numbers",
        )
    path = canvas.beginPath()  # in whole modules: a page stays small, and there are many pages
    for r, row in enumerate(rows):
        start = 0
        while (start := row.find(1, start)) >= 0:
            stop = row.find(0, start)
            stop = len(row) if stop < 0 else stop
            path.rect(start + 4, len(rows) + 3 - r, stop - start, 1)
            start = stop
    canvas.saveState()
    canvas.translate(field.x * mm, (page.height - field.y - field.h) * mm)
    canvas.scale(module * mm, module * mm)
    canvas.setFillGray(0)
    canvas.drawPath(path, stroke=0, fill=1)
    canvas.restoreState()


def _draw_ink(canvas: Canvas, page: PageForm, stroke: Ink) -> None:
    if isinstance(stroke, Text):
        _draw_text(canvas, page, stroke)
    elif isinstance(stroke, Rect):
        canvas.setStrokeGray(stroke.gray)
        canvas.setLineWidth(stroke.width * mm)
        if stroke.fill is not None:
            canvas.setFillGray(stroke.fill)
        canvas.roundRect(
            stroke.x * mm,
            (page.height - stroke.y - stroke.h) * mm,
            stroke.w * mm,
            stroke.h * mm,
            stroke.radius * mm,
            stroke=int(stroke.width > 0),
            fill=int(stroke.fill is not None),
        )
    else:
        _draw_line(canvas, page, stroke)


def _draw_line(canvas: Canvas, page: PageForm, line: Line) -> None:
    canvas.setStrokeGray(line.gray)
    canvas.setLineWidth(line.width * mm)
    canvas.setDash([d * mm for d in line.dash] if line.dash else [])
    canvas.line(line.x1 * mm, (page.height - line.y1) * mm, line.x2 * mm, (page.height - line.y2) * mm)
    canvas.setDash([])


def _draw_text(canvas: Canvas, page: PageForm, text: Text) -> None:
    points, lines = _fit(text)
    draw = {"left": canvas.drawString, "centre": canvas.drawCentredString, "right": canvas.drawRightString}
    canvas.setFillGray(text.gray)
    canvas.setFont(typeface.BOLD if text.bold else typeface.REGULAR, points)
    for above, line in enumerate(reversed(lines)):
        draw[text.align](text.x * mm, (page.height - text.y) * mm + above * points * 1.15, line)


def _fit(text: Text) -> tuple[float, list[str]]:
    """Size in points and lines for a text: smaller, then on two lines, then smaller again until it fits."""
    if text.max_width is None:
        return text.size, [text.text]
    room, full = text.max_width * mm, typeface.width(text.text, text.bold, text.size)
    if full <= room:
        return text.size, [text.text]
    if full * SMALLEST <= room or len(text.text) < 8:
        return text.size * room / full, [text.text]
    lines = _halves(text.text)
    widest = max(typeface.width(line, text.bold, text.size) for line in lines)
    return min(text.size * SMALLEST, text.size * room / widest), lines


def _halves(text: str) -> list[str]:
    """The text in two lines, broken at the blank nearest to the middle, else between two characters."""
    middle = len(text) // 2
    blanks = [i for i, char in enumerate(text) if char.isspace() and 0 < i < len(text) - 1]
    cut = min(blanks, key=lambda i: abs(i - middle), default=middle)
    if abs(cut - middle) > len(text) // 4:
        cut = middle
    return [text[:cut].strip(), text[cut:].strip()]


def _check_characters(exam: Exam, sheet: Sheet) -> None:
    """Every character of the sheet must be in the font: a hollow box on paper helps nobody."""
    texts = [stroke.text for page in sheet.ink for stroke in page if isinstance(stroke, Text)]
    labels = [b.label for page in sheet.form.pages for f in page.fields if isinstance(f, MarksField) for b in f.bubbles]
    absent = typeface.missing([*texts, *labels])
    if absent:
        problems = [
            Problem("title, item ids and options", f"the print font has no {char!r} (U+{ord(char):04X})",
                    "write it with another character")
            for char in absent
        ]  # fmt: skip
        raise ExamError(f"exam {exam.exam.id}", problems)


def _warn_about_names(names: Mapping[str, str]) -> None:
    absent = typeface.missing(names.values())
    if absent:
        listed = ", ".join(f"{char} (U+{ord(char):04X})" for char in absent)
        log.warning("names are printed with %s for characters not in the font: %s", typeface.MISSING, listed)
