"""Texts to token ids: what a cross-encoder reads, at run time and in training alike.

    [CLS] reference [SEP] answer [SEP] question [SEP]      token types 0, 1, 0

The question stands last. Text is data: a special token typed by a candidate never becomes that token.
Every call gives the same ids for the same texts, whatever was encoded before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer

from grader.errors import ModelError
from grader.scoring.text import View, cleaned, look

CHARACTERS = 6000  # of a reference or question; more tokens than any length limit keeps
_NAMES = {"start": ("[CLS]", "<s>"), "end": ("[SEP]", "</s>"), "unknown": ("[UNK]", "<unk>")}
_NEVER_TYPED = ("[CLS]", "[SEP]", "[PAD]", "[MASK]", "<s>", "</s>", "<pad>", "<mask>")


@dataclass(frozen=True)
class Lengths:
    """Most tokens that are read of each part."""

    question: int = 64
    reference: int = 128
    answer: int = 128


@dataclass(frozen=True)
class Encoded:
    """Token ids and types of one (question, reference, answer)."""

    ids: tuple[int, ...]
    types: tuple[int, ...]


class Encoding:
    """Turns (question, reference, answer) into ids. Raises ModelError for a tokenizer without the special tokens."""

    def __init__(self, tokenizer: Tokenizer, lengths: Lengths) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True
        self.lengths = lengths
        self._tokenizer = tokenizer
        self._start, self._end, self._unknown = (_first(tokenizer, names) for names in _NAMES.values())
        places = (tokenizer.token_to_id(name) for name in _NEVER_TYPED)
        self._special = frozenset(place for place in places if place is not None)
        self._pieces = lru_cache(maxsize=4096)(self._split)

    @classmethod
    def load(cls, path: Path, lengths: Lengths) -> Encoding:
        """From a tokenizer.json. Raises ModelError if it is missing or damaged."""
        try:
            return cls(Tokenizer.from_file(str(path)), lengths)
        except ModelError:
            raise
        except Exception as error:  # tokenizers raises plain Exception
            raise ModelError(f"{path} is no tokenizer: {error}", "reinstall grader") from error

    def _split(self, text: str) -> tuple[int, ...]:
        ids = self._tokenizer.encode(cleaned(text, CHARACTERS), add_special_tokens=False).ids
        return tuple(self._unknown if place in self._special else place for place in ids)

    def length(self, text: str) -> int:
        """The number of tokens of a text."""
        return len(self._pieces(text))

    def triple(self, question: str, reference: str, answer: str) -> Encoded:
        """Each part is cut at its limit."""
        head = (self._start, *self._pieces(reference)[: self.lengths.reference], self._end)
        middle = (*self._pieces(answer)[: self.lengths.answer], self._end)
        tail = (*self._pieces(question)[: self.lengths.question], self._end)
        return Encoded(head + middle + tail, (0,) * len(head) + (1,) * len(middle) + (0,) * len(tail))

    def windows(self, answer: View, most: int) -> tuple[list[str], bool]:
        """The answer in at most `most` stretches of whole clauses that each fit the limit, as raw text, and whether
        all of it is in them. A clause longer than the limit is a stretch by itself, and is cut."""
        limit, raw = self.lengths.answer, answer.raw
        if self.length(answer.written) <= limit or not answer.clauses:
            return [answer.written], self.length(answer.written) <= limit
        ends = [answer.span(*clause)[1] for clause in answer.clauses]
        starts = [answer.origin[0], *ends[:-1]]
        parts: list[tuple[int, int]] = []
        count, whole = limit, True
        for start, end in zip(starts, ends, strict=True):
            size = self.length(raw[start:end])
            whole &= size <= limit
            if count + size > limit:
                parts.append((start, end))
                count = 0
            parts[-1] = (parts[-1][0], end)
            count += size
        return [raw[start:end] for start, end in parts[:most]], whole and len(parts) <= most


def _first(tokenizer: Tokenizer, names: Sequence[str]) -> int:
    for name in names:
        place = tokenizer.token_to_id(name)
        if place is not None:
            return int(place)
    raise ModelError(f"the tokenizer has none of {', '.join(names)}", "use the tokenizer that belongs to the weights")


def nearest(references: Sequence[str], answer: View, count: int = 1) -> list[str]:
    """The `count` references that share most words (or Chinese characters) with the answer, best first: Dice over
    the different ones. Equal shares keep the order given."""
    seen = {reference: _sight(reference).small for reference in references}

    def dice(reference: str) -> float:
        units = seen[reference]
        return 2 * len(units & answer.small) / (len(units) + len(answer.small) + 1)

    return sorted(seen, key=dice, reverse=True)[:count]


@lru_cache(maxsize=4096)
def _sight(reference: str) -> View:
    return look(reference)
