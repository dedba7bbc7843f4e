"""What a run tells while it runs and of where its time went: rates, time left, JSON lines, metrics, the bottleneck."""

from __future__ import annotations

import io
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn import draw, sheet_form
from exams import CHOICE, make_exam

from grader import flags, stages
from grader.cli import progress as shown
from grader.errors import UsageError
from grader.exam.form import Form, MarksField
from grader.records import PageRef
from grader.run import progress
from grader.run.batch import run_batch
from grader.run.executor import SerialExecutor
from grader.run.job import Job
from grader.run.progress import Progress, Tracker
from grader.stages import stage, watched
from grader.store.entry import Entry

CANDIDATES = ("12345670", "12345671", "12345672")


def entry(**given: object) -> Entry:
    plain = Entry(PageRef("a.png"), "read", "", 1, {"decode": 0.5, "scoring": 1.5}, "{}", {}, {"blank": 2})
    return replace(plain, **given)  # type: ignore[arg-type]


def wait(seconds: float) -> None:
    """Time that passes for sure, whatever sleep does."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        time.sleep(seconds / 10)


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


# where the time goes


def test_time_is_charged_to_the_innermost_stage_and_never_twice() -> None:
    start = time.perf_counter()
    with watched() as seconds, stage("recognition"):
        wait(0.02)
        with stage("detection"):
            wait(0.03)
        wait(0.02)
    passed = time.perf_counter() - start
    assert seconds["recognition"] >= 0.04
    assert seconds["detection"] >= 0.03
    assert sum(seconds.values()) <= passed


def test_time_is_charged_where_a_stage_ends_by_an_error_and_to_nobody_where_nobody_watches() -> None:
    def fail() -> None:
        wait(0.01)
        raise ValueError("no page")

    with watched() as seconds, pytest.raises(ValueError, match="no page"), stage("decode"):
        fail()
    assert seconds["decode"] >= 0.01
    before = dict(seconds)
    with stage("decode"):
        wait(0.01)
    assert seconds == before


def test_one_who_watches_within_another_takes_what_is_his() -> None:
    with watched() as outer:
        with watched() as inner, stage("marks"):
            wait(0.01)
        with stage("storing"):
            wait(0.01)
    assert set(inner) == {"marks"}
    assert set(outer) == {"storing"}


# how far and how fast


def test_pages_of_an_earlier_call_are_done_and_never_speed() -> None:
    clock = Clock()
    tracker = Tracker(900, 1000, lambda: 2, {}, clock)
    clock.now += 10
    for _ in range(50):
        tracker.page(entry())
    at = tracker.progress()
    assert (at.done, at.total) == (950, 1000)
    assert at.rate == at.mean_rate == pytest.approx(5)
    assert at.eta_seconds == pytest.approx(10)


def test_the_recent_rate_forgets_and_the_mean_does_not() -> None:
    clock = Clock()
    tracker = Tracker(0, 1000, lambda: 1, {}, clock)
    for _ in range(100):  # ten a second, then one
        clock.now += 0.1
        tracker.page(entry())
    for _ in range(60):
        clock.now += 1
        tracker.page(entry())
    at = tracker.progress()
    assert at.rate == pytest.approx(1, rel=0.05)
    assert at.mean_rate == pytest.approx(160 / 70)
    assert at.eta_seconds == pytest.approx(840, rel=0.05)


def test_what_is_remembered_for_the_rate_stays_small() -> None:
    clock = Clock()
    tracker = Tracker(0, 10**6, lambda: 2, {}, clock)
    for _ in range(20_000):
        clock.now += 0.01
        tracker.page(entry())
    assert tracker.progress().rate == pytest.approx(100, rel=0.05)
    assert len(tracker._moments) < 100


def test_nothing_is_promised_before_the_first_page() -> None:
    at = Tracker(5, 10, lambda: 2, {}).progress()
    assert (at.done, at.rate, at.eta_seconds, at.bottleneck) == (5, 0, None, None)


def test_outcomes_flags_and_seconds_add_up() -> None:
    clock = Clock()
    storing = {"storing": 0.25}
    tracker = Tracker(0, 3, lambda: 1, storing, clock)
    clock.now += 8
    for one in (entry(), entry(), entry(outcome="rejected", review=0, flags={}, seconds={"decode": 2.0})):
        tracker.page(one)
    at = tracker.progress()
    assert dict(at.outcomes) == {"read": 2, "rejected": 1}
    assert (at.rejected, at.flagged, dict(at.flags)) == (1, 2, {"blank": 4})
    assert dict(at.seconds) == {"decode": 3.0, "scoring": 3.0, "storing": 0.25}


# what holds it up


def slow(workers: int, passed: float, pages: int, storing: float = 0.0, **seconds: float) -> progress.Bottleneck:
    clock = Clock()
    tracker = Tracker(0, pages, lambda: workers, {"storing": storing} if storing else {}, clock)
    for _ in range(pages):
        clock.now += passed / pages
        tracker.page(entry(seconds=seconds))
    found = tracker.bottleneck()
    assert found is not None
    return found


def test_the_longest_stage_is_named_with_its_share() -> None:
    found = slow(2, 10, 10, decode=0.4, recognition=1.6)
    assert (found.stage, found.share, found.workers_busy, found.waited_for) == ("recognition", 0.8, 1.0, "")


def test_what_the_workers_waited_for_is_named() -> None:
    assert slow(2, 10, 10, input=1.0, decode=1.0).waited_for == "input"
    assert slow(2, 10, 10, storing=9, decode=0.5).waited_for == "disk"
    assert slow(2, 10, 10, decode=0.5).waited_for == "start"


def test_a_parent_that_cannot_keep_up_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    used = iter((0.0, 9.5))
    monkeypatch.setattr(progress.time, "process_time", lambda: next(used))
    found = slow(2, 10, 10, decode=0.5)
    assert (found.waited_for, found.parent_busy) == ("parent", 0.95)


# a real run


@pytest.fixture(scope="module")
def paper() -> Form:
    form = sheet_form(items=8, exam="test-exam")
    page = form.pages[0]
    return form.model_copy(
        update={"pages": (page.model_copy(update={"fields": tuple(f for f in page.fields if f.id != "digits")}),)}
    )


@pytest.fixture(scope="module")
def job(paper: Form, tmp_path_factory: pytest.TempPathFactory) -> Job:
    """Three pages that can be read and one that cannot."""
    folder = tmp_path_factory.mktemp("watched")
    (folder / "scans").mkdir()
    chosen = {f.id: "B" for f in paper.pages[0].fields if isinstance(f, MarksField) and f.role == "item"}
    for number, candidate in enumerate(CANDIDATES):
        picture = draw(paper, chosen, candidate=candidate, dpi=150)
        cv2.imwrite(str(folder / "scans" / f"{number}.png"), picture)
    cv2.imwrite(str(folder / "scans" / "white.png"), np.full((1754, 1240), 255, np.uint8))
    return Job(make_exam([CHOICE] * 8), paper, folder)


def test_run_json_tells_the_stages_and_the_bottleneck(job: Job, tmp_path: Path) -> None:
    seen: list[Progress] = []
    summary = run_batch(job, [job.form_folder / "scans"], tmp_path / "run", SerialExecutor(), seen.append)
    told = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert told["bottleneck"] == summary["bottleneck"]
    assert told["bottleneck"]["stage"] in stages.STAGES
    assert set(told["seconds"]) <= {*stages.STAGES, "wall"}
    assert {"input", "decode", "quality", "registration", "marks", "scoring", "storing", "wall"} <= set(told["seconds"])
    assert all(seconds > 0 for seconds in told["seconds"].values())
    assert sum(s for name, s in told["seconds"].items() if name != "wall") <= told["seconds"]["wall"]
    done = [at.done for at in seen]
    assert (done[0], done[-1]) == (0, 4)
    assert done == sorted(done)
    assert dict(seen[-1].outcomes) == {"read": 3, "rejected": 1}


def test_a_run_that_is_resumed_counts_what_it_reads(job: Job, tmp_path: Path) -> None:
    scans = job.form_folder / "scans"
    run_batch(job, [scans / "0.png", scans / "1.png"], tmp_path / "run", SerialExecutor())
    seen: list[Progress] = []
    run_batch(job, [scans], tmp_path / "run", SerialExecutor(), seen.append)
    assert (seen[0].done, seen[0].total, seen[0].rate) == (2, 4, 0)
    last = seen[-1]
    assert (last.done, sum(last.outcomes.values()), last.rejected) == (4, 2, 1)
    assert last.mean_rate == pytest.approx(2 / last.elapsed_seconds)
    again = run_batch(job, [scans], tmp_path / "run", SerialExecutor())
    assert again["bottleneck"] is None  # nothing was read


def test_metrics_are_served_while_it_runs_and_tell_no_candidate(job: Job, tmp_path: Path) -> None:
    prometheus = pytest.importorskip("prometheus_client.parser")
    from grader.run.metrics import serving

    scraped: list[str] = []
    with serving("127.0.0.1", 0) as (metrics, address):

        def show(at: Progress) -> None:
            metrics.show(at)
            with urllib.request.urlopen(address, timeout=10) as answer:
                scraped.append(answer.read().decode())

        run_batch(job, [job.form_folder / "scans"], tmp_path / "run", SerialExecutor(), show)
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(address, timeout=2)
    samples = {
        (sample.name, *sample.labels.values()): sample.value
        for family in prometheus.text_string_to_metric_families(scraped[-1])
        for sample in family.samples
    }
    assert samples["grader_pages_total", "read"] == 3
    assert samples["grader_pages_total", "rejected"] == 1
    assert samples["grader_done_pages",] == samples["grader_planned_pages",] == 4
    assert samples["grader_left_seconds",] == 0
    assert samples["grader_stage_seconds_total", "decode"] > 0
    assert samples["grader_memory_bytes",] > 2**20
    assert {key[1] for key in samples if key[0] == "grader_flags_total"} <= set(flags.FLAGS)
    text = "\n".join(scraped)
    assert not any(secret in text for secret in (*CANDIDATES, "white", str(job.form_folder)))


def test_a_port_that_is_taken_is_said() -> None:
    pytest.importorskip("prometheus_client")
    from grader.run.metrics import serving

    with serving("127.0.0.1", 0) as (_, address):
        port = int(address.rsplit(":", 1)[1].split("/")[0])
        with pytest.raises(UsageError, match="cannot be served"), serving("127.0.0.1", port):
            pass


def test_metrics_without_their_package_name_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from grader.run.metrics import serving

    monkeypatch.setitem(__import__("sys").modules, "prometheus_client", None)
    with pytest.raises(UsageError, match=r"grader\[metrics\]"), serving("127.0.0.1", 0):
        pass


# lines


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    """What is written for some moments (seconds) at which a page comes back."""

    def call(as_json: bool, moments: list[float]) -> list[str]:
        clock = Clock()
        monkeypatch.setattr(shown.time, "monotonic", clock)
        stream = io.StringIO()
        monkeypatch.setattr("sys.stderr", stream)
        tracker = Tracker(10, 10 + len(moments), lambda: 1, {}, clock)
        with shown.batch_progress(as_json) as show:
            show(tracker.progress())
            for moment in moments:
                clock.now = 100 + moment
                tracker.page(entry())
                show(tracker.progress())
        return stream.getvalue().splitlines()

    return call


def test_json_lines_come_once_a_second_and_at_the_end(lines: Callable[..., list[str]]) -> None:
    told = [json.loads(line) for line in lines(True, [0.2 * n for n in range(1, 15)])]
    assert [one["done"] for one in told] == [10, 15, 20, 24]
    last = told[-1]
    assert (last["schema"], last["total"], last["flagged"]) == ("grader-progress/1", 24, 14)
    assert last["outcomes"] == {"read": 14}
    assert last["mean_rate"] == pytest.approx(5)
    assert last["eta_seconds"] == 0
    assert last["bottleneck"]["stage"] == "scoring"
    assert told[0]["eta_seconds"] is None
    assert told[0]["bottleneck"] is None


def test_a_log_gets_a_line_now_and_then_and_no_bar(lines: Callable[..., list[str]]) -> None:
    told = lines(False, [float(n) for n in range(1, 101)])
    assert len(told) == 5
    assert told[0] == "10 of 110 pages; 0 not read, 0 answers for review"
    assert (
        told[2] == "70 of 110 pages, 1.0 pages/s lately, 1.0 on average, 40 s left; 0 not read, 60 answers for review"
    )
    assert told[-1].startswith("110 of 110 pages")


def test_times_for_people() -> None:
    assert [shown.duration(s) for s in (12, 89, 300, 5400, 11_100)] == [
        "12 s",
        "89 s",
        "5 min",
        "1 h 30 min",
        "3 h 05 min",
    ]
