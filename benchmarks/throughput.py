"""How fast is a whole run, where does the time go, and how do time and memory grow with the batch?

    python benchmarks/throughput.py                                    # minutes: 100 and 300 pages, 1,000 of choices
    python benchmarks/throughput.py --pages 100 1000 10000             # an hour and a half, 4 GB of disk
    python benchmarks/throughput.py --pages --choices 100 1000 10000   # choices alone: minutes

A made batch (benchmarks/batches.py): two pages a script, 20 choices, 4 blanks, 2 short answers, each page unlike every
other. It is read by `grader run` as anybody would run it, in a process of its own: seconds a stage, pages and answers
a second, processor time, memory of the whole process tree (shared pages once). Growth: the exponent of time over
pages (1 is linear), and memory gained from the smaller to the larger batch.

Then, in turns in one process on the same pages, one thread: the whole of grader beside plain gray decoding; its
reading of known boxes beside rapidocr out of the box on the same crops; its network beside PyTorch eager, float32, in
padded batches of 32, on the same sequences.

Short answers are scored by the encoder that ships for English, or by the bundle given.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import batches
import harness
import same_work
import trees

from grader.scoring.bundle import Bundle, folder_for
from grader.stages import STAGES

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Measured:
    """One run. start: seconds before the first page came back."""

    pages: int
    answers: int
    start: float
    cost: trees.Cost
    summary: dict[str, Any]
    distinct: float  # share of the short answers that no earlier one equals, as read

    @property
    def reading(self) -> float:
        """Seconds without the start of processes and the loading of models."""
        return self.cost.wall - self.start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, nargs="*", default=[100, 300], help="sizes of whole batches")
    parser.add_argument("--choices", type=int, nargs="*", default=[100, 1000], help="sizes of batches of choices alone")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--bundle", type=Path, default=folder_for("en"), help="another scorer than the one that ships")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--same-work", type=int, default=12, help="pages that are also read by the others; 0: none")
    parser.add_argument("--keep", type=Path, help="folder to keep batches and runs in; a batch that is there is used")
    options = parser.parse_args()
    if options.pages and options.same_work:
        harness.need_rapidocr()
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        os.environ["GRADER_BENCH_BUNDLE"] = str(options.bundle.resolve())
        result: dict[str, Any] = {"workers": options.workers, "networks": Bundle.open(options.bundle).models()}
        for name, sizes in (("whole", options.pages), ("choices", options.choices)):
            if sizes:
                runs = grown(folder / name, sorted(sizes), options, objective=name == "choices")
                show(name, runs, options.workers)
                result[name] = told(runs)
        if options.pages and options.same_work:
            result["same_work"] = same_work.compare(folder / "whole", options.bundle, options.same_work)
        harness.write("throughput", result)


def grown(folder: Path, sizes: Sequence[int], options: argparse.Namespace, objective: bool) -> list[Measured]:
    """A run of each size, the smallest first."""
    if not (folder / "truth.jsonl").is_file() or len(batches.truths(folder)) != sizes[-1]:
        print(f"making {sizes[-1]:,} pages", file=sys.stderr)
        batches.make(folder, sizes[-1], options.seed, objective)
    return [measured(folder, size, options.workers, objective) for size in sizes]


def measured(folder: Path, pages: int, workers: int, objective: bool) -> Measured:
    """One run of the first pages of a batch."""
    out = folder / f"run-{pages}"
    command = [sys.executable, str(HERE / "one_run.py"), str(folder), "--out", str(out), "--pages", str(pages)]
    command += ["--workers", str(workers), *(["--objective"] if objective else ["--scorer", "trial"])]
    with tempfile.TemporaryFile() as stdout:
        cost = trees.ran(command, stdout)
        stdout.seek(0)
        told = json.loads(stdout.read().splitlines()[-1])
    summary = told["summary"]
    assert summary["counts"]["pages"] == pages, summary["counts"]
    return Measured(pages, summary["counts"]["responses"], told["first"], cost, summary, _distinct(out))


def _distinct(run: Path) -> float:
    from grader.store.store import RunStore

    with RunStore.open(run) as store:
        texts = [(row.item, row.response) for row in store.results() if row.response and row.marker.startswith("model")]
    return len(set(texts)) / len(texts) if texts else 1.0


def show(name: str, runs: Sequence[Measured], workers: int) -> None:
    """What the runs of one kind cost."""
    columns = ["pages", "wall s", "start s", "pages/s", "answers/s", "cores busy", "peak MiB", "distinct answers"]
    rows = [
        [
            f"{run.pages:,}",
            run.cost.wall,
            run.start,
            run.pages / run.cost.wall,
            run.answers / run.cost.wall,
            f"{run.cost.cpu / run.cost.wall / workers:.0%}",
            run.cost.peak / 2**20,
            f"{run.distinct:.1%}",
        ]
        for run in runs
    ]
    harness.table(f"{name}: {workers} workers", columns, rows)
    stages = [stage for stage in STAGES if any(stage in run.summary["seconds"] for run in runs)]
    per_page = [[s, *(1e3 * run.summary["seconds"].get(s, 0.0) / run.pages for run in runs)] for s in stages]
    harness.table("ms a page, all processes", ["stage", *(f"{run.pages:,} pages" for run in runs)], per_page)
    for run in runs:
        print(f"{run.pages:,} pages: {json.dumps(run.summary['bottleneck'])}")
    for before, after in pairwise(runs):
        exponent, gained = growth(before, after)
        print(
            f"from {before.pages:,} to {after.pages:,} pages: time grows with the power {exponent:.3f}, "
            f"memory by {gained:.1f} MiB a thousand pages"
        )


def growth(before: Measured, after: Measured) -> tuple[float, float]:
    """(exponent of the time without the start over pages, MiB gained at the peak a thousand pages)."""
    exponent = math.log(after.reading / before.reading) / math.log(after.pages / before.pages)
    return exponent, (after.cost.peak - before.cost.peak) / 2**20 / (after.pages - before.pages) * 1000


def told(runs: Sequence[Measured]) -> list[dict[str, Any]]:
    """The runs for the JSON file."""
    return [
        {
            "pages": run.pages,
            "answers": run.answers,
            "wall": run.cost.wall,
            "start": run.start,
            "cpu": run.cost.cpu,
            "peak_bytes": run.cost.peak,
            "seconds": run.summary["seconds"],
            "bottleneck": run.summary["bottleneck"],
            "counts": run.summary["counts"],
            "growth": growth(runs[place - 1], run) if place else None,
        }
        for place, run in enumerate(runs)
    ]


if __name__ == "__main__":
    main()
