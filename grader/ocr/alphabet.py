"""Which characters a field allows, and how a recogniser's classes fold onto them.

A field's alphabet is a named set or "=" and the very characters ("=ABCD"). Restricting a recogniser to it
must not turn a foreign symbol into a sure letter, so only classes that are the same mark on paper are folded
together (full-width and half-width forms, the two cases where one alone is allowed, and true look-alikes
such as 0 and O); everything else stays outside and counts as doubt.
"""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from grader.errors import UsageError

_UNITS = "米秒分时小克千公斤吨升毫厘微度摄氏元角个倍只人天日年月平方立帕瓦伏安欧姆焦牛顿赫兹摩尔万亿百十"
_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"
NAMED: dict[str, str] = {
    "digits": string.digits,
    "letters": string.ascii_uppercase,
    "number": string.digits + string.ascii_letters + "+-±.,%‰°℃×÷*/^=()·:√πΩμ" + _SUPERSCRIPTS + _UNITS,
}

# Marks that are the same stroke or strokes on paper: allowed character → classes that mean it where they are
# not themselves allowed. Mere resemblance (5 and S, 9 and g) is not enough: it must stay a doubt.
_LOOK_ALIKES = {
    "0": "OoΟοОо〇○",
    "O": "0oΟοОо〇○",
    "1": "lI|丨Ⅰ",
    "I": "l1|丨Ⅰ工",
    "A": "ΑА",
    "B": "ΒВ",
    "C": "СⅭ",
    "D": "Ⅾ",
    "E": "ΕЕ",
    "H": "ΗН",
    "K": "ΚК",
    "M": "ΜМⅯ",
    "N": "Ν",
    "P": "ΡР",
    "T": "ΤТ丁",
    "V": "Ⅴ",
    "X": "ΧХⅩ×",
    "Y": "Υ丫",
    "Z": "Ζ乙",
    "-": "−–—一ー",
    ".": "。",
    "×": "✕✖⨯xX",
    "μ": "µ",
    "Ω": "Ω",
    "*": "∗",
    ":": "：",
}

_SEPARATORS = " .,;，。、；·"

# Pairs that handwriting does not keep apart; the second reading is worth a flag where it has real weight.
_PAIRS = (
    "17 1l 1I lI 0O 0o 06 5S 2Z 2z 8B 9g 9q 6b 49 38 35 56 uv nh un ce IJ DO PD CG VU BD BE AH ×x +t -÷ ÷+ 1/ 7/ =-"
)
_CONFUSABLE = frozenset(frozenset(pair) for pair in _PAIRS.split())


def confusable(first: str, second: str) -> bool:
    """True if two characters are known to be mistaken for each other in handwriting."""
    return frozenset((first, second)) in _CONFUSABLE


@dataclass(frozen=True)
class Alphabet:
    """characters: what may be written, in a fixed order, or None where anything may.

    ignored: written between or after the characters without a meaning of its own ("A, C." is AC).
    """

    spec: str
    characters: tuple[str, ...] | None
    ignored: frozenset[str]


@lru_cache(maxsize=256)
def parse(spec: str) -> Alphabet:
    """The alphabet that a form's `alphabet` names. Raises UsageError for an unknown name or an empty set."""
    if spec == "any":
        return Alphabet(spec, None, frozenset())
    text = spec[1:] if spec.startswith("=") else NAMED.get(spec, "")
    characters = tuple(dict.fromkeys(c for c in text if not c.isspace()))
    if not characters:
        names = ", ".join(["any", *NAMED])
        raise UsageError(f"there is no alphabet {spec!r}", f'use one of {names}, or "=" and the characters')
    only_letters = all(c.isalpha() for c in characters)
    ignored = (set(_SEPARATORS) if only_letters else {" "}) - set(characters)
    return Alphabet(spec, characters, frozenset(ignored))


@dataclass(frozen=True, eq=False)
class Folding:
    """How the classes of a vocabulary fold onto an alphabet.

    classes: indices of the classes that stand for allowed characters, grouped by character;
    starts: where each group starts in `classes`; ignored: indices of the classes to skip silently.
    """

    characters: tuple[str, ...]
    classes: np.ndarray
    starts: np.ndarray
    ignored: np.ndarray


def fold(alphabet: Alphabet, vocabulary: Sequence[str]) -> Folding:
    """Fold `vocabulary` (class index → character; "" for the CTC blank) onto a restricted alphabet."""
    assert alphabet.characters is not None
    allowed = set(alphabet.characters)
    meaning = {c: c for c in allowed}
    for character in alphabet.characters:
        for twin in (character.lower(), character.upper(), *_LOOK_ALIKES.get(character, "")):
            meaning.setdefault(twin, character)
    groups: dict[str, list[int]] = {c: [] for c in alphabet.characters}
    ignored = []
    for index, label in enumerate(vocabulary):
        if not label:
            continue
        plain = label if label in allowed else unicodedata.normalize("NFKC", label)
        target = meaning.get(label) or meaning.get(plain)
        if target:
            groups[target].append(index)
        elif label in alphabet.ignored or plain in alphabet.ignored:
            ignored.append(index)
    readable = {c: classes for c, classes in groups.items() if classes}
    sizes = [len(classes) for classes in readable.values()]
    return Folding(
        characters=tuple(readable),
        classes=np.array([i for classes in readable.values() for i in classes], dtype=np.intp),
        starts=np.cumsum([0, *sizes[:-1]], dtype=np.intp),
        ignored=np.array(ignored, dtype=np.intp),
    )
