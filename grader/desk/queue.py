"""The order in which a person meets the answers to one item, without anything that tells whose they are.

Pure: built once from the answers of an item, then asked. Answers stand by an opaque name, which also orders
them, so that neighbours in the queue are not neighbours in the class; identical answers stand together.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from functools import cached_property

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from grader.marking.groups import ALIKE, similarity
from grader.records import Status
from grader.scoring.normal import normalise
from grader.store.decisions import AnswerKey, answer_key
from grader.store.store import ResultRow

_LETTERS = str.maketrans("0123456789abcdef", "abcdefghijklmnop")
_URGENCY: dict[Status, int] = {"review": 0, "proposed": 1, "final": 2}


def opaque(secret: bytes, *what: object) -> str:
    """A name for something, of twenty letters a to p, that tells nothing about it without the secret.

    HMAC-SHA256 (RFC 2104) cut to 80 bits; letters only, so that it never looks like a candidate number.
    """
    message = json.dumps(what, ensure_ascii=False).encode()
    return hmac.digest(secret, message, "sha256").hex()[:20].translate(_LETTERS)


@dataclass(frozen=True)
class Entry:
    """An answer in the queue. name: opaque. group: the same for identical answers."""

    name: str
    answer: AnswerKey
    group: str
    status: Status


def entry(row: ResultRow, secret: bytes) -> Entry:
    """The answer as the queue knows it.

    Its status is the engine's own, so that a decision never moves an answer. Answers in which nothing was read
    are identical only where the engine says the same about them: a blank box is not an unread one.
    """
    key = answer_key(row.candidate, row.file, row.file_page, row.item)
    text = normalise(row.response)
    group = opaque(secret, "group", row.item, text, "" if text else " ".join(row.flags))
    status = row.proposal.status if row.proposal else row.status
    return Entry(opaque(secret, "answer", *key), key, group, status)


def alike(group: str, texts: Mapping[str, str]) -> dict[str, float]:
    """The groups that read nearly like this one: group → likeness, as grader.marking.groups has it.

    texts: group → normalised text. The edit distance sieves first, for it is quick.
    """
    others = {name: text for name, text in texts.items() if name != group}
    near = process.extract(
        texts[group], others, scorer=Levenshtein.normalized_similarity, score_cutoff=ALIKE, limit=None
    )
    found = {name: similarity(texts[group], text) for text, _, name in near}
    return {name: value for name, value in found.items() if value >= ALIKE}


class Queue:
    """The answers to one item: what needs a person most first, identical ones together."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        held = list(entries)
        urgency: dict[str, int] = {}
        for one in held:
            urgency[one.group] = min(urgency.get(one.group, 2), _URGENCY[one.status])
        held.sort(key=lambda one: (urgency[one.group], one.group, one.name))
        self.entries = tuple(held)

    @cached_property
    def _place(self) -> dict[str, int]:
        return {one.name: place for place, one in enumerate(self.entries)}

    def __contains__(self, name: object) -> bool:
        return name in self._place

    def __getitem__(self, name: str) -> Entry:
        return self.entries[self._place[name]]

    def next(self, waiting: Set[str], after: str | None = None) -> Entry | None:
        """The first waiting answer behind `after`, from the start again behind the end; never `after` itself
        unless it is the only one. None where nothing waits."""
        start = 0 if after is None else self._place[after] + 1
        for place in range(start, start + len(self.entries)):
            one = self.entries[place % len(self.entries)]
            if one.name in waiting:
                return one
        return None

    def identical(self, name: str) -> tuple[Entry, ...]:
        """The answers that read the same, this one first."""
        one = self[name]
        return one, *(other for other in self._groups[one.group] if other.name != name)

    @cached_property
    def _groups(self) -> dict[str, list[Entry]]:
        groups: dict[str, list[Entry]] = {}
        for one in self.entries:
            groups.setdefault(one.group, []).append(one)
        return groups
