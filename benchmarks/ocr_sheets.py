"""Known boxes of an answer sheet against an OCR engine that is given the same page: error rate and time.

    python benchmarks/ocr_sheets.py [--repeats 3] [--profile office]

The real handwriting of data/ocr (lines, words, letters; 125 crops) is put into the answer boxes of sheets that
grader prints, with choices and candidate numbers filled in, and scanned. grader registers the page, cuts the
boxes that the form names and reads them, registration included; rapidocr, its defaults but one thread for
both, finds and reads whatever is on the page, and a line belongs to the box that its centre lies in.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

import cv2
import numpy as np
from harness import interleaved, median_ratio, need_rapidocr, table, write
from ocr import Sample, error_rate, samples, three_channels

from grader.demo.simulate import simulate_batch
from grader.exam.exam import Exam
from grader.exam.form import Form, TextField
from grader.intake.decode import load_page
from grader.ocr.ppocr import PPOCR
from grader.paper.sheets import print_sheets
from grader.reading.crops import bounding_box, cut
from grader.reading.page import read_page
from grader.records import Page, PageRef

SEED = 97
BOXES = 12  # written answers a sheet
CHOICES = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--profile", default="office")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    work = [work for work in samples() if np.median(work.crop) >= 60]  # nobody writes in white on a form
    order = np.random.default_rng(SEED).permutation(len(work))
    sheets = [[work[i] for i in order[n : n + BOXES]] for n in range(0, len(order), BOXES)]
    with tempfile.TemporaryDirectory() as folder:
        form, pages = fill(sheets, Path(folder), options.profile)
        compare(sheets, form, pages, options.repeats, options.profile)


def fill(sheets: list[list[Sample]], folder: Path, profile: str) -> tuple[Form, list[Page]]:
    """A page a sheet, printed, filled with real handwriting and scanned."""
    items = [{"type": "choice", "options": "ABCD", "answer": "ABCD"[n % 4], "max_mark": 2} for n in range(CHOICES)]
    items += [{"type": "blank", "answers": ["光合作用"], "max_mark": 2} for _ in range(BOXES)]
    header = {"id": "handwriting", "title": "手写识别对照", "language": "zh"}
    exam = Exam.model_validate({"exam": header, "items": [{"id": str(n + 1), **item} for n, item in enumerate(items)]})
    form = print_sheets(exam, folder / "paper")
    assert len(form.pages) == 1
    candidates = [f"{10_000_000 + n}" for n in range(len(sheets))]
    pictures = {
        candidate: {str(CHOICES + 1 + n): sample.crop for n, sample in enumerate(sheet)}
        for candidate, sheet in zip(candidates, sheets, strict=True)
    }
    truths = simulate_batch(
        exam, form, folder / "paper" / "paper.pdf", folder / "scans", candidates,
        seed=SEED, profile=profile, pictures=pictures,
    )  # fmt: skip
    return form, [load_page(PageRef(str(folder / "scans" / truth.file))) for truth in truths]


def compare(sheets: list[list[Sample]], form: Form, pages: list[Page], repeats: int, profile: str) -> None:
    """Read every page by both, in turns."""
    need_rapidocr()
    from rapidocr import RapidOCR

    one_thread = {"EngineConfig.onnxruntime.intra_op_num_threads": 1, "Global.log_level": "error"}
    rapid, engine = RapidOCR(params=one_thread), PPOCR()
    fields = {f.item: f for f in form.pages[0].fields if isinstance(f, TextField) and f.role == "item"}

    def ours(page: Page, count: int) -> list[str]:
        registration, _ = read_page(page, form)
        boxes = [fields[str(CHOICES + 1 + n)] for n in range(count)]
        return [engine.read(cut(page, registration, field)).text for field in boxes]

    def theirs(page: Page, areas: list[tuple[float, float, float, float]]) -> list[str]:
        found = rapid(three_channels(page.gray))
        texts = [""] * len(areas)
        lines = [] if found.boxes is None else list(zip(found.boxes, found.txts, strict=True))
        for corners, text in sorted(lines, key=lambda line: float(line[0][:, 0].min())):
            cx, cy = corners.mean(axis=0)
            for number, (x, y, w, h) in enumerate(areas):
                if x <= cx <= x + w and y <= cy <= y + h:
                    texts[number] += text
        return texts

    truths = [sample.truth for sheet in sheets for sample in sheet]
    read: dict[str, list[str]] = {"grader": [], "rapidocr": []}
    seconds: dict[str, list[float]] = {"grader": [], "rapidocr": []}
    ratios = []
    for page, sheet in zip(pages, sheets, strict=True):
        registration, _ = read_page(page, form)
        boxes = [fields[str(CHOICES + 1 + n)] for n in range(len(sheet))]
        areas = [bounding_box(registration.to_pixels, (f.x, f.y, f.w, f.h)) for f in boxes]
        read["grader"] += ours(page, len(sheet))
        read["rapidocr"] += theirs(page, areas)
        turns = {"grader": lambda: ours(page, len(sheet)), "rapidocr": lambda: theirs(page, areas)}  # noqa: B023
        times = interleaved(turns, repeats)
        ratios.append(median_ratio(times["rapidocr"], times["grader"]))
        for name, taken in times.items():
            seconds[name].append(statistics.median(taken))
    rates = {name: error_rate(truths, texts) for name, texts in read.items()}
    rows = [
        (name, f"{rates[name][0]:.1f}%", f"{rates[name][1]} of {len(truths)}", 1e3 * statistics.median(seconds[name]))
        for name in read
    ]
    ratio = statistics.median(ratios)
    title = f"{len(pages)} answer sheets ({profile}), {len(truths)} boxes: known boxes {ratio:.1f} times faster"
    table(title, ("engine", "CER", "exact", "ms a page (median)"), rows)
    summary = {"ratio": ratio, "ratios": ratios, "cer_percent": {n: r[0] for n, r in rates.items()}}
    write("ocr_sheets", {"profile": profile, "pages": len(pages), "boxes": len(truths), **summary})


if __name__ == "__main__":
    main()
