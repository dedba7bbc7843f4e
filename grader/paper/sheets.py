"""The job of `grader paper`: paper.pdf and form.json for an exam, and for a roster where there is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from grader.errors import UsageError
from grader.exam.exam import Exam
from grader.exam.form import Form, MarksField
from grader.paper.baseline import with_baseline
from grader.paper.layout import MAX_DIGITS, lay_out
from grader.paper.render import render_pdf

DEFAULT_DIGITS = 8


class Candidates(Protocol):
    """What is needed of a roster."""

    candidates: tuple[str, ...]

    def name(self, candidate: str) -> str: ...


def print_sheets(
    exam: Exam,
    out: Path,
    *,
    roster: Candidates | None = None,
    size: str = "A4",
    digits: int | None = None,
    progress: Callable[[], None] = lambda: None,
) -> Form:
    """Write paper.pdf and form.json to the folder `out`, made if need be; returns the form.

    digits: of the candidate number; by default as many as the roster's longest number has. Names on the
    roster are printed on the sheets and never written to form.json. Raises UsageError for too few digits.
    """
    people = roster.candidates if roster is not None else None
    if digits is not None and any(c.isdecimal() and len(c) > digits for c in people or ()):
        raise UsageError(f"the roster has numbers of more than {digits} digits", "leave out --digits")
    form = lay_out(exam, size=size, candidate_digits=digits or digits_for(people or ()))
    names = {c: roster.name(c) or "" for c in roster.candidates} if roster is not None else {}
    pdf = out / "paper.pdf"
    try:
        out.mkdir(parents=True, exist_ok=True)
        render_pdf(exam, form, people, pdf, names=names, progress=progress)
        form = with_baseline(form, pdf)
        form.save(out / "form.json")
    except OSError as error:
        raise UsageError(f"the answer sheets cannot be written: {error}", "choose another folder") from error
    return form


def digits_for(candidates: tuple[str, ...]) -> int:
    """Columns of the bubbled candidate number: those of the longest number that is all digits."""
    lengths = [len(c) for c in candidates if c.isdecimal() and len(c) <= MAX_DIGITS]
    return max(lengths, default=DEFAULT_DIGITS)


def unfit(form: Form, candidates: tuple[str, ...]) -> list[str]:
    """The candidates whose number cannot be bubbled: letters, or more digits than the form has columns."""
    fields = [f for f in form.pages[0].fields if isinstance(f, MarksField) and f.role == "candidate"]
    columns = len({bubble.position for field in fields for bubble in field.bubbles})
    return [c for c in candidates if not c.isdecimal() or len(c) > columns]
