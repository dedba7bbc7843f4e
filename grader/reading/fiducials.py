"""Where a paper that grader printed lies in a picture, by its four corner marks.

Three are rings (a black square ring with a black centre, as in the finder of a QR code), one is a solid
square, which gives the orientation. Near the picture's corners first, then anywhere in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from math import dist
from pathlib import Path

import cv2
import numpy as np

from grader.exam.form import AnyMethod, Fiducial, Form, PageForm
from grader.reading.paperwhite import reduce_page
from grader.records import Page

HANDLES_TURNS = True  # any rotation is found without turning the picture
Located = tuple[np.ndarray, float]

_NEAR_RESOLUTION = 2.9  # reduced pixels per mm at least, for a page that fills the picture
_WIDE_RESOLUTION = 4.7  # the same for one that may fill only half of it
_NONSENSE = 0.4  # of a mark's size: with such a residual these are no marks
_CLEAR = 0.06  # of a mark's size: with such a residual nothing better needs to be looked for
_CORNER = 0.14  # share of the picture's sides in which a corner mark is looked for first
_RING_AREAS = (25 / 49, 9 / 49)  # the hole and the centre of a ring, as shares of its outer square
_MOST = 7  # candidates of one kind that are tried together


@dataclass(frozen=True, eq=False)
class Mark:
    """A square mark in a picture. corners: 4 x 2, in pixels. area: of the outer square, in pixels²."""

    kind: str
    centre: np.ndarray
    corners: np.ndarray
    area: float


def locate(page: Page, page_form: PageForm, method: AnyMethod, form: Form, folder: Path | None) -> list[Located]:
    """Fits as (3x3 homography from form units to pixels, residual in form units); none where there are no marks.

    The residual is taken from the marks' own corners, which did not go into the fit of their centres: the
    root mean square distance of the worst mark's. A wrong assignment, or something that only looks like a
    mark, turns or stretches them.
    """
    if len(page_form.fiducials) < 4:
        return []
    size = max(fiducial.size for fiducial in page_form.fiducials)
    found: list[Located] = []
    for search, resolution in ((_near_corners, _NEAR_RESOLUTION), (_anywhere, _WIDE_RESOLUTION)):
        small, factor = reduce_page(page, int(resolution * min(page_form.width, page_form.height)))
        fit = _best_fit(search(small), page_form)
        if fit is not None and fit[1] < _NONSENSE * size:
            found.append((_enlarge(factor) @ fit[0], fit[1]))
            if fit[1] <= _CLEAR * size:
                break
    return found


def locate_by_three(page: Page, page_form: PageForm) -> list[Located]:
    """Affine fits through three marks where the fourth is covered or torn off, the likeliest first (at most 4).

    They are right for a scan and nearly right for a photo: something else must vouch for them.
    """
    small, factor = reduce_page(page, int(_WIDE_RESOLUTION * min(page_form.width, page_form.height)))
    found = _anywhere(small)
    fits = []
    for wanted in combinations(page_form.fiducials, 3):
        fits += [fit for marks in _assignments(found, wanted) if (fit := _fit(marks, wanted)) is not None]
    fits = [fit for fit in fits if fit[1] < _NONSENSE * page_form.fiducials[0].size]
    return [(_enlarge(factor) @ matrix, residual) for matrix, residual in sorted(fits, key=lambda fit: fit[1])[:4]]


def _enlarge(factor: int) -> np.ndarray:
    """From pixels of the reduced picture to those of the picture (pixel centres are at whole numbers)."""
    shift = (factor - 1) / 2
    return np.array([[factor, 0, shift], [0, factor, shift], [0, 0, 1.0]])


# --- finding marks --------------------------------------------------------------------------------------


def _near_corners(small: np.ndarray) -> list[Mark]:
    """The largest mark near each corner of the picture."""
    height, width = small.shape
    reach = int(_CORNER * max(height, width))
    tall, wide = min(reach, height // 2), min(reach, width // 2)
    found: list[Mark] = []
    for y in (0, height - tall):
        for x in (0, width - wide):
            marks = find_marks(small[y : y + tall, x : x + wide], (x, y), min(height, width))
            rings = [mark for mark in marks if mark.kind == "ring"]
            if marks:
                found.append(max(rings or marks, key=lambda mark: mark.area))
    return found


def _anywhere(small: np.ndarray) -> list[Mark]:
    """The largest rings and squares of the whole picture."""
    marks = find_marks(small, (0, 0), min(small.shape))
    chosen: list[Mark] = []
    for kind in ("ring", "square"):
        alike = sorted((mark for mark in marks if mark.kind == kind), key=lambda mark: -mark.area)
        chosen.extend(alike[:_MOST])
    return chosen


def find_marks(part: np.ndarray, origin: tuple[int, int], side: int) -> list[Mark]:
    """Rings and solid squares in a part of a reduced picture whose shorter side is `side`."""
    block = max(15, int(side * 0.08)) | 1  # over twice a mark: paper is always in sight
    level = max(6.0, 0.12 * float(part.mean()))
    ink = cv2.adaptiveThreshold(part, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, block, level)
    contours, tree = cv2.findContours(ink, cv2.RETR_TREE, cv2.CHAIN_APPROX_SIMPLE)
    smallest, largest = (side * 0.012) ** 2, (side * 0.06) ** 2
    marks = []
    for number, contour in enumerate(contours):
        if len(contour) < 4:
            continue
        _, _, w, h = cv2.boundingRect(contour)
        if not smallest < w * h < 2 * largest or max(w, h) > 1.8 * min(w, h):
            continue
        mark = _as_mark(number, contours, tree[0])
        if mark is not None and smallest < mark.area < largest:
            marks.append(Mark(mark.kind, mark.centre + origin, mark.corners + origin, mark.area))
    return marks


def _as_mark(number: int, contours: Sequence[np.ndarray], tree: np.ndarray) -> Mark | None:
    """The contour as a ring or a solid square, or None. tree: rows of (next, previous, child, parent)."""
    outer = contours[number]
    corners = None if _depth(number, tree) % 2 else _quad(outer)  # odd depth: the outline of a hole
    if corners is None:
        return None
    area = float(cv2.contourArea(corners.astype(np.float32)))
    hole = _largest_child(number, contours, tree)
    inside = cv2.contourArea(contours[hole]) if hole >= 0 else 0.0
    centre = _centroid(outer)
    if inside < 0.04 * area:
        return Mark("square", centre, corners, area)
    core = _largest_child(hole, contours, tree)
    middle = cv2.contourArea(contours[core]) if core >= 0 else 0.0
    fits = abs(inside / area - _RING_AREAS[0]) < 0.2 and abs(middle / area - _RING_AREAS[1]) < 0.12
    if not fits or np.linalg.norm(_centroid(contours[core]) - centre) > 0.1 * np.sqrt(area):
        return None
    return Mark("ring", centre, corners, area)


def _centroid(contour: np.ndarray) -> np.ndarray:
    moments = cv2.moments(contour)
    return np.array([moments["m10"], moments["m01"]]) / max(moments["m00"], 1e-9)


def _depth(number: int, tree: np.ndarray) -> int:
    depth = 0
    while tree[number][3] >= 0:
        number, depth = tree[number][3], depth + 1
    return depth


def _largest_child(number: int, contours: Sequence[np.ndarray], tree: np.ndarray) -> int:
    best, size, child = -1, 0.0, tree[number][2]
    while child >= 0:
        area = cv2.contourArea(contours[child])
        if area > size:
            best, size = child, area
        child = tree[child][0]
    return best


def _quad(contour: np.ndarray) -> np.ndarray | None:
    """Corners of a contour that is nearly a convex quadrilateral (4 x 2 float64), or None."""
    hull = cv2.convexHull(contour)
    full = cv2.contourArea(hull)
    if full <= 0 or cv2.contourArea(contour) < 0.85 * full:
        return None
    corners = cv2.approxPolyDP(hull, 0.1 * cv2.arcLength(hull, True) / 2, True)
    if len(corners) != 4 or cv2.contourArea(corners) <= 0.82 * full:
        return None
    points = corners.reshape(4, 2).tolist()
    sides = [dist(one, other) for one, other in zip(points, points[1:] + points[:1], strict=True)]
    return np.array(points, np.float64) if min(sides) > 0.55 * max(sides) else None


# --- fitting the page -----------------------------------------------------------------------------------


def _best_fit(found: list[Mark], page_form: PageForm) -> Located | None:
    """The assignment of marks to the form's fiducials with the smallest residual (matrix, residual)."""
    fits = (_fit(marks, page_form.fiducials) for marks in _assignments(found, page_form.fiducials))
    return min((fit for fit in fits if fit is not None), key=lambda fit: fit[1], default=None)


def _assignments(found: list[Mark], wanted: Sequence[Fiducial]) -> Iterator[tuple[Mark, ...]]:
    """Marks that may be the fiducials, in their order: of the right kinds and like sizes, not mirrored."""
    model = [np.array([f.x, f.y]) for f in wanted]
    kinds = [f.kind for f in wanted]
    for chosen in combinations(found, len(wanted)):
        areas = [mark.area for mark in chosen]
        if sorted(mark.kind for mark in chosen) != sorted(kinds) or max(areas) > 3 * min(areas):
            continue
        for marks in permutations(chosen):
            if [mark.kind for mark in marks] == kinds and _same_sense([mark.centre for mark in marks], model):
                yield marks


def _same_sense(seen: Sequence[np.ndarray], model: Sequence[np.ndarray]) -> bool:
    """True if neighbouring triples turn the same way in the picture as in the form: no mirror images."""
    return all(_turn(*seen[n : n + 3]) * _turn(*model[n : n + 3]) > 0 for n in range(len(model) - 2))


def _turn(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> float:
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def _fit(marks: tuple[Mark, ...], wanted: Sequence[Fiducial]) -> Located | None:
    """Homography through the centres (three: affine), and how far the marks' corners are from where it puts them."""
    model = np.array([(f.x, f.y) for f in wanted], np.float64)
    seen = np.array([mark.centre for mark in marks])
    if len(wanted) == 3:
        affine = cv2.getAffineTransform(model.astype(np.float32), seen.astype(np.float32))
        matrix = np.vstack([affine, (0, 0, 1)])
    else:
        matrix, _ = cv2.findHomography(model, seen, 0)
    if matrix is None or not np.isfinite(matrix).all() or np.linalg.det(matrix) <= 0:
        return None
    inverse = np.linalg.inv(matrix)
    corners = cv2.perspectiveTransform(np.concatenate([m.corners for m in marks])[None], inverse)[0]
    half = np.repeat([f.size / 2 for f in wanted], 4)
    offsets = np.abs(corners - np.repeat(model, 4, axis=0))  # by symmetry every corner is at (half, half)
    of_marks = ((offsets - half[:, None]) ** 2).sum(axis=1).reshape(-1, 4).mean(axis=1)
    return matrix, float(np.sqrt(of_marks.max()))
