"""Simulated candidates: fill answer sheets, scan them, and keep the truth about every field.

The same arguments and seed give the same files, byte for byte. Each page has its own random stream, so a
page does not depend on the others.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium

from grader.demo.answers import invent
from grader.demo.handwriting import Hand, paste, write
from grader.demo.pencil import DOUBTFUL, WITHDRAWN, MarkKind, Tool, draw_mark
from grader.demo.scan import PROFILES, Profile, scan
from grader.errors import UsageError
from grader.exam.exam import Exam
from grader.exam.form import BubbleBox, Form, MarksField, PageForm, TextField

RENDER_DPI = 300


@dataclass(frozen=True)
class FieldTruth:
    """value: the labels or text intended. marks: (position, label, kind) of everything drawn.
    doubtful: a mark was made so that a careful person would hesitate. double: one mark too many on purpose."""

    field: str
    role: str
    kind: str
    value: str
    marks: tuple[tuple[int, str, str], ...] = ()
    doubtful: bool = False
    double: bool = False


@dataclass(frozen=True)
class PageTruth:
    """to_pixels: row-major homography from millimetres to pixels of the file. turn: degrees clockwise.
    printed_candidate: the candidate in the page code, "" if none is printed."""

    file: str
    candidate: str
    printed_candidate: str
    page: int
    dpi: int
    turn: int
    to_pixels: tuple[tuple[float, ...], ...]
    fields: tuple[FieldTruth, ...]
    scan: dict[str, float]


@dataclass(frozen=True)
class Habits:
    """Probabilities of what a candidate does to a bubble (the rest are plain fills) and to a sheet."""

    pencil: float = 0.75
    pale: float = 0.06
    overshoot: float = 0.08
    dash: float = 0.04
    tick: float = 0.05
    cross: float = 0.03
    faint: float = 0.0
    erased: float = 0.0
    cancelled: float = 0.0
    dot: float = 0.0
    double: float = 0.0
    number_flaw: float = 0.0  # the bubbled candidate number has a wrong, missing or double digit


CAREFUL = Habits()
CARELESS = Habits(
    pencil=0.7, pale=0.08, overshoot=0.1, tick=0.08, cross=0.06, faint=0.015, erased=0.03, cancelled=0.015,
    dot=0.01, double=0.01, number_flaw=0.03,
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """One candidate's tool, hand and way of marking."""

    tool: Tool
    hand: Hand
    habits: Habits

    @staticmethod
    def draw(rng: np.random.Generator, habits: Habits) -> Person:
        """A candidate by chance."""
        return Person(Tool.draw(rng, rng.random() < habits.pencil), Hand.draw(rng), habits)


def fill_page(
    page: np.ndarray, scale: float, form: PageForm, answers: Mapping[str, str], candidate: str, person: Person,
    rng: np.random.Generator, pictures: Mapping[str, np.ndarray] | None = None,
) -> tuple[FieldTruth, ...]:  # fmt: skip
    """Fill one page in place (gray uint8, `scale` pixels a millimetre); returns what was meant.

    answers: item id → labels or text. Items without an answer stay blank. pictures: item id → picture of real
    handwriting (gray uint8) to put into its box instead of writing the answer.
    """
    truths: list[FieldTruth] = []
    for field in form.fields:
        text = candidate if field.role == "candidate" else answers.get(field.item or "", "")
        if isinstance(field, MarksField):
            if field.role == "candidate":
                truths.append(_fill_number(page, scale, field, text, person, rng))
            else:
                truths.append(_fill_choice(page, scale, field, text, person, rng))
        elif isinstance(field, TextField):
            picture = (pictures or {}).get(field.item or "")
            if picture is not None:
                paste(page, scale, field, picture)
            elif text:
                write(page, scale, field, text, person.hand, rng)
            truths.append(FieldTruth(field.id, field.role, "text", text))
    return tuple(truths)


def _fill_choice(
    page: np.ndarray, scale: float, field: MarksField, labels: str, person: Person, rng: np.random.Generator
) -> FieldTruth:
    habits = person.habits
    others = [b for b in field.bubbles if b.label not in labels]
    double = False
    meant = "".join(b.label for b in field.bubbles if b.label in labels)
    drawn: list[tuple[BubbleBox, MarkKind]] = [(b, _kind(habits, rng)) for b in field.bubbles if b.label in labels]
    if others and labels:
        extra = others[int(rng.integers(len(others)))]
        extra_kinds: tuple[MarkKind, ...] = ("erased", "cancelled", "dot")
        kind = _draw_kind(extra_kinds, habits, rng)
        if kind is not None:
            drawn.append((extra, kind))
        elif rng.random() < habits.double and not field.multiple:
            drawn.append((extra, "fill"))
            double = True
            meant = "".join(b.label for b in field.bubbles if b.label in labels or b is extra)
    truth = _drawn(page, scale, field, meant, drawn, person, rng)
    return replace(truth, double=double)


def _kind(habits: Habits, rng: np.random.Generator) -> MarkKind:
    """How one bubble is marked."""
    return _draw_kind(("pale", "overshoot", "dash", "tick", "cross", "faint"), habits, rng) or "fill"


def _draw_kind(names: tuple[MarkKind, ...], habits: Habits, rng: np.random.Generator) -> MarkKind | None:
    """One of the kinds with the probability that the habits give it, or none."""
    chances = np.cumsum([getattr(habits, name) for name in names])
    place = int(np.searchsorted(chances, rng.random(), side="right"))
    return names[place] if place < len(names) else None


def _fill_number(
    page: np.ndarray, scale: float, field: MarksField, number: str, person: Person, rng: np.random.Generator
) -> FieldTruth:
    """Bubble a candidate number, right-aligned numbers from the first column on. It may be flawed."""
    digits: list[str] = list(number)
    flaw = rng.random() < person.habits.number_flaw and number.isdecimal()
    if flaw:
        place = int(rng.integers(len(digits)))
        digits[place] = str(rng.choice(["", str(rng.integers(10)), digits[place] + str(rng.integers(10))]))
    drawn: list[tuple[BubbleBox, MarkKind]] = []
    for bubble in field.bubbles:
        if bubble.position < len(digits) and bubble.label in digits[bubble.position]:
            kind: MarkKind = "fill" if rng.random() < 0.9 else "overshoot"
            drawn.append((bubble, kind))
    return _drawn(page, scale, field, "".join(digits), drawn, person, rng)


def _drawn(
    page: np.ndarray, scale: float, field: MarksField, value: str, drawn: Sequence[tuple[BubbleBox, MarkKind]],
    person: Person, rng: np.random.Generator,
) -> FieldTruth:  # fmt: skip
    for bubble, kind in drawn:
        draw_mark(page, scale, bubble, kind, person.tool, rng)
    marks = tuple((bubble.position, bubble.label, kind) for bubble, kind in drawn)
    doubtful = any(kind in DOUBTFUL for _, kind in drawn)
    unmeant = {b.label for b, kind in drawn if kind in WITHDRAWN}
    assert field.role == "candidate" or not unmeant & set(value)
    return FieldTruth(field.id, field.role, "marks", value, marks, doubtful)


class Blanks:
    """The unfilled pages of a printed PDF, rendered as they are needed: one set, or one a candidate."""

    def __init__(self, pdf: Path, form: Form, candidates: int) -> None:
        self._document = pdfium.PdfDocument(str(pdf))
        self._pages = len(form.pages)
        self.sets = len(self._document) // self._pages
        if len(self._document) % self._pages or self.sets not in (1, candidates):
            raise UsageError(
                f"{pdf} has {len(self._document)} pages; {candidates} candidates on a form of {self._pages} need"
                f" {self._pages} or {self._pages * candidates}", "print it again for this roster",
            )  # fmt: skip
        self._last: tuple[int, np.ndarray] = (-1, np.empty(0, np.uint8))

    def page(self, candidate: int, number: int) -> np.ndarray:
        """A fresh gray copy at RENDER_DPI. candidate counts from 0, number from 1."""
        index = (candidate if self.sets > 1 else 0) * self._pages + number - 1
        if self._last[0] != index:
            bitmap = self._document[index].render(scale=RENDER_DPI / 72, grayscale=True)
            self._last = (index, bitmap.to_numpy().reshape(bitmap.height, bitmap.width, -1)[:, :, 0].copy())
        return self._last[1].copy()


def simulate(
    exam: Exam, form: Form, pdf: Path, candidates: Sequence[str], *, seed: int, profile: str | Profile = "office",
    habits: Habits = CAREFUL, answers: Mapping[str, Mapping[str, str]] | None = None,
    pictures: Mapping[str, Mapping[str, np.ndarray]] | None = None,
) -> Iterator[tuple[PageTruth, bytes]]:  # fmt: skip
    """The scanned pages of all candidates, in order, each with its truth and its JPEG bytes.

    pdf: as printed by render_pdf, blank or with these candidates. answers: candidate → item → answer; invented
    where not given. pictures: the same for pictures of real handwriting. Raises UsageError for an unknown
    profile or a PDF of another size.
    """
    if isinstance(profile, str):
        if profile not in PROFILES:
            raise UsageError(f"there is no scan profile {profile!r}", f"choose one of: {', '.join(PROFILES)}")
        profile = PROFILES[profile]
    blanks, scale = Blanks(pdf, form, len(candidates)), RENDER_DPI / 25.4
    for index, candidate in enumerate(candidates):
        rng = np.random.default_rng([seed, index, 0])
        person = Person.draw(rng, habits)
        own = (answers or {}).get(candidate) or invent(exam, rng, ability=rng.uniform(0.4, 0.95))
        for page_form in form.pages:
            filling, scanning = (np.random.default_rng([seed, index, page_form.number, i]) for i in (1, 2))
            image = blanks.page(index, page_form.number)
            fields = fill_page(
                image, scale, page_form, own, candidate, person, filling, (pictures or {}).get(candidate)
            )
            result = scan(image, scale, scanning, profile)
            truth = PageTruth(
                file=f"scan-{index * len(form.pages) + page_form.number:05d}.jpg",
                candidate=candidate,
                printed_candidate=candidate if blanks.sets > 1 or len(candidates) == 1 else "",
                page=page_form.number,
                dpi=result.dpi,
                turn=result.turn,
                to_pixels=tuple(tuple(float(v) for v in row) for row in result.to_pixels),
                fields=fields,
                scan=result.notes,
            )
            yield truth, result.data


def simulate_batch(
    exam: Exam, form: Form, pdf: Path, out: Path, candidates: Sequence[str], *, seed: int,
    profile: str | Profile = "office", habits: Habits = CAREFUL,
    answers: Mapping[str, Mapping[str, str]] | None = None,
    pictures: Mapping[str, Mapping[str, np.ndarray]] | None = None, progress: Callable[[], None] = lambda: None,
) -> list[PageTruth]:  # fmt: skip
    """Write every page of `simulate` to the folder `out` and the truth to OUT-truth.jsonl beside that folder."""
    out.mkdir(parents=True, exist_ok=True)
    truths: list[PageTruth] = []
    pages = simulate(
        exam,
        form,
        pdf,
        candidates,
        seed=seed,
        profile=profile,
        habits=habits,
        answers=answers,
        pictures=pictures,
    )
    for truth, data in pages:
        (out / truth.file).write_bytes(data)
        truths.append(truth)
        progress()
    lines = (json.dumps(asdict(truth), ensure_ascii=False) for truth in truths)
    (out.parent / f"{out.name}-truth.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return truths
