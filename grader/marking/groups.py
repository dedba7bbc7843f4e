"""Which answers to an item read alike, as pure rules.

Identical: the same after grader.scoring.normal.normalise. Near-identical: the same numbers and the same denials, and
a small edit distance; where the run has a model's marks, these must also
agree within the tolerance. Groups are proposals that a person looks at, splits, merges and takes single answers out
of.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from grader.errors import UsageError
from grader.marking.scheme import within

ALIKE = 0.86  # least similarity, 0 to 1, of a near-identical pair
_NUMBERS = re.compile(r"\d+(?:[.,/:]\d+)*")
# What turns a statement into its opposite; one of these more or less is never a small difference.
_DENIALS = re.compile(
    r"不|没|無|无|非|未|否|勿|莫|n't\b|\b(?:no|not|never|none|nor|neither|without|cannot|cant|dont|doesnt|isnt|wont)\b"
)
_OPPOSITES = tuple(
    frozenset(pair.split("/"))
    for line in (
        "大/小 多/少 高/低 升/降 增/减 快/慢 强/弱 上/下 左/右 正/负 吸/放 热/冷 长/短 前/后 内/外 凸/凹 轻/重 远/近",
        "软/硬 more/less increase/decrease increases/decreases higher/lower up/down hot/cold positive/negative",
        "faster/slower larger/smaller bigger/smaller expands/contracts absorbs/releases gains/loses true/false",
    )
    for pair in line.split()
)


@dataclass(frozen=True)
class Text:
    """An answer that can be grouped. name: opaque; cluster: its group now; normal: its normalised text; size: how
    many answers the group has; model: the model's mark, None where there is none."""

    name: str
    cluster: str
    normal: str
    size: int = 1
    model: float | None = None


@dataclass(frozen=True)
class Near:
    """Groups that read nearly alike: clusters, the one with most answers first, and their likeness to it, 0 to 1."""

    clusters: tuple[str, ...]
    likeness: tuple[float, ...]


def similarity(one: str, two: str) -> float:
    """How alike two normalised texts are, 0 to 1: edit similarity (Levenshtein, by the longer text), and 0 where
    numbers, denials or opposites differ, for these decide marks."""
    if one == two:
        return 1.0
    return float(Levenshtein.normalized_similarity(one, two)) if one and two and _same_facts(one, two) else 0.0


def near_identical(texts: Iterable[Text], tolerance: float, least: float = ALIKE) -> list[Near]:
    """Groups of identical answers that are near-identical to one another.

    texts: one for each group of identical answers. Every group is compared with the largest ones before it, never
    with members that joined, so that likeness does not drift along a chain. Deterministic: larger groups first, then
    by text.
    """
    centres: list[Text] = []
    joined: list[list[tuple[str, float]]] = []
    written: list[str] = []
    for text in sorted(texts, key=lambda one: (-one.size, one.normal, one.cluster)):
        found = _nearest(text, centres, written, tolerance, least)
        if found is None:
            centres.append(text)
            written.append(text.normal)
            joined.append([])
        else:
            joined[found[0]].append((text.cluster, found[1]))
    return [
        Near((centre.cluster, *(name for name, _ in rest)), (1.0, *(round(value, 4) for _, value in rest)))
        for centre, rest in zip(centres, joined, strict=True)
        if rest
    ]


def merged(clusters: Sequence[str]) -> str:
    """The name of the group that these become: that of the first. Raises UsageError for fewer than two."""
    if len(set(clusters)) < 2:
        raise UsageError("one group cannot be merged with itself", "choose two or more groups")
    return clusters[0]


def split_name(cluster: str, taken: Iterable[str]) -> str:
    """A name for a part of a group: the group's with the least number that none has yet, so it stands behind it."""
    held, base = set(taken), cluster.partition(".")[0]
    number = 1
    while f"{base}.{number:04d}" in held:
        number += 1
    return f"{base}.{number:04d}"


def _nearest(
    text: Text, centres: Sequence[Text], written: Sequence[str], tolerance: float, least: float
) -> tuple[int, float] | None:
    """The centre that the text is most like, and how much; of equals the first. None where none is near enough."""
    if not text.normal:
        return None
    scorer = Levenshtein.normalized_similarity
    near = process.extract(text.normal, written, scorer=scorer, processor=None, score_cutoff=least, limit=None)
    for _, value, place in sorted(near, key=lambda one: (-one[1], one[2])):
        if _same_facts(text.normal, written[place]) and _same_model(text, centres[place], tolerance):
            return place, float(value)
    return None


def _same_model(one: Text, two: Text, tolerance: float) -> bool:
    return one.model is None or two.model is None or within(tolerance, one.model, two.model)


def _same_facts(one: str, two: str) -> bool:
    if sorted(_NUMBERS.findall(one)) != sorted(_NUMBERS.findall(two)):
        return False
    if sorted(_DENIALS.findall(one)) != sorted(_DENIALS.findall(two)):
        return False
    words = set(re.findall(r"[a-z]+", one)), set(re.findall(r"[a-z]+", two))
    return all(_poles(pair, one, words[0]) == _poles(pair, two, words[1]) for pair in _OPPOSITES)


def _poles(pair: frozenset[str], text: str, words: set[str]) -> tuple[int, ...]:
    """How often each pole of a pair of opposites stands in a text."""
    return tuple(text.count(pole) if not pole.isascii() else int(pole in words) for pole in sorted(pair))
