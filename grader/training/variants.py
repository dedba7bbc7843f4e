"""Training answers varied: read against a fellow student's right answer, and with mistakes of a handwriting reader.

A right answer of another student says the same as the reference in other words: graded pairs grow without a
judgement of our own. Answers will come from a recogniser, so some are learned with its kinds of mistakes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from grader.scoring.lookalike import mistaken_for
from grader.scoring.text import look
from grader.training.rows import Row

_PEER_LEAST = 4  # tokens; a shorter right answer leans on the question
_MISTAKES = 0.03  # share of characters misread
_KEYS = "abcdefghijklmnopqrstuvwxyz"


def beside_peers(rows: Sequence[Row], share: float, seed: int) -> list[Row]:
    """About `share` times as many rows as `rows`: each an answer with another student's right answer to the same
    question as its only reference. Nobody's answer stands beside itself."""
    chance = random.Random(seed)
    right: dict[str, list[str]] = {}
    for row in rows:
        if row.score >= 0.999 and row.question and len(look(row.text).tokens) >= _PEER_LEAST:
            right.setdefault(row.group, []).append(row.text)
    able = [row for row in rows if len(right.get(row.group, ())) > 1]
    found = []
    for row in chance.sample(able, min(len(able), round(share * len(rows)))):
        others = [text for text in right[row.group] if text != row.text]
        if others:
            found.append(replace(row, references=(chance.choice(others),)))
    return found


def misread(rows: Sequence[Row], share: float, seed: int) -> list[Row]:
    """The rows, `share` of them with answers as a recogniser might have read them."""
    chance = random.Random(seed)
    return [replace(row, text=_misread(row.text, chance)) if chance.random() < share else row for row in rows]


def _misread(text: str, chance: random.Random) -> str:
    return "".join(_character(one, chance) for one in text) or text


def _character(one: str, chance: random.Random) -> str:
    if not one.isalnum() or chance.random() >= _MISTAKES:
        return one
    alike = sorted(mistaken_for(one))
    if alike and chance.random() < 0.7:
        return chance.choice(alike)
    if one.isascii() and one.isalpha():
        return chance.choice(("", one + one, chance.choice(_KEYS)))
    return ""
