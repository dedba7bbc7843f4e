"""The shipped print fonts, and which characters they can set."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont, TTFontFile

from grader.resources import font_path

REGULAR, BOLD = "GraderSans", "GraderSans-Bold"
_FILES = {REGULAR: "NotoSansSC-Regular.ttf", BOLD: "NotoSansSC-Bold.ttf"}
MISSING = "〓"  # the printer's mark for a character that is not in the case


@lru_cache(maxsize=1)
def register() -> None:
    """Make the fonts known to reportlab, once a process. Raises ModelError if a file is missing."""
    for name, file in _FILES.items():
        pdfmetrics.registerFont(TTFont(name, str(font_path(file))))


@lru_cache(maxsize=8)
def characters(file: str) -> frozenset[int]:
    """The code points that a shipped font file can set."""
    return frozenset(TTFontFile(str(font_path(file))).charToGlyph)


def missing(texts: Iterable[str]) -> list[str]:
    """The characters of `texts` that the print fonts do not have, in code point order."""
    known = characters(_FILES[REGULAR])
    return sorted({char for text in texts for char in text if ord(char) not in known})


def replace_missing(text: str) -> str:
    """The text with 〓 for every character that the fonts do not have."""
    absent = set(missing([text]))
    return "".join(MISSING if char in absent else char for char in text)


def width(text: str, bold: bool, points: float) -> float:
    """Width of a text in points."""
    register()
    return float(pdfmetrics.stringWidth(text, BOLD if bold else REGULAR, points))
