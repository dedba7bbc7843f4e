"""The main job through the real command line, on simulated scans whose truth is known."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from hostile import write_damaged, write_foreign_form

from grader.demo.simulate import PageTruth, simulate_batch
from grader.exam.form import Form, load_form
from grader.exam.load import load_exam
from grader.flags import blocking
from grader.resources import rubrics_dir

EXAM = rubrics_dir() / "physics-g8-zh.yaml"
CANDIDATES = tuple(str(n) for n in range(20260101, 20260107))


def grader(*arguments: object, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """The command line, as a user runs it."""
    command = [sys.executable, "-m", "grader", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@dataclass(frozen=True)
class Printed:
    """Sheets printed by the command line and filled by simulated candidates."""

    folder: Path
    form: Form
    truths: list[PageTruth]

    def arguments(self, scans: Path, out: Path) -> list[object]:
        roster = self.folder / "roster.csv"
        form = self.folder / "paper" / "form.json"
        return [
            "run",
            EXAM,
            "--form",
            form,
            "--scans",
            scans,
            "--out",
            out,
            "--candidates",
            roster,
            "--workers",
            2,
        ]


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> Printed:
    folder = tmp_path_factory.mktemp("exam")
    (folder / "roster.csv").write_text("candidate,name\n" + "".join(f"{c},学生{c[-1]}\n" for c in CANDIDATES))
    made = grader("paper", EXAM, "--out", folder / "paper", "--candidates", folder / "roster.csv")
    assert made.returncode == 0, made.stderr
    form = load_form(folder / "paper" / "form.json")
    pdf = folder / "paper" / "paper.pdf"
    truths = simulate_batch(load_exam(EXAM), form, pdf, folder / "scans", CANDIDATES, seed=3, profile="copier")
    return Printed(folder, form, truths)


@pytest.fixture(scope="module")
def clean(printed: Printed) -> Path:
    """A run over the good scans, without interruption."""
    out = printed.folder / "clean"
    done = grader(*printed.arguments(printed.folder / "scans", out))
    assert done.returncode == 0, done.stderr
    return out


def test_every_page_and_answer_is_accounted_for(printed: Printed, clean: Path) -> None:
    counts = json.loads((clean / "run.json").read_text())["counts"]
    items = len(load_exam(EXAM).items)
    assert counts["pages"] == counts["read"] == len(printed.truths)
    assert counts["responses"] == items * len(CANDIDATES)
    assert counts["responses"] == counts["final"] + counts["proposed"] + counts["review"]
    results = rows(clean / "results.csv")
    assert Counter(row["candidate"] for row in results) == dict.fromkeys(CANDIDATES, items)
    ledger = rows(clean / "ledger.csv")
    assert sorted(Path(row["file"]).name for row in ledger) == sorted(truth.file for truth in printed.truths)
    whose = {truth.file: (truth.candidate, str(truth.page)) for truth in printed.truths}
    assert {Path(r["file"]).name: (r["candidate"], r["sheet_page"]) for r in ledger} == whose


def test_no_choice_is_silently_wrong(printed: Printed, clean: Path) -> None:
    drawn = {
        (truth.candidate, field.field): field
        for truth in printed.truths
        for field in truth.fields
        if field.kind == "marks" and field.role == "item"
    }
    results = [row for row in rows(clean / "results.csv") if (row["candidate"], row["item"]) in drawn]
    assert len(results) == len(drawn) > 40
    right = 0
    for row in results:
        field = drawn[row["candidate"], row["item"]]
        if not blocking(tuple(row["flags"].split())):
            assert set(row["response"]) == set(field.value), (row, field)
            assert row["status"] == "final"
            right += 1
    assert right > 0.95 * len(results)


def test_free_text_marks_are_never_final(clean: Path) -> None:
    short = {item.id for item in load_exam(EXAM).items if item.type == "short_answer"}
    statuses = {row["status"] for row in rows(clean / "results.csv") if row["item"] in short}
    assert statuses <= {"proposed", "review"}
    assert statuses


def test_names_stay_out_of_the_run(clean: Path) -> None:
    for path in clean.iterdir():
        assert "学生".encode() not in path.read_bytes(), path


def test_replay_gives_the_same_marks(printed: Printed, clean: Path) -> None:
    replayed = grader("replay", clean)
    assert replayed.returncode == 0, replayed.stderr
    assert "0 differ" in replayed.stderr
    assert "0 from stored crops" in replayed.stderr


def test_replay_without_the_scans_and_after_tampering(printed: Printed, clean: Path, tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    shutil.copytree(printed.folder / "scans", scans)
    for path in sorted(scans.iterdir())[len(printed.form.pages) :]:
        path.unlink()
    out = tmp_path / "run"
    assert grader(*printed.arguments(scans, out)).returncode == 0
    shutil.rmtree(scans)
    replayed = grader("replay", out)
    assert replayed.returncode == 0, replayed.stderr + replayed.stdout
    assert "(0 from scans" in replayed.stderr
    with sqlite3.connect(out / "run.sqlite") as raw:
        raw.execute("DROP TRIGGER event_no_update")
        raw.execute("""UPDATE event SET body = replace(body, '"mark":2.0', '"mark":1.0')""")
    assert grader("replay", out).returncode == 1, "a mark changed by hand is found"


def test_running_again_reads_nothing_twice(printed: Printed, clean: Path) -> None:
    before = (clean / "results.csv").read_bytes(), (clean / "ledger.csv").read_bytes()
    again = grader(*printed.arguments(printed.folder / "scans", clean))
    assert again.returncode == 0
    assert json.loads((clean / "run.json").read_text())["resumed_pages"] == len(printed.truths)
    assert ((clean / "results.csv").read_bytes(), (clean / "ledger.csv").read_bytes()) == before


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_stopped_and_resumed(printed: Printed, clean: Path, tmp_path: Path, sent: signal.Signals) -> None:
    out = tmp_path / "run"
    # A shell's background job ignores Ctrl-C, and so would what it starts: env makes the run heed it in any case.
    heeding = ["env", "--default-signal=INT", sys.executable, "-m", "grader"]
    command = [*heeding, *map(str, printed.arguments(printed.folder / "scans", out))]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 120
        while journalled(out) == 0 and time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(sent)
        _, said = process.communicate(timeout=60)
    assert process.returncode == (130 if sent == signal.SIGINT else -signal.SIGKILL), said
    if sent == signal.SIGINT:
        assert "resume" in said
    part = journalled(out)
    assert 0 < part < len(printed.truths), "it was stopped in the middle"
    resumed = grader(*printed.arguments(printed.folder / "scans", out))
    assert resumed.returncode == 0, resumed.stderr
    assert json.loads((out / "run.json").read_text())["resumed_pages"] == part
    for name in ("results.csv", "ledger.csv"):
        assert (out / name).read_bytes() == (clean / name).read_bytes()


def journalled(out: Path) -> int:
    """Pages in the journal of a run that may not have begun."""
    try:
        with sqlite3.connect(f"file:{out / 'run.sqlite'}?mode=ro", uri=True) as raw:
            return int(raw.execute("SELECT count(*) FROM event WHERE kind = 'page'").fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def test_a_bad_day(printed: Printed, clean: Path, tmp_path: Path) -> None:
    """Damaged files, a foreign form, a stack upside down, a page scanned twice, one missing: all else is marked."""
    import cv2

    scans = tmp_path / "scans"
    shutil.copytree(printed.folder / "scans", scans)
    expected = write_damaged(scans / "damaged")
    write_foreign_form(scans / "foreign.jpg")
    good = sorted(scans.glob("scan-*.jpg"))
    pages = len(printed.form.pages)
    for path in good[:pages]:  # the first candidate's pages lay upside down
        picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        cv2.imwrite(str(path), cv2.rotate(picture, cv2.ROTATE_180), [cv2.IMWRITE_JPEG_QUALITY, 95])
    shutil.copyfile(good[pages], scans / "twice.jpg")
    lost = next(t for t in printed.truths if t.file == good[-1].name)
    good[-1].unlink()

    out = tmp_path / "run"
    done = grader(*printed.arguments(scans, out))
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    ledger = rows(out / "ledger.csv")
    fed = sorted(str(path) for path in scans.rglob("*") if path.is_file())
    assert sorted(row["file"] for row in ledger if row["file"]) == fed, "one row for every file"
    by_file = {row["file"]: row for row in ledger}
    for path, reason in expected.items():
        assert (by_file[str(path)]["outcome"], by_file[str(path)]["reason"]) == ("rejected", reason)
    assert by_file[str(scans / "foreign.jpg")]["outcome"] == "unmatched"
    assert by_file[str(scans / "twice.jpg")]["reason"] == "duplicate_file"
    missing = [(row["candidate"], row["sheet_page"]) for row in ledger if row["reason"] == "missing_page"]
    assert missing == ([(lost.candidate, str(lost.page))] if pages > 1 else [])

    turned = {t.candidate for t in printed.truths if t.file in {path.name for path in good[:pages]}}
    others = set(CANDIDATES) - turned - {lost.candidate}
    assert [r for r in rows(out / "results.csv") if r["candidate"] in others] == [
        r for r in rows(clean / "results.csv") if r["candidate"] in others
    ]
    counts = json.loads((out / "run.json").read_text())["counts"]
    assert counts["pages"] == len(fed) == sum(counts[k] for k in ("read", "rejected", "duplicate", "unmatched"))
    assert all(by_file[str(path)]["outcome"] == "read" for path in good[:pages]), "an upside-down stack is read"


def test_one_worker_and_this_process_give_the_same(printed: Printed, clean: Path, tmp_path: Path) -> None:
    for options in (["--executor", "serial"], ["--workers", "1"]):
        out = tmp_path / options[1]
        done = grader(*printed.arguments(printed.folder / "scans", out), *options)
        assert done.returncode == 0, done.stderr
        assert (out / "results.csv").read_bytes() == (clean / "results.csv").read_bytes()


def test_unusable_input_marks_nothing(printed: Printed, clean: Path, tmp_path: Path) -> None:
    other = rubrics_dir() / "science-g7-en.yaml"
    form, scans = printed.folder / "paper" / "form.json", printed.folder / "scans"
    foreign = grader("run", other, "--form", form, "--scans", scans, "--out", tmp_path / "a")
    assert foreign.returncode == 2
    assert "belongs to exam" in foreign.stderr
    (tmp_path / "form.json").write_text("{}")
    broken = grader("run", EXAM, "--form", tmp_path / "form.json", "--scans", scans, "--out", tmp_path / "b")
    assert broken.returncode == 2
    assert "remedy" in broken.stderr
    without_roster = list(printed.arguments(scans, clean))
    at = without_roster.index("--candidates")
    reused = grader(*without_roster[:at], *without_roster[at + 2 :])
    assert reused.returncode == 2
    assert "another" in reused.stderr
    for done in (foreign, broken, reused):
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "a").exists()


def test_help_is_light() -> None:
    code = (
        "import sys; sys.argv = ['grader', '--help']\n"
        "from grader.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'cv2', 'onnxruntime', 'paddle', 'sklearn', 'numpy', 'sympy', 'pint'}\n"
        "loaded = heavy & set(sys.modules)\n"
        "sys.exit(f'loaded {loaded}' if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
