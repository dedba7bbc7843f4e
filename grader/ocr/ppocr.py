"""The default engine: PP-OCRv6 small on ONNX Runtime, called on boxes whose place is known.

crops → their lines → the network, line by line or in batches → text, confidence, flags
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from grader.ocr.alphabet import parse
from grader.ocr.batches import ALONE, BATCHED, Batching
from grader.ocr.detection import Detector, reading_order, text_height
from grader.ocr.preprocess import prepare
from grader.ocr.protocol import Crop
from grader.ocr.recognition import Recogniser
from grader.ocr.transcribe import Waiting, blankness, known, one_line, several_lines
from grader.providers import Provider, check_provider
from grader.records import Transcription
from grader.resources import model_path, sha256
from grader.stages import stage

VERSION = "ppocr-v6-small/2"  # 2: short lines are padded to 128 columns, no longer to 320
DETECTOR = "ocr/PP-OCRv6_det_small.onnx"
RECOGNISER = "ocr/PP-OCRv6_rec_small.onnx"
SMALLEST = 10  # pixels of a side below which a crop shows nothing


class PPOCR:
    """See grader.ocr.protocol.OCREngine. The networks load when first needed.

    provider: where they run. batching: how lines are put together; on the processor each is read alone, and what is
    read is the reading of record. Any other choice is part of the name. Raises UsageError for a provider that this
    installation of ONNX Runtime does not have.
    """

    def __init__(self, provider: Provider = "cpu", batching: Batching = ALONE) -> None:
        if provider != "cpu":
            check_provider(provider)
        self._provider: Provider = provider
        self._batching = batching
        elsewhere = "" if provider == "cpu" else f"+{provider}"
        together = f"+batch{batching.most}x{batching.step}" if batching.most > 1 or batching.step > 1 else ""
        self.name = f"{VERSION}{elsewhere}{together}"

    @property
    def remark(self) -> str:
        """What to know about its readings, "" for those of record."""
        if self.name == VERSION:
            return ""
        most, step = self._batching.most, self._batching.step
        how = f"in batches of up to {most} lines, whose widths are rounded up to {step} columns" if most > 1 else ""
        other = "doubtful characters may be read otherwise, and confidences" if step > 1 else "confidences"
        where = f"{self.name} reads on {self._provider} {how or 'line by line'}"
        return f"{where}: {other} may differ from those of {VERSION}, the reading of record"

    @cached_property
    def _recogniser(self) -> Recogniser:
        return Recogniser(model_path(RECOGNISER), self._provider, self._batching)

    @cached_property
    def _detector(self) -> Detector:
        return Detector(model_path(DETECTOR), self._provider)

    def models(self) -> dict[str, str]:
        """Name of each weight file → its SHA-256; and the engine's name, which changes when the same weights are
        used in a way that changes what is read, → the SHA-256 of that name."""
        weights = {name.split("/")[-1]: sha256(model_path(name)) for name in (DETECTOR, RECOGNISER)}
        return {**weights, self.name: hashlib.sha256(self.name.encode()).hexdigest()}

    def read(self, crop: np.ndarray, *, lines: int | None = 1, alphabet: str = "any") -> Transcription:
        """Read a gray or BGR uint8 crop; see grader.ocr.protocol. Raises UsageError for an unknown alphabet, PageError
        where memory does not suffice for a single line."""
        return self._read([Crop(crop, lines, alphabet)])[0]

    def read_many(self, crops: Sequence[Crop]) -> list[Transcription]:
        """Read the crops of one page, in their order. Raises as `read` does."""
        if self._batching.most == 1:  # nothing to gather, and no need to hold more than one crop's pictures
            return [read for crop in crops for read in self._read([crop])]
        return self._read(crops)

    def _read(self, crops: Sequence[Crop]) -> list[Transcription]:
        waiting = [self._prepared(crop) for crop in crops]
        lines = [line for one in waiting for line in one.lines]
        recognised = iter(self._recogniser.recognise(lines) if lines else ())
        return [one.finish([next(recognised) for _ in one.lines]) for one in waiting]

    def _prepared(self, crop: Crop) -> Waiting:
        """Everything about a crop that needs no recogniser."""
        parse(crop.alphabet)
        if min(crop.picture.shape[:2]) < SMALLEST:
            return known(Transcription("", 0.0, (), ("ocr_doubtful",)))
        page = prepare(crop.picture)
        if page.solid:
            return known(Transcription("", 0.0, (), ("ocr_doubtful",)))
        blank = blankness(page)
        if blank is not None:
            return known(blank)
        if crop.lines == 1:
            return one_line(page, crop.alphabet)
        with stage("detection"):
            pieces = reading_order(self._detector.detect(page.gray, text_height(page.ink)))
        return several_lines(page, pieces, crop.alphabet)


def on_cuda() -> PPOCR:
    """The engine on an NVIDIA GPU, the lines of a page in batches, registered as "ppocr-cuda"."""
    return PPOCR("cuda", BATCHED)


def on_openvino() -> PPOCR:
    """The engine on OpenVINO, in float32 on the processor, registered as "ppocr-openvino"."""
    return PPOCR("openvino")
