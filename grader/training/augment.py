"""Training answers made by rule, for what human-graded sets hardly hold: answers to another question, the
question copied, the reference negated or its words jumbled, the reference itself or a part of it. They train;
they never validate.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from grader.scoring.text import look
from grader.training.rows import Row
from grader.training.validation import points_of

JUMBLED_LEAST = 8  # tokens of a reference whose order matters
STRAY_SHARE = 0.15  # answers to another question, as a share of the real ones
_VERB_EN = re.compile(r"\b(is|are|was|were|can|will|would|should|could|must|has|have|does|do|did)\b")
_VERB_ZH = re.compile(r"[是有能会可应需将等使]")


def made_rows(rows: Sequence[Row], seed: int) -> list[Row]:
    """Rows made from rows of one fold, so that no text crosses into a fold that judges it."""
    chance = random.Random(seed)
    found = list(_strays(rows, chance))
    seen: set[tuple[str, tuple[str, ...]]] = set()
    for row in rows:
        if (row.group, row.references) in seen:
            continue
        seen.add((row.group, row.references))
        found += [_made(row, row.question, 0.0)] if row.question else []
        for reference in row.references[:4]:
            found.append(_made(row, reference, 1.0))
            turned = negations(reference, row.language)
            found += [replace(_made(row, text, 0.0), label="contradictory") for text in turned]
            found += _partial(row, reference, chance)
            found += _jumbled(row, reference, chance)
    return [row for row in found if look(row.text).tokens]


def _made(row: Row, text: str, score: float) -> Row:
    return replace(row, text=text, score=score, label="")


def _strays(rows: Sequence[Row], chance: random.Random) -> Iterator[Row]:
    for language in ("en", "zh"):
        own = [row for row in rows if row.language == language]
        for row in chance.sample(own, round(STRAY_SHARE * len(own))):
            other = chance.choice(own)
            if other.group != row.group:
                yield _made(row, other.text, 0.0)


def _partial(row: Row, reference: str, chance: random.Random) -> list[Row]:
    """The reference with some of its points left out; what is left is worth its share of them."""
    points = points_of(reference)
    if row.label or len(points) < 2:
        return []
    kept = chance.randint(1, len(points) - 1)
    chosen = sorted(chance.sample(range(len(points)), kept))
    return [_made(row, "；".join(points[place] for place in chosen), kept / len(points))]


def _jumbled(row: Row, reference: str, chance: random.Random) -> list[Row]:
    """The reference's words in any order, and its content words set behind nothing: words are no statement."""
    tokens = [token.text for token in look(reference).tokens]
    if len(tokens) < JUMBLED_LEAST:
        return []
    mixed = chance.sample(tokens, len(tokens))
    half = mixed[: len(mixed) // 2]
    blank = "" if row.language == "zh" else " "
    return [_made(row, blank.join(mixed), 0.0), _made(row, f"{row.question} {blank.join(half)}", 0.0)]


def negations(text: str, language: str) -> list[str]:
    """The text with its first statement turned into its opposite by one word; empty if there is no place."""
    if look(text).negations:
        return []
    verb = _VERB_ZH.search(text, 1) if language == "zh" else _VERB_EN.search(text)
    if verb is None:
        return []
    if language == "zh":
        return [text[: verb.start()] + "不" + text[verb.start() :]]
    return [text[: verb.end()] + " not" + text[verb.end() :]]


def judged_points(rows: Sequence[Row]) -> list[Row]:
    """Rows whose only reference is one criterion: a fully right answer meets every point, a worthless one none.
    Answers in between say nothing of single points and are left out."""
    found = []
    for row in rows:
        if row.label or len(row.references) > 1 or 0.001 < row.score < 0.999:
            continue
        points = points_of(row.references[0])
        found += [replace(row, references=(point,)) for point in points if len(points) > 1]
    return found
