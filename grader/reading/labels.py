"""Where the answers on a plain page are: by the item numbers that stand at the beginning of lines.

A number is believed for its shape ("3.", "3、", "(3)", "第3题"), for its place at the margin and above all for its
order: the numbers of an exam rise down the page, so a chain of rising numbers is sought that explains most of
them. What does not fit is never guessed away: it becomes a flag on the answers that it makes doubtful.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import median

from grader.records import TextLine

_STRONG, _WEAK = 1.0, 0.4  # what a number with and without a sign after it is worth
_FOREIGN = 0.45  # the share of it where the sign is not the one used elsewhere on the page
_INDENTED = 0.5  # the share of it away from the margin
_MARGIN = 2.0  # heights of a line within which a number stands at the margin
_GAP = 0.8  # the same, of the gap before a number within a line
_SPACE = 0.45  # the same, of the gap between a label's stop and a digit that is no fraction of it
_FRACTION = re.compile(r"[0-9]+(?![0-9]*[.][0-9])")  # "4.3" may be a number, "4.3.2" is an item's and a number


@dataclass(frozen=True)
class Label:
    """A number that may begin an answer. line, start: where it stands; end: where the answer's text begins.

    x: in pixels. style: the signs around the number. strong: the signs leave little doubt; decimal: it may be
    the whole part of a number such as 3.2.
    """

    item: str
    line: int
    start: int
    end: int
    x: float
    style: str
    strong: bool
    decimal: bool


@dataclass(frozen=True)
class Place:
    """One answer: from its label up to the next one. flags: doubts about where it begins or ends."""

    label: Label
    flags: tuple[str, ...] = ()

    @property
    def item(self) -> str:
        return self.label.item


def find_items(lines: Sequence[TextLine], items: Sequence[str]) -> list[Place]:
    """The answers among the lines of a page, from the top. items: the exam's ids, in its order.

    Flags: item_doubtful, item_twice.
    """
    found = [label for number, line in enumerate(lines) for label in _labels(line, number, tuple(items))]
    chain = _best_chain(found, items, lines)
    if not chain:
        return []
    style = Counter(label.style for label in chain if label.strong).most_common(1)
    house = style[0][0] if style else ""
    left = _margin(chain)
    order = {item: place for place, item in enumerate(items)}
    taken = {label.item for label in chain}
    doubts: dict[str, list[str]] = {label.item: [] for label in chain}
    for before, label, after in zip([None, *chain], chain, [*chain[1:], None], strict=False):
        if not label.strong and not _certain(before, label, after, order, left, lines):
            doubts[label.item].append("item_doubtful")
            if before is not None:
                doubts[before.item].append("item_doubtful")
    strays: list[Label] = []
    for label in found:
        if label in chain or not (label.strong and label.style == house and _at_margin(label, left, lines)):
            continue
        if label.item in taken:
            doubts[label.item].append("item_twice")
        else:  # out of its order
            strays.append(label)
            taken.add(label.item)
            doubts[label.item] = ["item_doubtful"]
            before = max((other for other in chain if other.line < label.line), key=lambda o: o.line, default=None)
            if before is not None:
                doubts[before.item].append("item_doubtful")
    labels = sorted([*chain, *strays], key=lambda label: (label.line, label.start))
    return [Place(label, tuple(dict.fromkeys(doubts[label.item]))) for label in labels]


def label_length(text: str, item: str) -> int | None:
    """How many characters of `text` are the label of `item` at its beginning, or None where it has none."""
    match = _pattern((item,)).match(_folded(text))
    return match.end() if match else None


def _labels(line: TextLine, number: int, items: tuple[str, ...]) -> list[Label]:
    """The label at the beginning of a line, and those of the next items further along it."""
    text, pattern = _folded(line.text), _pattern(items)
    by_fold = {_folded(item): item for item in items}
    match = pattern.match(text)
    if match is None:
        return []
    found = [_label(line, number, match, by_fold)]
    order = list(items)
    while True:
        place = order.index(found[-1].item) + 1
        if place >= len(order):
            return found
        following = _pattern((order[place],))
        at = next((m for m in following.finditer(text, found[-1].end) if _stands_apart(line, m)), None)
        label = _label(line, number, at, by_fold) if at is not None else None
        if label is None or not label.strong:
            return found
        found.append(label)


def _label(line: TextLine, number: int, match: re.Match[str], by_fold: dict[str, str]) -> Label:
    stop, signs = match["stop"] or "", f"{match['open'] or ''}{match['close'] or ''}"
    touches = stop in (".", ",", ":") and _FRACTION.match(match.string, match.end("stop")) is not None
    decimal = touches and not signs and not match["lead"] and not _apart(line, match.start("stop"), match.end("stop"))
    alone = stop in (".", "。", "、", ":", "·") or bool(signs) or bool(match["lead"]) or bool(match["word"])
    dot = "." if stop in (".", "。", "·") else stop  # a full stop is a full stop, whatever its shape
    style = f"{'#' if match['lead'] or match['word'] else ''}{signs}{dot if not signs else ''}"
    item = by_fold[match["id"]]
    x = line.box[0] + _span(line, match.start("id"))[0] * line.box[2]
    return Label(item, number, match.start(), match.end(), x, style, alone and not decimal, decimal)


def _stands_apart(line: TextLine, match: re.Match[str]) -> bool:
    """Whether there is a gap before a number within a line."""
    last = len(line.text[: match.start()].rstrip()) - 1
    return last >= 0 and _apart(line, last, match.start("id"), _GAP)


def _apart(line: TextLine, one: int, other: int, gap: float = _SPACE) -> bool:
    """Whether so many heights of the line lie between two of its characters."""
    return (_span(line, other)[0] - _span(line, one)[1]) * line.box[2] >= gap * line.box[3]


def _span(line: TextLine, index: int) -> tuple[float, float]:
    """Where the character at `index` of the text lies along the line (0 to 1)."""
    text = "".join(c.text for c in line.characters)
    lost = len(text) - len(text.lstrip())  # the text was stripped, its characters were not
    at, position = index + lost, 0
    for character in line.characters:
        position += len(character.text)
        if at < position:
            return character.start, character.end
    return (index / max(1, len(line.text)),) * 2


def _best_chain(found: Sequence[Label], items: Sequence[str], lines: Sequence[TextLine]) -> list[Label]:
    """The labels, rising in the exam's order from the top down, that are worth most together."""
    order = {item: place for place, item in enumerate(items)}
    best: list[Label] = []
    worth = 0.0
    for style in sorted({label.style for label in found if label.strong} or {""}):
        aligned = [label for label in found if label.strong and label.style == style]
        left = _margin(aligned) if aligned else min((label.x for label in found), default=0.0)
        values = [_value(label, style, left, lines) for label in found]
        chain, total = _heaviest(found, values, order)
        if total > worth + 1e-9:
            best, worth = chain, total
    return best


def _heaviest(found: Sequence[Label], values: Sequence[float], order: dict[str, int]) -> tuple[list[Label], float]:
    """The heaviest rising subsequence."""
    totals: list[float] = []
    previous: list[int] = []
    for place, label in enumerate(found):
        total, link = 0.0, -1
        for earlier in range(place):
            if order[found[earlier].item] < order[label.item] and totals[earlier] > total:
                total, link = totals[earlier], earlier
        totals.append(total + values[place])
        previous.append(link)
    if not totals:
        return [], 0.0
    at = max(range(len(totals)), key=lambda i: totals[i])
    chain, total = [], totals[at]
    while at >= 0:
        chain.append(found[at])
        at = previous[at]
    return chain[::-1], total


def _value(label: Label, style: str, left: float, lines: Sequence[TextLine]) -> float:
    value = _STRONG if label.strong else _WEAK * (0.5 if label.decimal else 1.0)
    if label.strong and label.style != style:
        value *= _FOREIGN
    return value if label.start or _at_margin(label, left, lines) else value * _INDENTED


def _margin(labels: Sequence[Label]) -> float:
    first = [label.x for label in labels if label.start == 0]
    return median(first) if first else 0.0


def _at_margin(label: Label, left: float, lines: Sequence[TextLine]) -> bool:
    return label.start == 0 and abs(label.x - left) <= _MARGIN * lines[label.line].box[3]


def _certain(
    before: Label | None, label: Label, after: Label | None, order: dict[str, int], left: float,
    lines: Sequence[TextLine],
) -> bool:  # fmt: skip
    """A bare number is certain between its neighbours in the exam, at the margin."""
    if label.decimal or not _at_margin(label, left, lines):
        return False
    place = order[label.item]
    follows = place == 0 or (before is not None and order[before.item] == place - 1)
    precedes = place == len(order) - 1 or (after is not None and order[after.item] == place + 1)
    return follows and precedes


@lru_cache(maxsize=64)
def _pattern(items: tuple[str, ...]) -> re.Pattern[str]:
    names = "|".join(_name(_folded(item)) for item in sorted(items, key=len, reverse=True))
    return re.compile(
        r"\s*(?P<lead>第|题|question|q|no)?\s*\.?\s*(?P<open>[(\[【〔])?\s*"
        rf"(?P<id>{names})\s*(?P<word>题)?\s*(?P<close>[)\]】〕])?\s*(?P<stop>[.。、,:·])?\s*"
    )


def _name(item: str) -> str:
    """An item's number, not as part of a longer number or word; a letter may stand before or after a digit."""
    before, after = ("0-9" if end.isdigit() else "0-9a-z" for end in (item[:1], item[-1:]))
    return f"(?<![{before}]){re.escape(item)}(?![{after}])"


def _folded(text: str) -> str:
    """Full-width and circled forms as plain ones, in small letters; every character keeps its place."""
    folded = (unicodedata.normalize("NFKC", c).lower() for c in text)
    return "".join(f if len(f) == 1 else c for f, c in zip(folded, text, strict=True))


def without_label(line: TextLine, length: int) -> TextLine:
    """The line without its first `length` characters."""
    rest = line.text[length:]
    joined = "".join(c.text for c in line.characters)
    skip = length + len(joined) - len(joined.lstrip())
    kept, position = [], 0
    for character in line.characters:
        if position >= skip:
            kept.append(character)
        position += len(character.text)
    return replace(line, text=rest.strip(), characters=tuple(kept))
