"""From what two judges say of an answer to one set of probabilities and one confidence, by plain numbers.

The judges are the encoder, which reads meaning, and the lexical network, which counts shared words. Their step
logits are summed with two weights; confidence is a logistic function of a few signals (Platt 1999). Both were
fitted on questions that neither judge had seen (stacked generalisation, Wolpert 1992); the numbers stand in the
bundle and are applied with numpy alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from grader.errors import ModelError

SIGNALS = ("agreement", "apart", "inner", "doubt")
KINDS = ("holistic/exact", "holistic/tolerant", "rubric/exact", "rubric/tolerant")
_EDGE = 1e-4  # probabilities nearer to 0 or 1 say no more


def logit(probability: np.ndarray | float) -> np.ndarray:
    """log p / (1 - p) of probabilities kept away from 0 and 1."""
    kept: np.ndarray = np.clip(np.asarray(probability, np.float64), _EDGE, 1 - _EDGE)
    return np.log(kept / (1 - kept))


def sigmoid(value: np.ndarray | float) -> np.ndarray:
    """1 / (1 + e^-x)."""
    return 1 / (1 + np.exp(-np.asarray(value, np.float64)))


@dataclass(frozen=True)
class Signals:
    """What confidence is judged by. agreement: the probability, by the summed steps, that the mark is within the
    tolerance; apart: how far the judges' mean scores lie from each other; inner: how far the encoder's own heads
    do; doubt: entropy of its classes, in shares of the greatest."""

    agreement: float
    apart: float
    inner: float
    doubt: float

    def vector(self) -> np.ndarray:
        """In the order of SIGNALS; the first as a logit."""
        return np.array([float(logit(self.agreement)), self.apart, self.inner, self.doubt])


def signals(steps: np.ndarray, classes: np.ndarray, lexical: np.ndarray, agreement: float) -> Signals:
    """steps, classes: of the encoder (4, 3 probabilities). lexical: 4 step probabilities."""
    apart = abs(float(np.mean(steps, dtype=np.float64)) - float(np.mean(lexical, dtype=np.float64)))
    inner = abs(float(steps[3]) - float(classes[0]))
    kept = np.clip(classes.astype(np.float64), 1e-9, 1.0)
    return Signals(agreement, apart, inner, float(-(kept * np.log(kept)).sum() / np.log(len(kept))))


@dataclass(frozen=True)
class Stack:
    """encoder, lexical: weights of the step logits; bias: of each step. contradictory: added to that class's log
    probability. confidence: kind → a weight for each of SIGNALS, then the bias. apart: limit of the flag
    heads_disagree, on either distance. clause: probability from which a clause that contradicts costs the mark.
    criterion: what stands for encoder and lexical under a rubric: networks that learnt from whole reference answers
    know less of single points."""

    encoder: float
    lexical: float
    bias: tuple[float, ...]
    contradictory: float
    confidence: Mapping[str, tuple[float, ...]]
    apart: float
    clause: float
    criterion: tuple[float, float]

    @classmethod
    def read(cls, numbers: Mapping[str, Any]) -> Stack:
        """From the bundle's JSON. Raises ModelError if it lacks something."""
        try:
            confidence = {kind: tuple(map(float, numbers["confidence"][kind])) for kind in KINDS}
            plain = {key: float(numbers[key]) for key in ("encoder", "lexical", "contradictory", "apart", "clause")}
            bias = tuple(map(float, numbers["bias"]))
            encoder, lexical = map(float, numbers.get("criterion", (plain["encoder"], plain["lexical"])))
            if len(bias) != 4 or any(len(weights) != len(SIGNALS) + 1 for weights in confidence.values()):
                raise ValueError("it has another number of steps or signals")
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"the scorer's stacking numbers cannot be used: {error}", "reinstall grader") from error
        return cls(bias=bias, confidence=confidence, criterion=(encoder, lexical), **plain)

    def steps(self, encoder: np.ndarray, lexical: np.ndarray, criterion: bool = False) -> np.ndarray:
        """4 falling probabilities from those of the two judges. criterion: of a rubric, not the whole mark."""
        first, second = self.criterion if criterion else (self.encoder, self.lexical)
        summed = first * logit(encoder) + second * logit(lexical) + np.array(self.bias)
        return sigmoid(np.minimum.accumulate(summed, axis=-1))

    def classes(self, classes: np.ndarray) -> np.ndarray:
        """Probabilities of correct, contradictory, incorrect, weighed for the rare class."""
        raised = np.asarray(classes, np.float64) * np.exp([0.0, self.contradictory, 0.0])
        scaled: np.ndarray = raised / raised.sum(-1, keepdims=True)
        return scaled

    def named(self, classes: np.ndarray, full: np.ndarray | float) -> np.ndarray:
        """Probabilities of correct, contradictory, incorrect. full: the judges' common word that the answer is fully
        right, the last of `steps`; that it is correct is the mean of it and the class head's word."""
        raised = self.classes(classes)
        correct = (raised[..., :1] + np.asarray(full, np.float64)[..., None]) / 2
        wrong = raised[..., 1:] / raised[..., 1:].sum(-1, keepdims=True)
        return np.concatenate([correct, wrong * (1 - correct)], axis=-1)

    def sure(self, kind: str, found: Signals) -> float:
        """The calibrated probability that the mark is within the tolerance of a human's."""
        *weights, bias = self.confidence[kind]
        return float(sigmoid(found.vector() @ np.array(weights) + bias))


# Before anything was fitted: the encoder alone, never sure enough to be proposed.
UNFITTED: dict[str, Any] = {
    "encoder": 1.0, "lexical": 0.0, "bias": [0.0] * 4, "contradictory": 0.0, "apart": 0.5, "clause": 0.8,
    "confidence": {kind: [0.5, 0.0, 0.0, 0.0, 0.0] for kind in KINDS},
}  # fmt: skip
