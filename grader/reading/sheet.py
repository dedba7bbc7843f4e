"""A plain sheet in a photograph: its outline, straightened, the right way up and level.

The outline is a quadrilateral lighter than what surrounds it; where none is sure, the whole picture is the sheet.
Which of the four turns is the right one is decided by reading a part of the page all four ways.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from grader.exam.plain import WIDTH
from grader.ocr.protocol import OCREngine
from grader.reading.paperwhite import reduce
from grader.reading.quads import find_quads

LONGEST = 2340  # pixels of the straightened sheet's longer side: A4 at 200 dpi
_SEARCHED = 560  # pixels of the shorter side of the picture in which the outline is sought
_LARGE = 0.3  # share of the picture that a sheet fills at least
_LIGHTER = 8  # gray levels by which paper is lighter than what lies around it
_ASIDE, _ALONG = 6.0, 0.75  # pixels beside its edge at which that is measured, and on how much of every side
_OBLONG = (1.0, 2.2)  # longer by shorter side
_SURE_TEXT, _SURE = 12, 0.85  # so many characters read with this mean confidence settle a turn at once
_LONGEST_STROKE = 0.2  # of the sheet's shorter side: what is longer is no writing
_STEEPEST, _STEP = 8.0, 0.5  # degrees by which a hand's lines may slope, and how finely that is sought


@dataclass(frozen=True, eq=False)
class Sheet:
    """A sheet as it would lie on a desk. gray: height x width uint8, upright. to_picture: 3x3 homography from its
    pixels to those of the photograph. method: "outline" or "whole"."""

    gray: np.ndarray
    to_picture: np.ndarray
    method: str

    @property
    def millimetres(self) -> np.ndarray:
        """3x3 from millimetres, of which the sheet's width is grader.exam.plain.WIDTH, to pixels of the photograph."""
        scale = self.gray.shape[1] / WIDTH
        matrix: np.ndarray = self.to_picture @ np.diag([scale, scale, 1.0])
        return matrix


def find_sheet(gray: np.ndarray, ocr: OCREngine) -> Sheet:
    """The sheet in a photograph (gray uint8)."""
    corners = _outline(gray)
    height, width = gray.shape
    whole = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64) - 0.5
    flat = _flattened(gray, whole if corners is None else corners, "whole" if corners is None else "outline")
    return _level(_turned(flat, _upright(flat.gray, ocr)))


def _outline(gray: np.ndarray) -> np.ndarray | None:
    """Corners (4 x 2, clockwise from the top left) of the sheet in pixels of the picture, or None."""
    small, factor = reduce(gray, _SEARCHED)
    for quad in find_quads(small):
        if cv2.contourArea(quad.astype(np.float32)) < _LARGE * small.size:
            return None  # the largest come first
        if _looks_like_paper(small, quad):
            return np.asarray((quad + 0.5) * factor - 0.5)
    return None


def _looks_like_paper(small: np.ndarray, quad: np.ndarray) -> bool:
    """Whether the quadrilateral has a sheet's proportions and is lighter all along its sides than what lies outside.

    A side that runs along the picture's edge has no outside to compare with; all four may not.
    """
    sides = np.linalg.norm(quad - np.roll(quad, -1, axis=0), axis=1)
    wide, tall = (sides[0] + sides[2]) / 2, (sides[1] + sides[3]) / 2
    if not _OBLONG[0] <= max(wide, tall) / max(1.0, min(wide, tall)) <= _OBLONG[1]:
        return False
    smooth = cv2.blur(small, (3, 3))
    at = np.linspace(0.06, 0.94, 45)[:, None]
    compared = 0
    for start, end in zip(quad, np.roll(quad, -1, axis=0), strict=True):
        along = (end - start) / np.linalg.norm(end - start)
        outwards = np.array([along[1], -along[0]])  # the corners run clockwise
        points = start + at * (end - start)
        outside = _sampled(smooth, points + _ASIDE * outwards)
        inside = _sampled(smooth, points - _ASIDE * outwards)
        seen = ~np.isnan(outside) & ~np.isnan(inside)
        if seen.mean() < 0.5:
            continue
        compared += 1
        if np.mean(inside[seen] - outside[seen] >= _LIGHTER) < _ALONG:
            return False
    return compared > 0


def _sampled(picture: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Gray levels at points (n x 2), NaN outside the picture."""
    x, y = np.round(points).astype(int).T
    height, width = picture.shape
    there = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    values = np.full(len(points), np.nan)
    values[there] = picture[y[there], x[there]]
    return values


def _flattened(gray: np.ndarray, corners: np.ndarray, method: str) -> Sheet:
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    wide, tall = max(sides[0], sides[2]), max(sides[1], sides[3])
    scale = min(1.0, LONGEST / max(wide, tall))
    width, height = max(1, round(wide * scale)), max(1, round(tall * scale))
    flat = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32) - np.float32(0.5)
    to_picture = cv2.getPerspectiveTransform(flat, corners.astype(np.float32)).astype(np.float64)
    if scale < 0.75:  # average before sampling coarsely
        gray = cv2.GaussianBlur(gray, (0, 0), 0.35 / scale)
    return Sheet(_warped(gray, to_picture, (width, height)), to_picture, method)


def _warped(gray: np.ndarray, to_source: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpPerspective(gray, to_source, size, flags=how, borderMode=cv2.BORDER_REPLICATE))


# --- which way up ---------------------------------------------------------------------------------------


def _upright(flat: np.ndarray, ocr: OCREngine) -> int:
    """Quarter turns counterclockwise after which the sheet reads best; 0 where nothing can be read."""
    part = _densest(flat)
    scores: dict[int, float] = {}
    for turn in (0, 2, 1, 3):
        read = ocr.read(np.ascontiguousarray(np.rot90(part, turn)), lines=None)
        confidences = [c.confidence for line in read.lines for c in line.characters if c.text.strip()]
        scores[turn] = sum(max(0.0, value - 0.5) for value in confidences)
        if len(confidences) >= _SURE_TEXT and sum(confidences) >= _SURE * len(confidences):
            return turn
    return max(scores, key=lambda turn: scores[turn]) if any(scores.values()) else 0


def _densest(flat: np.ndarray) -> np.ndarray:
    """The square of half the sheet's longer side that holds most writing, at half the resolution."""
    small = cv2.resize(flat, None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    ink = _writing(small).astype(np.float32)
    side = min(*small.shape, max(small.shape) // 2)
    sums = cv2.integral(ink)
    held = sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]
    top, left = np.unravel_index(int(held.argmax()), held.shape)
    return np.ascontiguousarray(small[top : top + side, left : left + side])


def _writing(gray: np.ndarray) -> np.ndarray:
    """Mask (0 or 1) of what is dark, thin and not as long as a rule or the sheet's edge."""
    block = max(15, min(gray.shape) // 25) | 1
    smooth = cv2.GaussianBlur(gray, (0, 0), 0.8)
    ink = cv2.adaptiveThreshold(smooth, 1, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, block, 12)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(ink, connectivity=8)
    small = stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]].max(axis=1) < _LONGEST_STROKE * min(gray.shape)
    small[0] = False  # the paper
    return np.asarray(small[labels], np.uint8)


def _turned(sheet: Sheet, turn: int) -> Sheet:
    """The sheet turned by quarters counterclockwise."""
    gray, matrix = sheet.gray, sheet.to_picture
    for _ in range(turn):
        back = np.array([[0, -1, gray.shape[1] - 1], [1, 0, 0], [0, 0, 1]], np.float64)
        gray, matrix = np.rot90(gray), matrix @ back
    return replace(sheet, gray=np.ascontiguousarray(gray), to_picture=matrix)


# --- level ----------------------------------------------------------------------------------------------


def _level(sheet: Sheet) -> Sheet:
    """The sheet turned by the few degrees by which its lines of writing slope."""
    angle = _slope(sheet.gray)
    if abs(angle) < 2 * _STEP:
        return sheet
    height, width = sheet.gray.shape
    spin = np.vstack([cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0), [0, 0, 1]])
    back = np.linalg.inv(spin)
    return replace(sheet, gray=_warped(sheet.gray, back, (width, height)), to_picture=sheet.to_picture @ back)


def _slope(gray: np.ndarray) -> float:
    """Degrees by which the lines slope down to the right: at that angle the profile of the rows varies most (Postl,
    "Detection of linear oblique structures and skew scan in digitized documents", ICPR 1986)."""
    small, _ = reduce(gray, 380)
    ink = _writing(small)
    height, width = ink.shape
    best, sharpest = 0.0, -1.0
    for angle in sorted(np.arange(-_STEEPEST, _STEEPEST + _STEP, _STEP), key=abs):
        spin = cv2.getRotationMatrix2D((width / 2, height / 2), float(angle), 1.0)
        rows = cv2.warpAffine(ink, spin, (width, height)).astype(np.float32).sum(axis=1)
        sharpness = float(np.square(np.diff(rows)).sum())
        if sharpness > sharpest * 1.02:
            best, sharpest = float(angle), sharpness
    return best
