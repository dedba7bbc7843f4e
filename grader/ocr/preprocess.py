"""A crop made ready: gray, dark on light; and where its ink is, without printed rules and frames.

Printed rules are told from writing by what writing never does: a rule is thin, straight and runs the whole
way across the crop. They are taken out of the ink as staff lines are in music recognition (Roach and Tatem
1988): rule pixels go, except where a stroke crosses them. The gray picture keeps them: the recogniser reads
through a rule better than through the scars of its removal.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

INK = 0.16  # relative darkness from which a pixel is ink: above paper texture and bleed-through
FAINT = 0.07  # relative darkness of what might be a trace of pencil
_SPAN = 0.8  # a horizontal rule covers at least this part of the crop's width
_UNBROKEN = 0.6  # part of a rule's length that is found as ink
_LINE = 100  # pixels: height of a box for one line; higher boxes hold several, and dust is no larger there
_TALL = 0.9  # a vertical rule covers at least this part of the crop's height


@dataclass(frozen=True, eq=False)
class Prepared:
    """gray: uint8, dark on light, as scanned. darkness: float32 0..1 relative to the paper around.

    ink: bool mask of the writing, without rules, frame remains and specks. faint: pixels of what is too pale
    or too small to count as ink. solid: the crop is dark all over and shows nothing.
    """

    gray: np.ndarray
    darkness: np.ndarray
    ink: np.ndarray
    faint: int
    solid: bool = False

    @property
    def height(self) -> int:
        return int(self.gray.shape[0])

    @property
    def width(self) -> int:
        return int(self.gray.shape[1])


def to_gray(crop: np.ndarray) -> np.ndarray:
    """Gray uint8, dark on light. crop: gray, BGR or BGRA uint8. A light-on-dark picture is inverted."""
    if crop.ndim == 3:
        crop = cv2.cvtColor(crop, cv2.COLOR_BGRA2GRAY if crop.shape[2] == 4 else cv2.COLOR_BGR2GRAY)
    middle = median(crop)
    if middle < 96 and float(np.percentile(crop, 99.5)) - middle > 80:
        return np.asarray(255 - crop, dtype=np.uint8)
    return crop


def median(gray: np.ndarray) -> float:
    """Median of a uint8 picture, by counting: several times faster than by sorting, and the same number."""
    below = np.cumsum(cv2.calcHist([gray], [0], None, [256], [0, 256]).astype(np.int64))
    low, high = np.searchsorted(below, [(gray.size - 1) // 2, gray.size // 2], side="right")
    return float(low + high) / 2


def prepare(crop: np.ndarray) -> Prepared:
    """Prepare a gray or BGR uint8 crop of at least one pixel."""
    gray = to_gray(crop)
    paper = _paper(gray)
    darkness = np.clip(1 - gray.astype(np.float32) / np.maximum(paper, 1), 0, 1)
    mask = (darkness > _threshold(darkness)).astype(np.uint8)
    rules = horizontal_rules(mask) | vertical_rules(mask)
    mask[rules] = 0
    ink = _without_specks(mask)
    smooth = cv2.blur(darkness, (3, 3))
    near = cv2.dilate((rules | (mask > 0)).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    edge = max(2, round(0.06 * min(gray.shape[0], _LINE)))
    dust = int(((mask > 0) & ~ink)[edge:-edge, edge:-edge].sum())
    faint = int(np.count_nonzero((smooth > FAINT) & ~near)) + dust
    return Prepared(gray, darkness, ink, faint, median(gray) < 60)


def _threshold(darkness: np.ndarray) -> float:
    """Darkness from which a pixel is ink: INK, or more where the ink is strong and blur gives it a halo."""
    inky = darkness[darkness > INK]
    return max(INK, 0.4 * float(np.percentile(inky, 90))) if inky.size else INK


def _paper(gray: np.ndarray) -> np.ndarray:
    """Brightness of the paper at every pixel: writing closed over, at a quarter of the size, float32."""
    height, width = gray.shape
    small = cv2.resize(gray, (max(1, width // 4), max(1, height // 4)), interpolation=cv2.INTER_AREA)
    side = max(3, min(small.shape[0] // 2, 15) | 1)
    padded = cv2.copyMakeBorder(small, side, side, side, side, cv2.BORDER_REPLICATE)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((side, side), np.uint8))
    closed = cv2.blur(closed, (side, side))[side:-side, side:-side]
    # Solid ink wider than the kernel would pass for paper; paper is never far darker than the lightest part.
    level = float(np.percentile(small, 95))
    closed = np.maximum(closed.astype(np.float32), 0.7 * level)
    return np.asarray(cv2.resize(closed, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)


def horizontal_rules(mask: np.ndarray) -> np.ndarray:
    """Pixels (bool) of printed horizontal rules in a uint8 ink mask; strokes that cross a rule are kept."""
    height, width = mask.shape
    piece = max(12, width // 20)
    rules = np.zeros(mask.shape, bool)
    if width < 16 or height < 8:
        return rules
    # A rule that leans by a pixel or two breaks into pieces: find the pieces, then join them along the line.
    pieces = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((1, piece), np.uint8))
    if np.count_nonzero(pieces.any(axis=0)) < _UNBROKEN * _SPAN * width:
        return rules
    joined = _closed(cv2.dilate(pieces, np.ones((3, 1), np.uint8)), 1, 2 * piece + 1)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    for label in range(1, count):
        left, _, length, tall, _ = stats[label]
        if length < _SPAN * width or (left > 0.05 * width and left + length < 0.95 * width):
            continue
        part = (labels == label) & (pieces > 0)
        columns = part.any(axis=0)
        thickness = part.sum() / max(1, columns.sum())
        if columns.sum() < _UNBROKEN * length or thickness > max(5.0, 0.09 * height) or tall > 0.25 * height + 6:
            continue
        rules |= _without_crossings(mask, part, int(np.ceil(thickness)))
    return rules


def _closed(mask: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Morphological closing that does not reach out to the edges of the picture."""
    padded = cv2.copyMakeBorder(mask, rows, rows, columns, columns, cv2.BORDER_CONSTANT, value=0)
    closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, np.ones((rows, columns), np.uint8))
    return np.asarray(closed[rows:-rows, columns:-columns])


def _without_crossings(mask: np.ndarray, part: np.ndarray, thickness: int) -> np.ndarray:
    """The rule `part`, grown to its full thickness, less the columns where a stroke runs through it."""
    grown = cv2.dilate(part.astype(np.uint8), np.ones((3, 1), np.uint8)) & mask
    reach = thickness + 2
    above = cv2.erode(mask, np.ones((reach + 1, 1), np.uint8), anchor=(0, reach))
    below = cv2.erode(mask, np.ones((reach + 1, 1), np.uint8), anchor=(0, 0))
    # A stroke continues beyond the rule: a vertical run of ink longer than the rule is thick.
    vertical = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((thickness + 4, 1), np.uint8))
    return np.asarray((grown > 0) & ~((vertical > 0) | ((above > 0) & (below > 0))))


def vertical_rules(mask: np.ndarray) -> np.ndarray:
    """Pixels (bool) of frame sides and cell borders: straight, thin, the crop's whole height, and at its
    sides or repeated (three or more). A lone upright in the middle may be a 1 and stays."""
    height, width = mask.shape
    rules = np.zeros(mask.shape, bool)
    if height < 16 or width < 8:
        return rules
    pieces = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((max(8, height // 3), 1), np.uint8))
    rows = np.flatnonzero(pieces.any(axis=1))
    if not rows.size or rows[-1] - rows[0] + 1 < _TALL * height:
        return rules
    joined = _closed(cv2.dilate(pieces, np.ones((1, 3), np.uint8)), height // 2 | 1, 1)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    sides: list[int] = []
    inner: list[int] = []
    for label in range(1, count):
        left, _, across, length, _ = stats[label]
        if length < _TALL * height or across > max(6, 0.1 * height) + 2:
            continue
        side = 0.1 * min(height, _LINE)
        at_side = left < side or left + across > width - side
        (sides if at_side else inner).append(label)
    for label in sides + (inner if len(inner) + len(sides) >= 3 else []):
        part = cv2.dilate(((labels == label) & (pieces > 0)).astype(np.uint8), np.ones((1, 3), np.uint8))
        rules |= (part & mask) > 0
    return rules


def _without_specks(mask: np.ndarray) -> np.ndarray:
    """The ink mask (bool) without specks of dust and without remains of the frame along the crop's edge."""
    height, width = mask.shape
    kept = mask > 0
    left, top, across, down = bounds(kept)
    if not across:
        return kept
    inked = (slice(top, top + down), slice(left, left + across))
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask[inked], connectivity=8)
    x, y, w, h, area = stats.T
    x, y = x + left, y + top
    line = min(height, _LINE)
    speck = max(3.0, (0.035 * line) ** 2)
    edge = max(2.0, 0.06 * line)
    at_edge = (y + h <= edge) | (y >= height - edge) | (((x + w <= edge) | (x >= width - edge)) & (h > 2 * w))
    keep = (area > speck) & ~(at_edge & (max(width, height) > 24))
    keep[0] = False
    if not keep[1:].all():
        kept[inked] = keep[labels]
    return kept


def bounds(ink: np.ndarray) -> tuple[int, int, int, int]:
    """Smallest box x, y, width, height around the true pixels of a mask; all zero if there are none."""
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    if not rows.size:
        return 0, 0, 0, 0
    return (
        int(columns[0]),
        int(rows[0]),
        int(columns[-1] - columns[0] + 1),
        int(rows[-1] - rows[0] + 1),
    )


def line_box(ink: np.ndarray) -> tuple[int, int, int, int]:
    """Box around the writing of one line with the margin that the recogniser expects, within the crop.

    Never less than two fifths of the crop's height (a lone minus sign must not be blown up to a letter). A
    crop that was cut around the writing is taken as it is: all its height if the writing fills half of it, all
    its width if less than a height of paper would go. (On rendered lines a margin of a quarter of the
    writing's height reads best, and cutting does good only below half.)
    """
    height, width = ink.shape
    x, y, w, h = bounds(ink)
    margin = 0.25 * h + 2
    top, bottom = y - margin, y + h + margin
    missing = max(0.0, 0.4 * height - (bottom - top))
    top, bottom = max(0, int(top - missing / 2)), min(height, int(np.ceil(bottom + missing / 2)))
    if h >= 0.5 * height:
        top, bottom = 0, height
    side = 0.25 * (bottom - top)
    left, right = max(0, int(x - side)), min(width, int(np.ceil(x + w + side)))
    if width - (right - left) < bottom - top:
        left, right = 0, width
    return left, top, right - left, bottom - top
