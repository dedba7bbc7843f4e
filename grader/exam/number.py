"""Written numbers: 3.2×10³, 3.2e3, 1 1/2, 1又1/2, ½, 50%, 12,000, －5, full width or not.

The notation only; what a number is worth as an answer is decided in grader.scoring.numeric.
"""

from __future__ import annotations

import math
import re
import unicodedata
from dataclasses import dataclass

_SUPERSCRIPT = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
_VULGAR = re.compile("[¼½¾⅐-⅞]")
_FOLDS = str.maketrans(
    {
        **dict.fromkeys("−–—‐‑‒﹣", "-"),
        **dict.fromkeys("✕✖⨯╳∗⋅·•・", "*"),
        "×": "*",
        "÷": "/",
        "∕": "/",
        "⁄": "/",
        "～": "~",
    }
)

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+(?!\d)|\d{1,3}(?:[ ]\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+"
_POWER = r"10\s*(?:\^|\*\*)\s*[({]?\s*(?P<power>[+-]?\d{1,3})\s*[)}]?"
NUMBER = re.compile(
    rf"""(?P<sign>[+-]?)\s*(?:
        (?P<whole>\d+)(?:\s+|又\s*)(?P<mixed_top>\d+)/(?P<mixed_bottom>\d+)
      | (?P<top>\d+(?:\.\d+)?)\s*/\s*(?P<bottom>\d+(?:\.\d+)?)
      | (?P<mantissa>{_DIGITS})\s*(?:[*xX]|\\times)\s*{_POWER}
      | (?P<e_mantissa>{_DIGITS})[eE](?P<e_power>[+-]?\d{{1,3}})(?![\d.])
      | {_POWER.replace("power", "bare_power")}
      | (?P<plain>{_DIGITS})
    )""",
    re.VERBOSE,
)

MAX_DIGITS = 40


@dataclass(frozen=True)
class Number:
    """A value, where it stood in the folded text, and whether a power may have lost its superscript
    (3.2×103): then `lost` is the value with the superscript put back."""

    value: float
    start: int
    end: int
    lost: float | None = None


def fold(text: str) -> str:
    """One way to write each sign: superscripts as ^n, vulgar fractions as n/d, NFKC, one minus, * and /."""
    text = _SUPERSCRIPTS.sub(lambda m: f"^{m[0].translate(_SUPERSCRIPT)}", text)
    text = _VULGAR.sub(lambda m: f" {unicodedata.normalize('NFKC', m[0])}", text)
    text = unicodedata.normalize("NFKC", text.translate(_FOLDS)).translate(_FOLDS)
    return " ".join(text.split())


def find(folded: str, start: int = 0) -> Number | None:
    """The first number in folded text, at or after `start`; None if there is none that can be used."""
    match = NUMBER.search(folded, start)
    if match is None or sum(c.isdigit() for c in match[0]) > MAX_DIGITS:
        return None
    value = _value(match)
    if value is None or not math.isfinite(value):
        return None
    return Number(value, match.start(), match.end(), _lost_power(folded, match, value))


def parse(text: str) -> float | None:
    """The value of a text that is one number and nothing else (a percent sign allowed), or None."""
    folded = fold(text)
    number = find(folded)
    if number is None or number.start != 0:
        return None
    rest = folded[number.end :].strip()
    if rest == "%":
        return number.value / 100
    return None if rest else number.value


def _value(match: re.Match[str]) -> float | None:
    part = match.groupdict()
    sign = -1.0 if part["sign"] == "-" else 1.0
    if part["mixed_top"]:
        bottom = int(part["mixed_bottom"])
        return sign * (int(part["whole"]) + int(part["mixed_top"]) / bottom) if bottom else None
    if part["top"]:
        bottom_value = float(part["bottom"])
        return sign * float(part["top"]) / bottom_value if bottom_value else None
    if part["mantissa"]:
        return sign * _scaled(part["mantissa"], part["power"])
    if part["e_mantissa"]:
        return sign * _scaled(part["e_mantissa"], part["e_power"])
    if part["bare_power"]:
        return sign * _scaled("1", part["bare_power"])
    return sign * float(_plain(part["plain"]))


def _scaled(mantissa: str, power: str) -> float:
    return float(f"{_plain(mantissa)}e{int(power)}")


def _plain(digits: str) -> str:
    return digits.replace(",", "").replace(" ", "")


_LOST = re.compile(r"\s*[*xX]\s*10(\d{1,2})(?!\d)")


def _lost_power(folded: str, match: re.Match[str], value: float) -> float | None:
    """3.2×103 is how 3.2×10³ looks once the superscript is lost."""
    after = _LOST.match(folded, match.end())
    return value * 10.0 ** int(after[1]) if after else None
