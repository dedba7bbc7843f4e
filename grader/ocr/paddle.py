"""The second engine: PaddleOCR 3.7 itself, offline, on the same weights through ONNX Runtime.

PaddleOCR wants a folder a model with `inference.onnx` and `inference.yml`; both are written once to a cache
folder (the recogniser's character list comes from the metadata of its ONNX file). Nothing is downloaded, and
PaddlePaddle is not needed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from grader.flags import check
from grader.ocr.alphabet import parse
from grader.ocr.confidence import DOUBTFUL_LINE, SHARPNESS
from grader.ocr.ppocr import DETECTOR, RECOGNISER, SMALLEST
from grader.ocr.preprocess import line_box, prepare
from grader.ocr.protocol import Crop
from grader.ocr.session import Session
from grader.ocr.transcribe import blankness
from grader.records import Box, TextLine, Transcription
from grader.resources import model_path, sha256

_DETECTION = """Global:
  model_name: PP-OCRv6_small_det
PreProcess:
  transform_ops:
  - DecodeImage: {channel_first: false, img_mode: BGR}
  - DetResizeForTest: {resize_long: 960}
  - NormalizeImage:
      mean: [0.5, 0.5, 0.5]
      std: [0.5, 0.5, 0.5]
      order: hwc
      scale: 1./255.
  - ToCHWImage: null
PostProcess:
  name: DBPostProcess
  thresh: 0.3
  box_thresh: 0.5
  max_candidates: 1000
  unclip_ratio: 1.6
"""
_RECOGNITION = """Global:
  model_name: PP-OCRv6_small_rec
PreProcess:
  transform_ops:
  - DecodeImage: {channel_first: false, img_mode: BGR}
  - RecResizeImg: {image_shape: [3, 48, 320]}
PostProcess:
  name: CTCLabelDecode
  character_dict:
"""


def default_cache() -> Path:
    """Where the folders for PaddleOCR are written: GRADER_CACHE, else the user's cache folder."""
    root = os.environ.get("GRADER_CACHE") or os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "grader" / "paddleocr"


def write_model(weights: Path, description: str, cache: Path) -> Path:
    """A folder with the model as PaddleOCR wants it, named by the weights' hash; written at most once."""
    folder = cache / f"{weights.stem}-{sha256(weights)[:12]}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(dir=cache))
        shutil.copyfile(weights, building / "inference.onnx")
        (building / "inference.yml").write_text(description, encoding="utf-8")
        try:
            building.rename(folder)
        except OSError:  # another process was first
            shutil.rmtree(building)
    return folder


def recogniser_description(weights: Path) -> str:
    """inference.yml of the recogniser, with the character list from the metadata of its weights."""
    characters = Session(weights).metadata("character").split("\n")
    quoted = ("  - '" + c.replace("'", "''") + "'" for c in characters)
    return _RECOGNITION + "\n".join(quoted) + "\n"


class PaddleOCREngine:
    """See grader.ocr.protocol.OCREngine. Reads whole lines: PaddleOCR gives no probability per character, and
    cannot be restricted to an alphabet, so a reading with characters outside it is flagged."""

    remark = ""

    def __init__(self, cache: Path | None = None) -> None:
        import paddleocr  # noqa: F401  a missing extra must show when the engine is chosen

        self._cache = cache or default_cache()
        try:
            self.name = f"paddleocr-{version('paddleocr')}/1"
        except PackageNotFoundError:
            self.name = "paddleocr/1"

    def models(self) -> dict[str, str]:
        """Name of each weight file → its SHA-256."""
        return {name.split("/")[-1]: sha256(model_path(name)) for name in (DETECTOR, RECOGNISER)}

    @cached_property
    def _folders(self) -> tuple[Path, Path]:
        os.environ.setdefault("PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK", "True")
        recogniser = model_path(RECOGNISER)
        return (
            write_model(model_path(DETECTOR), _DETECTION, self._cache),
            write_model(recogniser, recogniser_description(recogniser), self._cache),
        )

    @cached_property
    def _pipeline(self) -> Any:
        detection, recognition = self._folders
        from paddleocr import PaddleOCR

        return PaddleOCR(
            text_detection_model_name="PP-OCRv6_small_det",
            text_detection_model_dir=str(detection),
            text_recognition_model_name="PP-OCRv6_small_rec",
            text_recognition_model_dir=str(recognition),
            use_doc_orientation_classify=False,
            use_doc_unwarping=False,
            use_textline_orientation=False,
            engine="onnxruntime",
        )

    @cached_property
    def _recogniser(self) -> Any:
        _, recognition = self._folders
        from paddleocr import TextRecognition

        return TextRecognition(model_name="PP-OCRv6_small_rec", model_dir=str(recognition), engine="onnxruntime")

    def read(self, crop: np.ndarray, *, lines: int | None = 1, alphabet: str = "any") -> Transcription:
        """Read a gray or BGR uint8 crop; see grader.ocr.protocol."""
        allowed = parse(alphabet).characters
        if min(crop.shape[:2]) < SMALLEST:
            return Transcription("", 0.0, (), ("ocr_doubtful",))
        page = prepare(crop)
        if page.solid:
            return Transcription("", 0.0, (), ("ocr_doubtful",))
        blank = blankness(page)
        if blank is not None:
            return blank
        if lines == 1:
            x, y, w, h = line_box(page.ink)
            read = self._one(page.gray[y : y + h, x : x + w], (float(x), float(y), float(w), float(h)))
        else:
            read = self._several(page.gray)
        read = [line for line in read if line.text.strip()]
        weakest = min((line.confidence for line in read), default=0.0)
        flags = ["ocr_doubtful"] if weakest < DOUBTFUL_LINE else []
        text = "\n".join(line.text for line in read)
        if allowed is not None and not set(text) <= {*allowed, " ", "\n"}:
            flags.append("out_of_alphabet")
        return Transcription(text, weakest, tuple(read), check(tuple(flags)))

    def read_many(self, crops: Sequence[Crop]) -> list[Transcription]:
        """Read the crops of one page, in their order."""
        return [self.read(crop.picture, lines=crop.lines, alphabet=crop.alphabet) for crop in crops]

    def _one(self, gray: np.ndarray, box: Box) -> list[TextLine]:
        result = self._recogniser.predict(np.repeat(gray[:, :, None], 3, axis=2))[0]
        return [_line(str(result["rec_text"]), float(result["rec_score"]), box)]

    def _several(self, gray: np.ndarray) -> list[TextLine]:
        result = self._pipeline.predict(np.repeat(gray[:, :, None], 3, axis=2))[0]
        found = []
        for text, score, (left, top, right, bottom) in zip(
            result["rec_texts"], result["rec_scores"], result["rec_boxes"], strict=True
        ):
            box = (float(left), float(top), float(right - left), float(bottom - top))
            found.append(_line(str(text), float(score), box))
        return found


def _line(text: str, score: float, box: Box) -> TextLine:
    """PaddleOCR's score is the mean of the characters' probabilities; ours is that of the whole line."""
    return TextLine(text, score ** (SHARPNESS * max(1, len(text))), box)
