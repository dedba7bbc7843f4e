"""Tables of what the program says to people: the English words that the rules speak, and the Chinese for a page."""

from __future__ import annotations

import re
from collections.abc import Sequence

_WHY = "<why>"
_LONGEST = 2000  # characters: what is longer holds a text of somebody's, which no pattern may search for long


class Phrases:
    """Pairs of a pattern of English words and its Chinese; the first whole match holds.

    The Chinese takes up the pattern's groups as `\\1` as they stand; `<why>` stands for the group `why`, which holds
    words of the same table.
    """

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._pairs = tuple((re.compile(pattern, re.DOTALL), chinese) for pattern, chinese in pairs)

    def find(self, words: str) -> str | None:
        """The Chinese; None for words that are not in the table. Messages joined by "; " are told part by part."""
        for pattern, chinese in self._pairs if len(words) <= _LONGEST else ():
            match = pattern.fullmatch(words)
            if match is not None:
                return self._expanded(match, chinese)
        parts = [self.find(part) for part in words.split("; ")] if "; " in words else [None]
        return None if None in parts else "；".join(part for part in parts if part)

    def _expanded(self, match: re.Match[str], chinese: str) -> str:
        before, why, after = chinese.partition(_WHY)
        if not why:
            return match.expand(chinese)
        inner = match["why"]
        return f"{match.expand(before)}{self.find(inner) or inner}{match.expand(after)}"
