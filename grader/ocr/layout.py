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
    count, labels, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    height = bounds(ink)[3]
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
    boxes = [_extent(line, c, ink) for c in line.characters]
    full = [b for b, c in zip(boxes, line.characters, strict=True) if b and c.text.isalnum()]
    if len(full) < 2:
        return line
    tallest = max(bottom - top for top, bottom in full)
    base = max(bottom for top, bottom in full if bottom - top > 0.7 * tallest)
    top_line = min(top for top, bottom in full if bottom - top > 0.7 * tallest)
    characters: list[Character] = []
    changed = raised_before = False
    for character, box in zip(line.characters, boxes, strict=True):
        raised = (
            bool(characters)
            and box is not None
            and character.text in _RAISED
            and base - box[1] > 0.38 * tallest
            and box[1] - box[0] < 0.72 * tallest
            and box[0] < top_line + 0.3 * tallest
            and (character.text.isdigit() or _digit_follows(line, character, boxes, base, tallest))
        )
        if raised and not raised_before and characters[-1].text != "^":
            characters.append(Character("^", character.confidence, character.start, character.start))
            changed = True
        raised_before = raised
        characters.append(character)
    if not changed:
        return line
    return replace(line, text="".join(c.text for c in characters).strip(), characters=tuple(characters))


def _digit_follows(
    line: TextLine,
    character: Character,
    boxes: list[tuple[int, int] | None],
    base: int,
    tallest: int,
) -> bool:
    """A raised sign is part of an exponent only if a raised digit comes right after it."""
    place = line.characters.index(character)
    if place + 1 >= len(boxes):
        return False
    after = boxes[place + 1]
    return after is not None and line.characters[place + 1].text.isdigit() and base - after[1] > 0.38 * tallest


def _extent(line: TextLine, character: Character, ink: np.ndarray) -> tuple[int, int] | None:
    """Top and bottom row of the ink of the components whose centre lies in a character's span."""
    x, y, w, h = (round(v) for v in line.box)
    part = ink[y : y + h, x : x + w]
    centre = round((character.start + character.end) / 2 * w)
    reach = max(2, round((character.end - character.start) / 2 * w))
    columns = part[:, max(0, centre - reach) : centre + reach]
    top, tall = bounds(columns)[1], bounds(columns)[3]
    return (y + top, y + top + tall) if tall else None
