"""How weights lie in a file: matrices as whole numbers of 8 or 4 bits with an fp16 scale for each block of neighbours.

int8: one scale for 32 weights. int4: one for 64, chosen for the least squared error of its block (one that follows
the greatest weight alone is worse). One scale an output channel would save 4% of an int8 file and move probabilities
several times as far. What is computed with is float32 in any case.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Weights = Literal["int4", "int8", "mixed", "fp16", "fp32"]  # mixed: embeddings as int8, matrices as fp16
WORDS = "base.embeddings.word_embeddings.weight"
_BLOCKS = {"int8": 32, "int4": 64}  # weights that share a scale
_TRIED = np.linspace(0.7, 1.05, 15)  # scales tried for a block of 4-bit weights, in shares of the one that clips none


def rounded(name: str, weight: np.ndarray, kind: Weights) -> tuple[np.ndarray, np.ndarray | None]:
    """A tensor of the state as it is stored (rows x columns; dense layers as output x input), and its scales: with
    int8 and int4, whole numbers and one fp16 number for each block of a row, rows x blocks; else None."""
    if weight.ndim != 2 or not (name == WORDS or ".layer." in name or name.startswith("dense")) or kind == "fp32":
        return weight.astype(np.float32), None  # small, or counts much
    if kind == "fp16" or (kind == "mixed" and name != WORDS):
        return weight.astype(np.float16), None
    four = kind == "int4"
    block = _BLOCKS["int4" if four else "int8"]
    blocks = weight.reshape(len(weight), -1, block if weight.shape[1] % block == 0 else weight.shape[1])
    scale = _scales_of_four_bits(blocks) if four else np.abs(blocks).max(2) / 127
    scale = np.where(np.abs(scale) < 1e-6, 1e-6, scale).astype(np.float16)
    least, most = (-8, 7) if four else (-127, 127)
    whole = np.rint(blocks / scale.astype(np.float32)[..., None])
    return np.clip(whole, least, most).astype(np.int8).reshape(weight.shape), scale


def expanded(stored: np.ndarray, scale: np.ndarray | None) -> np.ndarray:
    """What the graph computes with: float32, the very products that the graph makes."""
    whole = stored.astype(np.float32)
    if scale is None:
        return whole
    blocks = whole.reshape(*scale.shape, -1) * scale.astype(np.float32)[..., None]
    return blocks.reshape(stored.shape)


def packed(whole: np.ndarray, axis: int) -> np.ndarray:
    """Whole numbers from -8 to 7, two in a byte: of the length along `axis` the first half in the low four bits."""
    low, high = np.split((whole + 8).astype(np.uint8), 2, axis)
    return low | (high << 4)


def _scales_of_four_bits(blocks: np.ndarray) -> np.ndarray:
    """rows x blocks. The greatest weight stands at -8, so the scale has the opposite sign of it."""
    greatest = np.take_along_axis(blocks, np.abs(blocks).argmax(2)[..., None], 2)[..., 0]
    best, least = greatest / -8, np.full(greatest.shape, np.inf)
    for share in _TRIED:
        scale = greatest / -8 * share
        safe = np.where(np.abs(scale) < 1e-9, 1e-9, scale)[..., None]
        error = ((np.clip(np.rint(blocks / safe), -8, 7) * safe - blocks) ** 2).sum(2)
        better = error < least
        best, least = np.where(better, scale, best), np.where(better, error, least)
    return best
