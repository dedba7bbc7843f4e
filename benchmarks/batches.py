"""A realistic batch, made fast enough for ten thousand pages: what throughput and the straightforward script read.

An English exam on grader's own form: 20 choice items, 4 blanks and 2 short answers on two pages a candidate. The
choices and the candidate number are marked anew on every page. Short answers are set line by line from strips: answers
of real pupils to the same question in handwriting fonts, and lines of real handwriting (IAM); two or three strips make
an answer, so that hardly any answer comes twice. Every page is turned, shifted, toned and made noisy for itself.

Strips are written once and put on a sheet rendered once: about 40 ms a page instead of a second. Where only speed on
choices counts, `objective` makes pages of 60 choices.
"""

from __future__ import annotations

import io
import json
import multiprocessing
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pypdfium2 as pdfium
from harness import DATA, need
from PIL import Image

from grader.demo.handwriting import Hand, paste, write
from grader.demo.pencil import Tool, draw_mark
from grader.exam.exam import Exam
from grader.exam.form import Form, MarksField, PageForm, TextField, load_form
from grader.paper.sheets import print_sheets
from grader.training import sets

DPI = 200
SCALE = DPI / 25.4  # pixels a millimetre
QUESTIONS = ("beetle/BURNED_BULB_LOCATE_EXPLAIN_Q", "beetle/PARALLEL_SWITCH_EXPLAIN_Q3")
CHOICES = 20
BLANKS = ("voltage", "battery", "terminal", "circuit")
_REAL = 0.2  # share of strips that are real handwriting
_EMPTY = 0.03  # of the written answers
_HANDS = 3  # in which every pupil's answer is written


@dataclass(frozen=True)
class PageTruth:
    """What a candidate put on one page. answers: item id → labels or text ("" where nothing)."""

    file: str
    candidate: str
    page: int
    answers: dict[str, str]


@dataclass(frozen=True, eq=False)
class Strip:
    """A piece of writing: its text and its picture (gray uint8, dark on white)."""

    text: str
    picture: np.ndarray


def exam(objective: bool = False) -> Exam:
    """The exam that is written."""
    count = 60 if objective else CHOICES
    items: list[dict[str, Any]] = [
        {"type": "choice", "options": "ABCD", "answer": "ABCD"[n * 7 % 4], "max_mark": 2} for n in range(count)
    ]
    if not objective:
        items += [{"type": "blank", "answers": [word], "max_mark": 2} for word in BLANKS]
        items += [
            {
                "type": "short_answer",
                "max_mark": 4,
                "prompt": rows[0].question,
                "reference_answers": list(rows[0].references[:4]),
            }
            for rows in map(_rows, QUESTIONS)
        ]
    header = {"id": "electricity", "title": "Electric circuits: mid-term test", "language": "en"}
    return Exam.model_validate({"exam": header, "items": [{"id": str(n + 1), **i} for n, i in enumerate(items)]})


def _rows(question: str) -> list[Any]:
    rows = sets.load(need(DATA / "asag"), "beetle")
    return [row for row in rows if row.group == question and row.split == "train"]


class Maker:
    """Makes the pages of a batch in `folder`: paper/form.json, and pages as they are asked for.

    A page depends on the seed, its candidate and its number alone.
    """

    def __init__(self, folder: Path, seed: int = 1, objective: bool = False) -> None:
        self.exam, self.seed, self.objective = exam(objective), seed, objective
        self.folder = folder
        if not (folder / "paper" / "form.json").is_file():
            print_sheets(self.exam, folder / "paper")
        (folder / "exam.json").write_text(self.exam.canonical(), encoding="utf-8")
        self.form: Form = load_form(folder / "paper" / "form.json")

    def ready(self) -> None:
        """Write the strips and render the sheets now, for processes that are started from this one."""
        if not self.objective:
            self._strips  # noqa: B018
        self._noise  # noqa: B018

    @cached_property
    def _sheets(self) -> list[np.ndarray]:
        document = pdfium.PdfDocument(str(self.folder / "paper" / "paper.pdf"))
        bitmaps = [page.render(scale=DPI / 72, grayscale=True) for page in document]
        return [bitmap.to_numpy().reshape(bitmap.height, bitmap.width, -1)[:, :, 0].copy() for bitmap in bitmaps]

    @cached_property
    def _noise(self) -> np.ndarray:
        height, width = self._sheets[0].shape
        rng = np.random.default_rng(self.seed)
        return (256 * rng.standard_normal((height + 256, width + 256), np.float32)).astype(np.int16)

    @cached_property
    def _strips(self) -> dict[str, list[Strip]]:
        """Written pieces for each text field, by item, and the digits of the handwritten candidate number."""
        rng = np.random.default_rng([self.seed, 77])
        pools: dict[str, list[Strip]] = {}
        for page in self.form.pages:
            for field in page.fields:
                if not isinstance(field, TextField):
                    continue
                if field.role == "candidate":
                    cell = field.model_copy(update={"w": field.w / field.cells, "cells": 1})
                    for digit in "0123456789":
                        pools[digit] = [written(cell, digit, rng) for _ in range(8)]
                elif field.lines == 1:
                    pools[field.item or ""] = [written(field, w, rng) for w in (*BLANKS, *BLANKS) for _ in range(10)]
                else:
                    pools[field.item or ""] = self._sentences(field, rng)
        return pools

    def _sentences(self, field: TextField, rng: np.random.Generator) -> list[Strip]:
        line = field.model_copy(update={"h": (field.h - 3.0) / field.lines, "lines": 1})
        question = QUESTIONS[int(field.item or 0) - int(self.exam.items[-2].id)]
        texts = sorted({" ".join(row.text.split()) for row in _rows(question) if 15 <= len(row.text) <= 68})
        own = [written(line, text, rng) for text in texts for _ in range(_HANDS)]
        real = [pasted(line, picture, text) for text, picture in real_lines()]
        places = rng.integers(len(real), size=round(_REAL / (1 - _REAL) * len(own)))
        return own + [real[place] for place in places]

    def page(self, script: int, number: int) -> tuple[PageTruth, bytes]:
        """One page of one candidate (both counted from 0 and 1), as JPEG."""
        rng = np.random.default_rng([self.seed, script, number])
        candidate = f"{20_000_000 + script * 1237 % 10_000_000:08d}"
        sheet = self._sheets[number - 1].copy()
        answers = self._fill(sheet, self.form.page(number), candidate, rng)
        truth = PageTruth(f"scan-{script:06d}-{number}.jpg", candidate, number, answers)
        return truth, scanned(sheet, self._noise, rng)

    def _fill(self, sheet: np.ndarray, page: PageForm, candidate: str, rng: np.random.Generator) -> dict[str, str]:
        tool, answers = Tool.draw(rng, rng.random() < 0.75), {}
        for field in page.fields:
            if isinstance(field, MarksField) and field.role == "candidate":
                for bubble in field.bubbles:
                    if candidate[bubble.position] == bubble.label:
                        draw_mark(sheet, SCALE, bubble, "fill", tool, rng)
            elif isinstance(field, MarksField):
                chosen = field.bubbles[int(rng.integers(len(field.bubbles)))]
                draw_mark(sheet, SCALE, chosen, "fill", tool, rng)
                answers[field.item or ""] = chosen.label
            elif isinstance(field, TextField) and field.role == "candidate" and not self.objective:
                for place, digit in enumerate(candidate):
                    put(sheet, self._pick(digit, rng), field.x + place * field.w / field.cells, field.y)
            elif isinstance(field, TextField) and not self.objective:
                answers[field.item or ""] = self._write(sheet, field, rng)
        return answers

    def _write(self, sheet: np.ndarray, field: TextField, rng: np.random.Generator) -> str:
        if rng.random() < _EMPTY:
            return ""
        count = 1 if field.lines == 1 else int(rng.integers(2, 4))
        strips = [self._pick(field.item or "", rng) for _ in range(count)]
        pitch = field.h if field.lines == 1 else (field.h - 3.0) / field.lines
        for place, strip in enumerate(strips):
            put(sheet, strip, field.x, field.y + place * pitch + (1.0 if field.lines > 1 else 0.0))
        return " ".join(strip.text for strip in strips)

    def _pick(self, pool: str, rng: np.random.Generator) -> Strip:
        strips = self._strips[pool]
        return strips[int(rng.integers(len(strips)))]


def written(field: TextField, text: str, rng: np.random.Generator) -> Strip:
    """A text in a handwriting font on a white piece of the field's size."""
    own = field.model_copy(update={"x": 0.0, "y": 0.0})
    picture = _white(own)
    write(picture, SCALE, own, text, Hand.draw(rng), rng)
    return Strip(text, picture)


def pasted(field: TextField, crop: np.ndarray, text: str) -> Strip:
    """A picture of real handwriting on a white piece of the field's size."""
    own = field.model_copy(update={"x": 0.0, "y": 0.0})
    picture = _white(own)
    paste(picture, SCALE, own, crop)
    return Strip(text, picture)


def _white(field: TextField) -> np.ndarray:
    return np.full((round(field.h * SCALE), round(field.w * SCALE)), 255, np.uint8)


def real_lines() -> list[tuple[str, np.ndarray]]:
    """Text and picture (gray uint8) of the English lines of real handwriting."""
    folder = need(DATA / "ocr")
    rows = [line.split("\t") for line in (folder / "truth.tsv").read_text(encoding="utf-8").splitlines()[1:]]
    return [(text, _gray(folder / file)) for category, file, text in rows if category == "real_en_iam"]


def _gray(path: Path) -> np.ndarray:
    picture = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    assert picture is not None, path
    return np.asarray(picture)


def put(sheet: np.ndarray, strip: Strip, x: float, y: float) -> None:
    """A strip on the sheet, in place, its corner at millimetres (x, y): ink darkens what is under it."""
    left, top = round(x * SCALE), round(y * SCALE)
    height, width = strip.picture.shape
    part = sheet[top : top + height, left : left + width]
    np.minimum(part, strip.picture[: part.shape[0], : part.shape[1]], out=part)


def scanned(sheet: np.ndarray, noise: np.ndarray, rng: np.random.Generator) -> bytes:
    """The sheet as an office scanner gives it: a little turned, shifted, soft, toned and noisy; one in five in
    colour."""
    height, width = sheet.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-0.7, 0.7), rng.uniform(0.995, 1.003))
    turn = turn + np.hstack([np.zeros((2, 2)), rng.uniform(-10, 10, (2, 1))])
    picture = cv2.warpAffine(sheet, turn, (width, height), flags=cv2.INTER_LINEAR, borderValue=255)
    picture = cv2.GaussianBlur(picture, (3, 3), rng.uniform(0.35, 0.55))
    contrast, paper = rng.uniform(0.9, 1.0), rng.uniform(235, 252)
    tone = np.clip(paper * (1 - contrast * (1 - np.arange(256) / 255)), 0, 255).astype(np.uint8)
    down, right = (int(v) for v in rng.integers(0, 256, 2))
    grain = noise[down : down + height, right : right + width]
    picture = cv2.addWeighted(cv2.LUT(picture, tone), 1.0, grain, rng.uniform(1.0, 3.0) / 256, 0.0, dtype=cv2.CV_8U)
    image = Image.fromarray(np.asarray(picture))
    if rng.random() < 0.2:
        image = Image.merge("RGB", [image, image.point([min(255, round(v * 0.985)) for v in range(256)]), image])
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(75, 93)), dpi=(DPI, DPI))
    return buffer.getvalue()


_maker: Maker | None = None  # of the process that makes pages; its children inherit it


def make(folder: Path, pages: int, seed: int = 1, objective: bool = False, workers: int = 2) -> list[PageTruth]:
    """Write so many pages to FOLDER/scans (the last script may lack one) and what is on them to FOLDER/truth.jsonl."""
    global _maker  # noqa: PLW0603
    _maker = Maker(folder, seed, objective)
    _maker.ready()
    (folder / "scans").mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        truths = pool.map(_page, range(pages), chunksize=16)
    lines = (json.dumps(asdict(truth), ensure_ascii=False) for truth in truths)
    (folder / "truth.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return truths


def _page(place: int) -> PageTruth:
    assert _maker is not None
    count = len(_maker.form.pages)
    truth, data = _maker.page(place // count, place % count + 1)
    (_maker.folder / "scans" / truth.file).write_bytes(data)
    return truth


def truths(folder: Path) -> list[PageTruth]:
    """What is on the pages of a batch."""
    lines = (folder / "truth.jsonl").read_text(encoding="utf-8").splitlines()
    return [PageTruth(**json.loads(line)) for line in lines]
