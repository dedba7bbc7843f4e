"""Admission: what is evidently wrong is refused at once and leaves nothing behind; what may be right is read."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import hostile
import numpy as np
import pytest
from drawn_run import Meanwhile, filled, make_job, paper
from exams import CHOICE, make_exam
from faults import small_disk

from grader.exam.form import Form
from grader.exam.plain import plain_form
from grader.reading.roster import Entry, Roster
from grader.records import PageRef, PageResult, Registration
from grader.run.admission import (
    AdmissionError,
    Sight,
    check_disk,
    check_form,
    check_resolution,
    measured_dpi,
    needed_dpi,
    sample,
    sight,
)
from grader.run.batch import run_batch
from grader.run.executor import LocalExecutor, SerialExecutor
from grader.run.job import Job
from grader.store.entry import entry_of
from grader.store.store import RunStore

FORM = paper()
OTHER = paper(exam="another-exam")
NEW_PRINT = paper(items=7)
WHITE = np.full((1169, 827), 255, np.uint8)
Sheets = Sequence[np.ndarray]


def batch(folder: Path, sheets: Sheets) -> Path:
    """A folder of scans of these pictures."""
    folder.mkdir(parents=True)
    for number, picture in enumerate(sheets):
        cv2.imwrite(str(folder / f"{number:03d}.png"), picture)
    return folder


def sheets(form: Form, count: int, dpi: int = 100, first: int = 0) -> list[np.ndarray]:
    return [filled(form, number, dpi) for number in range(first, first + count)]


def foreign(count: int) -> list[np.ndarray]:
    """Pages without the form's corner marks, each another."""
    return [hostile.sheet((1169, 827), seed=number) for number in range(count)]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(make_exam([CHOICE] * 8), FORM, tmp_path)


@pytest.fixture
def counts(job: Job, tmp_path: Path) -> Callable[..., dict[str, int]]:
    """Mark pictures with admission; what became of them."""

    def run(pictures: Sheets, **options: bool) -> dict[str, int]:
        scans = batch(tmp_path / "scans", pictures)
        summary = run_batch(job, [scans], tmp_path / "run", SerialExecutor(), **{"admission": True, **options})
        assert summary["counts"]["pages"] == len(pictures)
        found: dict[str, int] = summary["counts"]
        return found

    return run


# the form


@pytest.mark.parametrize(
    ("pictures", "said"),
    [
        (sheets(OTHER, 6), "the page belongs to the exam 'another-exam', not 'test-exam'"),
        (sheets(NEW_PRINT, 6), "the page was printed as version"),
        (foreign(6), "the marks that say where the page lies were not found"),
        ([WHITE, *sheets(OTHER, 5), *foreign(1), WHITE], "'another-exam'"),
        (sheets(OTHER, 24), "16 of 16 pages"),
    ],
)
def test_a_batch_of_another_form_is_refused(
    counts: Callable[..., dict[str, int]], tmp_path: Path, pictures: Sheets, said: str
) -> None:
    with pytest.raises(AdmissionError) as refused:
        counts(pictures)
    assert said in refused.value.message
    assert refused.value.message.count(".png") == 3  # three examples, each with its reason
    assert "form.json" in refused.value.remedy
    assert "--no-admission" in refused.value.remedy
    assert not (tmp_path / "run" / "results.csv").exists()
    with RunStore.open(tmp_path / "run") as store:
        assert store.done() == {}


@pytest.mark.parametrize(
    "pictures",
    [
        sheets(OTHER, 3),
        [WHITE, *sheets(FORM, 3)],
        [*[WHITE] * 5, *sheets(FORM, 1)],
        [*sheets(FORM, 7), *sheets(OTHER, 3)],
        [*sheets(OTHER, 8), *sheets(FORM, 2)],
        [picture for pair in zip(sheets(FORM, 12), foreign(12), strict=True) for picture in pair],
        [WHITE] * 6,
    ],
    ids=["three pages", "blank first", "mostly blank", "30% foreign", "80% foreign", "printed backs", "all blank"],
)
def test_what_may_be_right_is_read(counts: Callable[..., dict[str, int]], pictures: Sheets) -> None:
    found = counts(pictures)
    assert found["pages"] == sum(found[outcome] for outcome in ("read", "rejected", "duplicate", "unmatched"))


def test_who_knows_better_reads_it_all_the_same(counts: Callable[..., dict[str, int]], tmp_path: Path) -> None:
    assert counts(sheets(OTHER, 6), admission=False)["unmatched"] == 6
    told = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert told["admission"] == {"checked": False}


def test_a_refused_folder_takes_the_right_form(job: Job, tmp_path: Path) -> None:
    scans, out = batch(tmp_path / "scans", sheets(OTHER, 6)), tmp_path / "run"
    with pytest.raises(AdmissionError):
        run_batch(job, [scans], out, SerialExecutor(), admission=True)
    exam = job.exam.model_copy(update={"exam": job.exam.exam.model_copy(update={"id": "another-exam"})})
    summary = run_batch(Job(exam, OTHER, tmp_path), [scans], out, SerialExecutor(), admission=True)
    assert summary["counts"]["read"] == 6
    told = summary["admission"]
    assert (told["checked"], told["sample"], told["fitting"], told["dpi"]) == (True, 2, 2, 100)


def test_a_run_that_was_mostly_read_is_not_judged_by_its_last_pages(job: Job, tmp_path: Path) -> None:
    scans, out = batch(tmp_path / "scans", sheets(FORM, 6)), tmp_path / "run"
    run_batch(job, [scans], out, SerialExecutor(), admission=True)
    late = batch(tmp_path / "late", sheets(OTHER, 5))
    summary = run_batch(job, [scans, late], out, SerialExecutor(), admission=True)
    assert (summary["counts"]["read"], summary["counts"]["unmatched"]) == (6, 5)


def test_a_pool_of_workers_gives_the_same_run_with_admission(job: Job, tmp_path: Path) -> None:
    scans = batch(tmp_path / "scans", [*sheets(FORM, 30, dpi=60), *sheets(OTHER, 4)])
    run_batch(job, [scans], tmp_path / "with", LocalExecutor(workers=2), admission=True)
    run_batch(job, [scans], tmp_path / "without", SerialExecutor())
    for file in ("results.csv", "ledger.csv"):
        assert (tmp_path / "with" / file).read_bytes() == (tmp_path / "without" / file).read_bytes()


def scribble(number: int) -> np.ndarray:
    """A sheet of paper, small in the picture, on which two answers are written."""
    picture = np.full((640, 460), 235, np.uint8)
    for row, text in enumerate((f"1. A{number}", "2. B")):
        cv2.putText(picture, text, (40, 90 + 60 * row), cv2.FONT_HERSHEY_SIMPLEX, 1.2, 40, 2, cv2.LINE_AA)
    return picture


def test_plain_paper_has_no_form_that_could_not_fit(tmp_path: Path) -> None:
    exam = make_exam([CHOICE] * 2)
    job = Job(exam, plain_form(exam), tmp_path, Roster([Entry("1001", "Li Lei")]))
    scans = batch(tmp_path / "scans", [scribble(number) for number in range(4)])
    summary = run_batch(job, [scans], tmp_path / "run", SerialExecutor(), admission=True)
    assert (summary["counts"]["pages"], summary["admission"]["checked"]) == (4, True)
    assert summary["admission"]["dpi"] is None


def test_the_command_line_refuses_with_two_and_marks_nothing(tmp_path: Path) -> None:
    job = make_job(tmp_path / "job", pages=0)
    batch(job.form_folder / "foreign", sheets(OTHER, 5))
    words = ["run", "exam.yaml", "--form", "form.json", "--scans", "foreign", "--out", "run", "--workers", "1"]
    command = [sys.executable, "-m", "grader", *words]
    refused = subprocess.run(command, cwd=job.form_folder, capture_output=True, text=True, timeout=120, check=False)
    assert refused.returncode == 2
    assert "5 of 5 pages that were looked at do not fit the form, such as" in refused.stderr
    assert not (job.form_folder / "run" / "results.csv").exists()
    command.append("--no-admission")
    passed = subprocess.run(command, cwd=job.form_folder, capture_output=True, text=True, timeout=120, check=False)
    assert passed.returncode == 1, passed.stderr


# the sample


def test_the_sample_is_spread_and_does_not_keep_step_with_the_scanner() -> None:
    refs = [PageRef(f"{number}.png") for number in range(1600)]
    chosen = [refs.index(ref) for ref in sample(refs)]
    assert [place // 100 for place in chosen] == list(range(16))
    assert {place % 2 for place in chosen} == {0, 1}  # fronts and backs
    assert sample(refs) == sample(refs)
    assert sample(refs[:5]) == refs[:5]
    assert sample([]) == []


def test_results_of_the_sample_are_kept_and_read_once(job: Job, tmp_path: Path) -> None:
    scans = batch(tmp_path / "scans", sheets(FORM, 40, dpi=70))

    class Counting(SerialExecutor):
        def run(self, *arguments):  # type: ignore[no-untyped-def]
            for entry in super().run(*arguments):
                read.append(entry.ref)
                yield entry

    read: list[PageRef] = []
    summary = run_batch(job, [scans], tmp_path / "run", Counting(), admission=True)
    assert len(read) == len(set(read)) == summary["counts"]["read"] == 40
    assert summary["admission"]["sample"] == 4  # they were as they should be


def test_good_pages_are_kept_as_soon_as_a_few_were_seen(job: Job, tmp_path: Path) -> None:
    scans, out = batch(tmp_path / "scans", sheets(FORM, 12)), tmp_path / "run"

    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_batch(job, [scans], out, Meanwhile(5, interrupt), admission=True)
    with RunStore.open(out) as store:
        assert len(store.done()) >= 4


# the resolution


def test_pages_with_too_few_pixels_are_refused_in_words_of_the_scanner(
    counts: Callable[..., dict[str, int]],
) -> None:
    with pytest.raises(AdmissionError, match=r"scanned at about 40 dpi; marks are read from 55 dpi on") as refused:
        counts(sheets(FORM, 5, dpi=40))
    assert "scan at 200 dpi" in refused.value.remedy


def test_marks_are_read_where_handwriting_would_not_be(counts: Callable[..., dict[str, int]]) -> None:
    assert counts(sheets(FORM, 5, dpi=75))["read"] == 5


def test_handwriting_needs_more(tmp_path: Path) -> None:
    form = paper(written=True)
    assert needed_dpi(form) == 110 > needed_dpi(FORM)
    seen = [seen_at(form, 100)] * 5
    with pytest.raises(AdmissionError, match="about 100 dpi; handwriting is read from 110 dpi on"):
        check_resolution(seen, form)
    check_resolution([seen_at(form, 125)] * 5, form)
    check_resolution([seen_at(form, 100)] * 3, form)  # too few to say so
    check_resolution([*[seen_at(form, 100)] * 4, *[seen_at(form, 200)] * 5], form)  # a few phones among scanners


def seen_at(form: Form, dpi: float) -> Sight:
    """A page whose registration says that it was scanned at this resolution, turned on its side."""
    scale = dpi / 25.4
    turned = np.array([[0, -scale, 297 * scale], [scale, 0, 0], [0, 0, 1.0]])
    result = PageResult(PageRef("a.png"), "read", registration=Registration(1, turned, 0.1, "fiducials"))
    return sight(entry_of(result), form)


def test_the_resolution_is_measured_in_perspective_too() -> None:
    leaning = np.array([[4.0, 0.2, 30], [-0.1, 4.2, 50], [1e-4, 2e-4, 1]])
    x, y = np.array([105.0, 105.5, 105.0]), np.array([148.5, 148.5, 149.0])
    points = leaning @ np.stack([x, y, np.ones(3)])
    at = (points[:2] / points[2]).T
    area = abs(np.linalg.det(np.stack([at[1] - at[0], at[2] - at[0]]))) * 4  # pixels of a square millimetre there
    dpi = measured_dpi(Registration(1, leaning, 0.1, "fiducials"), FORM)
    assert dpi == pytest.approx(25.4 * np.sqrt(area), rel=1e-3)


def test_forms_that_are_measured_in_pixels_have_no_resolution(job: Job) -> None:
    form = FORM.model_copy(update={"unit": "px"})
    assert seen_at(form, 20).dpi is None
    check_resolution([seen_at(form, 20)] * 9, form)


def test_what_few_pages_show_is_no_evidence(job: Job) -> None:
    def seen(fits: bool | None, reason: str = "no_fiducials") -> Sight:
        return Sight(PageRef("gone.png"), reason, "gone.png: no marks", fits, None, 1000)

    check_form([seen(False)] * 3, job)
    check_form([seen(False)] * 3 + [seen(None, "blank_page")] * 13, job)
    check_form([seen(False)] * 14 + [seen(True)] * 2, job)
    with pytest.raises(AdmissionError, match="15 of 16"):
        check_form([seen(False)] * 15 + [seen(True)], job)


# the disk


def test_a_disk_without_the_room_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdmissionError) as refused:
        check_disk(27e9, 100_000, int(3.1e9), tmp_path)
    assert "the result of 100000 pages needs about 27 GB" in refused.value.message
    assert "3.1 GB free" in refused.value.message
    check_disk(27e9, 100_000, int(27e9), tmp_path)


def test_a_real_disk_that_is_too_small_is_refused_before_it_is_full(job: Job, tmp_path: Path) -> None:
    scans = batch(tmp_path / "scans", sheets(FORM, 60, dpi=60))
    try:
        with small_disk(tmp_path / "disk", 512 << 10) as disk, pytest.raises(AdmissionError, match="60 pages needs"):
            run_batch(job, [scans], disk / "run", SerialExecutor(), admission=True)
    except PermissionError as error:
        pytest.skip(str(error))


def test_the_estimate_holds_what_is_written_and_not_much_more(job: Job, tmp_path: Path) -> None:
    scans = batch(tmp_path / "scans", sheets(FORM, 60, dpi=60))
    summary = run_batch(job, [scans], tmp_path / "run", SerialExecutor(), admission=True)
    written = sum(path.stat().st_size for path in (tmp_path / "run").iterdir())
    assert 0.8 * written < summary["admission"]["expected_bytes"] < 1.6 * written
