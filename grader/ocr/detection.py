"""Where the lines are in a crop that holds several: the PP-OCR detector (DB) and the order of reading.

Post-processing after Liao et al., "Real-time Scene Text Detection with Differentiable Binarization" (AAAI
2020): threshold the probability map, take the smallest rectangle around each region, and grow it by
area x ratio / perimeter, for a rectangle the same on all four sides.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from grader.ocr.session import Session
from grader.providers import Provider

LONGEST = 1280  # pixels of the detector's input along its longer side
TEXT_HEIGHT = 28  # pixels of a character in the detector's input, as it was trained
_STEP = 32
_MAP_THRESHOLD = 0.3
_BOX_THRESHOLD = 0.5
_GROW = 1.6


@dataclass(frozen=True)
class Quad:
    """A rectangle at an angle: corners (4 x 2 float32, clockwise from the top left) and the detector's score."""

    corners: np.ndarray
    score: float

    @property
    def top(self) -> float:
        return float(self.corners[:, 1].min())

    @property
    def bottom(self) -> float:
        return float(self.corners[:, 1].max())

    @property
    def left(self) -> float:
        return float(self.corners[:, 0].min())

    @property
    def right(self) -> float:
        return float(self.corners[:, 0].max())

    @property
    def middle(self) -> float:
        return float(self.corners[:, 1].mean())


class Detector:
    """The detector; finds pieces of text, not yet lines."""

    def __init__(self, weights: Path, provider: Provider = "cpu") -> None:
        self._session = Session(weights, provider)

    def detect(self, gray: np.ndarray, text_height: float) -> list[Quad]:
        """Pieces of text in a gray uint8 picture, in its pixels, in no particular order.

        text_height: of its characters in pixels, roughly (see `text_height`).
        """
        height, width = gray.shape
        scale = min(max(0.2, TEXT_HEIGHT / text_height), 2.0, LONGEST / max(height, width))
        size = tuple(max(_STEP, round(side * scale / _STEP) * _STEP) for side in (width, height))
        x = cv2.resize(gray, size, interpolation=cv2.INTER_AREA).astype(np.float32) / 127.5 - 1
        probability = self._session.run(np.repeat(x[None, None], 3, axis=1))[0, 0]
        factors = np.array([width / size[0], height / size[1]], np.float32)
        inside = np.array([width, height], np.float32)
        return [Quad(np.clip(c * factors, 0, inside), score) for c, score in _rectangles(probability)]


def text_height(ink: np.ndarray) -> float:
    """Rough height of the characters in an ink mask, in pixels: what the ink's larger pieces measure."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(ink.astype(np.uint8), connectivity=8)
    heights, areas = stats[1:, cv2.CC_STAT_HEIGHT], stats[1:, cv2.CC_STAT_AREA]
    if not heights.size:
        return float(TEXT_HEIGHT)
    # Weighted by ink: dots, commas and the strokes of broken characters weigh little.
    order = np.argsort(heights, kind="stable")
    place = int(np.searchsorted(np.cumsum(areas[order]), 0.5 * areas.sum()))
    return float(max(6, heights[order][min(place, heights.size - 1)]))


def _rectangles(probability: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Corners (4 x 2) and score of every region of a probability map."""
    mask = cv2.dilate((probability > _MAP_THRESHOLD).astype(np.uint8), np.ones((2, 2), np.uint8))
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours:
        (centre, (w, h), angle) = cv2.minAreaRect(contour)
        if min(w, h) < 3:
            continue
        score = _mean_inside(probability, cv2.boxPoints((centre, (w, h), angle)))
        if score < _BOX_THRESHOLD:
            continue
        grow = 2 * (w * h * _GROW / (2 * (w + h)))
        found.append((_clockwise(cv2.boxPoints((centre, (w + grow, h + grow), angle))), score))
    return found


def _mean_inside(probability: np.ndarray, corners: np.ndarray) -> float:
    """Mean of the map inside a rectangle."""
    x, y, w, h = cv2.boundingRect(corners.astype(np.int32))
    x, y = max(0, x), max(0, y)
    part = probability[y : y + h + 1, x : x + w + 1]
    inside = np.zeros(part.shape, np.uint8)
    cv2.fillPoly(inside, [(corners - (x, y)).astype(np.int32)], 1)
    return float(cv2.mean(part, inside)[0])


def _clockwise(corners: np.ndarray) -> np.ndarray:
    """Corners of an upright-ish rectangle from the top left, clockwise."""
    by_sum, by_difference = corners.sum(axis=1), corners[:, 1] - corners[:, 0]
    order = [by_sum.argmin(), by_difference.argmin(), by_sum.argmax(), by_difference.argmax()]
    if len(set(map(int, order))) < 4:  # a rectangle at 45 degrees
        order = list(np.argsort(np.arctan2(*(corners - corners.mean(axis=0)).T[::-1])))
    return np.asarray(corners[order], np.float32)


def reading_order(quads: list[Quad]) -> list[list[Quad]]:
    """Lines from top to bottom, each its pieces from left to right.

    A piece belongs to a line if their vertical extents share at least half of the lower of the two.
    """
    lines: list[list[Quad]] = []
    for quad in sorted(quads, key=lambda q: (q.middle, q.left)):
        for line in lines:
            nearest = min(line, key=lambda q: abs(q.middle - quad.middle))
            shared = min(nearest.bottom, quad.bottom) - max(nearest.top, quad.top)
            apart = quad.left >= nearest.right - 5 or quad.right <= nearest.left + 5
            if apart and shared >= 0.5 * min(nearest.bottom - nearest.top, quad.bottom - quad.top):
                line.append(quad)
                break
        else:
            lines.append([quad])
    for line in lines:
        line.sort(key=lambda q: q.left)
    return sorted(lines, key=lambda line: sum(q.middle for q in line) / len(line))


def straighten(gray: np.ndarray, quad: Quad) -> np.ndarray:
    """The upright picture of a piece of text, in the pixels of `gray`."""
    corners = quad.corners
    width = max(1, round(float(np.linalg.norm(corners[1] - corners[0]))))
    height = max(1, round(float(np.linalg.norm(corners[3] - corners[0]))))
    angle = math.atan2(float(corners[1][1] - corners[0][1]), float(corners[1][0] - corners[0][0]))
    if abs(angle) * width < 2:  # level to within a pixel: cut, do not resample
        top, left = max(0, round(quad.top)), max(0, round(quad.left))
        return gray[top : max(top + 1, round(quad.bottom)), left : max(left + 1, round(quad.right))]
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, target)
    return np.asarray(
        cv2.warpPerspective(gray, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )
