"""Where a foreign paper lies, by the timing bars along one or two of its edges.

Bars of one track lie on a line and are alike; a track is recognised by their number and even order. Two tracks
fix the page in any perspective. One track fixes it up to perspective, and the bubbles have to do the rest.
"""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import cv2
import numpy as np

from grader.exam.form import AnyMethod, BarsMethod, Form, PageForm
from grader.reading.paperwhite import reduce
from grader.reading.printed import Pose, settle
from grader.records import Page

HANDLES_TURNS = True
_SIDE = 720
_FEWEST = 4  # bars that make a track
_TRACKS = 8


def locate(page: Page, page_form: PageForm, method: AnyMethod, form: Form, folder: Path | None) -> list[Pose]:
    """[(3x3 homography from form units to pixels, residual in form units)], or [].

    The residual is the root mean square distance of the bars from their places; with form.align_bubbles that
    of the bubbles.
    """
    assert isinstance(method, BarsMethod)
    small, factor = reduce(page.gray, _SIDE)
    wanted = _model_tracks(np.array(method.bars, np.float64), max(method.w, method.h))
    seen = _picture_tracks(small, method.w / method.h)
    poses: list[Pose] = []
    for chosen in permutations(range(len(seen)), len(wanted)):
        pairs = [(model, seen[number]) for model, number in zip(wanted, chosen, strict=True)]
        if any(len(model) != len(track) for model, track in pairs):
            continue
        for flipped in range(2 ** len(pairs)):
            target = np.concatenate([t[::-1] if flipped >> n & 1 else t for n, (_, t) in enumerate(pairs)])
            pose = _fit(np.concatenate([model for model, _ in pairs]), (target + 0.5) * factor - 0.5, len(pairs))
            if pose is not None and pose[1] <= 3 * max(method.w, method.h):
                poses.append(pose)
    return settle(page, page_form, form, poses)


def _fit(source: np.ndarray, target: np.ndarray, tracks: int) -> Pose | None:
    """The map through all bars, and how far these are from it in form units."""
    if tracks > 1:
        matrix, _ = cv2.findHomography(source, target, 0)
    else:
        similar, _ = cv2.estimateAffinePartial2D(source, target, method=cv2.LMEDS)
        matrix = None if similar is None else np.vstack([similar, (0, 0, 1)])
    if matrix is None or np.linalg.det(matrix) <= 1e-9:
        return None
    back = cv2.perspectiveTransform(target[None], np.linalg.inv(matrix))[0]
    return matrix, float(np.sqrt(((back - source) ** 2).sum(axis=1).mean()))


def _model_tracks(bars: np.ndarray, size: float) -> list[np.ndarray]:
    """The form's bars, track by track (those along a common vertical or horizontal line), in order, the longest
    two."""
    tracks: list[np.ndarray] = []
    for axis in (0, 1):
        left = bars[np.argsort(bars[:, axis], kind="stable")]
        groups = np.split(left, np.flatnonzero(np.diff(left[:, axis]) > 0.5 * size) + 1)
        tracks.extend(g[np.argsort(g[:, 1 - axis])] for g in groups if len(g) >= _FEWEST)
    return sorted(tracks, key=len, reverse=True)[:2]


def _picture_tracks(small: np.ndarray, proportion: float) -> list[np.ndarray]:
    """Lines of dark bars in the picture, each n x 2 in order along it. proportion: width by height of a bar."""
    centres, longs = _bars(small, max(proportion, 1 / proportion))
    tracks: list[np.ndarray] = []
    left = np.arange(len(centres))
    while len(left) >= _FEWEST and len(tracks) < _TRACKS:
        best = np.empty(0, int)
        for first in left:
            steps = centres[left] - centres[first]
            distances = np.linalg.norm(steps, axis=1)
            for second in left[np.argsort(distances)[1:4]]:
                members = _along(centres, longs, left, int(first), int(second))
                if len(members) > len(best):
                    best = members
        if len(best) < _FEWEST:
            break
        tracks.append(centres[best])
        left = np.setdiff1d(left, best)
    return tracks


def _along(centres: np.ndarray, longs: np.ndarray, left: np.ndarray, first: int, second: int) -> np.ndarray:
    """Of the bars `left`, those on the line through two, alike in size, in order."""
    step = centres[second] - centres[first]
    direction = step / max(float(np.linalg.norm(step)), 1e-9)
    offset = centres[left] - centres[first]
    across = np.abs(offset @ np.array([-direction[1], direction[0]]))
    far = np.abs(offset @ direction)
    alike = np.abs(np.log(longs[left] / longs[first])) < 0.35
    near = left[(across < 0.35 * longs[first] + 0.01 * far) & alike]
    order: np.ndarray = near[np.argsort((centres[near] - centres[first]) @ direction)]
    return order


def _bars(small: np.ndarray, proportion: float) -> tuple[np.ndarray, np.ndarray]:
    """Centres (n x 2) and long sides (n) of solid dark rectangles of about this proportion of their sides."""
    block = max(int(0.12 * min(small.shape)), 3) | 1
    ink = cv2.adaptiveThreshold(small, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, block, 25)
    contours, _ = cv2.findContours(ink, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    centres, longs = [], []
    for contour in contours:
        if not 12 <= len(contour) <= 0.3 * min(small.shape):
            continue
        (x, y), (w, h), _ = cv2.minAreaRect(contour)
        long, short = max(w, h) + 1, min(w, h) + 1
        solid = (cv2.contourArea(contour) + len(contour) / 2) / (long * short)
        if abs(np.log(long / short / proportion)) < 0.5 and solid > 0.8:
            centres.append((x, y))
            longs.append(long)
    return np.array(centres, np.float64).reshape(-1, 2), np.array(longs, np.float64)
