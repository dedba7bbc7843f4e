"""Pages that could not be read are read again where that is asked for; what was journaled of them stays."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hostile import encoded, sheet
from test_executor import job

from grader.records import PageRef, PageResult
from grader.run.batch import run_batch
from grader.run.executor import LocalExecutor, SerialExecutor
from grader.run.job import Job
from grader.store.store import RunStore


class Moody:
    """A reader that fails with what a file beside the scans says, and reads well where there is none."""

    def __init__(self, job: Job) -> None:
        self.mood = job.form_folder / "mood"

    def read(self, ref: PageRef) -> PageResult:
        mood = self.mood.read_text() if self.mood.exists() else ""
        if mood == "kill" and ref.file.endswith("b.jpg"):
            os.kill(os.getpid(), 9)
        reason = mood if mood and ref.file.endswith("b.jpg") else ""
        return PageResult(ref, "rejected" if reason else "read", reason, sha256=ref.file)


@pytest.fixture
def scans(tmp_path: Path) -> Path:
    folder = tmp_path / "scans"
    folder.mkdir()
    for number, name in enumerate(("a.jpg", "b.jpg")):
        (folder / name).write_bytes(encoded(sheet((400, 300), number)))
    return folder


def read(scans: Path, mood: str = "", retry: bool = False) -> dict[str, str]:
    """The run's ledger after one more call: name of the file → reason."""
    (scans.parent / "mood").write_text(mood)
    out = scans.parent / "run"
    executor = LocalExecutor(workers=1, reader=Moody)
    run_batch(job(scans.parent), [scans], out, executor, retry=retry)
    with RunStore.open(out) as store:
        return {Path(row.file).name: row.reason for row in store.ledger()}


def events(scans: Path) -> list[tuple[str, str]]:
    with closing(sqlite3.connect(scans.parent / "run" / "run.sqlite")) as store:
        rows = store.execute("SELECT kind, file FROM event WHERE file IS NOT NULL ORDER BY id").fetchall()
    return [(kind, Path(file).name) for kind, file in rows]


def test_only_what_may_do_now_is_read_again_and_only_where_asked(scans: Path) -> None:
    assert read(scans, "kill") == {"a.jpg": "", "b.jpg": "crashed"}
    assert read(scans) == {"a.jpg": "", "b.jpg": "crashed"}, "a resumed run leaves it at that"
    assert read(scans, "internal_error", retry=True) == {"a.jpg": "", "b.jpg": "internal_error"}
    assert read(scans, "truncated", retry=True) == {"a.jpg": "", "b.jpg": "truncated"}
    assert read(scans, retry=True) == {"a.jpg": "", "b.jpg": "truncated"}, "a damaged file stays damaged"
    expected = [("page", "a.jpg"), ("page", "b.jpg"), ("page/2", "b.jpg"), ("page/3", "b.jpg")]
    assert sorted(events(scans)) == sorted(expected), "the journal keeps every reading, and each once"


def test_a_page_read_at_the_second_try_counts_as_read(scans: Path) -> None:
    read(scans, "timed_out")
    assert read(scans, retry=True) == {"a.jpg": "", "b.jpg": ""}
    with RunStore.open(scans.parent / "run") as store:
        summary = store.meta()["summary"]
        assert len(store.done()) == 2
    assert summary["counts"]["read"] == summary["counts"]["pages"] == 2
    assert summary["resumed_pages"] == 1


def test_a_real_reader_opens_a_file_that_could_not_be_opened(scans: Path) -> None:
    gone = scans / "c.jpg"
    gone.symlink_to(scans / "nowhere.jpg")
    out = scans.parent / "run"
    reasons = []
    for retry in (False, True):
        run_batch(job(scans.parent), [scans], out, SerialExecutor(), retry=retry)
        with RunStore.open(out) as store:
            reasons.append({Path(row.file).name: row.reason for row in store.ledger()}["c.jpg"])
        (scans / "nowhere.jpg").write_bytes(encoded(sheet((400, 300), 3)))
    assert reasons[0] == "unreadable_file"
    assert reasons[1] not in ("", "unreadable_file"), "it is no page of the form, which can now be told"
