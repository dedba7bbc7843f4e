"""The same work as `grader run`, as a competent engineer would write it in a day from what is on the shelf.

    python benchmarks/straightforward.py BATCH --out marks.csv [--workers 2]

Gray decoding, corner marks by contours, the page code by zxing, the page warped flat by OpenCV, bubbles by their mean
darkness, every answer box read by rapidocr with its defaults (a box of one line by its recogniser alone: its detector
would blow a flat box up to 736 pixels of height), short answers scored beside their references by
the networks that grader scores with (GRADER_BENCH_BUNDLE) in padded batches of PyTorch eager, float32, a CSV file at
the end. One process a core, one thread each, models loaded once a process. It knows the form's geometry as grader does.

What it has not, and grader spends time on: a quality gate, flags, confidences, doubtful marks told from clear ones,
pictures of the answers for the person who looks, a journal that survives a crash, and marks that do not depend on the
batch. `benchmarks/whole_batch.py` measures the two in turns.
"""

from __future__ import annotations

import argparse
import csv
import json
import multiprocessing
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

DPI = 200
SCALE = DPI / 25.4
CHUNK = 16  # pages that a process takes at a time
REFERENCES = 3  # of a short answer, as many as grader's encoder reads
_DARK = 0.2  # by which a filled bubble is darker than the others beside it
_READY: dict[str, Any] = {}  # what each process loads once


def load(batch: Path, exam: dict[str, Any], defaults: bool, ready: Any) -> None:
    """Load the models of one process."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    import shipped
    import torch
    from rapidocr import RapidOCR

    from grader.scoring.bundle import TOKENIZER, Bundle
    from grader.scoring.encoding import Encoding

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    bundle = Path(os.environ["GRADER_BENCH_BUNDLE"])
    one_thread = {"EngineConfig.onnxruntime.intra_op_num_threads": 1, "Global.log_level": "error"}
    _READY["ocr"] = RapidOCR(params=one_thread)
    _READY["defaults"] = defaults
    encodings = [Encoding.load(one.folder / TOKENIZER, one.lengths) for one in Bundle.open(bundle).members]
    _READY["networks"] = list(zip(encodings, shipped.networks(bundle).values(), strict=True))
    _READY["form"] = json.loads((batch / "paper" / "form.json").read_text(encoding="utf-8"))
    _READY["items"] = {item["id"]: item for item in exam["items"]}
    ready.wait()


def read_chunk(paths: list[str]) -> tuple[list[list[Any]], int]:
    """Rows (file, candidate, item, answer, mark) of some pages, and how many pages there were."""
    rows = [row for path in paths for row in read_page(path)]
    items = _READY["items"]
    short = [row for row in rows if items[row[2]]["type"] == "short_answer" and row[3]]
    for row, score in zip(short, scores([(items[row[2]], row[3]) for row in short]), strict=True):
        row[4] = round(score * items[row[2]]["max_mark"])
    return rows, len(paths)


def read_page(path: str) -> Iterator[list[Any]]:
    """The answers on one page."""
    gray = np.asarray(cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_GRAYSCALE))
    found = flat(gray)
    if found is None:
        yield [path, "", next(iter(_READY["items"])), "", 0]
        return
    number, sheet = found
    page = _READY["form"]["pages"][number - 1]
    marked = {f["id"]: filled(sheet, f) for f in page["fields"] if f["kind"] == "marks"}
    candidate = next((marked[f["id"]] for f in page["fields"] if f["kind"] == "marks" and f["role"] == "candidate"), "")
    for field in page["fields"]:
        if field["role"] != "item" or field["kind"] not in ("marks", "text"):
            continue
        answer = marked[field["id"]] if field["kind"] == "marks" else text(sheet, field)
        yield [path, candidate, field["item"], answer, simple_mark(_READY["items"][field["item"]], answer)]


def flat(gray: np.ndarray) -> tuple[int, np.ndarray] | None:
    """The page's number and the page warped onto the form, 200 dpi; None where it cannot be found."""
    import zxingcpp

    page = _READY["form"]["pages"][0]
    corners = corner_marks(gray, page)
    if corners is None:
        return None
    marks = np.array([[mark["x"], mark["y"]] for mark in page["fiducials"]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, marks * np.float32(SCALE))
    size = round(page["width"] * SCALE), round(page["height"] * SCALE)
    sheet = np.asarray(cv2.warpPerspective(gray, matrix, size, borderValue=255))
    code = next(f for f in page["fields"] if f["kind"] == "code")
    found = zxingcpp.read_barcodes(cut(sheet, code, 2.0))
    return (int(found[0].text.split(".")[3]), sheet) if found else None


def corner_marks(gray: np.ndarray, page: dict[str, Any]) -> np.ndarray | None:
    """Centres of the four corner marks (4 x 2 float32) in the form's order: the square dark blob of the right size
    that is closest to where each should be."""
    _, dark = cv2.threshold(gray, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    contours, _ = cv2.findContours(dark, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    scale = gray.shape[1] / page["width"]
    size = page["fiducials"][0]["size"] * scale
    centres = []
    for contour in contours:
        (x, y), (w, h), _ = cv2.minAreaRect(contour)
        if 0.8 * size < w < 1.25 * size and 0.8 * size < h < 1.25 * size:
            centres.append((x, y))
    if len(centres) < 4:
        return None
    wanted = np.array([[mark["x"] * scale, mark["y"] * scale] for mark in page["fiducials"]])
    far = np.linalg.norm(wanted[:, None] - np.array(centres)[None], axis=2)
    return np.array(centres, np.float32)[far.argmin(axis=1)]


def filled(sheet: np.ndarray, field: dict[str, Any]) -> str:
    """The labels that are marked, position by position: the darkest if it stands out."""
    dark: dict[int, list[tuple[float, str]]] = {}
    for bubble in field["bubbles"]:
        dark.setdefault(bubble.get("position", 0), []).append((1 - cut(sheet, bubble).mean() / 255, bubble["label"]))
    chosen = []
    for _, bubbles in sorted(dark.items()):
        most, label = max(bubbles)
        if most - float(np.median([level for level, _ in bubbles])) > _DARK:
            chosen.append(label)
    return "".join(chosen)


def text(sheet: np.ndarray, field: dict[str, Any]) -> str:
    """What rapidocr reads in an answer box."""
    one_line = field.get("lines", 1) == 1 and not _READY["defaults"]
    found = _READY["ocr"](cv2.cvtColor(cut(sheet, field, -0.7), cv2.COLOR_GRAY2BGR), use_det=not one_line)
    return " ".join(found.txts or ())


def cut(sheet: np.ndarray, box: dict[str, Any], margin: float = 0.0) -> np.ndarray:
    """A box of the flat page with a margin in millimetres."""
    x0, y0 = ((box[k] - margin) * SCALE for k in ("x", "y"))
    x1, y1 = ((box[k] + box[s] + margin) * SCALE for k, s in (("x", "w"), ("y", "h")))
    return np.ascontiguousarray(sheet[max(0, round(y0)) : round(y1), max(0, round(x0)) : round(x1)])


def simple_mark(item: dict[str, Any], answer: str) -> float:
    """The mark of an answer that a rule can mark; 0 for the others."""
    if item["type"] == "choice":
        return item["max_mark"] * (answer == item["answer"])
    if item["type"] == "blank":
        return item["max_mark"] * (answer.strip().lower() in [a.lower() for a in item["answers"]])
    return 0


def scores(answers: list[tuple[dict[str, Any], str]]) -> list[float]:
    """The best score (0 to 1) of each answer beside its references: the mean of the networks."""
    import scorer_speed

    texts, owner = [], []
    for place, (item, answer) in enumerate(answers):
        for reference in item["reference_answers"][:REFERENCES]:
            texts.append((item["prompt"], reference, answer))
            owner.append(place)
    if not texts:
        return [0.0] * len(answers)
    said = [
        scorer_speed.eager(model, [encoding.triple(*one) for one in texts])[:, :4].mean(1)
        for encoding, model in _READY["networks"]
    ]
    best = [0.0] * len(answers)
    for place, score in zip(owner, np.mean(said, axis=0).tolist(), strict=True):
        best[place] = max(best[place], score)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("batch", type=Path, help="folder with scans/, paper/form.json and exam.json")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--defaults", action="store_true", help="rapidocr's detector for boxes of one line too")
    options = parser.parse_args()
    start = time.perf_counter()
    exam = json.loads((options.batch / "exam.json").read_text(encoding="utf-8"))
    files = sorted(map(str, (options.batch / "scans").iterdir()))
    chunk = max(1, min(CHUNK, len(files) // (4 * options.workers)))
    chunks = [files[place : place + chunk] for place in range(0, len(files), chunk)]
    context = multiprocessing.get_context("spawn")
    ready = context.Barrier(options.workers + 1)
    with (
        context.Pool(options.workers, load, (options.batch, exam, options.defaults, ready)) as pool,
        options.out.open("w", newline="", encoding="utf-8") as stream,
    ):
        ready.wait()
        begun = time.perf_counter() - start
        out = csv.writer(stream)
        out.writerow(["file", "candidate", "item", "answer", "mark"])
        for rows, _ in pool.imap_unordered(read_chunk, chunks):
            out.writerows(rows)
    print(json.dumps({"begun": begun, "seconds": time.perf_counter() - start - begun, "pages": len(files)}))


if __name__ == "__main__":
    main()
