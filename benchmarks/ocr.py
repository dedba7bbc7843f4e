"""Recognition of real handwriting: error rates by category, time a line, and whole pages with known boxes.

    python benchmarks/ocr.py [--repeats 3] [--engines grader,recogniser,rapidocr,tesseract,paddleocr]

Crops: data/ocr/truth.tsv, 125 real lines, words and letters; for measuring only, nothing was fitted on them.
  grader      this project, the box is known (no detection), any character allowed
  restricted  the same, within the field's alphabet (letters A-K for choices, A-Z, digits)
  recogniser  rapidocr, recogniser alone: PP-OCRv6 small out of the box
  rapidocr    rapidocr, whole pipeline, its defaults
  tesseract   Tesseract 5, chi_sim+eng, --psm 7, by its command line (so with the start of a process)
  paddleocr   PaddleOCR 3.7 through this project's second engine
Errors: Levenshtein distance over length of the truth, after the same normalisation of both (see `normalise`).
Time: every engine on one crop after the other, one thread each; medians, and medians of ratios a crop.

Pages: the same crops in framed boxes on A4 pages of 200 dpi. grader reads the known boxes; rapidocr finds and
reads whatever is on the page, and a line belongs to the box that its centre lies in.
"""

from __future__ import annotations

import argparse
import csv
import logging
import os
import shutil
import statistics
import subprocess
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from harness import DATA, interleaved, median_ratio, need, table, write

from grader.flags import blocking
from grader.ocr.ppocr import PPOCR

PAGE = (2339, 1654)  # A4 at 200 dpi, height x width
BOX_HEIGHT = 88
ALPHABETS = {"real_choice_letter": "=ABCDEFGHIJK", "real_capital_letter": "letters", "real_digits_line": "digits"}
_SAME = str.maketrans({"“": '"', "”": '"', "‘": "'", "’": "'", "。": ".", "{": None, "}": None})
Read = Callable[[np.ndarray], str]


@dataclass(frozen=True)
class Sample:
    category: str
    file: str
    truth: str
    crop: np.ndarray


def samples() -> list[Sample]:
    """The real crops with their truth."""
    folder = need(DATA / "ocr")
    with (folder / "truth.tsv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [
        Sample(r["category"], r["file"], r["text"], cv2.imread(str(folder / r["file"]), cv2.IMREAD_GRAYSCALE))
        for r in rows
    ]


def normalise(text: str) -> str:
    """NFKC (full width to half width), no white space, one kind of quotes and full stops, no LaTeX braces."""
    return "".join(unicodedata.normalize("NFKC", text).translate(_SAME).split())


def distance(a: str, b: str) -> int:
    """Levenshtein distance."""
    previous = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        current = [i]
        for j, y in enumerate(b, 1):
            current.append(min(previous[j] + 1, current[-1] + 1, previous[j - 1] + (x != y)))
        previous = current
    return previous[-1]


def three_channels(crop: np.ndarray) -> np.ndarray:
    return np.repeat(crop[:, :, None], 3, axis=2)


def rapidocr_engines() -> dict[str, Read]:
    """rapidocr's whole pipeline, and its recogniser alone; empty where it is not installed."""
    try:
        from rapidocr import RapidOCR
    except ImportError:
        return {}
    logging.getLogger("RapidOCR").setLevel(logging.ERROR)
    one_thread = {
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
        "Global.log_level": "error",
    }
    engine, reader = RapidOCR(params=one_thread), RapidOCR(params=one_thread)  # its options stick to an instance

    def whole(crop: np.ndarray) -> str:
        return "".join(engine(three_channels(crop)).txts or ())

    def recogniser(crop: np.ndarray) -> str:
        return "".join(reader(three_channels(crop), use_det=False, use_cls=False).txts or ())

    return {"recogniser": recogniser, "rapidocr": whole}


def tesseract_engine() -> dict[str, Read]:
    """Tesseract by its command line; empty where it or a language is not installed."""
    program = shutil.which("tesseract")
    if program is None:
        return {}
    languages = subprocess.run([program, "--list-langs"], capture_output=True, text=True, check=False).stdout
    if "chi_sim" not in languages or "eng" not in languages:
        return {}
    environment = {**os.environ, "OMP_THREAD_LIMIT": "1"}

    def read(crop: np.ndarray) -> str:
        picture = cv2.imencode(".png", crop)[1].tobytes()
        command = [program, "-", "-", "-l", "chi_sim+eng", "--psm", "7"]
        done = subprocess.run(command, input=picture, capture_output=True, env=environment, check=False)
        return done.stdout.decode("utf-8", "replace")

    return {"tesseract": read}


def paddle_engine() -> dict[str, Read]:
    """PaddleOCR; empty where its extra is not installed."""
    try:
        from grader.ocr.paddle import PaddleOCREngine

        engine = PaddleOCREngine()
    except ImportError:
        return {}
    return {"paddleocr": lambda crop: engine.read(crop).text}


def compare_crops(work: Sequence[Sample], engines: dict[str, Read], repeats: int) -> dict[str, object]:
    """Error rates by category and time a crop of every engine."""
    texts: dict[str, list[str]] = {name: [read(s.crop) for s in work] for name, read in engines.items()}
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for sample in work:
        runs: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(repeats):
            for name, read in engines.items():
                start = time.perf_counter()
                read(sample.crop)
                runs[name].append(time.perf_counter() - start)
        for name, times in runs.items():
            seconds[name].append(statistics.median(times))
    categories = list(dict.fromkeys(s.category for s in work))
    rows, result = [], {}
    for category in [*categories, "all"]:
        chosen = [i for i, s in enumerate(work) if category in (s.category, "all")]
        row: list[object] = [category, len(chosen)]
        for name in engines:
            rate, exact = error_rate([work[i].truth for i in chosen], [texts[name][i] for i in chosen])
            row.append(f"{rate:5.1f}%  {exact:3d}")
            result[f"{category}/{name}"] = {"n": len(chosen), "cer_percent": rate, "exact": exact}
        rows.append(row)
    table("CER and exact lines, real crops", ("category", "n", *engines), rows)
    speed = [
        (name, 1e3 * statistics.median(times), 1e3 * statistics.mean(times), median_ratio(times, seconds["grader"]))
        for name, times in seconds.items()
    ]
    table("time a crop, one thread", ("engine", "median ms", "mean ms", "times grader"), speed)
    return {"categories": result, "time": {n: {"median_ms": a, "mean_ms": b, "ratio": r} for n, a, b, r in speed}}


def error_rate(truths: Sequence[str], texts: Sequence[str]) -> tuple[float, int]:
    """Character error rate in per cent, and the number of texts without an error."""
    pairs = [(normalise(a), normalise(b)) for a, b in zip(truths, texts, strict=True)]
    errors = sum(distance(b, a) for a, b in pairs)
    return 100 * errors / sum(len(a) for a, _ in pairs), sum(a == b for a, b in pairs)


def reliability(work: Sequence[Sample], engine: PPOCR) -> dict[str, object]:
    """How often a line of a given confidence was right, and what the flags caught. In the field's alphabet."""
    read = [engine.read(s.crop, alphabet=ALPHABETS.get(s.category, "any")) for s in work]
    right = [normalise(r.text) == normalise(s.truth) for r, s in zip(read, work, strict=True)]
    rows = []
    for low, high in ((0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 0.95), (0.95, 1.001)):
        here = [i for i, r in enumerate(read) if low <= r.confidence < high]
        if here:
            mean = statistics.mean(read[i].confidence for i in here)
            rows.append((f"{low:.2f}-{min(high, 1):.2f}", len(here), mean, sum(right[i] for i in here)))
    table("confidence on real crops", ("confidence", "lines", "mean", "exact"), rows)
    flagged = [blocking(r.flags) for r in read]
    silent = [s.file for s, ok, flag in zip(work, right, flagged, strict=True) if not ok and not flag]
    print(f"flagged {sum(flagged)} of {len(work)}; wrong without a flag {len(silent)}: {', '.join(silent)}")
    return {"bins": rows, "flagged": sum(flagged), "wrong_without_flag": silent, "n": len(work)}


@dataclass(frozen=True)
class Layout:
    page: np.ndarray
    boxes: tuple[tuple[int, int, int, int], ...]  # inside the frame: x, y, width, height
    members: tuple[Sample, ...]


def pages(work: Sequence[Sample], per_page: int) -> list[Layout]:
    """The crops in framed boxes on A4 pages, at most `per_page` each, in a fixed mixed order. Light-on-dark
    crops are inverted: nobody writes in white on a form."""
    order = np.random.default_rng(7).permutation(len(work))
    placed: list[Layout] = []
    page, boxes, members = np.full(PAGE, 250, np.uint8), [], []
    x = y = 80
    for index in order:
        sample = work[index]
        crop = 255 - sample.crop if np.median(sample.crop) < 60 else sample.crop
        scale = min((BOX_HEIGHT - 16) / crop.shape[0], (PAGE[1] - 200) / crop.shape[1])
        crop = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        width = max(crop.shape[1] + 24, 120)
        if x + width > PAGE[1] - 80:
            x, y = 80, y + BOX_HEIGHT + 60
        if y + BOX_HEIGHT > PAGE[0] - 80 or len(members) == per_page:
            placed.append(Layout(page, tuple(boxes), tuple(members)))
            page, boxes, members = np.full(PAGE, 250, np.uint8), [], []
            x = y = 80
        cv2.rectangle(page, (x, y), (x + width, y + BOX_HEIGHT), 60, 2)
        top, left = y + (BOX_HEIGHT - crop.shape[0]) // 2, x + 12
        page[top : top + crop.shape[0], left : left + crop.shape[1]] = crop
        boxes.append((x + 4, y + 4, width - 7, BOX_HEIGHT - 7))
        members.append(sample)
        x += width + 60
    if members:
        placed.append(Layout(page, tuple(boxes), tuple(members)))
    return placed


def compare_pages(work: Sequence[Sample], engine: PPOCR, repeats: int, per_page: int) -> dict[str, object]:
    """Known boxes against detection on the whole page: errors and time."""
    from rapidocr import RapidOCR

    one_thread = {"EngineConfig.onnxruntime.intra_op_num_threads": 1, "Global.log_level": "error"}
    rapid = RapidOCR(params=one_thread)

    def ours(layout: Layout) -> list[str]:
        return [engine.read(layout.page[y : y + h, x : x + w]).text for x, y, w, h in layout.boxes]

    def theirs(layout: Layout) -> list[str]:
        found = rapid(three_channels(layout.page))
        texts = [""] * len(layout.boxes)
        lines = [] if found.boxes is None else list(zip(found.boxes, found.txts, strict=True))
        for corners, text in sorted(lines, key=lambda line: float(line[0][:, 0].min())):
            cx, cy = corners.mean(axis=0)
            for number, (x, y, w, h) in enumerate(layout.boxes):
                if x <= cx <= x + w and y <= cy <= y + h:
                    texts[number] += text
        return texts

    layouts = pages(work, per_page)
    truths = [m.truth for layout in layouts for m in layout.members]
    read = {
        name: [text for layout in layouts for text in f(layout)] for name, f in (("grader", ours), ("rapidocr", theirs))
    }
    rates = {name: error_rate(truths, texts) for name, texts in read.items()}
    ratios, seconds = [], {"grader": 0.0, "rapidocr": 0.0}
    for layout in layouts:
        times = interleaved({"grader": lambda p=layout: ours(p), "rapidocr": lambda p=layout: theirs(p)}, repeats)
        ratios.append(median_ratio(times["rapidocr"], times["grader"]))
        for name in seconds:
            seconds[name] += statistics.median(times[name])
    ratio = statistics.median(ratios)
    rows = [(n, f"{rates[n][0]:.1f}%", rates[n][1], 1e3 * seconds[n] / len(layouts)) for n in rates]
    title = f"{len(layouts)} pages, {len(truths)} boxes ({per_page} a page): known boxes {ratio:.1f} times faster"
    table(title, ("engine", "CER", "exact", "ms a page"), rows)
    return {
        "pages": len(layouts),
        "boxes": len(truths),
        "per_page": per_page,
        "ratio": ratio,
        "cer_percent": {n: r[0] for n, r in rates.items()},
        "exact": {n: r[1] for n, r in rates.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--engines", default="grader,restricted,recogniser,rapidocr,tesseract,paddleocr")
    parser.add_argument("--per-page", type=int, nargs="*", default=[12, 40])
    options = parser.parse_args()
    cv2.setNumThreads(1)
    work, engine = samples(), PPOCR()
    available: dict[str, Read] = {
        "grader": lambda crop: engine.read(crop).text,
        **rapidocr_engines(),
        **tesseract_engine(),
        **paddle_engine(),
    }
    chosen = {name: available[name] for name in options.engines.split(",") if name in available}
    result: dict[str, object] = {"crops": compare_crops(work, chosen, options.repeats)}
    letters = [s for s in work if s.category in ALPHABETS]
    rows = []
    for category, alphabet in ALPHABETS.items():
        group = [s for s in letters if s.category == category]
        free = [engine.read(s.crop) for s in group]
        held = [engine.read(s.crop, alphabet=alphabet) for s in group]
        counts = [sum(normalise(r.text) == s.truth for r, s in zip(x, group, strict=True)) for x in (free, held)]
        pairs = list(zip(held, group, strict=True))
        silent = sum(normalise(r.text) != s.truth and not blocking(r.flags) for r, s in pairs)
        rows.append((category, alphabet, len(group), *counts, sum(blocking(r.flags) for r in held), silent))
    table("within the field's alphabet", ("category", "alphabet", "n", "exact free", "exact restricted", "flagged",
                                         "wrong unflagged"), rows)  # fmt: skip
    result["restricted"] = rows
    result["reliability"] = reliability(work, engine)
    if "rapidocr" in available:
        result["pages"] = [compare_pages(work, engine, options.repeats, n) for n in options.per_page]
    write("ocr", result)


if __name__ == "__main__":
    main()
