"""One line of text to characters: the PP-OCR recogniser (a CTC network), called on a known box.

Preprocessing as the network was trained: height 48, aspect kept, values -1 to 1, zeros to the right. Training
pads to 320; 128 reads short lines as well and takes 40% of the time, and without any padding single characters
suffer (benchmarks/ocr_speed.py, padding). A line is read alone, never in a batch, so its width is its own and what
is read does not depend on other lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from grader.ocr.alphabet import Folding, fold, parse
from grader.ocr.ctc import Symbol, decode, decode_restricted
from grader.ocr.session import Session
from grader.providers import Provider

HEIGHT = 48
NARROWEST = 128
WIDEST = 4096  # a line of 85 times its height; wider crops are squeezed


@dataclass(frozen=True)
class Recognised:
    """What one line gave. symbols carry time steps; `steps` of them cover the line itself, the rest padding."""

    symbols: tuple[Symbol, ...]
    steps: float


def network_input(line: np.ndarray) -> tuple[np.ndarray, int]:
    """Prepare a gray uint8 line. Returns float32 1 x 3 x 48 x W and the width of the line within W."""
    height, width = line.shape
    scaled = min(max(1, HEIGHT * width // height), WIDEST)
    resized = cv2.resize(line, (scaled, HEIGHT), interpolation=cv2.INTER_LINEAR)
    x = np.zeros((1, 3, HEIGHT, max(NARROWEST, scaled)), np.float32)
    x[:, :, :, :scaled] = resized.astype(np.float32) / 127.5 - 1
    return x, scaled


class Recogniser:
    """The recogniser with its vocabulary, which comes with the weights."""

    def __init__(self, weights: Path, provider: Provider = "cpu") -> None:
        self._session = Session(weights, provider)
        characters = self._session.metadata("character").split("\n")
        self.vocabulary: tuple[str, ...] = ("", *characters, " ")
        self._folding = lru_cache(maxsize=64)(self._fold)

    def _fold(self, spec: str) -> Folding:
        return fold(parse(spec), self.vocabulary)

    def recognise(self, line: np.ndarray, alphabet: str = "any") -> Recognised:
        """Read a gray uint8 picture of one line within `alphabet` (see grader.ocr.alphabet)."""
        x, width = network_input(line)
        probabilities = self._session.run(x)[0]
        if parse(alphabet).characters is None:
            symbols = decode(probabilities, self.vocabulary)
        else:
            symbols = decode_restricted(probabilities, self._folding(alphabet))
        return Recognised(tuple(symbols), probabilities.shape[0] * width / x.shape[3])
