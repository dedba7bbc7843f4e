"""Numeric items: the value in any unit of the same quantity, within the accepted deviation.

A response is `[name =] [working =] number unit`, or a sentence that ends so. Right number with a missing or
another unit, several different numbers, and anything that is not understood go to a person; they are never
guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from grader.exam import number, units
from grader.exam.exam import NumericItem
from grader.scoring.verdict import Verdict

MARKER = "rule:numeric/1"
MAX_LENGTH = 200

_LEAD = re.compile(
    r"^(?:答案?|解|结果|answer|ans)?\s*(?:是|为|is|:)?\s*(?:大约|约为|约|about|approximately|approx\.?|≈|~)?\s*(?:为|是)?\s*",
    re.IGNORECASE,
)
# "他的速度是1.2m/s" states the value; with a denial or a comparison in it the sentence says something else.
_SENTENCE = re.compile(r"^[^\d=]{1,40}?(?:是|为|等于|\bis|\bwas|\bequals)\s*(?=[-+.\d负零约大])", re.IGNORECASE)
_TURNS = re.compile(
    r"[不非没无未超<>≤≥]|大于|小于|高于|低于|至少|至多|最|以上|以下|not|n't|less|more|great|than|least|most|over|under",
    re.IGNORECASE,
)
_MINUS = re.compile(r"^(?:负|零下|minus )\s*(?=\d|\.\d)")
_EQUALS = re.compile(r"[=≈≒]")
_NAME = re.compile(r"^[^\d:]{1,12}:\s*")
_TAIL = " .,;!。、"
_SECOND = re.compile(r"(?<![^\W_])(?<![\^.])\d")  # a digit that is no exponent of a unit
_SHARES = (units.parse("%"), units.parse("‰"))  # parts of a whole: 0.5 is 50% with or without a sign


@dataclass(frozen=True)
class Quantity:
    """A value and its unit: () if none is written, None if what is written is no unit we know.

    lost: the value if a superscript was lost (3.2×103), else None."""

    value: float
    unit: units.Unit | None
    lost: float | None = None


def score_numeric(item: NumericItem, text: str) -> Verdict:
    """Full mark for the value within its tolerance in a fitting unit, else 0; see the module for flags."""
    if len(text) > MAX_LENGTH:
        return Verdict(None, MARKER, ("too_long",))
    stated = [part.strip() for part in _EQUALS.split(number.fold(text)) if part.strip()]
    if not stated:
        return Verdict(None, MARKER, ("not_a_number",))
    result = read(stated[-1])
    if result is None:
        several = number.find(stated[-1]) is not None
        return Verdict(None, MARKER, ("unparsed" if several else "not_a_number",))
    if isinstance(result, str):
        return Verdict(None, MARKER, (result,))
    verdict = _judge(item, result)
    earlier = [other for other in map(read, stated[:-1]) if isinstance(other, Quantity)]
    if any(_contradicts(item, other, result, verdict) for other in earlier):
        return Verdict(None, MARKER, ("several_answers",))
    return verdict


def _contradicts(item: NumericItem, other: Quantity, result: Quantity, verdict: Verdict) -> bool:
    """Whether an earlier member of a chain of equals could earn another mark than its end."""
    alone = _judge(item, other)
    if verdict.mark:
        return not alone.mark and not _same(other, result)
    return not verdict.flags and (alone.mark != 0 or bool(alone.flags))


def read(text: str) -> Quantity | str | None:
    """The one quantity in folded text; a flag for several numbers; None if it is no quantity."""
    text = _NAME.sub("", text)
    sentence = _SENTENCE.match(text)
    if sentence and not _TURNS.search(sentence[0]):
        text = text[sentence.end() :]
    text = _LEAD.sub("", text)
    text = _MINUS.sub("-", text)
    found = number.find(text)
    if found is None or text[: found.start].strip(" (+"):
        return "several_answers" if found and number.find(text, found.end) else None
    rest = text[found.end :]
    if found.lost is not None:
        rest = re.sub(r"^\s*[*xX]\s*10\d{1,2}", "", rest)
    rest = rest.rstrip(_TAIL)
    if text[: found.start].strip() == "(" or (rest.endswith(")") and "(" not in rest):
        rest = rest.removesuffix(")")
    unit = units.parse(rest.strip())
    if unit is None and _SECOND.search(rest):
        return "several_answers"
    return Quantity(found.value, unit, found.lost)


def _judge(item: NumericItem, given: Quantity) -> Verdict:
    expected = units.parse(item.unit or "") or ()
    if given.lost is not None:
        restored = _judge(item, Quantity(given.lost, given.unit))
        return Verdict(0.0, MARKER, ("ocr_ambiguous",)) if restored.mark or restored.flags else restored
    matches = _agrees(item, given.value)  # the bare number, whatever its unit
    converted = given.value if given.unit == expected else None
    if given.unit is None:
        return Verdict(0.0, MARKER, ("unit_wrong",))
    if given.unit or expected in _SHARES:
        converted = units.convert(given.value, given.unit, expected)
    if converted is not None and _agrees(item, converted):
        return Verdict(item.max_mark, MARKER)
    if converted is not None and _rounded(item, converted):
        return Verdict(0.0, MARKER, ("near_miss",))
    if not matches or given.unit == expected:
        return Verdict(0.0, MARKER)
    return Verdict(0.0, MARKER, ("unit_wrong" if given.unit else "unit_missing",))


def _agrees(item: NumericItem, value: float) -> bool:
    """Within the tolerance, its ends included (as far as binary fractions can tell)."""
    grain = 1e-9 * max(abs(item.value), abs(value))
    return abs(value - item.value) <= item.value_tolerance + grain


def _rounded(item: NumericItem, value: float) -> bool:
    """0.333 for 1/3 where no tolerance is stated: whether rounding is allowed is for a person to say."""
    whole = item.value == int(item.value)
    return item.tolerance is None and not whole and abs(value - item.value) <= 0.01 * abs(item.value)


def _same(one: Quantity, other: Quantity) -> bool:
    """Two quantities in a chain of equals that say the same, or where one shows working without units."""
    if one.unit is None or other.unit is None:
        return False
    value = units.convert(one.value, one.unit, other.unit) if one.unit else one.value
    return value is not None and abs(value - other.value) <= 0.01 * max(abs(value), abs(other.value))
