"""What does an executor cost? The same objective-only batch read by the local pool and by Ray on this machine.

    python benchmarks/executors.py [--pages 1200] [--rounds 5]       about 3 minutes on two idle cores

Sheets: as in benchmarks/speed.py, each scan in many files that differ behind the picture's end. Every run is a whole
`run_batch` in a process of its own, in turns: a pool of one, a pool of two, and a cluster of two nodes of one
processor each (network namespaces where they are permitted; see tests/ray_nodes.py). Ray's processes are stopped
while a pool runs. pages/s: from the 100th page to the last, medians; start: seconds from the beginning to the first
page; overhead: how much longer a worker takes for a page than in the pool of two; coordinator: its processor time a
page, storing included, settling not.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from harness import median_ratio, table, write
from speed import exam, sheets

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

_WARM = 100  # pages until every worker is at work
_TICKS = os.sysconf("SC_CLK_TCK")
_NAMES = {"local 1": "local pool of one", "local 2": "local pool of two", "ray 2": "Ray, two nodes of one"}


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=1200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", nargs=4, help=argparse.SUPPRESS)  # executor, workers, address, folder: one run
    options = parser.parse_args(arguments)
    if options.one:
        print(json.dumps(_one(*options.one)))
        return {}
    from ray_nodes import TwoNodes

    cluster = TwoNodes()
    try:
        cluster.up()
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch)
            _batch(folder, options.pages)
            runs: dict[str, list[dict[str, float]]] = {name: [] for name in _NAMES}
            for number in range(options.rounds + 1):
                for name, found in runs.items():
                    result = _run(cluster, name, folder)
                    if number:  # the first round warms the disk's cache
                        found.append(result)
    finally:
        cluster.end()
    return _report(runs, options, cluster.namespaces)


def _batch(folder: Path, pages: int) -> None:
    """`pages` scans in folder/scans."""
    _, truths = sheets(folder, 40)
    (folder / "exam.yaml").write_text(exam().canonical(), encoding="utf-8")
    for number in range(len(truths), pages):
        scan = folder / "scans" / truths[number % len(truths)].file
        data = scan.read_bytes() + number.to_bytes(4, "big")
        (folder / "scans" / f"{scan.stem}-{number}{scan.suffix}").write_bytes(data)


def _run(cluster: Any, name: str, folder: Path) -> dict[str, float]:
    """One run in a process of its own: its figures, and what Ray's own processes used meanwhile."""
    from ray_nodes import stopped

    executor, workers = name.split()
    command = [sys.executable, __file__, "--one", executor, workers, cluster.address, str(folder)]
    nodes = [*cluster.head.pids(), *cluster.other.pids()]
    rest = nullcontext() if executor == "ray" else stopped(nodes)
    if executor == "ray":
        command = [*cluster.head.inside(), *command]
    before = _processor_seconds(nodes)
    with rest:
        done = subprocess.run(command, env=cluster.environment, stdout=subprocess.PIPE, check=True)
    result: dict[str, float] = json.loads(done.stdout)
    return result | {"ray_processes": _processor_seconds(nodes) - before}


def _one(executor: str, workers: str, address: str, folder: str) -> dict[str, float]:
    """This process is the coordinator of one run."""
    from grader import registry
    from grader.exam.form import load_form
    from grader.run.batch import run_batch
    from grader.run.job import Job
    from grader.run.progress import Progress

    where = {"address": address} if executor == "ray" else {}
    engine = registry.create("executor", executor, workers=int(workers), **where)
    root = Path(folder)
    job = Job(exam(), load_form(root / "form.json"), root)
    moments: list[tuple[float, float, int]] = []  # the time, this process's own, and how many pages were done

    def show(progress: Progress) -> None:
        if progress.done:
            moments.append((time.perf_counter(), time.process_time(), progress.done))

    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as out:
        summary = run_batch(job, [root / "scans"], Path(out), engine, show)
    assert summary["counts"]["rejected"] == 0, summary["counts"]
    begun, used, before = next(moment for moment in moments if moment[2] >= _WARM)
    ended, used_all, after = moments[-1]
    return {
        "pages_per_s": (after - before) / (ended - begun),
        "start_s": moments[0][0] - start,
        "coordinator_ms": 1000 * (used_all - used) / (after - before),
        "peak_mib": summary["peak_memory"] / 2**20,
    }


def _report(runs: dict[str, list[dict[str, float]]], options: argparse.Namespace, namespaces: bool) -> dict[str, Any]:
    median = {
        name: {key: statistics.median(run[key] for run in found) for key in found[0]} for name, found in runs.items()
    }
    rates = {name: [run["pages_per_s"] for run in found] for name, found in runs.items()}
    ratios = {name: median_ratio(found, rates["local 2"]) for name, found in rates.items()}
    of_one = median_ratio(rates["local 2"], rates["local 1"])
    times = {name: [1000 * int(name[-1]) / rate for rate in found] for name, found in rates.items()}
    overheads = {name: statistics.median(map(float.__sub__, found, times["local 2"])) for name, found in times.items()}
    table(
        f"{options.pages} objective-only pages; medians of {options.rounds} rounds in turns"
        f" ({'network namespaces' if namespaces else 'no network namespaces'})",
        ["", "pages/s", "of the pool of two", "overhead, ms/page", "start, s", "coordinator, CPU ms/page", "peak, MiB"],
        [
            [
                words,
                median[name]["pages_per_s"],
                ratios[name],
                overheads[name],
                *(median[name][key] for key in ("start_s", "coordinator_ms", "peak_mib")),
            ]
            for name, words in _NAMES.items()
        ],
    )
    daemons = 1000 * median["ray 2"]["ray_processes"] / options.pages
    print(f"two workers against one: {of_one:.2f}")
    print(f"Ray's own processes (gcs_server, raylets, agents of the dashboard): {daemons:.2f} ms of processor a page")
    result = {
        "pages": options.pages, "rounds": options.rounds, "namespaces": namespaces, "median": median,
        "ratio_to_local_2": ratios, "two_to_one": of_one, "overhead_ms": overheads, "runs": runs,
    }  # fmt: skip
    write("executors", result)
    return result


def _processor_seconds(pids: Sequence[int]) -> float:
    """Processor time that processes used so far."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / _TICKS


if __name__ == "__main__":
    main()
