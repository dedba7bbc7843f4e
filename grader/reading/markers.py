"""Where a foreign paper lies, by its corner marks: a picture of the mark, or marks of a known shape."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from grader.exam.form import AnyMethod, Fiducial, Form, MarkersMethod, PageForm
from grader.reading.paperwhite import reduce
from grader.reading.pictures import form_picture
from grader.reading.printed import Pose, settle
from grader.reading.shapes import Shape, find_shapes
from grader.records import Page

HANDLES_TURNS = True
_SIDE, _QUICK_SIDE = 720, 400  # shorter side of the picture in which marks are looked for; a quick first look
_PAGE_SHARE = (0.18, 1.15)  # the marks' distance, as a share of the picture's side
_MOST = 9  # places that look like the picture of the mark
_OUTER, _LARGEST = 14, 8  # shapes of a kind that are tried for a mark: the outermost, the largest of the rest
_LIKELY = 400  # ways to assign shapes to marks that are looked at closely
_TRIED = 24  # poses that the form's print decides between
_MATCH = 0.45  # correlation from which something is a candidate for the mark


def locate(page: Page, page_form: PageForm, method: AnyMethod, form: Form, folder: Path | None) -> list[Pose]:
    """[(3x3 homography from form units to pixels, residual in form units)], or [].

    The residual is how much the marks' sizes, which did not go into the fit, and marks beyond the fourth miss;
    with form.align_bubbles that of the fit to the bubbles. Raises FormError where the picture cannot be read.
    """
    assert isinstance(method, MarkersMethod)
    wanted = page_form.fiducials
    if len(wanted) < 4:
        return []
    picture = form_picture((folder or Path()) / method.image, "registration.image") if method.image else None
    small: tuple[np.ndarray, int] | None = None
    found: list[Pose] = []
    for side in (_QUICK_SIDE, _SIDE) if picture is not None else (_SIDE,):
        reduced = reduce(page.gray, side)
        if small is not None and reduced[1] == small[1]:
            break
        small = reduced
        fits = _search(*small, wanted, picture, method.marker_width)
        found = settle(page, page_form, form, fits)
        if found and found[0][1] <= form.max_residual:
            break
    return found


def _search(
    small: np.ndarray, factor: int, wanted: Sequence[Fiducial], picture: np.ndarray | None, width: float | None
) -> list[Pose]:
    """Poses that put the marks where something like them is seen in a picture reduced by `factor`."""
    span = max(np.ptp([f.x for f in wanted]), np.ptp([f.y for f in wanted]))
    size = width or float(np.median([f.size for f in wanted]))
    scales = np.array(_PAGE_SHARE) * max(small.shape) / span
    if picture is not None:
        found: list[Sequence[Shape]] = [_matches(small, picture, size * scales[0], size * scales[1])] * len(wanted)
    else:
        least = min(f.size for f in wanted) * scales[0]
        most = max(f.size for f in wanted) * scales[1]
        shapes = find_shapes(small, max(3.5, 0.8 * least), 1.25 * most)
        found = [[shape for shape in shapes if shape.kind == f.kind] for f in wanted]
    fits = _fits(found, wanted, picture is not None, small.shape)
    grow = np.array([[factor, 0, (factor - 1) / 2], [0, factor, (factor - 1) / 2], [0, 0, 1.0]])
    return [(grow @ matrix, residual) for matrix, residual in fits]


# --- finding the picture of a mark ----------------------------------------------------------------------


def _matches(small: np.ndarray, picture: np.ndarray, smallest: float, largest: float) -> list[Shape]:
    """Places that look like the mark, the likest first, by normalised correlation at several sizes and turns."""
    symmetric = _similarity(picture, np.rot90(picture)) > 0.9
    best = np.full(small.shape, -1.0, np.float32)
    sizes = np.zeros(small.shape, np.float32)
    for side in np.geomspace(max(smallest, 7.0), max(largest, 12.0), 14):
        height = max(5, round(side * picture.shape[0] / picture.shape[1]))
        mark = cv2.resize(picture, (max(5, round(side)), height), interpolation=cv2.INTER_AREA)
        for turn in range(1 if symmetric else 4):
            template = np.ascontiguousarray(np.rot90(mark, turn))
            h, w = template.shape
            if h >= small.shape[0] or w >= small.shape[1]:
                continue
            match = cv2.matchTemplate(small, template, cv2.TM_CCOEFF_NORMED)
            view = (slice(h // 2, h // 2 + match.shape[0]), slice(w // 2, w // 2 + match.shape[1]))
            better = match > best[view]
            best[view][better] = match[better]
            sizes[view][better] = side
    found: list[tuple[float, Shape]] = []
    while len(found) < _MOST:
        _, value, _, (x, y) = cv2.minMaxLoc(best)
        if value < _MATCH:
            break
        side = float(sizes[y, x])
        shift = 0.5 if round(side) % 2 == 0 else 0.0
        found.append((value, Shape("ring", np.array([x - shift, y - shift], np.float64), side)))
        cv2.circle(best, (x, y), max(3, round(0.6 * side)), -1.0, -1)
    return [shape for _, shape in found]


def _similarity(one: np.ndarray, other: np.ndarray) -> float:
    other = cv2.resize(np.ascontiguousarray(other), one.shape[::-1])
    return float(cv2.matchTemplate(one, other, cv2.TM_CCOEFF_NORMED)[0, 0])


# --- fitting the page -----------------------------------------------------------------------------------


def _fits(
    found: Sequence[Sequence[Shape]], wanted: Sequence[Fiducial], pictured: bool, shape: tuple[int, ...]
) -> list[Pose]:
    """Poses that explain four marks and more, those with the smallest residuals."""
    model = np.array([(f.x, f.y) for f in wanted], np.float64)
    outer = _outermost(model)
    sizes = np.array([f.size for f in wanted])
    area = shape[0] * shape[1]
    fits: list[Pose] = []
    for chosen in _assignments([found[number] for number in outer], sizes[outer], area):
        at = np.array([one.at for one in chosen])
        matrix = cv2.getPerspectiveTransform(model[outer].astype(np.float32), at.astype(np.float32))
        if np.linalg.det(matrix) <= 0:
            continue
        scale = _local_scale(matrix, model[outer])
        if scale.min() <= 0 or scale.max() > 3 * scale.min():
            continue
        seen = np.array([one.size for one in chosen]) / scale
        expected = sizes[outer]
        ratio = np.log(seen / expected)
        if pictured:
            ratio = ratio - np.median(ratio)  # a template's picture seldom says how large the mark is printed
        if np.abs(ratio).max() > 0.6:
            continue
        missing = _others(matrix, model, found, outer)
        if missing is not None:
            fits.append((matrix, float(np.sqrt(((ratio * expected) ** 2).mean() / 4 + missing**2))))
    fits.sort(key=lambda fit: fit[1])
    return fits[:_TRIED]


def _outermost(model: np.ndarray) -> list[int]:
    """Indices of the four fiducials nearest the corners, clockwise from the top left."""
    low, high = model.min(axis=0), model.max(axis=0)
    corners = np.array([low, (high[0], low[1]), high, (low[0], high[1])])
    return [int(np.linalg.norm(model - corner, axis=1).argmin()) for corner in corners]


def _assignments(found: Sequence[Sequence[Shape]], sizes: np.ndarray, area: float) -> list[tuple[Shape, ...]]:
    """Ways to give a shape to each of four fiducials (clockwise) so that they span a convex quadrilateral and
    their sizes are in proportion, those that span most first."""
    lists = [_promising(one) for one in found]
    if not all(lists):
        return []
    numbers = np.stack([n.ravel() for n in np.meshgrid(*(np.arange(len(one)) for one in lists), indexing="ij")], 1)
    at = np.stack([np.array([s.at for s in one])[numbers[:, k]] for k, one in enumerate(lists)], axis=1)
    size = np.stack([np.array([s.size for s in one])[numbers[:, k]] for k, one in enumerate(lists)], axis=1) / sizes
    sides = np.roll(at, -1, axis=1) - at
    turns = sides[:, :, 0] * np.roll(sides, -1, axis=1)[:, :, 1] - sides[:, :, 1] * np.roll(sides, -1, axis=1)[:, :, 0]
    spans = (turns[:, [0, 2]].sum(axis=1)) / 2
    likely = np.flatnonzero((turns > 0).all(axis=1) & (spans > 0.03 * area) & (size.max(axis=1) < 2 * size.min(axis=1)))
    likely = likely[np.argsort(-spans[likely], kind="stable")][:_LIKELY]
    return [tuple(one[n] for one, n in zip(lists, numbers[row], strict=True)) for row in likely]


def _promising(shapes: Sequence[Shape]) -> list[Shape]:
    """The outermost shapes, since marks frame a page, and the largest."""
    left = list(shapes)
    chosen: list[Shape] = []
    for _ in range(2):
        if len(left) > 3 and len(chosen) < _OUTER:
            hull = cv2.convexHull(np.array([s.at for s in left], np.float32), returnPoints=False).ravel()
            chosen.extend(left[n] for n in hull[: _OUTER - len(chosen)])
            left = [s for n, s in enumerate(left) if n not in set(hull.tolist())]
    return [*chosen, *sorted(left, key=lambda s: -s.size)[:_LARGEST]]


def _local_scale(matrix: np.ndarray, model: np.ndarray) -> np.ndarray:
    """Pixels per form unit at each point."""
    step = 1e-3 * float(np.ptp(model))
    steps = [model, model + np.array([step, 0.0]), model + np.array([0.0, step])]
    here, right, down = (cv2.perspectiveTransform(p[None], matrix)[0] for p in steps)
    a, b = right - here, down - here
    scale: np.ndarray = np.sqrt(np.abs(a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0])) / step
    return scale


def _others(matrix: np.ndarray, model: np.ndarray, found: Sequence[Sequence[Shape]], outer: list[int]) -> float | None:
    """Root mean square distance (form units) of the other fiducials from the nearest shapes; None: not there."""
    rest = [number for number in range(len(model)) if number not in outer]
    if not rest:
        return 0.0
    inverse = np.linalg.inv(matrix)
    squares = []
    for number in rest:
        if not found[number]:
            return None
        at = cv2.perspectiveTransform(np.array([s.at for s in found[number]])[None], inverse)[0]
        squares.append(float(((at - model[number]) ** 2).sum(axis=1).min()))
    return float(np.sqrt(np.mean(squares)))
