"""Objective-only pages on grader's own forms: whole `grader run` against plain gray decoding of the same files.

    python benchmarks/objective.py [--pages 500] [--growth 2000] [--rounds 3] [--blank] [--keep DIR]

Sheets as in speed.py (A4 at 200 dpi, an 8-digit number and 40 items of four choices, gray JPEG), with the candidate's
number in the page code; --blank prints sheets without it, on which the handwritten number is read by OCR too. About
ten minutes; making a page takes 0.2 s.

Two processes decode (cv2.imdecode alone, of bytes read before), then `grader run --workers 2` reads all pages, then a
fifth of them, in turns. Time and processor time for a page are the difference between the two runs by the difference
in pages: everything that grows with the batch is in it, from listing the files to results.csv, and start-up is not,
which is quoted beside it. Processor time says nearly the same on a machine that others use too. "busy" is the
processor time of all processes of the run by its wall time and two cores.
Stages are the run's own, with the stages of both workers added up; "collecting" is what is left of the processor time:
the parent's part and what workers do between pages. --growth reads that many pages once.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from harness import median_ratio, table, write
from speed import exam, sheets

CORES = 2
_SLICE = 50  # pages that one process makes at a time


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=500)
    parser.add_argument("--growth", type=int, default=0, help="read so many pages too")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--blank", action="store_true", help="sheets without the number in the page code")
    parser.add_argument("--keep", type=Path, help="folder to make the pages in, or to find them")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = (options.keep or Path(scratch)).resolve()
        files = make(folder, max(options.pages, options.growth), printed=not options.blank)
        result = measure(folder, files, options)
    write("objective-blank" if options.blank else "objective", result)
    return result


# --- pages ----------------------------------------------------------------------------------------------


def make(folder: Path, count: int, printed: bool) -> list[Path]:
    """The first `count` scans in folder/scans, made where they are not there yet, with exam.yaml and form.json."""
    scans = folder / "scans"
    scans.mkdir(parents=True, exist_ok=True)
    (folder / "exam.yaml").write_text(json.dumps(exam().model_dump(mode="json", exclude_none=True)), encoding="utf-8")
    slices = [(folder, first, printed) for first in range(0, count, _SLICE) if not _last(scans, first).exists()]
    with multiprocessing.get_context("spawn").Pool(CORES) as pool:
        pool.starmap(_make_slice, slices)
    return sorted(scans.iterdir())[:count]


def _make_slice(folder: Path, first: int, printed: bool) -> None:
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        part = Path(scratch)
        sheets(part, _SLICE, first, printed)
        shutil.copy(part / "form.json", folder / "form.json")
        for number, path in enumerate(sorted((part / "scans").iterdir())):
            path.replace(_scan(folder / "scans", first + number))


def _scan(scans: Path, number: int) -> Path:
    return scans / f"page-{number:06d}.jpg"


def _last(scans: Path, first: int) -> Path:
    return _scan(scans, first + _SLICE - 1)


# --- measuring ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """One `grader run`: wall and processor seconds of all its processes together, and what run.json says."""

    pages: int
    wall: float
    cpu: float
    summary: dict[str, Any]


def measure(folder: Path, files: list[Path], options: argparse.Namespace) -> dict[str, Any]:
    """Everything in turns."""
    many, few = files[: options.pages], files[: options.pages // 5]
    decoding: list[tuple[float, float]] = []
    longs: list[Run] = []
    shorts: list[Run] = []
    for _ in range(options.rounds):
        decoding.append(decode(many))
        longs.append(run(folder, many))
        shorts.append(run(folder, few))
    apart = options.pages - len(few)
    pairs = list(zip(longs, shorts, strict=True))
    walls = [(long.wall - short.wall) / apart for long, short in pairs]
    cpus = [(long.cpu - short.cpu) / apart for long, short in pairs]
    decode_walls, decode_cpus = (list(seconds) for seconds in zip(*decoding, strict=True))
    result = {
        "pages": options.pages, "rounds": options.rounds, "printed_candidates": not options.blank,
        "ratio": median_ratio(walls, decode_walls), "cpu_ratio": median_ratio(cpus, decode_cpus),
        "decode_s_per_page": statistics.median(decode_walls), "decode_cpu_s_per_page": statistics.median(decode_cpus),
        "run_s_per_page": statistics.median(walls), "cpu_s_per_page": statistics.median(cpus),
        "busy": statistics.median(cpu / wall / CORES for cpu, wall in zip(cpus, walls, strict=True)),
        "busy_whole_run": statistics.median(long.cpu / long.wall / CORES for long in longs),
        "start_s": statistics.median(long.wall - wall * options.pages for long, wall in zip(longs, walls, strict=True)),
        "counts": longs[-1].summary["counts"], "peak_memory": longs[-1].summary["peak_memory"],
        "stages_ms": _stages(longs[-1], statistics.median(cpus)),
    }  # fmt: skip
    _print(result)
    if options.growth:
        result["growth"] = _growth(longs, run(folder, files[: options.growth]))
    return result


def decode(files: Sequence[Path]) -> tuple[float, float]:
    """Wall and processor seconds for a page, two processes side by side."""
    with multiprocessing.get_context("spawn").Pool(CORES) as pool:
        walls, cpus = zip(*pool.map(_decode, [files[n::CORES] for n in range(CORES)], chunksize=1), strict=True)
    return max(walls) / len(files), sum(cpus) / len(files)


def _decode(files: Sequence[Path]) -> tuple[float, float]:
    cv2.setNumThreads(1)
    encoded = [np.fromfile(path, np.uint8) for path in files]
    cv2.imdecode(encoded[0], cv2.IMREAD_GRAYSCALE)
    start, busy = time.perf_counter(), time.process_time()
    for data in encoded:
        cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)
    return time.perf_counter() - start, time.process_time() - busy


def run(folder: Path, files: Sequence[Path]) -> Run:
    """`grader run` with two workers over the files, in a new run folder."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        batch, out = Path(scratch) / "scans", Path(scratch) / "run"
        batch.mkdir()
        for path in files:
            os.link(path, batch / path.name)
        options = ["--form", folder / "form.json", "--scans", batch, "--out", out, "--workers", CORES]
        start = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "grader", "run", str(folder / "exam.yaml"), *map(str, options)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr is not None
        said = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - start
        if os.waitstatus_to_exitcode(status) not in (0, 1):
            raise SystemExit(said.decode())
        return Run(len(files), wall, usage.ru_utime + usage.ru_stime, json.loads((out / "run.json").read_text()))


def _stages(long: Run, cpu: float) -> dict[str, float]:
    """Milliseconds a page of each stage, and what is left of the processor time."""
    seconds = {name: value for name, value in long.summary["seconds"].items() if name != "wall"}
    stages = {name: 1000 * value / long.pages for name, value in seconds.items()}
    return {**stages, "collecting": max(0.0, 1000 * cpu - sum(stages.values()))}


# --- showing --------------------------------------------------------------------------------------------


def _print(result: dict[str, Any]) -> None:
    decoding, whole = 1000 * result["decode_s_per_page"], 1000 * result["run_s_per_page"]
    kind = "number in the page code" if result["printed_candidates"] else "number bubbled and handwritten"
    table(
        f"Objective-only pages ({kind}): {result['pages']} pages, two processes, {result['rounds']} rounds in turns",
        ["", "pages/s", "ms/page", "time / decoding", "processor time / decoding", "busy"],
        [
            ["plain gray decoding", 1000 / decoding, decoding, 1.0, 1.0, ""],
            ["grader run", 1000 / whole, whole, result["ratio"], result["cpu_ratio"], f"{result['busy']:.0%}"],
        ],
    )
    print(f"start-up {result['start_s']:.1f} s; with it {result['busy_whole_run']:.0%} busy; {result['counts']}")
    one = CORES * decoding  # stages are wall time in a worker
    table(
        "Time of a page by stage, on one core",
        ["", "ms", "/ decoding"],
        [[name, value, value / one] for name, value in result["stages_ms"].items()],
    )


def _growth(longs: Sequence[Run], longest: Run) -> dict[str, Any]:
    first = statistics.median(long.wall / long.pages for long in longs)
    grown = longest.wall / longest.pages
    rows = [
        [longs[0].pages, 1000 * first, 1.0, longs[-1].summary["peak_memory"] / 2**20],
        [longest.pages, 1000 * grown, grown / first, longest.summary["peak_memory"] / 2**20],
    ]
    table("Growth, start-up included", ["pages", "ms/page", "by the first", "peak memory, MiB"], rows)
    return {"pages": longest.pages, "ms_per_page": 1000 * grown, "ratio": grown / first}


if __name__ == "__main__":
    main()
