"""The whole realistic batch: `grader run` beside the straightforward script, in turns, and what each gets right.

    python benchmarks/whole_batch.py [--pages 48] [--rounds 2] [--bundle FOLDER]     # about five minutes

The same pages, the same number of processes of one thread each. Seconds: from the first work of warm processes to the
end (steady; models loaded, and for grader the run's journal and files written), and of the whole command with its
start. Right: choices as the candidate marked them, candidate numbers, characters of the written answers. Short
answers are scored by the networks that ship for English: by the script in PyTorch, eager, in padded batches.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import batches
import harness
import trees
from ocr import error_rate

from grader.scoring.bundle import folder_for

HERE = Path(__file__).resolve().parent
WANTED = 5.0
Answers = dict[tuple[str, str], str]  # file name, item → what was read


@dataclass(frozen=True)
class Turn:
    """One go of one of the two. steady: seconds without the start."""

    steady: float
    cost: trees.Cost


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--defaults", action="store_true", help="rapidocr as it comes, for boxes of one line too")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--bundle", type=Path, default=folder_for("en"), help="other networks than those that ship")
    options = parser.parse_args()
    harness.need_rapidocr()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        os.environ["GRADER_BENCH_BUNDLE"] = str(options.bundle.resolve())
        truths = batches.make(folder / "batch", options.pages, options.seed)
        turns: dict[str, list[Turn]] = {"grader": [], "straightforward": []}
        for number in range(options.rounds):
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
            turns["grader"].append(grader(folder, options.workers))
            turns["straightforward"].append(straightforward(folder, options.workers, options.defaults))
        read = {"grader": read_by_grader(folder / "run"), "straightforward": read_by_script(folder / "marks.csv")}
        right = {name: quality(truths, *found) for name, found in read.items()}
    result = {"pages": options.pages, "workers": options.workers, "ratios": ratios(turns), "right": right}
    show(turns, right, options.pages, options.workers)
    harness.write("whole_batch", result)


def grader(folder: Path, workers: int) -> Turn:
    """One run into a fresh folder."""
    shutil.rmtree(folder / "run", ignore_errors=True)
    command = ["one_run.py", str(folder / "batch"), "--out", str(folder / "run"), "--workers", str(workers)]
    cost, told = _told([*command, "--scorer", "trial"])
    return Turn(cost.wall - _idle(told["first"], told["summary"], workers), cost)


def _idle(first: float, summary: Mapping[str, Any], workers: int) -> float:
    """Seconds of the start: until the first page came back, less what that page itself takes on average."""
    seconds = sum(spent for stage, spent in summary["seconds"].items() if stage != "wall")
    return first - seconds / summary["counts"]["pages"]


def straightforward(folder: Path, workers: int, defaults: bool) -> Turn:
    """The script, once. defaults: rapidocr's detector looks at every box."""
    command = ["straightforward.py", str(folder / "batch"), "--out", str(folder / "marks.csv")]
    cost, told = _told([*command, "--workers", str(workers), *(["--defaults"] if defaults else [])])
    return Turn(told["seconds"], cost)


def _told(command: list[str]) -> tuple[trees.Cost, dict[str, Any]]:
    with tempfile.TemporaryFile() as stdout:
        cost = trees.ran([sys.executable, str(HERE / command[0]), *command[1:]], stdout)
        stdout.seek(0)
        return cost, json.loads(stdout.read().splitlines()[-1])


def read_by_grader(run: Path) -> tuple[Answers, dict[str, str]]:
    """(answers, file name → candidate) of the run."""
    from grader.store.store import RunStore

    with RunStore.open(run) as store:
        answers = {(Path(row.file or "").name, row.item): row.response for row in store.results()}
        return answers, {Path(row.file).name: row.candidate for row in store.ledger()}


def read_by_script(path: Path) -> tuple[Answers, dict[str, str]]:
    """The same of the script's CSV file."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    answers = {(Path(row["file"]).name, row["item"]): row["answer"] for row in rows}
    return answers, {Path(row["file"]).name: row["candidate"] for row in rows}


def quality(truths: list[batches.PageTruth], answers: Answers, candidates: dict[str, str]) -> dict[str, float]:
    """Shares of choices and of candidate numbers that are right, and the error rate of characters in per cent."""
    pairs = [
        (wanted, answers.get((truth.file, item), ""), int(item) <= batches.CHOICES)
        for truth in truths
        for item, wanted in truth.answers.items()
    ]
    written = [(wanted, found) for wanted, found, choice in pairs if not choice]
    return {
        "choices": statistics.mean(wanted == found for wanted, found, choice in pairs if choice),
        "candidates": statistics.mean(candidates.get(truth.file) == truth.candidate for truth in truths),
        "cer_percent": error_rate([one for one, _ in written], [other for _, other in written])[0],
    }


def ratios(turns: Mapping[str, list[Turn]]) -> dict[str, float]:
    """How many times faster grader is: steady, whole commands, processor time."""
    pairs = list(zip(turns["straightforward"], turns["grader"], strict=True))
    return {
        "steady": statistics.median(a.steady / b.steady for a, b in pairs),
        "with start": statistics.median(a.cost.wall / b.cost.wall for a, b in pairs),
        "processor time": statistics.median(a.cost.cpu / b.cost.cpu for a, b in pairs),
    }


def show(turns: Mapping[str, list[Turn]], right: Mapping[str, dict[str, float]], pages: int, workers: int) -> None:
    columns = [
        "",
        "pages/s steady",
        "s with start",
        "cpu s a page",
        "peak MiB",
        "choices right",
        "numbers right",
        "CER %",
    ]
    rows = []
    for name, own in turns.items():
        good, peak = right[name], max(turn.cost.peak for turn in own) / 2**20
        wall, cpu = (statistics.median(getattr(turn.cost, key) for turn in own) for key in ("wall", "cpu"))
        steady = statistics.median(turn.steady for turn in own)
        known = [f"{good['choices']:.2%}", f"{good['candidates']:.1%}", good["cer_percent"]]
        rows.append([name, pages / steady, wall, cpu / pages, peak, *known])
    harness.table(f"{pages} pages, {workers} processes; wanted: {WANTED:g} times", columns, rows)
    for name, value in ratios(turns).items():
        print(f"grader is {value:.2f} times faster ({name})")


if __name__ == "__main__":
    main()
