"""Registration marks of foreign papers, by their shape: squares, discs, rings, crosses and corner brackets.

Shapes are found at any size and turned in any way, as dark connected regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

Kind = Literal["ring", "square", "disc", "cross", "corner"]


@dataclass(frozen=True, eq=False)
class Shape:
    """A mark in a picture. at: its centre, or the outer corner of a bracket, in pixels. size: side or diameter."""

    kind: Kind
    at: np.ndarray
    size: float


def find_shapes(small: np.ndarray, smallest: float, largest: float) -> list[Shape]:
    """Shapes whose size is between the limits (pixels) in a reduced gray picture. A region may count as more
    than one kind: a small disc and a small square look alike."""
    block = int(2.5 * largest) | 1
    found: list[Shape] = []
    smooth = cv2.GaussianBlur(small, (0, 0), 0.7)
    for level in (12, 30):
        ink = cv2.adaptiveThreshold(
            smooth, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, max(block, 15), level
        )
        contours, tree = cv2.findContours(ink, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        for number, contour in enumerate(contours):
            if tree[0][number][3] >= 0:  # the outline of a hole
                continue
            _, _, w, h = cv2.boundingRect(contour)
            if smallest <= max(w, h) <= 1.5 * largest:
                hole = _hole(number, contours, tree[0])
                found.extend(_kinds(contour, hole, smallest, largest))
    return _distinct(found)


def _hole(number: int, contours: Sequence[np.ndarray], tree: np.ndarray) -> float:
    """Area of the largest hole."""
    largest, child = 0.0, tree[number][2]
    while child >= 0:
        largest = max(largest, cv2.contourArea(contours[child]))
        child = tree[child][0]
    return largest


def _kinds(contour: np.ndarray, hole: float, smallest: float, largest: float) -> list[Shape]:
    """What the region may be."""
    area = cv2.contourArea(contour)
    hull = cv2.convexHull(contour)
    full = cv2.contourArea(hull)
    if area < 9 or full < 9:
        return []
    (_, (w, h), _) = cv2.minAreaRect(contour)
    long, short = max(w, h) + 1, min(w, h) + 1
    kinds: list[Shape] = []
    if short > 0.55 * long and smallest <= long <= largest and area > 0.87 * full:
        moments = cv2.moments(contour)
        centre = np.array([moments["m10"], moments["m01"]]) / moments["m00"]
        filled = full / (w * h + 1e-9)
        if hole > 0.15 * area:
            kinds.append(Shape("ring", centre, long))
        elif hole < 0.1 * area:
            if filled > 0.86 or long < 10:
                kinds.append(Shape("square", centre, (long + short) / 2))
            if filled < 0.88 or long < 10:
                kinds.append(Shape("disc", centre, (long + short) / 2))
    if area < 0.89 * full and hole < 0.1 * full:
        bracket = _bracket(contour, hull, area)
        if bracket is not None and smallest <= bracket.size <= largest:
            kinds.append(bracket)
        elif short > 0.6 * long and smallest <= long <= largest and area < 0.6 * full:
            centre = np.array(cv2.minAreaRect(contour)[0], np.float64)
            if _is_cross(contour, centre, long):
                kinds.append(Shape("cross", centre, long))
    return kinds


def _bracket(contour: np.ndarray, hull: np.ndarray, area: float) -> Shape | None:
    """An L-shaped bracket with its outer corner, or None. size: its longer leg."""
    points = hull.reshape(-1, 2).astype(np.float64)
    far = np.linalg.norm(points[:, None] - points[None], axis=2)
    one, two = np.unravel_index(far.argmax(), far.shape)
    start, end = points[one], points[two]
    chord = (end - start) / max(far[one, two], 1e-9)
    normal = np.array([-chord[1], chord[0]])
    distances = (points - start) @ normal
    corner = points[np.abs(distances).argmax()]
    legs = np.linalg.norm(start - corner), np.linalg.norm(end - corner)
    if min(legs) < 0.5 * max(legs):
        return None
    cosine = float((start - corner) @ (end - corner) / (legs[0] * legs[1]))
    thickness = area / (legs[0] + legs[1])
    if abs(cosine) > 0.5 or thickness > 0.6 * min(legs):
        return None
    outline = contour.reshape(-1, 2).astype(np.float64)
    near = np.minimum(_distance(outline, corner, start), _distance(outline, corner, end))
    return Shape("corner", corner, float(max(legs))) if near.max() < 1.6 * thickness + 2 else None


def _distance(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Distance of each point from the segment."""
    along = end - start
    share = np.clip((points - start) @ along / max(float(along @ along), 1e-9), 0, 1)
    distance: np.ndarray = np.linalg.norm(points - start - share[:, None] * along, axis=1)
    return distance


def _is_cross(contour: np.ndarray, centre: np.ndarray, size: float) -> bool:
    """Four arms: the outline comes near the centre four times and goes far four times."""
    radius = np.linalg.norm(contour.reshape(-1, 2) - centre, axis=1)
    beyond = radius > 0.32 * size
    return int(np.count_nonzero(beyond & ~np.roll(beyond, 1))) == 4 and radius.min() < 0.22 * size


def _distinct(found: list[Shape]) -> list[Shape]:
    """One shape of a kind a place, the largest."""
    kept: list[Shape] = []
    for kind in sorted({shape.kind for shape in found}):
        alike = sorted((shape for shape in found if shape.kind == kind), key=lambda shape: -shape.size)
        at = np.array([shape.at for shape in alike])
        sizes = np.array([shape.size for shape in alike])
        free = np.ones(len(alike), bool)
        for number, shape in enumerate(alike):
            if free[number]:
                kept.append(shape)
                reach = 0.2 * sizes[number:] + 1.5
                free[number:] &= np.abs(at[number:] - shape.at).max(axis=1) >= reach
    return sorted(kept, key=lambda shape: -shape.size)
