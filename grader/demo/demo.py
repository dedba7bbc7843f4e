"""The demo: the whole main job on a shipped exam, with simulated candidates whose true answers are known.

    exam.yaml, roster.csv → paper/ → scans/ → run/ → report/

The truth lets the demo say how well the sheets were read: every answer that was read wrong without a flag is
counted and shown.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grader.demo.simulate import Habits, PageTruth, simulate_batch
from grader.errors import UsageError
from grader.exam.exam import ChoiceItem, Exam, MultiChoiceItem
from grader.exam.load import load_exam
from grader.flags import blocking
from grader.paper.sheets import print_sheets
from grader.reading.roster import Roster
from grader.run.batch import run_batch
from grader.run.executor import Executor
from grader.run.job import Job, Settings
from grader.run.progress import Progress
from grader.store.store import RunStore

# Candidates as an exam hall has them: most mark well, a few erase, hesitate or forget.
HABITS = Habits(tick=0.02, cross=0.01, faint=0.004, erased=0.01, double=0.004)


@dataclass(frozen=True)
class Checked:
    """How the marks read compare with what was drawn. silent: wrong without a flag."""

    fields: int
    right: int
    flagged: int
    silent: tuple[str, ...]


@dataclass(frozen=True)
class Demo:
    """What the demo made."""

    summary: dict[str, Any]
    checked: Checked
    run: Path


def run_demo(
    exam_file: Path,
    out: Path,
    executor: Executor,
    *,
    candidates: int = 20,
    seed: int = 7,
    profile: str = "copier",
    say: Callable[[str], None] = lambda _: None,
    show: Callable[[Progress], None] = lambda _: None,
) -> Demo:
    """Print, fill, scan, read and mark into the folder `out`. Raises GraderError for an unusable exam or folder."""
    exam = load_exam(exam_file)
    out.mkdir(parents=True, exist_ok=True)
    _claim(out, {"exam": exam.sha256, "candidates": candidates, "seed": seed, "profile": profile})
    shutil.copyfile(exam_file, out / "exam.yaml")
    roster = _roster(out / "roster.csv", candidates, seed)
    say(f"{exam.exam.title}: {len(exam.items)} items, {candidates} candidates")
    form = print_sheets(exam, out / "paper", roster=roster)
    say(f"printed {candidates * len(form.pages)} sheets: {out / 'paper' / 'paper.pdf'}")
    pdf = out / "paper" / "paper.pdf"
    truths = simulate_batch(
        exam, form, pdf, out / "scans", roster.candidates, seed=seed, profile=profile, habits=HABITS
    )
    say(f"filled and scanned them: {out / 'scans'}")
    job = Job(exam, form, out / "paper", roster, Settings())
    summary = run_batch(job, [out / "scans"], out / "run", executor, show)
    with RunStore.open(out / "run") as store:
        checked = check_marks(exam, truths, store)
    return Demo(summary, checked, out / "run")


def _claim(out: Path, options: dict[str, Any]) -> None:
    """Make `out` the folder of this demo, or refuse it: a run would go on with the scans of the other one."""
    path = out / "demo.json"
    if path.exists() and path.read_text(encoding="utf-8") != json.dumps(options):
        raise UsageError(f"{out} holds a demo with other options", "name another --out, or delete the folder")
    path.write_text(json.dumps(options), encoding="utf-8")


def check_marks(exam: Exam, truths: Sequence[PageTruth], store: RunStore) -> Checked:
    """Compare the choices read with the choices drawn; marks drawn to be doubtful are left out."""
    choices = {item.id for item in exam.items if isinstance(item, ChoiceItem | MultiChoiceItem)}
    meant = {
        (truth.candidate, field.field): field.value
        for truth in truths
        for field in truth.fields
        if field.field in choices and not field.doubtful
    }
    right = flagged = 0
    silent = []
    for row in store.results():
        wanted = meant.get((row.candidate, row.item))
        if wanted is None:
            continue
        if blocking(row.flags):
            flagged += 1
        elif set(row.response) == set(wanted):
            right += 1
        else:
            silent.append(f"{row.candidate} item {row.item}: drawn {wanted!r}, read {row.response!r}")
    return Checked(right + flagged + len(silent), right, flagged, tuple(silent))


def _roster(path: Path, candidates: int, seed: int) -> Roster:
    """Candidate numbers by chance, as a centre's list would have them."""
    numbers = np.random.default_rng(seed).choice(90_000_000, candidates, replace=False) + 10_000_000
    path.write_text("candidate\n" + "".join(f"{number}\n" for number in sorted(numbers)), encoding="utf-8")
    return Roster.load(path)
