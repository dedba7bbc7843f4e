"""How fast are marks read on grader's own sheets, one core, beside plain decoding and beside OMRChecker?

    python benchmarks/speed.py [--sheets 40] [--omrchecker CHECKOUT --omrchecker-python PYTHON]

Sheets: A4, 8-digit candidate grid and 40 choice items (A to D), filled and scanned as by an office scanner
at 200 dpi, gray JPEG. "decode" is cv2.imdecode alone of the same bytes. Everything is run in turns in one
process on one thread; medians over rounds, and ratios of neighbouring runs.

OMRChecker reads the same scans through a template of the same sheet (its CropOnMarkers), with its own
defaults, in its own process. Its copies have a ring in place of the solid square, as it needs four alike, and
no QR code, whose corners it takes for rings. Its time per sheet is the difference between a run over all
sheets and a run over one, so that neither its start nor its imports count; the whole process is quoted
beside `grader read-marks` as a whole process.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from harness import interleaved, median_ratio, table, write

from grader.demo.simulate import PageTruth, simulate_batch
from grader.exam.exam import Exam
from grader.exam.form import CodeField, Form, MarksField, load_form
from grader.intake.quality import check_quality
from grader.paper.sheets import print_sheets
from grader.reading.page import open_page, read_page
from grader.reading.roster import Entry, Roster
from grader.records import Page, PageRef

SEED = 41
PIXELS_PER_MM = 10  # of the OMRChecker template
_LAUNCHER = """
import runpy, sys, types
import cv2
cv2.setNumThreads(1)
screen = types.ModuleType("screeninfo")  # it asks for a monitor even where it shows nothing
screen.get_monitors = lambda: [types.SimpleNamespace(width=1280, height=1024)]
sys.modules["screeninfo"] = screen
sys.argv = ["main.py", *sys.argv[1:]]
sys.path.insert(0, ".")
runpy.run_path("main.py", run_name="__main__")
"""


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sheets", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--omrchecker", type=Path, help="a checkout of OMRChecker")
    parser.add_argument("--omrchecker-python", default=sys.executable, help="a Python with its requirements")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        form, truths = sheets(folder, options.sheets)
        result: dict[str, Any] = {"sheets": options.sheets, "rounds": options.rounds, "seed": SEED}
        result["grader"] = _grader(form, folder, truths, options.rounds)
        if options.omrchecker is not None:
            result["omrchecker"] = _omrchecker(form, folder, truths, options, result["grader"]["pages_per_s"])
    write("speed", result)
    return result


def exam() -> Exam:
    """Forty choice items."""
    items = [{"id": str(n + 1), "type": "choice", "options": "ABCD", "answer": "A", "max_mark": 2} for n in range(40)]
    return Exam.model_validate({"exam": {"id": "speed", "title": "Speed", "language": "en"}, "items": items})


def sheets(folder: Path, count: int, first: int = 0, printed: bool = False) -> tuple[Form, list[PageTruth]]:
    """`count` scans as gray JPEG files in folder/scans, their form and what is on them. first: of the candidates, from
    0. printed: sheets with the candidate's number in the page code."""
    candidates = [str(20260001 + first + n) for n in range(count)]
    roster = Roster([Entry(candidate) for candidate in candidates]) if printed else None
    print_sheets(exam(), folder, roster=roster, digits=8)
    form = load_form(folder / "form.json")
    truths = simulate_batch(exam(), form, folder / "paper.pdf", folder / "scans", candidates, seed=SEED + first)
    for path in (folder / "scans").iterdir():
        gray = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
        assert gray is not None
        cv2.imwrite(str(path), gray, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return form, truths


def _grader(form: Form, folder: Path, truths: list[PageTruth], rounds: int) -> dict[str, Any]:
    refs = [PageRef(str(folder / "scans" / truth.file)) for truth in truths]
    encoded = [np.frombuffer(Path(ref.file).read_bytes(), np.uint8) for ref in refs]
    wrong = 0

    def decode() -> None:
        for data in encoded:
            cv2.imdecode(data, cv2.IMREAD_GRAYSCALE)

    def marks() -> None:
        for ref, data in zip(refs, encoded, strict=True):
            gray = np.asarray(cv2.imdecode(data, cv2.IMREAD_GRAYSCALE))
            read_page(Page(ref, gray, None, ""), form, folder)

    def read() -> None:
        nonlocal wrong
        for ref, truth in zip(refs, truths, strict=True):
            page = open_page(ref, form)
            check_quality(page)
            _, readings = read_page(page, form, folder)
            values = {reading.field: reading.value for reading in readings}
            wrong += sum(values[field.field] != field.value for field in truth.fields if field.kind == "marks")

    seconds = interleaved({"decode": decode, "marks": marks, "read": read}, rounds)
    per_s = {name: len(refs) / statistics.median(times) for name, times in seconds.items()}
    ratios = {name: median_ratio(seconds[name], seconds["decode"]) for name in ("marks", "read")}
    fields = sum(field.kind == "marks" for truth in truths for field in truth.fields) * (rounds + 1)
    table(
        f"Mark reading, one core: {len(refs)} A4 pages, 200 dpi, gray JPEG; medians of {rounds} rounds in turns",
        ["", "pages/s", "ms/page", "time / decoding"],
        [
            ["plain gray decoding", per_s["decode"], 1000 / per_s["decode"], 1.0],
            ["decode, register, code, marks", per_s["marks"], 1000 / per_s["marks"], ratios["marks"]],
            ["the same with file checks and quality gate", per_s["read"], 1000 / per_s["read"], ratios["read"]],
        ],
    )
    print(f"wrong values: {wrong} of {fields}")
    return {
        "decode_pages_per_s": per_s["decode"], "pages_per_s": per_s["read"], "marks_pages_per_s": per_s["marks"],
        "ratio_to_decoding": ratios,
        "wrong_values": wrong, "values": fields, "seconds": seconds,
    }  # fmt: skip


# --- OMRChecker -----------------------------------------------------------------------------------------


def _omrchecker(
    form: Form, folder: Path, truths: list[PageTruth], options: argparse.Namespace, own: float
) -> dict[str, Any]:
    whole, single = folder / "whole", folder / "single"
    for place, chosen in ((whole, truths), (single, truths[:1])):
        place.mkdir()
        (place / "template.json").write_text(json.dumps(template(form), indent=1))
        cv2.imwrite(str(place / "omr_marker.jpg"), marker())
        for truth in chosen:
            with_rings(folder / "scans" / truth.file, truth, form, place / truth.file)
    command = [options.omrchecker_python, "-c", _LAUNCHER]
    times: dict[str, list[float]] = {"whole": [], "single": [], "grader": []}
    for round_number in range(4):
        for name, place in (("whole", whole), ("single", single)):
            start = time.perf_counter()
            subprocess.run(
                [*command, "-i", str(place), "-o", str(folder / f"out-{name}-{round_number}")],
                cwd=options.omrchecker, check=True, capture_output=True,
            )  # fmt: skip
            times[name].append(time.perf_counter() - start)
        times["grader"].append(_whole_process(folder))
    per_page = statistics.median(
        (w - s) / (len(truths) - 1) for w, s in zip(times["whole"][1:], times["single"][1:], strict=True)
    )
    right, total = _score(folder / "out-whole-0", truths)
    process = {name: statistics.median(seconds[1:]) for name, seconds in times.items()}
    table(
        "Beside OMRChecker on the same sheets",
        ["", "pages/s", "whole process, s", "right values"],
        [
            ["OMRChecker", 1 / per_page, process["whole"], f"{right} of {total}"],
            ["grader", own, process["grader"], "see above"],
            ["times", own * per_page, process["whole"] / process["grader"], ""],
        ],
    )
    return {"pages_per_s": 1 / per_page, "times": own * per_page, "process_s": process, "right": right, "values": total}


def _whole_process(folder: Path) -> float:
    """Seconds of `grader read-marks` over all scans, with its start."""
    start = time.perf_counter()
    arguments = ["--form", str(folder / "form.json"), str(folder / "scans"), "--out", str(folder / "marks.csv")]
    subprocess.run([sys.executable, "-m", "grader", "read-marks", *arguments], check=True, capture_output=True)
    return time.perf_counter() - start


def template(form: Form) -> dict[str, Any]:
    """The sheet as an OMRChecker template: pixels from the centre of the top left corner mark."""
    page = form.pages[0]
    left, top = page.fiducials[0].x, page.fiducials[0].y
    blocks: dict[str, Any] = {}
    for field in page.fields:
        if not isinstance(field, MarksField):
            continue
        first = field.bubbles[0]
        positions = 1 + max(bubble.position for bubble in field.bubbles)
        here = [bubble for bubble in field.bubbles if bubble.position == 0]
        along = (here[1].x - here[0].x) or (here[1].y - here[0].y)
        labels = [f"roll1..{positions}"] if positions > 1 else [f"q{field.id}"]
        pitch = next((b.x - first.x for b in field.bubbles if b.position == 1), 0)
        blocks[field.id] = {
            "fieldType": "QTYPE_INT" if positions > 1 else "QTYPE_MCQ4",
            "fieldLabels": labels,
            "bubblesGap": round(along * PIXELS_PER_MM),
            "labelsGap": round(pitch * PIXELS_PER_MM),
            "origin": [round((first.x - left) * PIXELS_PER_MM), round((first.y - top) * PIXELS_PER_MM)],
            "bubbleDimensions": [round(first.w * PIXELS_PER_MM), round(first.h * PIXELS_PER_MM)],
        }
    width, height = (page.width - 2 * left) * PIXELS_PER_MM, (page.height - 2 * top) * PIXELS_PER_MM
    options = {"relativePath": "omr_marker.jpg", "sheetToMarkerWidthRatio": page.width / page.fiducials[0].size}
    return {
        "pageDimensions": [round(width), round(height)],
        "bubbleDimensions": [46, 28],
        "preProcessors": [{"name": "CropOnMarkers", "options": options}],
        "fieldBlocks": blocks,
    }


def with_rings(scan: Path, truth: PageTruth, form: Form, out: Path) -> None:
    """Copy a scan with a ring in place of the solid square, and without the page code."""
    gray = cv2.imread(str(scan), cv2.IMREAD_GRAYSCALE)
    assert gray is not None
    ring = marker()
    for fiducial in form.pages[0].fiducials:
        if fiducial.kind == "square":
            half = fiducial.size / 2
            gray = _pasted(gray, ring, truth, (fiducial.x - half, fiducial.y - half, fiducial.size))
    for field in form.pages[0].fields:
        if isinstance(field, CodeField):
            gray = _pasted(gray, np.full_like(ring, 245), truth, (field.x, field.y, field.w))
    cv2.imwrite(str(out), gray, [cv2.IMWRITE_JPEG_QUALITY, 85])


def _pasted(gray: np.ndarray, stamp: np.ndarray, truth: PageTruth, box: tuple[float, float, float]) -> np.ndarray:
    """The scan with a square picture at a box (x, y, side in millimetres) of the page."""
    x, y, side = box
    scale = side / len(stamp)
    matrix = np.array(truth.to_pixels) @ np.array([[scale, 0, x], [0, scale, y], [0, 0, 1]])
    shape = gray.shape[::-1]
    inside = cv2.warpPerspective(np.full_like(stamp, 255), matrix, shape)
    return np.where(inside > 127, cv2.warpPerspective(stamp, matrix, shape), gray)


def marker() -> np.ndarray:
    """The corner ring as a picture."""
    ring = np.zeros((140, 140), np.uint8)
    ring[20:120, 20:120] = 255
    ring[40:100, 40:100] = 0
    return ring


def _score(folder: Path, truths: list[PageTruth]) -> tuple[int, int]:
    """Values that OMRChecker has right, and all."""
    with next(folder.glob("**/Results/*.csv")).open(encoding="utf-8", newline="") as stream:
        rows = {row["file_id"]: row for row in csv.DictReader(stream)}
    right = total = 0
    for truth in truths:
        row = rows.get(truth.file, {})
        for field in truth.fields:
            if field.kind != "marks":
                continue
            names = [f"roll{n + 1}" for n in range(8)] if field.role == "candidate" else [f"q{field.field}"]
            total += 1
            right += "".join(row.get(name, "") for name in names) == field.value
    return right, total


if __name__ == "__main__":
    main()
