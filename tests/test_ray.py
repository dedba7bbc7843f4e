"""Pages read by a Ray cluster: what comes out is what one process makes of them, whatever happens to the machines.

A real cluster of two nodes on this machine (see `ray_nodes`). Each test compares the whole store of the run, the
pictures and the files with those of the serial executor.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from exams import BLANK, CHOICE, make_exam
from ray_nodes import Node, TwoNodes, stopped, waited_for

import grader
from grader.demo.simulate import simulate_batch
from grader.errors import ExitCode
from grader.paper.sheets import print_sheets
from grader.records import PageRef, PageResult
from grader.run.job import Job

pytestmark = pytest.mark.slow
pytest.importorskip("ray", reason="ray is not installed (pip install 'grader[ray]')")

_SCRIPTS, _COPIES = 16, 8
_CUT_OFF_SECONDS = 60


@dataclass(frozen=True)
class Batch:
    """Scans of an exam. folder: exam.yaml, form.json, scans/; serial: what the serial executor makes of them."""

    folder: Path
    serial: Path

    def command(self, out: Path) -> list[str]:
        """`grader run` in the batch's folder, without the executor. The names of scans are relative to it."""
        files = "exam.yaml --form form.json --scans scans"
        return [sys.executable, "-m", "grader", "run", *files.split(), "--out", str(out)]


class Run:
    """A coordinator at work on the head of the cluster. It is killed when the test ends."""

    def __init__(self, cluster: TwoNodes, batch: Batch, out: Path) -> None:
        self.batch, self.out = batch, out
        command = [*cluster.head.inside(), *batch.command(out), "--executor", "ray", "--address", cluster.address]
        self._log = out.with_suffix(".log")
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=batch.folder, env=cluster.environment, stdout=subprocess.PIPE, stderr=log
            )

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()

    def midway(self, *nodes: Node) -> None:
        """Wait until some pages are journaled and all these nodes read; who is first waits for the others, or it would
        read everything alone on a fast machine."""
        waited_for(lambda: any(node.readers() for node in nodes), lambda: self.said)
        with stopped([pid for node in nodes for pid in node.readers()]):
            waited_for(lambda: all(node.readers() for node in nodes), lambda: self.said)

        def begun() -> bool:
            return journaled(self.out) >= _SCRIPTS and all(node.readers() for node in nodes)

        waited_for(lambda: begun() or self.process.poll() is not None, lambda: f"{journaled(self.out)} pages read")
        assert self.process.poll() is None, f"it ended too early: {self.said}"

    def end(self) -> str:
        """Wait for its end and compare what came out with the serial twin; what it said."""
        data, _ = self.process.communicate(timeout=240)
        assert self.process.returncode in (0, 1), self.said
        assert data == b"", "stdout is for data only"
        assert contents(self.out) == contents(self.batch.serial)
        return self.said

    @property
    def said(self) -> str:
        """What it wrote on stderr, in one line."""
        return " ".join(self._log.read_text().split())


def contents(out: Path) -> dict[str, Any]:
    """Everything a run holds but times, and numbers that depend on the order in which pages came."""
    with closing(sqlite3.connect(f"file:{out / 'run.sqlite'}?mode=ro", uri=True)) as store:
        store.row_factory = sqlite3.Row
        found: dict[str, Any] = {
            name: [tuple(row) for row in store.execute(f"SELECT * FROM {name} ORDER BY 1, 2")]
            for name in ("crop", "lease")
        }
        events = [dict(row) for row in store.execute("SELECT kind, file, page, body FROM event ORDER BY file, page")]
        found["event"] = [{**event, "body": {**json.loads(event["body"]), "seconds": None}} for event in events]
        for name, order in (("page", "ordinal"), ("answer", "candidate, item_order, file, file_page")):
            rows = [dict(row) for row in store.execute(f"SELECT * FROM {name} ORDER BY {order}")]
            found[name] = [{key: value for key, value in row.items() if key not in ("id", "event_id")} for row in rows]
    return found | {name: (out / name).read_bytes() for name in ("results.csv", "ledger.csv")}


def journaled(out: Path) -> int:
    """Pages in the journal of a run that may just be beginning."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(f"file:{out / 'run.sqlite'}?mode=ro", uri=True)) as store:
        return int(store.execute("SELECT count(*) FROM event WHERE kind = 'page'").fetchone()[0])
    return 0


@pytest.fixture(scope="module")
def cluster() -> Iterator[TwoNodes]:
    nodes = TwoNodes()
    try:
        yield nodes
    finally:
        nodes.end()


@pytest.fixture
def nodes(cluster: TwoNodes) -> TwoNodes:
    """The cluster with both nodes up."""
    cluster.up()
    return cluster


@pytest.fixture(scope="module")
def batch(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """Sheets with choices and a handwritten line; each scan comes several times, in files that differ."""
    return make_batch(tmp_path_factory.mktemp("batch"), _SCRIPTS, _COPIES)


@pytest.fixture(scope="module")
def few(tmp_path_factory: pytest.TempPathFactory) -> Batch:
    """A few pages."""
    return make_batch(tmp_path_factory.mktemp("few"), 4, 1)


def make_batch(folder: Path, scripts: int, copies: int) -> Batch:
    exam = make_exam([CHOICE] * 20 + [BLANK])
    (folder / "exam.yaml").write_text(exam.canonical(), encoding="utf-8")
    form = print_sheets(exam, folder, digits=4)
    candidates = [str(1001 + n) for n in range(scripts)]
    simulate_batch(exam, form, folder / "paper.pdf", folder / "scans", candidates, seed=5)
    for scan in list((folder / "scans").iterdir()):
        for copy in range(1, copies):  # what follows the end of a picture is not read, but makes another file
            (folder / "scans" / f"{scan.stem}-{copy}{scan.suffix}").write_bytes(scan.read_bytes() + bytes([copy]))
    batch = Batch(folder, folder / "serial")
    command = [*batch.command(batch.serial), "--executor", "serial"]
    assert subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode in (0, 1)
    return batch


def test_two_nodes_give_what_one_process_gives(nodes: TwoNodes, batch: Batch, tmp_path: Path) -> None:
    with Run(nodes, batch, tmp_path / "run") as run:
        run.midway(nodes.head, nodes.other)
        said = run.end()
    assert nodes.head.address not in said, "nothing is said of nodes where all is well"
    assert nodes.other.address not in said
    assert len(contents(batch.serial)["event"]) == _SCRIPTS * _COPIES
    waited_for(lambda: not nodes.head.readers() + nodes.other.readers())


def test_a_node_that_dies_costs_nothing(nodes: TwoNodes, batch: Batch, tmp_path: Path) -> None:
    with Run(nodes, batch, tmp_path / "run") as run:
        run.midway(nodes.head, nodes.other)
        nodes.other.kill()
        assert f"an agent of node {nodes.other.address} is gone" in run.end()


def test_a_node_that_is_cut_off_for_a_minute_reads_nothing_twice(nodes: TwoNodes, batch: Batch, tmp_path: Path) -> None:
    """The other node is held meanwhile, so that the run still goes on when the first one comes back and joins."""
    with Run(nodes, batch, tmp_path / "run") as run:
        run.midway(nodes.head, nodes.other)
        with stopped(nodes.head.readers()):
            before = nodes.other.readers()
            with nodes.other.cut_off():
                time.sleep(_CUT_OFF_SECONDS)
            assert run.process.poll() is None
            waited_for(lambda: set(nodes.other.readers()) - set(before), lambda: "the node does not read again")
        assert f"nothing is heard of node {nodes.other.address}" in run.end()


def test_a_coordinator_that_is_killed_goes_on_when_it_is_started_again(
    nodes: TwoNodes, batch: Batch, tmp_path: Path
) -> None:
    with Run(nodes, batch, tmp_path / "run") as run:
        run.midway(nodes.head, nodes.other)
        run.process.send_signal(signal.SIGKILL)
    waited_for(lambda: not nodes.head.readers() + nodes.other.readers(), lambda: "its agents are still there")
    read = journaled(run.out)
    assert 0 < read < _SCRIPTS * _COPIES
    with Run(nodes, batch, tmp_path / "run") as again:
        again.end()
    assert json.loads((run.out / "run.json").read_text())["resumed_pages"] == read


def test_a_head_that_dies_ends_the_run_in_words_and_it_goes_on_when_the_cluster_is_back(
    nodes: TwoNodes, batch: Batch, tmp_path: Path
) -> None:
    with Run(nodes, batch, tmp_path / "run") as run:
        run.midway(nodes.head, nodes.other)
        nodes.head.kill()
        run.process.communicate(timeout=120)
        assert run.process.returncode == ExitCode.INTERRUPTED, run.said
        assert "run the same command again: it goes on where it was" in run.said
    nodes.other.kill()
    nodes.up()
    with Run(nodes, batch, tmp_path / "run") as again:
        again.end()


def refused(nodes: TwoNodes, batch: Batch, out: Path) -> str:
    """What a run says that refuses the other node; nobody reads before it has said so."""
    with Run(nodes, batch, out) as run:
        waited_for(nodes.head.readers)
        with stopped(nodes.head.readers()):
            waited_for(lambda: "is not used" in run.said, lambda: run.said)
        return run.end()


def test_a_node_with_another_version_is_not_used(nodes: TwoNodes, few: Batch, tmp_path: Path) -> None:
    other = shutil.copytree(Path(grader.__file__).parent, tmp_path / "grader", ignore=shutil.ignore_patterns("fonts"))
    (other / "__init__.py").write_text('__version__ = "0.0.other"\n')
    nodes.other.kill()
    nodes.other.start({"PYTHONPATH": str(tmp_path)})
    try:
        said = refused(nodes, few, tmp_path / "run")
    finally:
        nodes.other.kill()
    wanted = (
        f"node {nodes.other.address} is not used: it has grader 0.0.other, the coordinator has {grader.__version__}"
    )
    assert wanted in said


def test_a_node_that_does_not_see_the_scans_is_not_used(nodes: TwoNodes, few: Batch, tmp_path: Path) -> None:
    """The same folder is another one there: empty."""
    if not nodes.namespaces:
        pytest.skip("network and mount namespaces are not permitted here")
    nodes.other.kill()
    nodes.other.start(before=f"mount -t tmpfs none {few.folder / 'scans'}")
    try:
        said = refused(nodes, few, tmp_path / "run")
    finally:
        nodes.other.kill()
    assert f"node {nodes.other.address} is not used: it does not see the scans" in said


class Hazard:
    """A reader that does to its worker process, or to the agent that keeps it, what the file's name says."""

    def __init__(self, job: Job) -> None:
        pass

    def read(self, ref: PageRef) -> PageResult:
        if ref.file == "kills its process":
            os.kill(os.getpid(), signal.SIGKILL)
        if ref.file == "kills its agent":
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(600)
        if ref.file == "hangs":
            time.sleep(600)
        return PageResult(ref, "read")


_HAZARDS = """
import json, sys
from pathlib import Path
from test_executor import job
from test_ray import Hazard
from grader.records import PageRef
from grader.run.ray_executor import RayExecutor
from grader.store.leases import NoLeases
executor = RayExecutor(sys.argv[1], page_seconds=5, reader=Hazard)
refs = [PageRef(name) for name in sys.argv[2:]]
print(json.dumps([(e.ref.file, e.reason) for e in executor.run(job(Path()), refs, NoLeases())]))
"""


def test_pages_that_stop_whoever_reads_them_are_rejected_and_only_they(nodes: TwoNodes) -> None:
    sound = [f"page {number}" for number in range(60)]
    names = [*sound[:3], "kills its process", "hangs", *sound[3:5], "kills its agent", *sound[5:]]
    command = [*nodes.head.inside(), sys.executable, "-c", _HAZARDS, nodes.address, *names]
    done = subprocess.run(command, env=nodes.environment, capture_output=True, check=True, timeout=240)
    reasons = dict.fromkeys(sound, "") | {"kills its process": "crashed", "hangs": "timed_out"}
    reasons["kills its agent"] = "crashed"
    results = json.loads(done.stdout)
    assert len(results) == len(names), "every page comes back exactly once"
    assert dict(results) == reasons
