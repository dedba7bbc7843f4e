"""The kinds of value that stand in an exam file, each with its rules and its JSON Schema."""

from __future__ import annotations

import unicodedata
from collections import Counter
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from grader.exam import number, units

# Bounds far above any real exam; they keep a typo or a hostile file from filling the machine.
MAX_ITEMS, MAX_TEXT, MAX_LIST = 500, 20_000, 100


def rule(message: str, remedy: str) -> PydanticCustomError:
    """An error of the format, with what to do about it."""
    return PydanticCustomError("exam_rule", "{what}", {"what": message, "remedy": remedy})


def _as_text(value: Any) -> Any:
    """A number where text is expected is the text that writes it: id 1 is "1"."""
    return format(value, "g") if isinstance(value, int | float) and not isinstance(value, bool) else value


def _labels(value: Any) -> Any:
    """Option labels, written ABCD or [A, B, C, D], as one string in capitals."""
    parts = [_as_text(part) for part in value] if isinstance(value, list | tuple) else list(str(_as_text(value or "")))
    if any(not isinstance(part, str) for part in parts):
        return value
    folded = [unicodedata.normalize("NFKC", part).strip().upper() for part in parts]
    for part in folded:
        if len(part) != 1 or unicodedata.category(part)[0] not in "LNS":
            raise rule(f"{part!r} cannot be an option", "name options by one letter or digit each, such as ABCD")
    if not folded:
        raise rule("no option is given", "name at least one option, such as ABCD")
    twice = sorted(label for label, count in Counter(folded).items() if count > 1)
    if twice:
        raise rule(f"{', '.join(twice)} stands twice", "name every option once")
    return "".join(folded)


def _printable(text: str) -> str:
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text):
        raise rule("control characters are not allowed", "retype the text")
    return text


_STRING_OR_NUMBER = {"anyOf": [{"type": "string"}, {"type": "number"}]}
Id = Annotated[
    str,
    BeforeValidator(_as_text),
    StringConstraints(strip_whitespace=True, min_length=1, max_length=80),
    AfterValidator(_printable),
    WithJsonSchema(_STRING_OR_NUMBER),
]
Labels = Annotated[
    str,
    BeforeValidator(_labels),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {"type": "array", "items": _STRING_OR_NUMBER, "minItems": 1},
            ]
        }
    ),
]
Text = Annotated[
    str,
    BeforeValidator(_as_text),
    StringConstraints(max_length=MAX_TEXT),
    WithJsonSchema(_STRING_OR_NUMBER),
]
Written = Annotated[Text, StringConstraints(strip_whitespace=True, min_length=1)]
Marks = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)]


def deviation(answer: str, unit: str | None, tolerance: str) -> float:
    """A written tolerance as a number of the item's unit. Raises PydanticCustomError if it cannot be used."""
    folded = number.fold(tolerance).lstrip("±").strip()
    found = number.find(folded)
    if found is None or found.start != 0:
        raise rule(f"{tolerance!r} is not a tolerance", "write 1%, 0.05 or 0.05 m/s")
    if found.value < 0:
        raise rule("a tolerance cannot be negative", "write 1%, 0.05 or 0.05 m/s")
    rest = folded[found.end :].strip()
    value = number.parse(answer) or 0.0
    if not rest:
        return found.value
    own = units.parse(unit or "") or ()
    if rest == "%":
        if value == 0:
            raise rule("a percentage of 0 accepts nothing else", "give the tolerance as a value, such as 0.05")
        if found.value >= 100:
            raise rule("100% or more accepts almost anything", "give a smaller tolerance")
        return abs(value) * found.value / 100
    theirs = units.parse(rest)
    if theirs is None:
        raise rule(f"{rest!r} is not a unit that is known", "write 1%, 0.05 or 0.05 m/s")
    converted = units.convert(found.value, theirs, own, difference=True)
    if converted is None:
        raise rule(f"{rest!r} does not fit the unit {unit or '(none)'}", "give the tolerance in the item's unit")
    return converted
