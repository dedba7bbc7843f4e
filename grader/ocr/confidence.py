"""What a line's confidence means, and which doubts are flagged.

The raw score of a line is the product of its characters' probabilities: under independence, the probability
that every one is right. The network is too sure of itself, so the product is raised to a power, a monotone
map with a single parameter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from grader.ocr.alphabet import confusable
from grader.ocr.ctc import Symbol

# Fitted by maximum likelihood on rendered handwriting (see benchmarks/ocr_confidence.py), never on real crops.
SHARPNESS = 1.4
DOUBTFUL_LINE = 0.7  # below this probability that a line is exactly right, a short answer needs a person
DOUBTFUL_CHARACTER = 0.75  # the same for the mean character of running text, which bears single errors
_RIVAL = 0.08  # a look-alike with this probability is a real alternative


def line_confidence(symbols: Sequence[Symbol]) -> float:
    """Probability-like score that a line was read exactly. 0.0 for a line without symbols."""
    if not symbols:
        return 0.0
    raw = sum(math.log(max(s.probability, 1e-9)) for s in symbols)
    return math.exp(SHARPNESS * raw)


def mean_character(symbols: Sequence[Symbol]) -> float:
    """Geometric mean of the characters' probabilities, 0.0 for none."""
    if not symbols:
        return 0.0
    return math.exp(sum(math.log(max(s.probability, 1e-9)) for s in symbols) / len(symbols))


def flags_of(symbols: Sequence[Symbol], *, exact: bool) -> list[str]:
    """Flags of what was decoded. exact: every character counts (a short answer), not the gist of a text."""
    flags = []
    doubtful = line_confidence(symbols) < DOUBTFUL_LINE if exact else mean_character(symbols) < DOUBTFUL_CHARACTER
    if doubtful:
        flags.append("ocr_doubtful")
    if exact and any(_ambiguous(s) for s in symbols):
        flags.append("ocr_ambiguous")
    if any(s.foreign for s in symbols):
        flags.append("out_of_alphabet")
    return flags


def _ambiguous(symbol: Symbol) -> bool:
    return symbol.second_probability >= _RIVAL and confusable(symbol.text, symbol.second)
