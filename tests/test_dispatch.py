"""Pages for workers on other machines: who is to blame when one of them is gone; a job that travels by value."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path

import pytest
from exams import CHOICE, make_exam

from grader.errors import GraderError
from grader.exam.form import Form, PageForm
from grader.reading.roster import Entry, Roster
from grader.records import PageRef
from grader.run.batch import versions
from grader.run.dispatch import Dispatch
from grader.run.job import Job
from grader.run.node import Expected, fingerprint, refusal
from grader.run.parcel import pack
from grader.store.leases import NoLeases

_REFS = [PageRef(f"p{number}") for number in range(6)]


def test_of_several_pages_of_a_dead_worker_each_is_read_alone() -> None:
    pages = Dispatch(_REFS, NoLeases())
    assert pages.give("a", 3) == _REFS[:3]
    assert pages.died("a") is None
    assert [pages.give("a", 3), pages.give("b", 3)] == [_REFS[:1], _REFS[1:2]], "side by side, one at a time"
    assert pages.give("a", 3) == [], "no other page with a suspect"
    assert pages.died("a") is None
    pages.done("b", _REFS[1])
    assert [pages.give("b", 3), pages.give("c", 3)] == [_REFS[2:3], _REFS[:1]]
    lost = pages.died("c")
    assert lost is not None
    assert (lost.ref, lost.outcome, lost.reason) == (_REFS[0], "rejected", "crashed")
    pages.done("b", _REFS[2])
    assert pages.give("b", 9) == _REFS[3:], "no page but the one to blame is lost"


def test_a_page_that_stops_its_process_twice_is_rejected_and_its_neighbours_stay() -> None:
    pages = Dispatch(_REFS, NoLeases())
    pages.give("a", 3)
    assert pages.stopped("a", _REFS[1], "crashed") is None
    for ref in (_REFS[0], _REFS[2]):
        pages.done("a", ref)
    assert pages.give("a", 3) == _REFS[1:2]
    lost = pages.stopped("a", _REFS[1], "crashed")
    assert lost is not None
    assert (lost.ref, lost.reason) == (_REFS[1], "crashed")


def test_a_page_that_takes_too_long_is_not_tried_again() -> None:
    pages = Dispatch(_REFS, NoLeases())
    pages.give("a", 2)
    lost = pages.stopped("a", _REFS[0], "timed_out")
    assert lost is not None
    assert (lost.ref, lost.reason) == (_REFS[0], "timed_out")


def test_no_page_is_to_blame_where_a_machine_is_cut_off() -> None:
    pages = Dispatch(_REFS, NoLeases())
    for _ in range(3):
        assert pages.give("a", 1) == _REFS[:1]
        pages.cut_off("a")
    assert pages.give("b", 9) == _REFS


@pytest.fixture
def job(tmp_path: Path) -> Job:
    """A job whose form has a picture, with a calibration and a roster with names."""
    folder = tmp_path / "exam"
    (folder / "pictures").mkdir(parents=True)
    (folder / "pictures" / "blank.png").write_bytes(b"a picture")
    (folder / "calibration").write_bytes(b"weights")
    form = Form(id="f", pages=(PageForm(number=1, width=10, height=10),), reference="pictures/blank.png")
    roster = Roster([Entry("1001", "王小明"), Entry("1002", "李雷")])
    return Job(make_exam([CHOICE]), form, folder, roster, calibration=folder / "calibration")


def test_a_job_travels_with_its_files_and_without_names(job: Job, tmp_path: Path) -> None:
    sent = pickle.dumps(pack(job))
    assert "王小明".encode() not in sent
    there = pickle.loads(sent).unpack(tmp_path / "node")
    assert (there.form_folder / "pictures" / "blank.png").read_bytes() == b"a picture"
    assert there.calibration is not None
    assert there.calibration.read_bytes() == b"weights"
    assert there.describe() == job.describe()
    assert (tmp_path / "node").stat().st_mode & 0o077 == 0, "nobody else may enter"


def test_files_of_two_jobs_do_not_mix(job: Job, tmp_path: Path) -> None:
    first = pack(job).unpack(tmp_path / "node")
    (job.form_folder / "pictures" / "blank.png").write_bytes(b"another")
    second = pack(job).unpack(tmp_path / "node")
    assert (first.form_folder / "pictures" / "blank.png").read_bytes() == b"a picture"
    assert (second.form_folder / "pictures" / "blank.png").read_bytes() == b"another"


def test_a_folder_that_others_may_enter_is_not_used(job: Job, tmp_path: Path) -> None:
    (tmp_path / "node").mkdir()
    (tmp_path / "node").chmod(0o777)
    with pytest.raises(GraderError, match="not a folder of this user alone"):
        pack(job).unpack(tmp_path / "node")


def test_a_picture_outside_the_form_folder_is_not_sent(job: Job) -> None:
    outside = replace(job, form=job.form.model_copy(update={"reference": "../secret.png"}))
    with pytest.raises(GraderError, match="not in the form's folder"):
        pack(outside)


def test_a_node_says_why_it_cannot_read(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    scan = tmp_path / "scan.jpg"
    scan.write_bytes(b"pixels")
    parcel = pack(replace(job, calibration=None))
    good = Expected(versions(), {}, {str(scan): fingerprint(PageRef(str(scan)))})
    assert refusal(good, parcel) == ""
    assert "numpy" in refusal(replace(good, versions={**versions(), "numpy": "0.1"}), parcel)
    assert "its model rec.onnx" in refusal(replace(good, models={"rec.onnx": "00"}), parcel)
    scan.write_bytes(b"others")
    assert f"it sees other scans: {scan}" in refusal(good, parcel)
    scan.unlink()
    assert f"it does not see the scans: {scan}" in refusal(good, parcel)
