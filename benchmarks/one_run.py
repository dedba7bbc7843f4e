"""One `grader run` of a made batch, as a process of its own, so that its memory and processor time can be told.

    python benchmarks/one_run.py BATCH --out RUN [--workers 2] [--scorer lexical | trial]

The scorer "trial" is the bundle that GRADER_BENCH_BUNDLE names. Prints one JSON line: when the first and the last page
came back, and what run.json says.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from pathlib import Path
from typing import Any

import batches

from grader import registry
from grader.exam.form import load_form
from grader.run.job import Job, Settings

# named here, at import, because worker processes import the main module too
registry.ENGINES["scorer"]["trial"] = "one_run:trial"


def trial() -> Any:
    """The encoder of the bundle that is tried out."""
    from grader.scoring.encoder import EncoderScorer

    return EncoderScorer(folder=Path(os.environ["GRADER_BENCH_BUNDLE"]))


def job(batch: Path, objective: bool, scorer: str) -> Job:
    """What a run of the batch in a folder is told to do."""
    form = load_form(batch / "paper" / "form.json")
    return Job(batches.exam(objective), form, batch / "paper", None, Settings(scorer=scorer))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("batch", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--scorer", default="lexical")
    parser.add_argument("--objective", action="store_true")
    parser.add_argument("--pages", type=int, help="the first so many alone")
    options = parser.parse_args()
    from grader.run.batch import run_batch
    from grader.run.executor import LocalExecutor

    came: list[float] = []

    def show(progress: Any) -> None:
        if progress.done and not came:
            came.extend([time.perf_counter(), 0.0])
        if came:
            came[1] = time.perf_counter()

    start = time.perf_counter()
    summary = run_batch(
        job(options.batch, options.objective, options.scorer),
        sorted((options.batch / "scans").iterdir())[: options.pages],
        options.out,
        LocalExecutor(workers=options.workers),
        show,
    )
    first, last = (moment - start for moment in came)
    print(json.dumps({"first": first, "last": last, "summary": summary}))


if __name__ == "__main__":
    main()
