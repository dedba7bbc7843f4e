"""Writing that has been struck out: words crossed by a long stroke, and characters scribbled over.

A crossing stroke is found by what no letter has: a long, near-horizontal stroke at mid-height that several
other strokes run through. A scribble is found by its density: a patch as large as a character in which there
is hardly any paper left between the strokes.
"""

from __future__ import annotations

import cv2
import numpy as np

from grader.records import Box

_SLOPES = np.arange(-0.3, 0.31, 0.1)  # rise over run of a hand-drawn strike
# Length of a strike in heights of the line, longer than a character is wide, and the strokes that run through
# it: for text of any script (two neighbouring t share a bar and cross it twice), and for digits and letters.
_ANY_SCRIPT = (1.3, 4)
_NARROW = (0.85, 3)
_SOLID = 0.42  # side of a patch without paper in heights of the line: no character has one
_WORKING = 48  # pixels of height at which strokes are measured; larger writing is reduced to it
_SMALLEST = 34  # pixels of height below which strokes cannot be told apart


def struck_out(ink: np.ndarray, text_height: int, *, narrow: bool = False) -> list[Box]:
    """Boxes (x, y, width, height) of struck-out writing in an ink mask, left to right.

    ink: bool. text_height: height of a line of writing in pixels. narrow: only digits, letters and signs are
    written here, which are narrower than they are high.
    """
    if text_height < _SMALLEST or not ink.any():
        return []
    mask = ink.astype(np.uint8)
    scale = min(1.0, _WORKING / text_height)
    if scale < 1:
        size = (max(1, round(mask.shape[1] * scale)), max(1, round(mask.shape[0] * scale)))
        mask = (cv2.resize(mask * 255, size, interpolation=cv2.INTER_AREA) > 110).astype(np.uint8)
    tall = round(text_height * scale)
    found = _scribbles(mask, tall) + _crossed(mask, tall, *(_NARROW if narrow else _ANY_SCRIPT))
    return [(x / scale, y / scale, w / scale, h / scale) for x, y, w, h in _merged(found)]


def stroke_width(mask: np.ndarray) -> float:
    """Mean width of the strokes of a uint8 mask in pixels: twice the area over the length of the outline."""
    inside = cv2.erode(mask, np.ones((3, 3), np.uint8))
    outline = int(mask.sum()) - int(inside.sum())
    return max(1.0, 2.0 * float(mask.sum()) / max(1, outline))


def _scribbles(mask: np.ndarray, text_height: int) -> list[Box]:
    """Patches that stay solid when the slits between strokes, narrower than a stroke, are closed."""
    width = stroke_width(mask)
    gap = max(2, round(0.6 * width))
    side = max(round(_SOLID * text_height), round(2.5 * width), 8)
    closed = cv2.morphologyEx(mask, cv2.MORPH_CLOSE, np.ones((gap, gap), np.uint8))
    solid = cv2.morphologyEx(closed, cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    if not solid.any():
        return []
    count, labels, _, _ = cv2.connectedComponentsWithStats(solid, connectivity=8)
    boxes = []
    for label in range(1, count):
        # The whole scribble: all dense ink that hangs together with its solid core.
        core = (labels == label).astype(np.uint8)
        grown = cv2.dilate(core, np.ones((side, 2 * side + 1), np.uint8))
        boxes.append(_box_of((grown > 0) & (closed > 0) & _dense(mask, side) | (core > 0)))
    return boxes


def _dense(mask: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(cv2.blur(mask.astype(np.float32), (side, side)) > 0.5)


def _box_of(mask: np.ndarray) -> Box:
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    return float(x), float(y), float(w), float(h)


def _crossed(mask: np.ndarray, text_height: int, heights: float, crossings: int) -> list[Box]:
    """Words crossed by one long stroke. Sheared so that each slope in turn becomes horizontal."""
    length = round(heights * text_height)
    height, width = mask.shape
    if _longest(np.asarray(mask.any(axis=0))) < length:  # shearing and dilating move ink within its column only
        return []
    thickest = 2.2 * stroke_width(mask) + 3
    found: list[Box] = []
    margin = round(0.15 * width) + 2  # room for what shearing moves out of the picture
    tall = cv2.copyMakeBorder(mask, margin, margin, 0, 0, cv2.BORDER_CONSTANT, value=0)
    for slope in _SLOPES:
        shear = np.array([[1, 0, 0], [-slope, 1, slope * width / 2]], np.float32)
        level = cv2.warpAffine(tall, shear, (width, tall.shape[0]), flags=cv2.INTER_NEAREST)
        bridged = cv2.dilate(level, np.ones((3, 1), np.uint8))  # the wobble of the hand, not gaps along it
        if not cv2.erode(bridged, np.ones((1, length), np.uint8)).any():
            continue
        strokes = cv2.morphologyEx(bridged, cv2.MORPH_OPEN, np.ones((1, length), np.uint8))
        count, labels, stats, _ = cv2.connectedComponentsWithStats(strokes, connectivity=8)
        for label in range(1, count):
            x, y, w, h, area = (int(v) for v in stats[label])
            if area / w > thickest or _crossings(level, labels == label, x, w) < crossings:
                continue
            rise = abs(slope) * w / 2
            middle = y + h / 2 - margin + slope * (x + w / 2 - width / 2)
            top = max(0.0, middle - text_height / 2 - rise)
            bottom = min(float(height), middle + text_height / 2 + rise)
            found.append((float(x), top, float(w), bottom - top))
    return found


def _longest(columns: np.ndarray) -> int:
    """Length of the longest unbroken run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], columns.astype(np.int8), [0]])))
    return int(max(edges[1::2] - edges[::2], default=0))


def _crossings(level: np.ndarray, stroke: np.ndarray, x: int, width: int) -> int:
    """How many other strokes run through `stroke`: ink touching it above and, close by, below."""
    body = stroke[:, x : x + width]
    ink = level[:, x : x + width] > 0
    rows = np.arange(body.shape[0])[:, None]
    top = np.where(body, rows, body.shape[0]).min(axis=0)
    bottom = np.where(body, rows, -1).max(axis=0)
    columns = np.arange(width)
    reach = np.array([2, 3, 4, 5])[:, None]
    above = ink[np.clip(top - reach, 0, None), columns].all(axis=0)
    below = ink[np.clip(bottom + reach, None, ink.shape[0] - 1), columns].all(axis=0)
    through = above & (np.convolve(below, np.ones(7), "same") > 0) & (bottom >= 0)
    return int(np.count_nonzero(np.diff(np.concatenate([[0], through.astype(np.int8)])) == 1))


def _merged(boxes: list[Box]) -> list[Box]:
    """Boxes that overlap along the line, joined."""
    joined: list[Box] = []
    for x, y, w, h in sorted(boxes):
        if joined and x < joined[-1][0] + joined[-1][2] and y < joined[-1][1] + joined[-1][3]:
            px, py, pw, ph = joined[-1]
            right, bottom = max(px + pw, x + w), max(py + ph, y + h)
            joined[-1] = (px, min(py, y), right - px, bottom - min(py, y))
        else:
            joined.append((x, y, w, h))
    return joined
