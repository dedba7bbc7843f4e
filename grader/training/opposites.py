"""Contradictions made by rule from right answers: what graded sets hold too little of to learn it from.

A right answer and its reference share a word that has an opposite ("faster"). With the word turned in one of the two
they contradict; with it turned in both they agree again, so that neither the word nor a "not" alone gives the label
away (minimal pairs, as in Gardner et al. 2020, contrast sets). Where they share none, one of the two is negated.
Pairs are made with the reference that the network reads: the one nearest to the answer.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace

from grader.scoring.encoding import nearest
from grader.scoring.lexicon import SURFACE
from grader.scoring.text import look
from grader.training.augment import negations
from grader.training.rows import Label, Row

_WORD = re.compile(r"[A-Za-z]+")
_NEGATION = re.compile(r"\b(?:not|never)\s+|n['’]t\b")


def opposed_rows(rows: Sequence[Row], share: float, seed: int) -> list[Row]:
    """About `share` times as many rows as `rows`, as far as there are right answers that can be turned."""
    chance = random.Random(seed)
    right = [row for row in rows if row.score >= 0.999 and row.question]
    wanted = round(share * len(rows))
    found: list[Row] = []
    for row in chance.sample(right, len(right)):
        if len(found) >= wanted:
            break
        made = _turned(row, chance)
        if made is not None:
            found.append(made)
    return found


def _turned(row: Row, chance: random.Random) -> Row | None:
    reference = nearest(row.references, look(row.text))[0]
    shared = sorted(_turnable(row.text) & _turnable(reference))
    if shared:
        word = chance.choice(shared)
        texts = {"answer": turned(row.text, word), "reference": turned(reference, word)}
        which = chance.choice(("answer", "reference", "both"))
        answer = texts["answer"] if which != "reference" else row.text
        against = texts["reference"] if which != "answer" else reference
        return _made(row, answer, against, opposed=which != "both")
    answers, references = (_denied(text, row.language) for text in (row.text, reference))
    if answers and (chance.random() < 0.5 or not references):
        return _made(row, answers, reference, opposed=True)
    return _made(row, row.text, references, opposed=True) if references else None


def _made(row: Row, answer: str, reference: str, opposed: bool) -> Row:
    label: Label = "contradictory" if opposed else row.label
    return replace(row, text=answer, references=(reference,), score=0.0 if opposed else 1.0, label=label)


def _turnable(text: str) -> set[str]:
    if _is_chinese(text):
        return {word for word in SURFACE if not word.isascii() and word in text}
    return {word.lower() for word in _WORD.findall(text)} & SURFACE.keys()


def _is_chinese(text: str) -> bool:
    return any(ord(one) >= 0x3400 for one in text)


def turned(text: str, word: str) -> str:
    """The text with every `word` replaced by its opposite."""
    if not word.isascii():
        return text.replace(word, SURFACE[word])
    return _WORD.sub(lambda one: SURFACE[word] if one[0].lower() == word else one[0], text)


def _denied(text: str, language: str) -> str:
    """The text with its first statement negated, or its only negation taken out; empty if there is no place."""
    if language == "en" and len(_NEGATION.findall(text)) == 1:
        return _NEGATION.sub("", text)
    made = negations(text, language)
    return made[0] if made else ""
