"""Makes the store of a settled run without reading anything: what was read is made up, the rest is real."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import cv2
import hostile
import numpy as np

from grader.exam.exam import Exam
from grader.exam.form import Form, MarksField, PageForm, TextField
from grader.paper.layout import lay_out
from grader.records import (
    Bubble,
    CriterionMark,
    Identity,
    Mark,
    PageRef,
    PageResult,
    Reading,
    Registration,
    Response,
)
from grader.run.job import Job
from grader.run.settle import settle
from grader.store.store import RunStore

EVIL = '<script>alert(1)</script>"\'><img src=x onerror=alert(2)> {{ 7*7 }}\x07\n=HYPERLINK("http://evil.example","x")'

EXAM = Exam.model_validate(
    {
        "exam": {"id": "unit-3", "title": "物态变化 <b>&</b> Phases", "language": "zh"},
        "items": [
            {"id": "1", "type": "choice", "options": "ABCD", "answer": "B", "max_mark": 2},
            {"id": "2", "type": "multi_choice", "options": "ABCDE", "answer": "ACD", "max_mark": 4},
            {"id": "3", "type": "numeric", "answer": 3.2, "unit": "m/s", "max_mark": 3},
            {"id": "4", "type": "short_answer", "max_mark": 4, "reference_answers": ["水凝固成冰时体积变大"],
             "rubric": [{"id": "a", "marks": 4, "criterion": "体积变大"}]},
        ],
    }
)  # fmt: skip

# item → (response, mark, status, flags) of each candidate in turn
ANSWERS: dict[str, list[tuple[str, float | None, str, tuple[str, ...]]]] = {
    "1": [("B", 2, "final", ()), ("A", 0, "final", ()), ("", 0, "review", ("mark_doubtful",)), ("B", 2, "final", ())],
    "2": [("ACD", 4, "final", ()), ("AC", 2, "final", ()), ("ABE", 0, "final", ())],
    "3": [("3.2m/s", 3, "final", ()), ("3.2", None, "review", ("unit_missing",))],
    "4": [("体积变大", 4, "proposed", ("model_proposal",)), (EVIL, 1, "review", ("model_proposal", "control_text"))],
}


def make_run(folder: Path, candidates: int = 8, turn: int = 0, dpi: int = 100) -> Path:
    """A run of that many candidates with one page each; besides a cut file, a foreign form, a copy and an unknown.

    turn: quarters clockwise by which every scan lies turned.
    """
    form = lay_out(EXAM)
    scans, run = folder / "scans", folder / "run"
    scans.mkdir(parents=True)
    job = Job(EXAM, form, folder)
    results = [_page(scans, form.page(1), f"{1001 + n}", n, turn, dpi) for n in range(candidates)]
    copy = scans / "copy.jpg"
    copy.write_bytes(Path(results[0].ref.file).read_bytes())
    results.append(PageResult(PageRef(str(copy)), "read", sha256=results[0].sha256))
    cut = scans / "cut.jpg"
    cut.write_bytes(hostile.cut(hostile.encoded(hostile.sheet((1170, 827)))))
    detail = f"{cut}: the JPEG stops before its end\n  remedy: scan the page again"
    results.append(PageResult(PageRef(str(cut)), "rejected", "truncated", detail))
    foreign = hostile.write_foreign_form(scans / "foreign.jpg")
    results.append(PageResult(PageRef(str(foreign)), "unmatched", "no_fiducials", "no marks", "f"))
    unknown = _page(scans, form.page(1), "", 99_999, turn, dpi)
    results.append(_as_unknown(unknown))
    with RunStore.create(run) as store:
        store.set_meta(**job.describe(), form_folder=str(folder), models={"a.onnx": "0" * 64}, versions={"grader": "0"})
        store.record_pages(results)
        store.set_meta(summary=settle(store, job, [result.ref for result in results]))
    return run


def _as_unknown(result: PageResult) -> PageResult:
    return PageResult(result.ref, "unmatched", "identity_unread", "", result.sha256, Identity("", 0.0), 1,
                      result.registration, result.readings, result.responses, result.marks, result.crops)  # fmt: skip


def _page(scans: Path, form: PageForm, candidate: str, number: int, turn: int, dpi: int) -> PageResult:
    path = scans / f"scan-{number:04d}.jpg"
    height, width = round(form.height / 25.4 * dpi), round(form.width / 25.4 * dpi)
    picture = np.full((height, width), 245, np.uint8)
    to_pixels = np.diag([width / form.width, height / form.height, 1.0])
    readings, responses, marks, crops = [], [], [], {}
    for field in form.fields:
        if field.role == "item" and field.item:
            choices = ANSWERS[field.item]
            text, mark, status, flags = choices[number % len(choices)]
            readings.append(_read(field, text, picture, to_pixels))
            responses.append(Response(candidate, field.item, text, 0.9, flags))
            criteria = (CriterionMark("a", mark or 0.0, 0.7),) if field.item == "4" else ()
            most = EXAM.item(field.item).max_mark
            marks.append(Mark(candidate, field.item, mark, most, 0.8, status, flags, "rule:test/1", criteria))  # type: ignore[arg-type]
            if status == "review":
                crops[field.id] = hostile.encoded(np.full((60, 300), number % 250, np.uint8), ".png")
        elif isinstance(field, MarksField) and field.role == "candidate":
            readings.append(_read(field, "", picture, to_pixels))
    cv2.putText(picture, candidate or "?", (40, 60), cv2.FONT_HERSHEY_PLAIN, 3, 0, 3)
    for _ in range(turn):
        to_pixels = np.array([[0, -1, picture.shape[0] - 1], [1, 0, 0], [0, 0, 1]]) @ to_pixels
        picture = np.rot90(picture, -1)
    path.write_bytes(hostile.encoded(np.ascontiguousarray(picture)))
    registration = Registration(form.number, to_pixels, 0.1, "fiducials")
    return PageResult(
        PageRef(str(path)), "read", sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        identity=Identity(candidate, 1.0), sheet_page=form.number, registration=registration,
        readings=tuple(readings), responses=tuple(responses),
        marks=tuple(marks), crops=crops, seconds={"decode": 0.01},
    )  # fmt: skip


def _read(field: MarksField | TextField, text: str, picture: np.ndarray, to_pixels: np.ndarray) -> Reading:
    """What would have been read, and the chosen bubbles blackened in the picture."""
    if isinstance(field, TextField):
        return Reading(field.id, "text", text, 0.9)
    bubbles = tuple(Bubble(b.position, b.label, 0.9, b.label in text) for b in field.bubbles)
    for box, bubble in zip(field.bubbles, bubbles, strict=True):
        if bubble.marked:
            x, y, w, h = (round(v * to_pixels[0, 0]) for v in (box.x, box.y, box.w, box.h))
            picture[y : y + h, x : x + w] = 20
    return Reading(field.id, "marks", text, 0.9, bubbles=bubbles)


def form_of(run: Path) -> Form:
    """The form that the run was made with."""
    with RunStore.open(run) as store:
        return Form.model_validate(json.loads(json.dumps(store.meta()["form"])))
