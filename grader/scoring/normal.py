"""How short texts are compared: one spelling for what a marker would read as the same answer.

Folded: width and compatibility forms (NFKC), case, traditional characters, punctuation, spaces. Kept,
because they carry meaning: signs and punctuation between digits, brackets, minus signs and operators.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import Any

_LEAD = re.compile(r"^(?:答案?(?:是|为)?|答|填|answer(?: is)?|ans)\s*[::]\s*")
_FOLDS = str.maketrans(
    {
        **dict.fromkeys("−–—﹣‒", "-"),
        **dict.fromkeys("×✕✖⨯", "×"),
        **dict.fromkeys("‘’′`´", "'"),
        **dict.fromkeys("。｡", "."),
        "、": ",",
        "∶": ":",
        "⁄": "/",
        "µ": "μ",
    }
)
_SUPERSCRIPTS = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻]+")
_BRACED = re.compile(r"\^\{([^{}]*)\}")
_SOFT = r"""[.,;:!?'"“”„«»《》〈〉「」『』【】…_~·•・‧∙・]"""
# Between two digits a point, comma or colon is part of a number; elsewhere it is punctuation.
_PUNCTUATION = re.compile(rf"(?<!\d){_SOFT}+|{_SOFT}+(?!\d)")
_HYPHEN = re.compile(r"(?<=[^\W\d_]{2})-(?=[^\W\d_]{2})")
_LISTED = re.compile(r"(?<=\d)\s*([,;:])\s*(?=\d)")
_SPACE = re.compile(r"(?<!\d)\s+|\s+(?!\d)")
_WRAPPED = re.compile(r"^[(\[{<]([^()\[\]{}<>]*)[)\]}>]$")


@lru_cache(maxsize=1)
def _converter() -> Any:
    from opencc import OpenCC

    return OpenCC("t2s")


def simplified(text: str) -> str:
    """The text in simplified characters (OpenCC's tables)."""
    return text if text.isascii() else str(_converter().convert(text))


@lru_cache(maxsize=65536)
def normalise(text: str) -> str:
    """The form in which two answers are compared. Idempotent; "" where nothing is written."""
    for _ in range(8):
        folded = _fold(text)
        if folded == text:
            break
        text = folded
    return text


def spelled(text: str) -> str:
    """As `normalise`, but with capitals as written: for chemical formulae."""
    text = unicodedata.normalize("NFKC", _raised(text)).translate(_FOLDS)
    return _SPACE.sub("", _PUNCTUATION.sub("", text)).strip()


def _raised(text: str) -> str:
    """Superscripts as ^n, so that x² is x^2 and not x2."""
    text = _SUPERSCRIPTS.sub(lambda match: "^" + unicodedata.normalize("NFKC", match[0]), text)
    return _BRACED.sub(r"^\1", text)


def _fold(text: str) -> str:
    text = simplified(unicodedata.normalize("NFKC", _raised(text)).casefold())
    text = unicodedata.normalize("NFKC", text).translate(_FOLDS)
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cf", "Cc", "Cs") or c.isspace())
    text = _LEAD.sub("", text.strip())
    text = _HYPHEN.sub("", _PUNCTUATION.sub("", _LISTED.sub(r"\1", text)))
    text = _SPACE.sub("", " ".join(text.split()))
    wrapped = _WRAPPED.match(text)
    return wrapped[1] if wrapped else text
