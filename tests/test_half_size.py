"""Pages of bubbles alone are decoded at half their size, and in full only where that is needed."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from exams import BLANK, CHOICE, make_exam
from PIL import Image

from grader.demo.pencil import Tool, draw_mark
from grader.demo.simulate import Habits, PageTruth, simulate_batch
from grader.errors import PageError
from grader.exam.exam import Exam
from grader.exam.form import Channel, Form, MarksField, load_form
from grader.intake import pictures
from grader.intake.decode import load_page
from grader.intake.quality import check_quality
from grader.paper.sheets import print_sheets
from grader.reading.page import open_page, read_page
from grader.reading.roster import Entry, Roster
from grader.records import Page, PageRef
from grader.run.batch import run_batch
from grader.run.executor import SerialExecutor
from grader.run.job import Job
from grader.run.pipeline import PageReader
from grader.run.replay import replay
from grader.store.store import RunStore

EXAM = make_exam([CHOICE] * 12)
CANDIDATES = ("2026", "2027")


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Form, list[PageTruth]]:
    """Two filled sheets with the candidates' numbers in the page code, scanned at 200 dpi."""
    folder = tmp_path_factory.mktemp("paper")
    return folder, *_scanned(EXAM, folder)


def _scanned(exam: Exam, folder: Path) -> tuple[Form, list[PageTruth]]:
    print_sheets(exam, folder, roster=Roster([Entry(c) for c in CANDIDATES]))
    form = load_form(folder / "form.json")
    return form, simulate_batch(exam, form, folder / "paper.pdf", folder / "scans", CANDIDATES, seed=3, habits=Habits())


def _in_full(page: Page) -> bool:
    return "gray" in page.__dict__ or not callable(page.picture)


def test_bubbles_the_number_and_the_code_are_read_from_half_the_picture(
    paper: tuple[Path, Form, list[PageTruth]],
) -> None:
    folder, form, truths = paper
    for truth in truths:
        page = open_page(PageRef(str(folder / "scans" / truth.file)), form)
        check_quality(page)
        registration, readings = read_page(page, form, folder)
        meant = {field.field: field.value for field in truth.fields if field.kind == "marks"}
        assert {reading.field: reading.value for reading in readings if reading.kind == "marks"} == meant
        assert truth.candidate in registration.code
        assert not _in_full(page)


def test_readings_lie_in_pixels_of_the_page_as_scanned(paper: tuple[Path, Form, list[PageTruth]]) -> None:
    folder, form, truths = paper
    ref = PageRef(str(folder / "scans" / truths[0].file))
    half, whole = (read_page(page, form, folder) for page in (open_page(ref, form), load_page(ref)))
    assert np.allclose(half[0].to_pixels, truths[0].to_pixels, atol=0.8)
    for one, other in zip(half[1], whole[1], strict=True):
        assert (one.field, one.value) == (other.field, other.value)
        assert one.box == pytest.approx(other.box, abs=1.0)


def test_a_doubtful_mark_is_shown_to_people_in_full(
    paper: tuple[Path, Form, list[PageTruth]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its picture is cut from the whole scan, at 150 dpi, and the page is decoded in full for that alone."""
    folder, form, truths = paper
    picture = cv2.imread(str(folder / "scans" / truths[0].file), cv2.IMREAD_GRAYSCALE)
    assert picture is not None
    field = next(f for f in form.pages[0].fields if isinstance(f, MarksField) and f.role == "item")
    scale = 200 / 25.4
    tool = Tool.draw(np.random.default_rng(1), True)
    for bubble in field.bubbles[:2]:
        draw_mark(picture, scale, bubble, "fill", tool, np.random.default_rng(2))
    cv2.imwrite(str(tmp_path / "double.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 90])
    halved: list[bool] = []
    decode = pictures._jpeg

    def noted(data: bytes, channel: Channel, half: bool) -> np.ndarray:
        halved.append(half)
        return decode(data, channel, half)

    monkeypatch.setattr(pictures, "_jpeg", noted)
    result = PageReader(Job(EXAM, form, folder)).read(PageRef(str(tmp_path / "double.jpg")))
    assert field.id in result.crops
    crop = cv2.imdecode(np.frombuffer(result.crops[field.id], np.uint8), cv2.IMREAD_GRAYSCALE)
    assert crop is not None
    assert crop.shape[1] > 100
    assert halved == [True, False]


def test_a_handwritten_number_is_read_only_where_print_and_bubbles_do_not_agree(
    paper: tuple[Path, Form, list[PageTruth]],
) -> None:
    folder, form, truths = paper
    result = PageReader(Job(EXAM, form, folder)).read(PageRef(str(folder / "scans" / truths[0].file)))
    assert result.identity is not None
    assert result.identity.candidate == truths[0].candidate
    assert "candidate-written" not in {reading.field for reading in result.readings}


def test_pages_with_writing_to_read_are_decoded_in_full_at_once(tmp_path: Path) -> None:
    form, truths = _scanned(make_exam([CHOICE, BLANK]), tmp_path)
    page = open_page(PageRef(str(tmp_path / "scans" / truths[0].file)), form)
    assert page.coarse is None
    assert _in_full(page)


def test_a_form_whose_blank_bubbles_were_not_measured_is_read_in_full(
    paper: tuple[Path, Form, list[PageTruth]],
) -> None:
    folder, form, truths = paper
    bare = [
        f.model_copy(update={"bubbles": tuple(b.model_copy(update={"baseline": None}) for b in f.bubbles)})
        if isinstance(f, MarksField)
        else f
        for f in form.pages[0].fields
    ]
    unmeasured = form.model_copy(update={"pages": (form.pages[0].model_copy(update={"fields": tuple(bare)}),)})
    assert open_page(PageRef(str(folder / "scans" / truths[0].file)), unmeasured).coarse is None


def test_a_coarse_scan_is_decoded_in_full(paper: tuple[Path, Form, list[PageTruth]], tmp_path: Path) -> None:
    folder, form, truths = paper
    picture = Image.open(folder / "scans" / truths[0].file)
    picture.resize([side * 3 // 4 for side in picture.size]).save(tmp_path / "150.jpg", quality=90)
    page = open_page(PageRef(str(tmp_path / "150.jpg")), form)
    assert page.coarse is None
    _, readings = read_page(page, form, folder)
    meant = {field.field: field.value for field in truths[0].fields if field.kind == "marks"}
    assert {reading.field: reading.value for reading in readings if reading.kind == "marks"} == meant


@pytest.mark.parametrize("kind", ["jpg", "pdf"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_the_whole_picture_is_there_when_it_is_asked_for(kind: str, mode: str, tmp_path: Path) -> None:
    """With odd sides too; pixel (x, y) of the half picture is about the mean of the four at (2x, 2y)."""
    rng = np.random.default_rng(4)
    noise = cv2.GaussianBlur(rng.integers(0, 256, (1301, 901), np.uint8), (0, 0), 3)
    path = tmp_path / f"scan.{kind}"
    Image.fromarray(noise).convert(mode).save(path, quality=95, resolution=100.0)
    whole, page = load_page(PageRef(str(path))), load_page(PageRef(str(path)), half_from=1301)
    assert page.coarse is not None
    assert not _in_full(page)
    assert page.sha256 == whole.sha256
    assert page.dpi == whole.dpi
    means = cv2.resize(whole.gray[:1300, :900], (450, 650), interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(page.half[:650, :450] - means).mean() < 1.5
    assert np.array_equal(page.gray, whole.gray)
    assert load_page(PageRef(str(path)), half_from=1302).coarse is None


def test_damage_is_told_at_half_the_size_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    stream = io.BytesIO()
    Image.fromarray(rng.integers(0, 200, (1400, 1000), np.uint8)).save(stream, "JPEG", quality=80)
    data = stream.getvalue()
    for name, damaged in (("cut", data[: len(data) // 2]), ("patched", data[: len(data) // 2] + b"\xff\xd9")):
        path = tmp_path / f"{name}.jpg"
        path.write_bytes(damaged)
        with pytest.raises(PageError) as found:
            load_page(PageRef(str(path)), half_from=1000)
        assert found.value.reason == "truncated"


def test_a_page_that_fails_in_full_says_of_which_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.full((1400, 1000), 250, np.uint8)).save(stream, "JPEG")
    (tmp_path / "page.jpg").write_bytes(stream.getvalue())
    page = load_page(PageRef(str(tmp_path / "page.jpg")), half_from=1000)
    assert page.shape == (1400, 1000)

    def damaged(*_: object) -> np.ndarray:
        raise PageError("truncated", "the JPEG is damaged")

    monkeypatch.setattr(pictures, "_jpeg", damaged)
    with pytest.raises(PageError, match=r"page\.jpg: the JPEG is damaged"):
        _ = page.gray


def test_a_run_of_such_pages_replays_to_the_bit(paper: tuple[Path, Form, list[PageTruth]], tmp_path: Path) -> None:
    folder, form, truths = paper
    run_batch(Job(EXAM, form, folder), [folder / "scans"], tmp_path / "run", SerialExecutor())
    with RunStore.open(tmp_path / "run") as store:
        replayed = list(replay(store))
    assert len(replayed) == len(truths) * len(EXAM.items)
    assert {one.source for one in replayed} == {"scan"}
    assert all(one.same for one in replayed)
