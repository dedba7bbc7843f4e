"""Printed bubbles and boxes in a picture of a paper: circles, ellipses, squares, rectangles, brackets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

_SMALLEST, _LARGEST = 0.006, 0.05  # of the picture's shorter side: a bubble
_BOX, _LINE = 0.05, 0.012  # from this width and height on it is a box to write in
_SAME = 0.22  # sizes that differ by less are the same


@dataclass(frozen=True)
class Outline:
    """A closed outline: its box in pixels, and whether it is round."""

    x: float
    y: float
    w: float
    h: float
    shape: Literal["rect", "ellipse"]

    @property
    def centre(self) -> tuple[float, float]:
        return self.x + self.w / 2, self.y + self.h / 2


def find_outlines(gray: np.ndarray) -> tuple[list[Outline], list[Outline]]:
    """Bubbles (of the sizes that occur often) and boxes to write in, from the top, left to right.

    gray: height x width uint8, upright and flat.
    """
    side = min(gray.shape)
    block = int(0.04 * side) | 1
    smooth = cv2.GaussianBlur(gray, (0, 0), 0.6)
    ink = cv2.adaptiveThreshold(smooth, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, max(block, 15), 14)
    found: list[Outline] = []
    boxes: list[Outline] = []
    for picture in (ink, cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))):
        contours, tree = cv2.findContours(picture, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        for number, contour in enumerate(contours):
            x, y, w, h = cv2.boundingRect(contour)
            if max(w, h) < _SMALLEST * side or min(w, h) < 0.6 * _SMALLEST * side:
                continue
            hole = tree[0][number][3] >= 0
            hull = cv2.contourArea(cv2.convexHull(contour))
            solid = cv2.contourArea(contour) / max(hull, 1)
            fill = hull / (w * h)
            if solid < 0.85 or fill < 0.68:
                continue
            outline = Outline(x, y, w, h, "ellipse" if fill < 0.88 else "rect")
            if max(w, h) <= _LARGEST * side and min(w, h) > 0.35 * max(w, h):
                found.append(outline)
            elif hole and outline.shape == "rect" and w > _BOX * side and h > _LINE * side and w * h < 0.5 * gray.size:
                boxes.append(outline)
    return _in_order(_frequent(_distinct(found))), _in_order(_distinct(boxes))


def _distinct(found: list[Outline]) -> list[Outline]:
    """One outline a place. The inside and the outside of a ring are one bubble, and the outside counts; of a
    circle in a table's cell the circle counts."""
    kept: list[Outline] = []
    grid: dict[tuple[int, int], list[Outline]] = {}
    for outline in sorted(found, key=lambda o: -o.w * o.h):
        cx, cy = outline.centre
        at = (int(cx // 16), int(cy // 16))
        near = [o for i in (-1, 0, 1) for j in (-1, 0, 1) for o in grid.get((at[0] + i, at[1] + j), ())]
        same = [o for o in near if abs(o.centre[0] - cx) < 0.3 * o.w and abs(o.centre[1] - cy) < 0.3 * o.h]
        if any(o.shape == outline.shape or outline.w < 0.25 * o.w or outline.shape == "rect" for o in same):
            continue
        for cell in same:
            kept.remove(cell)
            grid[(int(cell.centre[0] // 16), int(cell.centre[1] // 16))].remove(cell)
        kept.append(outline)
        grid.setdefault(at, []).append(outline)
    return kept


def _frequent(found: list[Outline]) -> list[Outline]:
    """Outlines of a size that occurs at least six times, and a tenth as often as the commonest."""
    if not found:
        return []
    sizes = np.log(np.array([(o.w, o.h) for o in found]))
    alike = [np.abs(sizes - size).max(axis=1) < _SAME for size in sizes]
    counts = np.array([int(mask.sum()) for mask in alike])
    least = max(6, int(0.1 * counts.max()))
    return [outline for outline, count in zip(found, counts, strict=True) if count >= least]


def _in_order(found: list[Outline]) -> list[Outline]:
    return sorted(found, key=lambda o: (round(o.centre[1] / 8), o.centre[0]))
