"""Recognition of known boxes against rapidocr on the same lines: time a line and error rates by category.

    python benchmarks/ocr_speed.py [--repeats 2] [--skip lines,pages,padding,sessions]     about 10 minutes

lines     Every real crop of data/ocr (125 lines, words and letters) is one picture, given to each engine in turns:
            grader      PPOCR().read(picture), any character allowed; the restricted alphabets of fields are in ocr.py
            rapidocr    RapidOCR()(picture), out of the box: it detects, turns and recognises
            recogniser  RapidOCR()(picture, use_det=False, use_cls=False): its recogniser alone, for which the
                        caller has to know that the picture is one line; it looks for no rules, blanks or deletions
          And lines that are not handwriting: printed short answers, typeset digits, and empty boxes.
pages     The same crops in boxes on A4 pages (see ocr.py): rapidocr reads a page at a time, which is how it is meant
          to be used, and its cost a line falls the more lines share its detector. The dense page is its best case.
padding   Time and errors on rendered handwriting (never on the real crops: the padding was chosen with this) for the
          columns that a short line is padded to.
sessions  The same lines in one process of one thread, one of two threads, and two processes of one thread, each with
          and without ONNX Runtime's memory arena; megabytes are the peak of all processes together.

Both engines have one thread. Times: the lesser of the turns of a line, then medians and ratios over lines.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from harness import median_ratio, need_rapidocr, table, write
from ocr import Sample, compare_pages, error_rate, rapidocr_engines, samples
from PIL import Image, ImageDraw, ImageFont
from rendered_lines import degrade, random_text, render

from grader.ocr import recognition
from grader.ocr.ppocr import PPOCR, RECOGNISER
from grader.resources import font_path, model_path

SEED = 20261122
BOX = (88, 700)  # pixels of an answer box at 200 dpi, height x width
Read = Callable[[np.ndarray], str]


def printed(number: int) -> list[Sample]:
    """Printed answers in boxes of an answer sheet, degraded like scans: Chinese, English, numbers; and empty boxes."""
    font = ImageFont.truetype(str(font_path("NotoSansSC-Regular.ttf")), 40)
    found = []
    for n in range(number):
        random = np.random.default_rng([SEED, n])
        kind = ("zh", "en", "number", "blank")[n % 4]
        text = "" if kind == "blank" else random_text(random, kind)[:16].strip()
        image = Image.new("L", BOX[::-1], 255)
        ImageDraw.Draw(image).text((24, 14), text, 0, font=font)
        found.append(Sample(f"printed_{kind}", str(n), text, degrade(np.asarray(image), random, 1.0)))
    return found


def compare_lines(repeats: int) -> dict[str, object]:
    """Errors and times of every category and engine."""
    need_rapidocr()
    engine = PPOCR()
    engines: dict[str, Read] = {"grader": lambda crop: engine.read(crop).text, **rapidocr_engines()}
    work = [*samples(), *printed(24)]
    for read in engines.values():
        read(work[0].crop)  # loads the networks
    texts: dict[str, list[str]] = {name: [] for name in engines}
    seconds: dict[str, list[float]] = {name: [] for name in engines}
    for sample in work:
        runs: dict[str, list[float]] = {name: [] for name in engines}
        for turn in range(repeats):
            for name, read in engines.items():
                start = time.perf_counter()
                text = read(sample.crop)
                runs[name].append(time.perf_counter() - start)
                if turn == 0:
                    texts[name].append(text)
        for name, times in runs.items():
            seconds[name].append(min(times))
    rows, result = [], {}
    handwritten = [s.category for s in work if s.category.startswith("real_")]
    for category in [*dict.fromkeys(s.category for s in work), "all real"]:
        chosen = [i for i, s in enumerate(work) if s.category == category or (category, s.category in handwritten) == (
            "all real", True)]  # fmt: skip
        truths = [work[i].truth for i in chosen]
        errors = {name: rate(truths, [texts[name][i] for i in chosen]) for name in engines}
        times = {name: [seconds[name][i] for i in chosen] for name in engines}
        ratios = {name: median_ratio(times[name], times["grader"]) for name in engines if name != "grader"}
        total = {name: sum(times[name]) / sum(times["grader"]) for name in ratios}
        result[category] = {"n": len(chosen), "errors": errors, "ratio": ratios, "ratio_of_sums": total,
                            "median_ms": {n: 1e3 * statistics.median(t) for n, t in times.items()}}  # fmt: skip
        rows.append((
            category, len(chosen), *(f"{errors[n]:.1f}" for n in engines),
            *(1e3 * statistics.median(times[n]) for n in engines),
            *(f"{ratios[n]:.1f} ({total[n]:.1f})" for n in ratios),
        ))  # fmt: skip
    names = list(engines)
    header = (
        "category",
        "n",
        *(f"{n} CER%" for n in names),
        *(f"{n} ms" for n in names),
        *(f"{n} x" for n in names[1:]),
    )
    table("each line a picture: errors, median time a line, times grader (of sums)", header, rows)
    return result


def rate(truths: Sequence[str], texts: Sequence[str]) -> float:
    """CER in per cent; for empty boxes, characters invented a box in per cent."""
    if any(truths):
        return error_rate(truths, texts)[0]
    return 100 * sum(map(len, texts)) / len(texts)


def rendered(number: int) -> list[tuple[str, str, str, np.ndarray]]:
    """Kind, text, alphabet and picture of short and long handwriting set in fonts."""
    found = []
    for n in range(number):
        random = np.random.default_rng([SEED, 1, n])
        kind = ("letter", "zh short", "number", "zh", "en")[n % 5]
        script = {"letter": "en", "zh short": "zh"}.get(kind, kind)
        text = str(random.choice(list("ABCDEFGH"))) if kind == "letter" else random_text(random, script)
        text = text[: int(random.integers(1, 5))] if kind == "zh short" else text
        alphabet = {"letter": "=ABCDEFGH", "number": "number"}.get(kind, "any")
        picture = render(text, random, script, int(random.integers(20, 56)))
        found.append((kind, text, alphabet, degrade(picture, random, random.uniform(0.3, 3.0))))
    return found


def compare_padding(lines: int) -> list[tuple[object, ...]]:
    """CER by kind and mean time a line for several paddings."""
    work, engine, rows = rendered(lines), PPOCR(), []
    kinds = list(dict.fromkeys(kind for kind, *_ in work))
    shipped = recognition.NARROWEST
    for columns in (320, 192, 128, 64):
        recognition.NARROWEST = columns
        start = time.thread_time()
        texts = [engine.read(picture, alphabet=alphabet).text for _, _, alphabet, picture in work]
        milliseconds = 1e3 * (time.thread_time() - start) / len(work)
        of_kind = [[i for i, (kind, *_) in enumerate(work) if kind == wanted] for wanted in kinds]
        rates = [error_rate([work[i][1] for i in chosen], [texts[i] for i in chosen])[0] for chosen in of_kind]
        rows.append((columns, milliseconds, *(f"{one:.1f}" for one in rates)))
    recognition.NARROWEST = shipped
    table(f"padding, {len(work)} rendered lines", ("columns", "CPU ms a line", *(f"{k} CER%" for k in kinds)), rows)
    return rows


def _recognise(arena: bool, threads: int, inputs: list[np.ndarray], barrier: object, told: object) -> None:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.enable_cpu_mem_arena = arena
    session = onnxruntime.InferenceSession(str(model_path(RECOGNISER)), options, providers=["CPUExecutionProvider"])
    for x in inputs[:20]:
        session.run(None, {"x": x})
    barrier.wait()  # type: ignore[attr-defined]
    start = time.perf_counter()
    for x in inputs:
        session.run(None, {"x": x})
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    told.put((time.perf_counter() - start, memory))  # type: ignore[attr-defined]


def compare_sessions(lines: int, rounds: int = 3) -> list[tuple[object, ...]]:
    """Lines a second and peak memory of threads against processes, with and without an arena."""
    inputs = [recognition.network_input(picture)[0] for *_, picture in rendered(lines)]
    context = multiprocessing.get_context("spawn")
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for _ in range(rounds):
        for name, processes, threads in (("1 x 1 thread", 1, 1), ("1 x 2 threads", 1, 2), ("2 x 1 thread", 2, 1)):
            for arena in (False, True):
                barrier, told = context.Barrier(processes), context.Queue()
                parts = [inputs[i::processes] for i in range(processes)]
                arguments = [(arena, threads, part, barrier, told) for part in parts]
                workers = [context.Process(target=_recognise, args=one) for one in arguments]
                for worker in workers:
                    worker.start()
                taken = [told.get() for _ in workers]
                for worker in workers:
                    worker.join()
                key = (name, "arena" if arena else "no arena")
                seconds, memory = max(t for t, _ in taken), sum(m for _, m in taken)
                found.setdefault(key, []).append((len(inputs) / seconds, memory / 2**20))
    rows = [(*key, *(statistics.median(values) for values in zip(*runs, strict=True))) for key, runs in found.items()]
    table(f"{len(inputs)} lines of many widths", ("processes", "memory", "lines/s", "peak MB"), rows)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--lines", type=int, default=300, help="rendered lines of padding and sessions")
    parser.add_argument("--skip", default="")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    parts: dict[str, Callable[[], object]] = {
        "lines": lambda: compare_lines(options.repeats),
        "pages": lambda: [compare_pages(samples(), PPOCR(), options.repeats, n) for n in (12, 40)],
        "padding": lambda: compare_padding(options.lines),
        "sessions": lambda: compare_sessions(options.lines),
    }
    write("ocr_speed", {name: run() for name, run in parts.items() if name not in options.skip.split(",")})


if __name__ == "__main__":
    main()
