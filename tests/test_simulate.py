"""The simulator says the truth about what it draws, and draws the same again."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from exams import BLANK, CHOICE, NUMERIC, SHORT, make_exam
from PIL import Image

from grader.demo.answers import invent
from grader.demo.pencil import Tool, draw_mark
from grader.demo.scan import PROFILES, scan
from grader.demo.simulate import CARELESS, Habits, simulate, simulate_batch
from grader.errors import UsageError
from grader.exam.exam import Exam
from grader.exam.form import BubbleBox, Form, MarksField, TextField
from grader.paper.sheets import print_sheets

SCALE = 300 / 25.4
MULTIPLE = {"type": "multi_choice", "options": "ABCDE", "answer": "ACD"}


@pytest.fixture(scope="module")
def exam() -> Exam:
    return make_exam([CHOICE] * 8 + [MULTIPLE] * 2 + [BLANK, NUMERIC, SHORT])


@pytest.fixture(scope="module")
def sheets(exam: Exam, tmp_path_factory: pytest.TempPathFactory) -> tuple[Form, Path]:
    folder = tmp_path_factory.mktemp("paper")
    return print_sheets(exam, folder), folder / "paper.pdf"


def darkness(image: np.ndarray, bubble: BubbleBox) -> float:
    rows = slice(int(bubble.y * SCALE), int((bubble.y + bubble.h) * SCALE))
    return float(1 - image[rows, int(bubble.x * SCALE) : int((bubble.x + bubble.w) * SCALE)].mean() / 255)


def test_the_same_seed_gives_the_same_bytes(exam: Exam, sheets: tuple[Form, Path]) -> None:
    form, pdf = sheets
    runs = [
        list(simulate(exam, form, pdf, ["12345678"], seed=seed, profile="rough", habits=CARELESS)) for seed in (3, 3, 4)
    ]
    assert runs[0] == runs[1]
    assert runs[0][0][1] != runs[2][0][1]


def test_a_page_does_not_depend_on_the_candidates_after_it(exam: Exam, sheets: tuple[Form, Path]) -> None:
    form, pdf = sheets
    alone = next(simulate(exam, form, pdf, ["11111111"], seed=1))
    among = next(simulate(exam, form, pdf, ["11111111", "22222222"], seed=1))
    assert alone[1] == among[1]


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_the_truth_knows_where_the_page_lies(exam: Exam, sheets: tuple[Form, Path], profile: str) -> None:
    """The printed corner marks are dark where to_pixels puts them, at any turn and perspective."""
    form, pdf = sheets
    for seed in range(3):
        truth, data = next(simulate(exam, form, pdf, ["12345678"], seed=seed, profile=profile))
        image = np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(float)
        matrix = np.array(truth.to_pixels)
        for mark in form.pages[0].fiducials:
            x, y, w = matrix @ (mark.x, mark.y, 1.0)
            column, row = round(x / w), round(y / w)
            around = image[row - 40 : row + 41, column - 40 : column + 41]
            centre = image[row - 3 : row + 4, column - 3 : column + 4]
            assert centre.mean() < (np.percentile(around, 5) + np.percentile(around, 95)) / 2


@pytest.mark.parametrize("kind", ["fill", "overshoot", "pale", "dash", "tick", "cross"])
def test_a_mark_is_darker_than_what_a_rubber_leaves(kind: str) -> None:
    bubble = BubbleBox(label="A", x=10, y=10, w=4.8, h=2.8)
    for seed in range(10):
        rng = np.random.default_rng(seed)
        tool = Tool.draw(rng, pencil=bool(seed % 2))
        pages = {name: np.full((300, 300), 255, np.uint8) for name in (kind, "fill", "erased")}
        for name, page in pages.items():
            draw_mark(page, SCALE, bubble, name, tool, np.random.default_rng(seed))  # type: ignore[arg-type]
        level = {name: darkness(page, bubble) for name, page in pages.items()}
        assert 0 < level["erased"] < 0.2
        assert pages[kind].min() < pages["erased"].min()
        assert level["fill"] > 0.25
        assert kind == "overshoot" or level[kind] <= level["fill"]


def test_marks_are_drawn_where_the_truth_says(exam: Exam, sheets: tuple[Form, Path]) -> None:
    """On an office scan, unturned: each marked bubble is darker than every blank one of its item."""
    form, pdf = sheets
    marks = {f.id: f for f in form.pages[0].fields if isinstance(f, MarksField)}
    for seed in range(4):
        habits = Habits(tick=0, cross=0, pale=0, dash=0)
        truth, data = next(simulate(exam, form, pdf, ["12345678"], seed=seed, habits=habits))
        image = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
        matrix = np.array(truth.to_pixels)
        for field in truth.fields:
            if field.kind != "marks":
                continue
            made = {(position, label) for position, label, _ in field.marks}
            levels: dict[bool, list[float]] = {True: [], False: []}
            for bubble in marks[field.field].bubbles:
                x, y, w = matrix @ (bubble.x + bubble.w / 2, bubble.y + bubble.h / 2, 1.0)
                spot = image[round(y / w) - 6 : round(y / w) + 7, round(x / w) - 12 : round(x / w) + 13]
                levels[(bubble.position, bubble.label) in made].append(255 - float(spot.mean()))
            assert field.role == "candidate" or field.value == "".join(label for _, label, _ in field.marks)
            if made:
                assert min(levels[True]) > max(levels[False])


def test_given_answers_are_written(exam: Exam, sheets: tuple[Form, Path]) -> None:
    form, pdf = sheets
    answers = {"1": {"1": "C", "9": "BE", "11": "蒸发", "13": ""}}
    truth, _ = next(simulate(exam, form, pdf, ["1"], seed=0, answers=answers, habits=Habits()))
    values = {field.field: field.value for field in truth.fields}
    assert (values["1"], values["9"], values["11"], values["13"], values["2"]) == ("C", "BE", "蒸发", "", "")


def test_writing_fills_the_box_and_not_its_neighbours(exam: Exam, sheets: tuple[Form, Path]) -> None:
    form, pdf = sheets
    (truth, written), (_, empty) = (
        next(simulate(exam, form, pdf, ["1"], seed=0, answers={"1": {"11": text, "1": "A"}}, habits=Habits()))
        for text in ("光合作用", "")
    )
    before, after = (np.asarray(Image.open(io.BytesIO(data)).convert("L")).astype(float) for data in (empty, written))
    box = next(f for f in form.pages[0].fields if f.id == "11")
    assert isinstance(box, TextField)
    rows, columns = np.nonzero(np.abs(before - after) > 60)
    x, y, w = np.linalg.inv(np.array(truth.to_pixels)) @ np.stack([columns, rows, np.ones(len(rows))])
    assert len(rows) > 200
    assert (box.x < x / w).all()
    assert (x / w < box.x + box.w).all()
    assert (box.y < y / w).all()
    assert (y / w < box.y + box.h).all()


def test_real_handwriting_can_be_put_into_a_box(exam: Exam, sheets: tuple[Form, Path]) -> None:
    form, pdf = sheets
    crop = np.full((60, 200), 180, np.uint8)  # gray paper with a stroke across it
    crop[28:33, 20:180] = 40
    answers = {"1": {"11": "一", "1": "A"}}
    (truth, pasted), (_, empty) = (
        next(simulate(exam, form, pdf, ["1"], seed=0, answers=a, habits=Habits(), pictures=p))
        for a, p in ((answers, {"1": {"11": crop}}), ({"1": {"1": "A"}}, None))
    )
    assert next(f.value for f in truth.fields if f.field == "11") == "一"
    before, after = (np.asarray(Image.open(io.BytesIO(d)).convert("L")).astype(float) for d in (empty, pasted))
    box = next(f for f in form.pages[0].fields if f.id == "11")
    assert isinstance(box, TextField)
    rows, columns = np.nonzero(before - after > 60)
    x, y, w = np.linalg.inv(np.array(truth.to_pixels)) @ np.stack([columns, rows, np.ones(len(rows))])
    assert np.ptp(x / w) == pytest.approx(160 * (box.h - 1.6) / 60, rel=0.05)
    assert np.median(y / w) == pytest.approx(box.y + box.h / 2, abs=0.4)


def test_the_batch_writes_files_and_the_truth_beside_them(
    exam: Exam, sheets: tuple[Form, Path], tmp_path: Path
) -> None:
    form, pdf = sheets
    truths = simulate_batch(exam, form, pdf, tmp_path / "scans", ["1", "2", "3"], seed=1)
    files = sorted(path.name for path in (tmp_path / "scans").iterdir())
    assert files == [truth.file for truth in truths]
    lines = (tmp_path / "scans-truth.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["candidate"] for line in lines] == [truth.candidate for truth in truths]


def test_a_pdf_of_another_roster_is_refused(exam: Exam, sheets: tuple[Form, Path], tmp_path: Path) -> None:
    form, pdf = sheets
    with pytest.raises(UsageError, match="profile"):
        next(simulate(exam, form, pdf, ["1"], seed=0, profile="fax"))
    other = print_sheets(make_exam([SHORT] * 9), tmp_path)
    with pytest.raises(UsageError, match="pages"):
        next(simulate(exam, other, pdf, ["1"], seed=0))


def test_able_candidates_answer_more_items_right(exam: Exam) -> None:
    key = {item.id: item.answer for item in exam.items if item.type in ("choice", "multi_choice")}

    def right(ability: float) -> int:
        scripts = [invent(exam, np.random.default_rng(seed), ability) for seed in range(30)]
        return sum(script[item] == answer for script in scripts for item, answer in key.items())

    assert right(0.95) > right(0.5) > right(0.05)
    assert set(invent(exam, np.random.default_rng(0))) == {item.id for item in exam.items}


def test_scanning_is_a_function_of_its_arguments() -> None:
    page = np.full((1200, 900), 255, np.uint8)
    a, b = (scan(page, 8.0, np.random.default_rng(5), PROFILES["phone"]) for _ in range(2))
    assert a.data == b.data
    assert np.array_equal(a.to_pixels, b.to_pixels)
