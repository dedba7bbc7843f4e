"""Writing that is not one row of characters: superscripts and stacked fractions.

A line recogniser flattens both: 10⁴ becomes 104, and a fraction becomes a nonsense character. Their
geometry gives them away, so the reading is corrected or flagged, never guessed.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from grader.ocr.preprocess import bounds
from grader.records import Character, TextLine

_RAISED = frozenset("0123456789-−+n")


def stacked_fraction(ink: np.ndarray) -> bool:
    """True if an ink mask holds a fraction bar: a flat stroke with separate writing above and below it.

    = and ÷ are told apart by size: what stands above and below a bar is taller than a dot or a stroke.
    """
    left, top, width, height = bounds(ink)
    if not height:
        return False
    ink = ink[top : top + height, left : left + width]
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    for label in range(1, count):
        x, y, w, h, area = (int(v) for v in stats[label])
        if w < 3 * h or w < 0.25 * height or w > 2.5 * height or area < 0.4 * w * h:
            continue
        around = ink[:, x : x + w] & (labels[:, x : x + w] != label)
        above, below = bounds(around[:y]), bounds(around[y + h :])
        # Chinese horizontals have strokes on both sides too, but not this much of the line on each.
        if min(above[3], below[3]) >= 0.28 * height and min(above[2], below[2]) >= 0.06 * height:
            return True
    return False


def mark_superscripts(line: TextLine, ink: np.ndarray) -> TextLine:
    """The line with "^" before characters that stand raised and small after a base; the same object if none.

    ink: mask of the crop that the line was read from.
    """
    extents = _extents(line, ink)
    full = [e for e, c in zip(extents, line.characters, strict=True) if e and c.text.isalnum()]
    if len(full) < 2:
        return line
    tallest = max(bottom - top for top, bottom in full)
    base = max(bottom for top, bottom in full if bottom - top > 0.7 * tallest)
    raised = [
        e is not None and c.text in _RAISED and base - e[1] > 0.36 * tallest and e[1] - e[0] < 0.75 * tallest
        for e, c in zip(extents, line.characters, strict=True)
    ]
    characters: list[Character] = []
    for place, character in enumerate(line.characters):
        starts = raised[place] and place > 0 and not raised[place - 1] and characters[-1].text not in "^×*/+-"
        # A minus sign is raised by nature: it belongs to an exponent only if a raised digit follows.
        is_exponent = character.text.isalnum() or (place + 1 < len(raised) and raised[place + 1])
        if starts and is_exponent:
            characters.append(Character("^", character.confidence, character.start, character.start))
        characters.append(character)
    if len(characters) == len(line.characters):
        return line
    return replace(line, text="".join(c.text for c in characters).strip(), characters=tuple(characters))


def _extents(line: TextLine, ink: np.ndarray) -> list[tuple[int, int] | None]:
    """Top and bottom row of the ink of every character, or None where that cannot be told."""
    x, y, w, h = (round(v) for v in line.box)
    groups = _columns(ink[y : y + h, x : x + w])
    written = [c for c in line.characters if c.text.strip()]
    if len(groups) == len(written):  # every character stands free: first to first, second to second
        pairs = {id(c): g for c, g in zip(written, groups, strict=True)}
    else:
        pairs = {
            id(c): min(groups, key=lambda g: abs((g[0] + g[1]) / 2 - (c.start + c.end) / 2 * w))
            for c in written
            if groups
        }
    return [pairs[id(c)][2:] if id(c) in pairs else None for c in line.characters]


def _columns(ink: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Groups of ink that paper separates along the line: left, right, top, bottom, left to right."""
    count, _, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    groups: list[tuple[int, int, int, int]] = []
    for x, y, w, h in sorted(tuple(int(v) for v in row[:4]) for row in stats[1:count]):
        if groups and x < groups[-1][1] - 0.3 * min(w, groups[-1][1] - groups[-1][0]):
            left, right, top, bottom = groups[-1]
            groups[-1] = (left, max(right, x + w), min(top, y), max(bottom, y + h))
        else:
            groups.append((x, x + w, y, y + h))
    return groups
