"""A night of 20,000 pages with everything that can go wrong, against the same night without it: equal stores.

    python benchmarks/endurance.py [--pages 20000] [--keep FOLDER]

Pages: A4 at 110 dpi, 10 choice items and a six-digit candidate number, one page a candidate; one mark in fifty is too
faint to be sure of, so that there are crops in the store. What is done to the second run: a worker killed every few
hundred pages; the coordinator killed (SIGKILL), after which the store's write-ahead log is torn at a random byte as
by a power cut, and the run started again; its disk full until somebody makes room; a PDF that renders for days and
one that takes all memory among the scans; the clock set back by a day in mid-run (where there is a C compiler).
At the end both stores, results and ledgers are compared (tests/stores.py): the exit is 1 if anything differs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pypdfium2 as pdfium
from harness import table, write

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
from bombs import endless_pdf, swelling_pdf
from faults import Clock, Run, cut_power, fill, small_disk, survives_power_cuts
from stores import contents, differences, journaled

from grader.demo.pencil import Tool, draw_mark
from grader.exam.exam import Exam
from grader.exam.form import MarksField, load_form
from grader.paper.sheets import print_sheets

SEED = 20261122
DPI = 110
SCALE = DPI / 25.4  # pixels a millimetre
DIGITS = 6
FAINT = 0.02  # of the marks
IN_FOLDER = 1000  # scans
LIMITS = ("--page-seconds", "20", "--page-memory", "768")
FULL_AT, CLOCK_AT = 0.3, 0.6  # of the pages
FULL_SECONDS = 10.0
CUTS = 10  # power cuts tried on copies at every stop
DAY = 24 * 60 * 60


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pages", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=300, help="pages between two killed workers, about")
    parser.add_argument("--stops", type=int, default=6, help="how often the coordinator is killed")
    parser.add_argument("--keep", type=Path, help="make the pages here and leave them for the next time")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        scans = make(folder, options.pages)
        common = [str(folder / "exam.yaml"), "--form", str(folder / "form.json"), "--workers", "2"]
        calm, start = Path(scratch) / "calm", time.perf_counter()
        with Run([*common, *_given(scans)], calm) as run:
            run.process.wait()
            assert journaled(calm) == options.pages, run.said()
        result: dict[str, Any] = {"pages": options.pages, "seed": SEED, "dpi": DPI}
        result["calm_seconds"] = time.perf_counter() - start
        bombs = make_bombs(folder / "bombs")
        middle = len(scans) // 2
        given = _given([*scans[:middle], folder / "bombs", *scans[middle:]])
        with ExitStack() as stack:
            home = Path(scratch) / "night"
            room = 2 * sum(file.stat().st_size for file in calm.iterdir()) + (64 << 20)
            try:
                stack.enter_context(small_disk(home, room))
            except PermissionError as error:
                print(f"skipped: the full disk ({error})")
            night = Night([*common, *given, *LIMITS], home / "run", options)
            night.pass_by()
            result["night"] = night.happened
            found = differences(night.out, calm, without=frozenset(bombs))
            reasons = {row[0]: row[3] for row in contents(night.out)["ledger.csv"]}
        found += [f"{file}: {reasons.get(file)}, not {why}" for file, why in bombs.items() if reasons.get(file) != why]
        result["differences"] = found
    title = f"A night of {options.pages} pages and {len(bombs)} that never end; without faults it takes "
    table(f"{title}{result['calm_seconds']:.0f} s", ["what happened", ""], list(night.happened.items()))
    print("\n".join(found) or "equal: every page, answer, crop and row of the results and the ledger; both balance")
    write("endurance", result)
    return int(bool(found))


def _clock(folder: Path) -> Clock | None:
    try:
        return Clock(folder)
    except FileNotFoundError:
        print("skipped: the clock set back (there is no C compiler)")
        return None


def _given(folders: Sequence[Path]) -> list[str]:
    return [part for folder in folders for part in ("--scans", str(folder))]


class Night:
    """One run to its end, through everything. happened: what was done to it, and how often."""

    def __init__(self, arguments: Sequence[str], out: Path, options: argparse.Namespace) -> None:
        self.arguments, self.out, self.options = arguments, out, options
        self.happened: Counter[str] = Counter()
        self._rng = np.random.default_rng(SEED)
        self._clock = _clock(out.parent.parent)
        self._next_kill = self._next(0)
        self._full = self._back = False
        out.parent.mkdir(exist_ok=True)

    def pass_by(self) -> None:
        """Start the run again and again until it is done."""
        start = time.perf_counter()
        stops = [(n + 1) * self.options.pages // (self.options.stops + 1) for n in range(self.options.stops)]
        for stop in (*stops, None):
            with Run(self.arguments, self.out, self._environment()) as run:
                if self._disturbed_until(run, stop):
                    pages = journaled(self.out)
                    run.kill()
                    self._cut_power(pages)
                else:
                    assert run.process.wait() in (0, 1), run.said()
                    break
        self.happened["seconds"] = round(time.perf_counter() - start)

    def _disturbed_until(self, run: Run, stop: int | None) -> bool:
        """Do what is due as the pages come; True once there are `stop`, False where the run ended by itself."""
        while run.process.poll() is None:
            pages = journaled(self.out)
            if stop is not None and pages >= stop:
                return True
            if pages >= self._next_kill and run.kill_worker(self._rng):
                self.happened["workers killed"] += 1
                self._next_kill = self._next(pages)
            if pages >= FULL_AT * self.options.pages and not self._full and os.path.ismount(self.out.parent):
                self._fill_disk(run)
            if pages >= CLOCK_AT * self.options.pages and not self._back and self._clock:
                self._clock.set_by(-DAY)
                self._back = True
                self.happened["clock set back, days"] += 1
            time.sleep(0.05)
        return False

    def _fill_disk(self, run: Run) -> None:
        ballast = fill(self.out.parent)
        assert run.wait_for(lambda: "waiting up to" in run.said()), "it did not notice the full disk"
        held = journaled(self.out)
        time.sleep(FULL_SECONDS)
        assert journaled(self.out) == held
        ballast.unlink()
        assert run.wait_for(lambda: "there is room again" in run.said())
        self._full = True
        self.happened["disk full, seconds"] += round(FULL_SECONDS)

    def _cut_power(self, pages: int) -> None:
        self.happened["coordinator killed"] += 1
        store = self.out / "run.sqlite"
        copy = self.out.parent.parent / "copy"
        held = survives_power_cuts(store, self._rng, copy, CUTS)
        self.happened["power cuts on copies, store sound"] += len(held)
        most = max(0, pages - min(held))
        self.happened["pages that a cut lost at most"] = max(self.happened["pages that a cut lost at most"], most)
        cut_power(store, self._rng)
        self.happened["power cut and went on"] += 1
        self.happened["pages lost by that and read again"] += max(0, pages - journaled(self.out))

    def _next(self, pages: int) -> int:
        return pages + round(self.options.kills * self._rng.uniform(0.5, 1.5))

    def _environment(self) -> dict[str, str]:
        """With a clock that can be set, until it was."""
        if self._clock is None or self._back:
            return {}
        self._clock.set_by(0)
        return self._clock.environment


def make(folder: Path, pages: int) -> list[Path]:
    """Write exam, form and scans where they are not yet; the folders of the scans."""
    folders = [folder / "scans" / f"{first // IN_FOLDER:03d}" for first in range(0, pages, IN_FOLDER)]
    if not (folder / "form.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        items = [
            {"id": str(n + 1), "type": "choice", "options": "ABCD", "answer": "B", "max_mark": 2} for n in range(10)
        ]
        exam = Exam.model_validate({"exam": {"id": "night", "title": "A night", "language": "en"}, "items": items})
        (folder / "exam.yaml").write_text(exam.canonical(), encoding="utf-8")
        print_sheets(exam, folder, digits=DIGITS)
    work = [(folder, place, min(IN_FOLDER, pages - n * IN_FOLDER), n * IN_FOLDER) for n, place in enumerate(folders)]
    with get_context("spawn").Pool() as pool:
        pool.starmap(_fill_folder, work, chunksize=1)
    return folders


def _fill_folder(folder: Path, place: Path, count: int, first: int) -> None:
    cv2.setNumThreads(1)
    page = load_form(folder / "form.json").pages[0]
    document = pdfium.PdfDocument(str(folder / "paper.pdf"))
    bitmap = document[0].render(scale=DPI / 72, grayscale=True)
    blank = bitmap.to_numpy().reshape(bitmap.height, bitmap.width, -1)[:, :, 0]
    fields = [field for field in page.fields if isinstance(field, MarksField)]
    place.mkdir(parents=True, exist_ok=True)
    for number in range(first, first + count):
        path = place / f"scan-{number:06d}.jpg"
        if path.exists():
            continue
        rng = np.random.default_rng([SEED, number])
        sheet, tool = blank.copy(), Tool.draw(rng, rng.random() < 0.75)
        for field in fields:
            if field.role == "candidate":
                digits = f"{100_000 + number:06d}"
                chosen = [bubble for bubble in field.bubbles if bubble.label == digits[bubble.position]]
            else:
                chosen = [field.bubbles[int(rng.integers(len(field.bubbles)))]]
            for bubble in chosen:
                faint = field.role != "candidate" and rng.random() < FAINT
                draw_mark(sheet, SCALE, bubble, "faint" if faint else "fill", tool, rng)
        cv2.add(cv2.multiply(sheet, 0.96), rng.integers(0, 8, sheet.shape, dtype=np.uint8), dst=sheet)
        cv2.imwrite(str(path), sheet, [cv2.IMWRITE_JPEG_QUALITY, 80])


def make_bombs(folder: Path) -> dict[str, str]:
    """Files that stop whoever reads them → the reason that the ledger must give."""
    folder.mkdir(exist_ok=True)
    (folder / "endless.pdf").write_bytes(endless_pdf())
    (folder / "swelling.pdf").write_bytes(swelling_pdf())
    return {str(folder / "endless.pdf"): "timed_out", str(folder / "swelling.pdf"): "out_of_memory"}


if __name__ == "__main__":
    sys.exit(main())
