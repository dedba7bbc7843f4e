"""Lines of text to characters: the PP-OCR recogniser (a CTC network), called on known boxes.

Preprocessing as the network was trained: height 48, aspect kept, values -1 to 1, zeros to the right. Training
pads to 320; 128 reads short lines as well and takes 40% of the time, and without any padding single characters
suffer (benchmarks/ocr_speed.py, padding). Unless an engine asks for batches (grader.ocr.batches), a line is read
alone and in its own width, so what is read does not depend on other lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from grader.ocr.alphabet import Folding, fold, parse
from grader.ocr.batches import ALONE, Batcher, Batching
from grader.ocr.ctc import Symbol, decode, decode_restricted
from grader.ocr.session import Session
from grader.providers import Provider, room

HEIGHT = 48
NARROWEST = 128
WIDEST = 4096  # a line of 85 times its height; wider crops are squeezed


@dataclass(frozen=True, eq=False)
class Line:
    """The picture of one line (gray uint8, dark on light) and what may occur in it (see grader.ocr.alphabet)."""

    picture: np.ndarray
    alphabet: str = "any"


@dataclass(frozen=True)
class Recognised:
    """What one line gave. symbols carry time steps; `steps` of them cover the line itself, the rest padding."""

    symbols: tuple[Symbol, ...]
    steps: float


def network_width(line: np.ndarray, step: int = 1) -> tuple[int, int]:
    """Columns of the network's input for a gray picture of a line, a multiple of `step`, and of the line within it."""
    height, width = line.shape
    scaled = min(max(1, HEIGHT * width // height), WIDEST)
    return -(-max(NARROWEST, scaled) // step) * step, scaled


def network_input(line: np.ndarray, step: int = 1) -> tuple[np.ndarray, int]:
    """Prepare a gray uint8 line. Returns float32 1 x 3 x 48 x W (see `network_width`) and the width of the line
    within W."""
    padded, scaled = network_width(line, step)
    resized = cv2.resize(line, (scaled, HEIGHT), interpolation=cv2.INTER_LINEAR)
    x = np.zeros((1, 3, HEIGHT, padded), np.float32)
    x[:, :, :, :scaled] = resized.astype(np.float32) / 127.5 - 1
    return x, scaled


class Recogniser:
    """The recogniser with its vocabulary, which comes with the weights.

    batching: how lines are put together, within the memory that is free once the weights are loaded.
    """

    def __init__(self, weights: Path, provider: Provider = "cpu", batching: Batching = ALONE) -> None:
        self._session = Session(weights, provider)
        characters = self._session.metadata("character").split("\n")
        self.vocabulary: tuple[str, ...] = ("", *characters, " ")
        self._folding = lru_cache(maxsize=64)(self._fold)
        free = room(provider)
        self._batcher = Batcher(batching if free is None else batching.within(free))

    def _fold(self, spec: str) -> Folding:
        return fold(parse(spec), self.vocabulary)

    def recognise(self, lines: Sequence[Line]) -> list[Recognised]:
        """Read lines; the results are in their order. Raises PageError where memory does not suffice for one line."""
        step = self._batcher.batching.step

        def together(numbers: Sequence[int]) -> list[Recognised]:
            prepared = [network_input(lines[number].picture, step) for number in numbers]
            x = np.concatenate([one for one, _ in prepared])
            return [
                self._decoded(probabilities, len(probabilities) * width / x.shape[3], lines[number].alphabet)
                for probabilities, (_, width), number in zip(self._session.run(x), prepared, numbers, strict=True)
            ]

        return self._batcher.run([network_width(line.picture, step)[0] for line in lines], together)

    def _decoded(self, probabilities: np.ndarray, steps: float, alphabet: str) -> Recognised:
        """What the network saw in one line. probabilities: steps x classes, of which `steps` cover the line."""
        if parse(alphabet).characters is None:
            symbols = decode(probabilities, self.vocabulary)
        else:
            symbols = decode_restricted(probabilities, self._folding(alphabet))
        return Recognised(tuple(symbols), steps)
