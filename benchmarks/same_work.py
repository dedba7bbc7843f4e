"""Grader's stages beside what is on the shelf, on the same pages, crops and sequences, in turns in one process.

rapidocr has its defaults, but boxes of one line go to its recogniser alone: its detector would blow a flat box up to
736 pixels of height and take seconds for a word.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import batches
import cv2
import harness
import numpy as np
import one_run
import scorer_speed
import shipped
import torch
from ocr import error_rate

from grader.exam.form import TextField
from grader.intake.decode import load_page
from grader.ocr.protocol import OCREngine
from grader.reading.crops import cut
from grader.reading.page import read_page
from grader.records import PageRef
from grader.run.pipeline import PageReader
from grader.scoring.encoder import EncoderScorer
from grader.scoring.encoding import Encoded

ROUNDS = 3


def compare(batch: Path, bundle: Path, pages: int) -> dict[str, Any]:
    """Times of each and their ratios to grader's, on the first pages of a batch. bundle: that grader scores with. One
    thread."""
    from rapidocr import RapidOCR

    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    reader = PageReader(one_run.job(batch, objective=False, scorer="trial"))
    truths = {truth.file: truth for truth in batches.truths(batch)}
    refs = [PageRef(str(path)) for path in sorted((batch / "scans").iterdir())[:pages]]
    crops, texts = _crops(reader, refs, [truths[Path(ref.file).name] for ref in refs])
    rapid = RapidOCR(params={"EngineConfig.onnxruntime.intra_op_num_threads": 1, "Global.log_level": "error"})
    scorer = reader.scorer
    assert isinstance(scorer, EncoderScorer)
    sequences = _sequences(reader, scorer, refs)
    models = list(shipped.networks(bundle).values())
    networks = [one.network for one in scorer.readers]

    def once() -> list[Any]:
        scorer._task.cache_clear()  # nothing scored before counts
        for network in networks:
            network.read.cache_clear()
        return [reader.read(ref) for ref in refs]

    def shelf() -> list[str]:
        found = [rapid(cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR), use_det=field.lines > 1) for crop, field in crops]
        return [" ".join(getattr(one, "txts", None) or ()) for one in found]

    def read_once() -> None:
        for network, own in zip(networks, sequences, strict=True):
            network.read.cache_clear()
            for one in own:
                network.read(one)

    def eager() -> None:
        for model, own in zip(models, sequences, strict=True):
            scorer_speed.eager(model, own)

    work: dict[str, Callable[[], Any]] = {
        "decode": lambda: [cv2.imdecode(np.fromfile(ref.file, np.uint8), cv2.IMREAD_GRAYSCALE) for ref in refs],
        "grader": once,
        "grader ocr": lambda: _ours(reader.ocr, crops),
        "rapidocr": shelf,
        "grader networks": read_once,
        "eager": eager,
    }
    seconds = harness.interleaved(work, ROUNDS)
    rates = {name: error_rate(texts, [str(text) for text in work[name]()]) for name in ("grader ocr", "rapidocr")}
    pairs = (("grader", "decode"), ("rapidocr", "grader ocr"), ("eager", "grader networks"))
    ratios = {f"{one} / {other}": harness.median_ratio(seconds[one], seconds[other]) for one, other in pairs}
    rows = [[name, 1e3 * sorted(own)[len(own) // 2] / len(refs)] for name, own in seconds.items()]
    title = f"the same {len(refs)} pages, {len(crops)} boxes, {sum(map(len, sequences))} sequences, one thread"
    harness.table(title, ["what", "ms a page"], rows)
    harness.table("ratios", ["of", "times"], [[name, value] for name, value in ratios.items()])
    for name, (rate, exact) in rates.items():
        print(f"{name}: {rate:.1f}% of characters wrong, {exact} of {len(texts)} boxes exact")
    return {"seconds": seconds, "ratios": ratios, "cer_percent": {name: rate for name, (rate, _) in rates.items()}}


def _crops(
    reader: PageReader, refs: Sequence[PageRef], truths: Sequence[batches.PageTruth]
) -> tuple[list[tuple[np.ndarray, TextField]], list[str]]:
    """The answer boxes of the pages with what stands in them."""
    crops, texts = [], []
    for ref, truth in zip(refs, truths, strict=True):
        page = load_page(ref)
        registration, _ = read_page(page, reader.job.form)
        for field in reader.job.form.page(registration.page_number).fields:
            if isinstance(field, TextField) and field.role == "item":
                crops.append((cut(page, registration, field), field))
                texts.append(truth.answers[field.item or ""])
    return crops, texts


def _ours(engine: OCREngine, crops: Sequence[tuple[np.ndarray, TextField]]) -> list[str]:
    read = [engine.read(c, lines=1 if f.lines == 1 else None, alphabet=f.alphabet) for c, f in crops]
    return [" ".join(one.text.split("\n")) for one in read]


def _sequences(reader: PageReader, scorer: EncoderScorer, refs: Sequence[PageRef]) -> list[list[Encoded]]:
    """For each network of the scorer, the different sequences that it reads of the pages, in that order."""
    read: list[list[Encoded]] = [[] for _ in scorer.readers]
    with scorer_speed.reading(scorer, lambda place, one: read[place].append(one)):
        for ref in refs:
            reader.read(ref)
    return [list(dict.fromkeys(own)) for own in read]
