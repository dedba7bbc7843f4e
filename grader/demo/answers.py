"""What candidates intend to answer: right, partly right or wrong, drawn by chance from the exam itself."""

from __future__ import annotations

import re

import numpy as np

from grader.exam.exam import BlankItem, ChoiceItem, Exam, Item, MultiChoiceItem, NumericItem, ShortAnswerItem


def invent(exam: Exam, rng: np.random.Generator, ability: float = 0.7) -> dict[str, str]:
    """Item id → answer of one candidate; "" is left blank. ability: probability of knowing an answer."""
    return {item.id: _answer(exam, item, rng, ability) for item in exam.items}


def _answer(exam: Exam, item: Item, rng: np.random.Generator, ability: float) -> str:
    if rng.random() < 0.03:
        return ""
    knows = rng.random() < ability
    if isinstance(item, ChoiceItem):
        return item.answer if knows else _pick(list(item.options), rng)
    if isinstance(item, MultiChoiceItem):
        return item.answer if knows else _subset(item.options, rng)
    if isinstance(item, BlankItem):
        return _pick(list(item.answers), rng) if knows else _wrong_blank(exam, item, rng)
    if isinstance(item, NumericItem):
        return _number(item, knows, rng)
    return _statement(exam, item, knows, rng)


def _pick(choices: list[str], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]


def _subset(options: str, rng: np.random.Generator) -> str:
    chosen = [label for label in options if rng.random() < 0.45]
    return "".join(chosen) or _pick(list(options), rng)


def _wrong_blank(exam: Exam, item: BlankItem, rng: np.random.Generator) -> str:
    """Another item's answer, or nothing."""
    others = [o.answers[0] for o in exam.items if isinstance(o, BlankItem) and o.id != item.id]
    return _pick(others, rng) if others else ""


def _number(item: NumericItem, knows: bool, rng: np.random.Generator) -> str:
    answer = str(item.answer)
    if not knows:
        try:
            answer = f"{float(item.answer) * rng.choice([0.1, 0.5, 2.0, 10.0]):g}"
        except ValueError:
            answer = f"{int(rng.integers(2, 99))}"
    unit = item.unit or ""
    return answer if unit and rng.random() < 0.06 else f"{answer} {unit}".strip()


def _statement(exam: Exam, item: ShortAnswerItem, knows: bool, rng: np.random.Generator) -> str:
    """Sentences of a reference answer or of the criteria; fewer of them, or another item's, if unsure."""
    source = _sources(item)
    if not knows and rng.random() < 0.4:
        others = [o for o in exam.items if isinstance(o, ShortAnswerItem) and o.id != item.id]
        source = _sources(others[int(rng.integers(len(others)))]) if others else source
    sentences = [s.strip() for s in re.split(r"(?<=[。；！？])|(?<=[.;!?])\s", _pick(source, rng)) if s.strip()]
    keep = len(sentences) if knows else max(1, len(sentences) // 2)
    chosen = sorted(rng.choice(len(sentences), keep, replace=False))
    joint = "" if exam.exam.language == "zh" else " "
    return joint.join(sentences[i] for i in chosen)


def _sources(item: ShortAnswerItem) -> list[str]:
    return list(item.reference_answers) or [" ".join(c.criterion for c in item.rubric)]
