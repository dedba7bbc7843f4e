"""What the command line does with bad paths, other people's folders and our own mistakes: a message, never harm."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_executor import job

from grader.cli import main
from grader.errors import StoreError, UsageError
from grader.intake.plan import list_pages
from grader.records import PageRef
from grader.resources import rubrics_dir
from grader.run.batch import run_batch
from grader.run.executor import SerialExecutor
from grader.run.output import inert
from grader.store.store import RunStore

EXAM = rubrics_dir() / "physics-g8-zh.yaml"
Said = tuple[int, str]


@pytest.fixture
def grader(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """The command line in this process: exit code and what it said on stderr."""

    def call(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["grader", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return int(str(end.value.code)), said

    return call


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "scans" / "page.png"
    path.parent.mkdir()
    cv2.imwrite(str(path), np.full((64, 64), 255, np.uint8))
    return path


@pytest.fixture(scope="module")
def form(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from grader.exam.load import load_exam
    from grader.paper.layout import lay_out

    path = tmp_path_factory.mktemp("paper") / "form.json"
    lay_out(load_exam(EXAM)).save(path)
    return path


def test_nothing_is_written_over_an_input(grader: Callable[..., Said], picture: Path, form: Path) -> None:
    before = picture.read_bytes()
    for command in (("ocr", picture), ("read-marks", "--form", form, picture.parent)):
        code, said = grader(*command, "--out", picture)
        assert code == 2
        assert "is an input" in said
    assert picture.read_bytes() == before


@pytest.mark.parametrize("command", ["ocr", "read-marks"])
def test_an_output_that_cannot_be(grader: Callable[..., Said], picture: Path, form: Path, command: str) -> None:
    options = ["--form", form] if command == "read-marks" else []
    for out in (picture.parent, picture / "beneath-a-file.csv"):
        code, said = grader(command, *options, picture, "--out", out)
        assert code == 2
        assert str(out) in said
        assert "remedy" in said


def test_no_scans_mark_nothing(grader: Callable[..., Said], tmp_path: Path, form: Path) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "run"
    for scans in ("empty", "mistyped"):
        code, said = grader("run", EXAM, "--form", form, "--scans", tmp_path / scans, "--out", out)
        assert code == 2
        assert scans in said
        assert not out.exists()
    code, said = grader("read-marks", "--form", form, tmp_path / "empty", "--out", tmp_path / "marks.csv")
    assert code == 2
    assert not (tmp_path / "marks.csv").exists()


def test_the_run_folder_is_not_scanned(picture: Path) -> None:
    out = picture.parent / "run"
    (out / "report" / "annotated").mkdir(parents=True)
    shutil.copy(picture, out / "report" / "annotated")
    assert list_pages([picture.parent], without=out) == [PageRef(str(picture))]
    assert len(list_pages([picture.parent], without=picture.parent / "not-yet")) == 2


def test_the_folder_of_scans_is_no_run_folder(grader: Callable[..., Said], picture: Path, form: Path) -> None:
    code, said = grader("run", EXAM, "--form", form, "--scans", picture.parent, "--out", picture.parent)
    assert code == 2
    assert "folder of the scans" in said
    assert [path.name for path in picture.parent.iterdir()] == [picture.name]


def test_pages_of_an_earlier_call_stay_in_the_run(tmp_path: Path, picture: Path) -> None:
    other = picture.with_name("other.png")
    cv2.imwrite(str(other), np.full((80, 64), 255, np.uint8))
    for number, path in enumerate((picture, other), 1):
        summary = run_batch(job(tmp_path), [path], tmp_path / "run", SerialExecutor())
        assert summary["counts"]["pages"] == number
    with RunStore.open(tmp_path / "run") as store:
        assert [row.file for row in store.ledger()] == [str(picture), str(other)]


def test_a_scan_put_in_the_place_of_another_is_named(tmp_path: Path, picture: Path) -> None:
    def run() -> dict[str, object]:
        return run_batch(job(tmp_path), [picture], tmp_path / "run", SerialExecutor())

    def put(data: bytes) -> None:
        picture.write_bytes(data)
        os.utime(picture, (2e9, 2e9))  # surely after it was read

    whole = picture.read_bytes()
    put(whole[:60])
    assert run()["changed_files"] == []
    put(whole[:60])
    assert run()["changed_files"] == [], "written again, but the same"
    put(whole)
    assert run()["changed_files"] == [str(picture)]


def test_a_demo_is_not_gone_on_with_under_other_options(tmp_path: Path) -> None:
    from grader.demo.demo import run_demo

    (tmp_path / "demo.json").write_text("{}")
    with pytest.raises(UsageError, match="other options"):
        run_demo(EXAM, tmp_path, SerialExecutor(), candidates=1)
    assert [path.name for path in tmp_path.iterdir()] == ["demo.json"]


def test_one_writer_a_run(tmp_path: Path, picture: Path) -> None:
    with RunStore.create(tmp_path / "run"):
        with pytest.raises(StoreError, match=f"process {os.getpid()} is working on") as refused:
            run_batch(job(tmp_path), [picture], tmp_path / "run", SerialExecutor())
        assert "run the same command again" in refused.value.remedy
        RunStore.open(tmp_path / "run").close()  # reading is no matter
    assert run_batch(job(tmp_path), [picture], tmp_path / "run", SerialExecutor())["counts"]["pages"] == 1


def test_the_lock_ends_with_its_holder(tmp_path: Path) -> None:
    RunStore.create(tmp_path).close()
    with (tmp_path / "run.lock").open() as left:
        fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with pytest.raises(StoreError, match="is working on"):
            RunStore.create(tmp_path)
    RunStore.create(tmp_path).close()


def test_a_damaged_store_is_said_to_be(grader: Callable[..., Said], tmp_path: Path, picture: Path) -> None:
    run = tmp_path / "run"
    run_batch(job(tmp_path), [picture], run, SerialExecutor())
    whole = (run / "run.sqlite").read_bytes()
    at = whole.index(b'"title": "t"')
    (run / "run.sqlite").write_bytes(whole[:at] + b"\xff" * 8 + whole[at + 8 :])
    for command in (("report", run, "--out", tmp_path / "report"), ("replay", run)):
        code, said = grader(*command)
        assert code == 2
        assert "damaged" in said
    (run / "run.sqlite").write_bytes(whole[: len(whole) // 2])
    assert grader("replay", run)[0] == 2


def test_a_full_disk_is_said_to_be(tmp_path: Path) -> None:
    with RunStore.create(tmp_path) as store, store.begin() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")
        with pytest.raises(StoreError, match="disk is full") as refused:
            connection.exec_driver_sql("INSERT INTO crop VALUES ('a', zeroblob(1000000))")
    assert "make room" in refused.value.remedy


def test_a_spreadsheet_runs_nothing_of_a_student() -> None:
    for text in ("=1+1", "=1+cmd|'/C calc'!A0", "+1+A1", "-A1", "-3.2 m/s", "@SUM(A1)", "\t=1", "\r=1"):
        assert inert(text) == "'" + text
    for text in ("-3.2", "+5", "3.2 m/s", "", "-3", "x=3", "20260001"):
        assert inert(text) == text


def test_a_mistyped_scorer_is_refused(grader: Callable[..., Said], tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_text('{"candidate": "1", "item": "1", "text": "A"}\n')  # a choice item
    code, said = grader("score", EXAM, tmp_path / "in.jsonl", "--out", tmp_path / "out.jsonl", "--scorer", "lexicl")
    assert code == 2
    assert "choose one of" in said
    assert not (tmp_path / "out.jsonl").exists()


def test_another_exam_is_refused_by_name(tmp_path: Path, picture: Path) -> None:
    first = job(tmp_path)
    run_batch(first, [picture], tmp_path / "run", SerialExecutor())
    edited = first.exam.model_copy(update={"exam": first.exam.exam.model_copy(update={"title": "T"})})
    with pytest.raises(StoreError, match=r"began with another exam\n"):
        run_batch(type(first)(edited, first.form, tmp_path), [picture], tmp_path / "run", SerialExecutor())


def test_what_no_command_foresaw(grader: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A full disk and a mistake of ours end with 2: 1 would say that the job was done."""
    from grader import doctor

    for error, wanted in ((OSError(28, "No space left", "x.csv"), "x.csv"), (KeyError("oops"), "report this")):

        def fail(error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(doctor, "examine", fail)
        code, said = grader("doctor")
        assert code == 2
        assert wanted in said
