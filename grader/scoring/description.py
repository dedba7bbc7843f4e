"""What a calibration sees of an answer: numbers only, made by shipped models that stay as they are.

Blocks: how long the answer is; what the scorer proposes; what the lexical scorer measures beside the references or
criteria; an encoder's outputs and pooled state, where the scorer has one; and counts of character n-grams hashed
into `BUCKETS` places (Weinberger et al. 2009), which need neither a reference nor a model. Each answer is described
by itself, so nothing depends on what else is in the batch.
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import numpy as np

from grader.exam.exam import ShortAnswerItem
from grader.records import Mark, Response
from grader.scoring import confidence as odds
from grader.scoring.lexical import LexicalScorer
from grader.scoring.protocol import Scorer
from grader.scoring.task import statement
from grader.scoring.text import View, look

BUCKETS = 1 << 14
_LATIN, _CHINESE = (3, 4, 5), (1, 2, 3)  # lengths of n-grams: a Chinese character says as much as a few letters
_MOST = 255  # a count above it is cut


@runtime_checkable
class Reads(Protocol):
    """A scorer with an encoder inside: grader.scoring.encoder."""

    def reading(self, question: str, references: Sequence[str], answer: View) -> tuple[Any, np.ndarray, bool]:
        """(both judges' word on an answer that has tokens, the lexical features, whether all of it was read)."""
        ...


@dataclass(frozen=True, eq=False)
class Grams:
    """Counts of hashed n-grams, row by row: answer i has places[start[i]:start[i+1]], with their counts."""

    start: np.ndarray  # n + 1, int64
    places: np.ndarray  # uint16, rising within an answer
    counts: np.ndarray  # uint8

    def __len__(self) -> int:
        return len(self.start) - 1

    def row(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """(places, counts) of one answer."""
        return self.places[self.start[i] : self.start[i + 1]], self.counts[self.start[i] : self.start[i + 1]]


@dataclass(frozen=True, eq=False)
class Description:
    """n answers to one item. prior: the scorer's expected share of the full mark, 0..1. blocks: name → n x width
    float64; the same names and widths for every answer to the item. marks: what the scorer itself proposes."""

    prior: np.ndarray
    blocks: dict[str, np.ndarray]
    grams: Grams
    marks: tuple[Mark, ...]


def describe(scorer: Scorer, item: ShortAnswerItem, language: str, texts: Sequence[str]) -> Description:
    """Describe answers to an item as `scorer` sees them. texts: each holds a token."""
    marks = scorer.score(item, language, [Response("", item.id, text) for text in texts])
    views = [look(text) for text in texts]
    blocks = {"length": np.array([_lengths(view) for view in views]), "proposal": _proposals(item, marks)}
    prior = np.array([(mark.mark or 0.0) / item.max_mark for mark in marks])
    references = _references(item)
    if references:
        read = [_read(scorer, item.prompt, references, view) for view in views]
        blocks |= {name: np.stack([one[name] for one in read]) for name in read[0]}
        if not item.rubric:
            prior = np.array([_expected(one["outputs"][:4]) for one in read])
    return Description(prior, blocks, _grams(views), tuple(marks))


def dependencies(scorer: Scorer) -> dict[str, Any]:
    """What a description depends on: the scorer's name and the hashes of all weights."""
    models = scorer.models()
    if not isinstance(scorer, Reads | LexicalScorer):
        models = {**_lexical().models(), **models}
    return {"scorer": scorer.name, "models": dict(sorted(models.items()))}


def _references(item: ShortAnswerItem) -> list[str]:
    """The reference answers; without one, all that the criteria want said. Empty where neither holds a word."""
    references = [text for text in item.reference_answers if look(text).tokens]
    wanted = "\n".join(statement(one.criterion) for one in item.rubric)
    return references or ([wanted] if look(wanted).tokens else [])


def _read(scorer: Scorer, question: str, references: Sequence[str], view: View) -> dict[str, np.ndarray]:
    """The blocks of one answer that need a reference. The first four outputs are the scorer's own steps."""
    if isinstance(scorer, Reads):
        found, features, _ = scorer.reading(question, references, view)
        return {
            "outputs": np.concatenate([found.steps, found.output.steps, found.output.classes]).astype(np.float64),
            "state": found.output.state.astype(np.float64),
            "measures": np.concatenate([features, found.lexical]).astype(np.float64),
        }
    lexical = scorer if isinstance(scorer, LexicalScorer) else _lexical()
    features, passes = lexical.probabilities(question, references, view)
    return {"outputs": passes.astype(np.float64), "measures": features.astype(np.float64)}


@lru_cache(maxsize=1)
def _lexical() -> LexicalScorer:
    """The lexical scorer, for its measures beside a scorer of another make."""
    return LexicalScorer()


def _expected(passes: np.ndarray) -> float:
    masses = odds.distribution(passes, 1.0, 0.05)
    return float((masses * np.linspace(0, 1, len(masses))).sum())


def _lengths(view: View) -> list[float]:
    words, letters = len(view.tokens), len(view.text)
    long = math.log1p(words)
    return [long, long * long, math.log1p(letters), letters / (words + 1), math.log1p(len(view.small)),
            math.log1p(len(view.clauses)), math.log1p(len(view.numbers))]  # fmt: skip


def _proposals(item: ShortAnswerItem, marks: Sequence[Mark]) -> np.ndarray:
    """The proposed share of the full mark, its confidence, and the share of each criterion."""
    rows = []
    for mark in marks:
        got = {one.id: one.mark for one in mark.criteria}
        shares = [got.get(one.id, 0.0) / one.marks for one in item.rubric]
        rows.append([(mark.mark or 0.0) / item.max_mark, mark.confidence, *shares])
    return np.array(rows)


def _grams(views: Sequence[View]) -> Grams:
    rows = [_counts(view) for view in views]
    start = np.cumsum([0, *map(len, rows)])
    places = np.array([place for row in rows for place in sorted(row)], np.uint16)
    counts = np.array([min(_MOST, row[place]) for row in rows for place in sorted(row)], np.uint8)
    return Grams(start, places, counts)


def _counts(view: View) -> Counter[int]:
    """How often each bucket is hit by an n-gram of the normalised text."""
    chinese = view.cjk_share > 0.3
    text = " " + ("" if chinese else " ").join(token.text for token in view.tokens) + " "
    return Counter(
        zlib.crc32(text[i : i + n].encode()) % BUCKETS
        for n in (_CHINESE if chinese else _LATIN)
        for i in range(len(text) - n + 1)
    )
