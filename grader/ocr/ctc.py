"""Decoding of CTC output: best path, character by character, within an alphabet or without.

Best-path decoding after Graves et al., "Connectionist Temporal Classification" (ICML 2006): the most probable
class of every time step, repeats merged, blanks dropped. Probabilities are never renormalised to an alphabet:
what the network gave to characters outside it is missing from the confidence of those inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from grader.ocr.alphabet import Folding

BLANK = 0
_NEGLIGIBLE = 1e-3  # an allowed character with less than this is not even a guess


@dataclass(frozen=True)
class Symbol:
    """One decoded character: its probability, the next best reading, and its time steps [start, end).

    foreign: the network saw a character outside the alphabet here; text "" if nothing allowed came near it.
    """

    text: str
    probability: float
    start: int
    end: int
    second: str = ""
    second_probability: float = 0.0
    foreign: bool = False


def _runs(path: np.ndarray) -> list[tuple[int, int, int]]:
    """(class, start, end) of every run of one class that is not the blank."""
    found, at = [], 0
    for label, steps in groupby(path.tolist()):
        length = sum(1 for _ in steps)
        if label != BLANK:
            found.append((label, at, at + length))
        at += length
    return found


def decode(probabilities: np.ndarray, vocabulary: Sequence[str]) -> list[Symbol]:
    """Decode without restriction. probabilities: float, steps x classes, rows sum to 1; class 0 is the blank."""
    symbols = []
    for label, start, end in _runs(probabilities.argmax(axis=1)):
        peak = start + int(probabilities[start:end, label].argmax())
        others = probabilities[peak].copy()
        others[[label, BLANK]] = -1
        rival = int(others.argmax())
        first, second = float(probabilities[peak, label]), float(others[rival])
        symbols.append(Symbol(vocabulary[label], first, start, end, vocabulary[rival], second))
    return symbols


def decode_restricted(probabilities: np.ndarray, folding: Folding) -> list[Symbol]:
    """Decode within an alphabet (arguments as for `decode`).

    Where the network's own choice lies outside the alphabet, the best allowed character is taken with the
    little probability that it has, and the symbol is marked foreign: a guess that shows its doubt.
    """
    allowed = np.add.reduceat(probabilities[:, folding.classes], folding.starts, axis=1)
    kept = 1 + len(folding.characters)
    path = probabilities.argmax(axis=1)
    # Classes are renumbered: 0 blank (and what may be skipped), 1.. the alphabet, then every class outside it.
    renumber = np.arange(probabilities.shape[1]) + kept
    sizes = np.diff([*folding.starts, len(folding.classes)])
    renumber[folding.classes] = np.repeat(np.arange(1, kept), sizes)
    renumber[folding.ignored] = BLANK
    renumber[BLANK] = BLANK
    best = allowed.argmax(axis=1)
    blank = probabilities[:, BLANK] + probabilities[:, folding.ignored].sum(axis=1)
    outside = renumber[path] >= kept
    # Folded classes may together outweigh the single most probable class of a step.
    path = np.where(outside, renumber[path], np.where(allowed.max(axis=1) > blank, best + 1, BLANK))
    symbols = []
    for label, start, end in _runs(path):
        foreign = label >= kept
        scores = allowed[start:end].max(axis=0)
        order = np.argsort(-scores, kind="stable")[:2]
        choice = int(order[0]) if foreign else label - 1
        probability = float(min(scores[choice], 1.0))
        rival = next((int(i) for i in order if i != choice), choice)
        second, weight = (folding.characters[rival], float(scores[rival])) if rival != choice else ("", 0.0)
        text = "" if foreign and probability < _NEGLIGIBLE else folding.characters[choice]
        symbols.append(Symbol(text, probability, start, end, second, weight, foreign))
    return symbols
