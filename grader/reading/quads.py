"""Four-sided outlines in a picture: sheets of paper on a table, and frames printed on them."""

from __future__ import annotations

import cv2
import numpy as np

from grader.reading.paperwhite import closed

_SMALLEST = 0.02  # of the picture's area
_MOST = 20


def find_quads(small: np.ndarray) -> list[np.ndarray]:
    """Outlines (each 4 x 2 float64, clockwise, in pixels of the picture), the largest first.

    small: a reduced gray picture, about 700 pixels along its shorter side. The sides are straight lines fitted
    to the outline between the corners, so that a rounded or torn corner does no harm.
    """
    found: list[np.ndarray] = []
    for picture in _pictures(small):
        contours, _ = cv2.findContours(picture, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        for contour in contours:
            quad = _as_quad(contour, _SMALLEST * small.size)
            if quad is not None and not any(np.abs(quad - other).max() < 2.5 for other in found):
                found.append(quad)
    found.sort(key=lambda quad: -cv2.contourArea(quad.astype(np.float32)))
    return found[:_MOST]


def _pictures(small: np.ndarray) -> list[np.ndarray]:
    """Black and white pictures in which a sheet or a frame may stand out as a whole."""
    smooth = cv2.GaussianBlur(small, (0, 0), 1.5)
    side = min(small.shape)
    paper = closed(small)
    level, _ = cv2.threshold(paper, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    bright = [cv2.threshold(paper, at, 255, cv2.THRESH_BINARY)[1] for at in (0.85 * level, level, 1.12 * level)]
    edges = cv2.dilate(cv2.Canny(smooth, 20, 60), np.ones((3, 3), np.uint8))
    block = max(int(side * 0.05), 3) | 1
    frames = cv2.adaptiveThreshold(
        cv2.GaussianBlur(small, (0, 0), 0.8), 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, block, 8
    )
    joined = cv2.morphologyEx(frames, cv2.MORPH_CLOSE, np.ones((5, 5), np.uint8))
    return [*bright, frames, joined, edges]  # edges last: they lie a little outside the outline


def _as_quad(contour: np.ndarray, smallest: float) -> np.ndarray | None:
    """The contour's four corners, clockwise, or None where it is no quadrilateral or too small."""
    hull = cv2.convexHull(contour)
    area = cv2.contourArea(hull)
    if area < smallest:
        return None
    for tolerance in (0.02, 0.04, 0.06):
        corners = cv2.approxPolyDP(hull, tolerance * cv2.arcLength(hull, True), True)
        if len(corners) == 4:
            break
    else:
        return None
    corners = corners.reshape(4, 2).astype(np.float64)
    if not 0.9 < cv2.contourArea(corners.astype(np.float32)) / area < 1.1:
        return None
    if cv2.contourArea(corners.astype(np.float32), oriented=True) < 0:
        corners = corners[::-1]
    return _straightened(corners, hull if len(contour) < 40 else contour)


def _straightened(corners: np.ndarray, contour: np.ndarray) -> np.ndarray | None:
    """The corners where lines fitted to the outline's four sides meet."""
    points = contour.reshape(-1, 2).astype(np.float64)
    lines = []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        along = end - start
        length = float(np.linalg.norm(along))
        if length < 8:
            return None
        along /= length
        offset = points - start
        position = offset @ along
        distance = offset @ np.array([-along[1], along[0]])
        near = (position > 0.08 * length) & (position < 0.92 * length) & (np.abs(distance) < 0.02 * length + 1.5)
        if near.sum() < 0.25 * length:
            return None
        vx, vy, x, y = cv2.fitLine(points[near].astype(np.float32), cv2.DIST_HUBER, 0, 0.01, 0.01).ravel()
        lines.append((np.array([x, y], np.float64), np.array([vx, vy], np.float64)))
    meeting = [_meet(lines[number - 1], lines[number]) for number in range(4)]
    if any(point is None for point in meeting):
        return None
    quad = np.array(meeting)
    return np.roll(quad, -int(quad.sum(axis=1).argmin()), axis=0)  # so that the same outline compares equal


def _meet(one: tuple[np.ndarray, np.ndarray], other: tuple[np.ndarray, np.ndarray]) -> np.ndarray | None:
    system = np.stack([one[1], -other[1]], axis=1)
    if abs(np.linalg.det(system)) < 0.1:
        return None
    at: np.ndarray = one[0] + np.linalg.solve(system, other[0] - one[0])[0] * one[1]
    return at
