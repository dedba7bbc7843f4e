"""Blanks: any listed variant after normalisation; near misses are shown to a person, never guessed."""

from __future__ import annotations

import re

from grader.exam import number, units
from grader.exam.exam import BlankItem
from grader.scoring import numeric
from grader.scoring.lookalike import near
from grader.scoring.maths import relation
from grader.scoring.normal import normalise, spelled
from grader.scoring.verdict import Verdict

MARKER, MATHS_MARKER = "rule:blank/1", "rule:maths/1"
MAX_LENGTH = 500

_ELEMENTS = """
    H He Li Be B C N O F Ne Na Mg Al Si P S Cl Ar K Ca Sc Ti V Cr Mn Fe Co Ni Cu Zn Ga Ge As Se Br Kr Rb Sr Ag Cd Sn
    Sb I Xe Cs Ba W Pt Au Hg Pb Bi U
"""
_FORMULA = re.compile(rf"(?:\d*(?:(?:{'|'.join(sorted(_ELEMENTS.split(), key=len, reverse=True))})\d*|[()]\d*)+[+-]?)+")
_WORDS = {"as", "at", "be", "he", "i", "if", "in", "is", "no", "of", "on", "or", "so", "up", "us"}
_WORDED = str.maketrans({">": "大于", "<": "小于", "=": "等于"})
_ALGEBRA = re.compile(r"(?=.*[-+*/^=√])[\w\s.+\-*/^=√()²³]+", re.ASCII)
# Words that say the same where little else can be said. Not accepted unless listed, but never silently wrong.
_SYNONYMS = [
    frozenset(words.split())
    for words in (
        "增大 变大 增加 增多 变多 升高 上升 提高 变高 增强 变强 加快 变快 变长 增长",
        "减小 变小 减少 变少 降低 下降 变低 减弱 变弱 减慢 变慢 变短 缩短",
        "不变 一样 相同 相等 等于 保持不变",
        "是 对 正确 能 可以 会 有 true yes t √",
        "否 不是 错 错误 不能 不可以 不会 没有 无 不 false no f ×",
        "increase increases increased rise rises goesup larger bigger higher greater",
        "decrease decreases decreased fall falls goesdown smaller lower less",
        "same unchanged constant thesame equal staysthesame",
    )
]
_CHINESE = ("零", "一", "二", "三", "四", "五", "六", "七", "八", "九", "十")
_ENGLISH = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)
_NUMERALS = {"两": 2} | {word: value for words in (_CHINESE, _ENGLISH) for value, word in enumerate(words)}


def score_blank(item: BlankItem, text: str) -> Verdict:
    """Full mark for a listed variant; 0 for anything else, with a flag where it comes close."""
    if len(text) > MAX_LENGTH:
        return Verdict(None, MARKER, ("too_long",))
    given, written = normalise(text), text.strip()
    if not given and written not in {answer.strip() for answer in item.answers}:
        return Verdict(0.0, MARKER)  # punctuation only: nothing was answered
    for answer in item.answers:
        if written == answer.strip() or given == normalise(answer):
            if is_formula(answer) and spelled(text) != spelled(answer):
                continue  # CO is not Co
            return Verdict(item.max_mark, MARKER)
    if item.math:
        return _score_maths(item, text)
    if any(_close(text, answer) for answer in item.answers):
        return Verdict(0.0, MARKER, ("near_miss",))
    return Verdict(0.0, MARKER)


def is_formula(text: str) -> bool:
    """True for a chemical formula, where capitals carry meaning; False for words such as "No" or "He"."""
    bare = spelled(text)
    return _FORMULA.fullmatch(bare) is not None and bare.casefold() not in _WORDS


def _score_maths(item: BlankItem, text: str) -> Verdict:
    found = {relation(answer, text) for answer in item.answers}
    if "same" in found:
        copied = _squeezed(text) in _squeezed(item.prompt) and len(_squeezed(text)) >= 3
        return Verdict(item.max_mark, MATHS_MARKER, ("copied_question",) if copied else ())
    if "near" in found:
        return Verdict(0.0, MATHS_MARKER, ("near_miss",))
    if found & {"unparsed", "unsure"}:
        return Verdict(None, MATHS_MARKER, ("unparsed",))
    return Verdict(0.0, MATHS_MARKER)


def _squeezed(text: str) -> str:
    return re.sub(r"\s", "", number.fold(text))


def _close(text: str, answer: str) -> bool:
    """Whether a marker might accept `text` for `answer`, or a reader might have misread it."""
    given, wanted = normalise(text), normalise(answer)
    senses = [{place for place, words in enumerate(_SYNONYMS) if one in words} for one in (given, wanted)]
    if all(senses):  # increases and decreases are two letters apart, and opposites
        return bool(senses[0] & senses[1])
    if given == wanted or near(given, wanted):  # the same but for the capitals of a formula
        return True
    parts, wanted_parts = _parts(text), _parts(answer)
    if any(near(part, wanted) or part == wanted for part in parts) or set(parts) & set(wanted_parts):
        return True  # one of several answers, a gloss in brackets, a list in another order
    numbers, wanted_numbers = (re.findall(r"\d+", one) for one in (given, wanted))
    algebra = _ALGEBRA.fullmatch(answer) is not None
    if len(numbers) > 1 and numbers == wanted_numbers and not algebra:  # a date in another style
        return True
    if given.translate(_WORDED) == wanted.translate(_WORDED) or _same_quantity(given, wanted):
        return True
    # 1+2n for 2n+1, where the exam does not say math: true
    return algebra and relation(answer, text) == "same"


def _parts(text: str) -> list[str]:
    """The pieces of an answer that gives several; [] for one that does not."""
    pieces = [normalise(piece) for piece in re.split(r"[,，、;；/()（）\n]|或者?|和|\bor\b|\band\b", text)]
    pieces = [piece for piece in pieces if piece]
    return pieces if len(pieces) > 1 else []


def _same_quantity(given: str, wanted: str) -> bool:
    """0.5 for 1/2, 三 for 3, 5厘米 for 5cm: the same amount in a way that is not listed; or 5 for 5cm: the
    same number with another unit or none."""
    one, other = _quantity(given), _quantity(wanted)
    if one is None or other is None:
        return False
    values = [one.value]
    if one.unit is not None and other.unit is not None:
        converted = units.convert(one.value, one.unit, other.unit)
        values += [] if converted is None else [converted]
    return any(abs(value - other.value) <= 1e-9 * max(abs(value), abs(other.value)) for value in values)


def _quantity(text: str) -> numeric.Quantity | None:
    if text in _NUMERALS:
        return numeric.Quantity(float(_NUMERALS[text]), ())
    if not any(c.isdigit() for c in text):
        return None
    found = numeric.read(number.fold(text))
    return found if isinstance(found, numeric.Quantity) else None
