"""What every benchmark shares: where the data is, fair timing, a table on stdout and a JSON file.

Times are taken in turns (A B A B ...) on the same work in the same process, and quoted as medians and
as ratios of neighbouring pairs, because machines are shared and drift.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("GRADER_DATA", ROOT.parent / "shared" / "data"))
OUT = Path(os.environ.get("GRADER_BENCH_OUT", ROOT / "bench-out"))


def need(path: Path) -> Path:
    """The path, or an exit that says what is missing."""
    if not path.exists():
        raise SystemExit(f"this benchmark needs {path}; set GRADER_DATA to the folder of the data sets")
    return path


def need_rapidocr() -> None:
    """An exit that says what to install, where there is nothing on the shelf to compare with."""
    if find_spec("rapidocr") is None:
        raise SystemExit("this comparison needs rapidocr: pip install rapidocr==3.10.0")


def interleaved(work: Mapping[str, Callable[[], object]], repeats: int = 5) -> dict[str, list[float]]:
    """Seconds of each callable, run in turns `repeats` times after one warm-up round."""
    seconds: dict[str, list[float]] = {name: [] for name in work}
    for round_number in range(repeats + 1):
        for name, run in work.items():
            start = time.perf_counter()
            run()
            if round_number:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def median_ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Median of the ratios of neighbouring pairs."""
    return statistics.median(a / b for a, b in zip(numerator, denominator, strict=True))


def table(title: str, header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table on stdout."""
    cells = [[str(c) if not isinstance(c, float) else f"{c:.4g}" for c in row] for row in [header, *rows]]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    print(f"\n{title}")
    for number, row in enumerate(cells):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
        if number == 0:
            print("  ".join("-" * width for width in widths))


def write(name: str, result: Mapping[str, Any]) -> Path:
    """Write the JSON of a benchmark to bench-out/NAME.json with the machine's description."""
    OUT.mkdir(parents=True, exist_ok=True)
    path = OUT / f"{name}.json"
    machine = {"python": platform.python_version(), "machine": platform.machine(), "cores": os.cpu_count()}
    path.write_text(json.dumps({"machine": machine, **result}, ensure_ascii=False, indent=1) + "\n")
    print(f"\nwritten: {path}")
    return path
