"""A night in a minute: whatever happens to a run, what comes out is what a run without faults gives."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from bombs import endless_pdf, swelling_pdf
from exams import CHOICE, make_exam
from faults import Clock, Run, cut_power, fill, small_disk, survives_power_cuts, workers
from stores import contents, differences, journaled

from grader.demo.simulate import CARELESS, simulate_batch
from grader.paper.sheets import print_sheets

pytestmark = pytest.mark.slow

_SCRIPTS, _COPIES = 12, 20
_PAGES = _SCRIPTS * _COPIES


class Night:
    """An exam and its scans, with those of a run without faults beside them."""

    def __init__(self, folder: Path) -> None:
        exam = make_exam([CHOICE] * 12)
        (folder / "exam.yaml").write_text(exam.canonical(), encoding="utf-8")
        form = print_sheets(exam, folder, digits=4)
        candidates = [str(1001 + n) for n in range(_SCRIPTS)]
        scans, bombs = folder / "scans", folder / "bombs"
        simulate_batch(exam, form, folder / "paper.pdf", scans, candidates, seed=7, habits=CARELESS)
        for scan in list(scans.iterdir()):
            for copy in range(1, _COPIES):  # what follows the end of a picture is not read, but makes another file
                (scans / f"{scan.stem}-{copy:02d}{scan.suffix}").write_bytes(scan.read_bytes() + bytes([copy]))
        bombs.mkdir()
        (bombs / "endless.pdf").write_bytes(endless_pdf())
        (bombs / "swelling.pdf").write_bytes(swelling_pdf())
        self.bombs = {str(bombs / "endless.pdf"): "timed_out", str(bombs / "swelling.pdf"): "out_of_memory"}
        self.common = [str(folder / "exam.yaml"), "--form", str(folder / "form.json"), "--scans", str(scans)]
        self.calm = folder / "calm"
        with Run([*self.common, "--workers", "2"], self.calm) as run:
            assert run.process.wait(300) in (0, 1), run.said()
        assert journaled(self.calm) == _PAGES
        self.size = sum(file.stat().st_size for file in self.calm.rglob("*") if file.is_file())


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Night:
    return Night(tmp_path_factory.mktemp("night"))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def test_workers_and_coordinators_killed_power_cut_and_pages_that_never_end(
    night: Night, tmp_path: Path, rng: np.random.Generator
) -> None:
    out = tmp_path / "run"
    bombs = str(Path(next(iter(night.bombs))).parent)
    command = [*night.common, "--scans", bombs, "--workers", "2", "--page-seconds", "8", "--page-memory", "512"]
    held: list[int] = []
    clock = Clock(tmp_path) if shutil.which("cc") else None
    for stop in (60, 110, 160):
        with Run(command, out, clock.environment if clock else {}) as run:
            assert run.reaches(stop - 25)
            if clock:
                clock.set_by(-86_400 * stop)  # a time limit must not follow the wall clock
            assert run.kill_worker(rng)
            assert run.reaches(stop), "it ended before it was to be killed"
            run.kill()
        held += survives_power_cuts(out / "run.sqlite", rng, tmp_path / "copy", 5)
        cut_power(out / "run.sqlite", rng)
    assert min(held) < 35, "a cut that loses nothing is none"
    with Run(command, out) as run:
        assert run.process.wait(300) == 1, run.said()
    assert differences(out, night.calm, without=frozenset(night.bombs)) == []
    reasons = {row[0]: row[2:4] for row in contents(out)["ledger.csv"]}
    assert {file: reasons[file] for file in night.bombs} == {
        file: ["rejected", reason] for file, reason in night.bombs.items()
    }


def test_a_machine_that_is_shut_down_interrupts_a_run_and_blames_no_page(night: Night, tmp_path: Path) -> None:
    out = tmp_path / "run"
    with Run(night.common, out) as run:
        assert run.reaches(30)
        for process in (*workers(run.process.pid), run.process.pid):  # as init does it: everybody is told
            os.kill(process, signal.SIGTERM)
        assert run.process.wait(30) == 130, run.said()
    with closing(sqlite3.connect(out / "run.sqlite")) as store:
        assert store.execute("SELECT count(*) FROM lease").fetchone() == (0,)
    with Run(night.common, out) as run:
        assert run.process.wait(300) in (0, 1), run.said()
    assert differences(out, night.calm) == []


def test_a_full_disk_is_waited_for(night: Night, tmp_path: Path) -> None:
    try:
        with small_disk(tmp_path / "disk", 24 << 20) as disk:
            out = disk / "run"
            ballast = fill(disk, leaving=night.size // 2)
            with Run([*night.common, "--no-admission"], out) as run:
                assert run.wait_for(lambda: "waiting up to 60 minutes for room" in run.said()), run.said()
                assert journaled(out) < _PAGES
                ballast.unlink()
                assert run.wait_for(lambda: "there is room again" in run.said()), run.said()
                assert run.process.wait(300) in (0, 1), run.said()
            assert differences(out, night.calm) == []
    except PermissionError as error:
        pytest.skip(str(error))


def test_waiting_for_room_ends_with_a_message_or_an_interrupt_and_resumes(night: Night, tmp_path: Path) -> None:
    try:
        with small_disk(tmp_path / "disk", 24 << 20) as disk:
            out = disk / "run"
            ballast = fill(disk, leaving=night.size // 3)
            with Run([*night.common, "--no-admission", "--wait-for-room", "0"], out) as run:
                assert run.process.wait(120) == 2, run.said()
                assert "run the same command again" in run.said()
            ballast.unlink()
            ballast = fill(disk, leaving=night.size // 4)  # beside what is stored already
            with Run([*night.common, "--no-admission"], out) as run:
                assert run.wait_for(lambda: "waiting" in run.said()), run.said()
                os.kill(run.process.pid, signal.SIGINT)
                assert run.process.wait(30) == 130, run.said()
            ballast.unlink()
            with Run(night.common, out) as run:
                assert run.process.wait(300) in (0, 1), run.said()
            assert differences(out, night.calm) == []
    except PermissionError as error:
        pytest.skip(str(error))
