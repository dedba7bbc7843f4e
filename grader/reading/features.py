"""Where a page lies, by matching features against a picture of the blank form. The last resort: slow.

SIFT (Lowe 2004), fitted with MAGSAC++ (Barath et al. 2020), as OpenCV offers them.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from grader.exam.form import AnyMethod, FeaturesMethod, Form, PageForm
from grader.reading.paperwhite import reduce
from grader.reading.pictures import form_picture
from grader.reading.printed import Pose, settle
from grader.records import Page

HANDLES_TURNS = True
_SIDE = 520
_MOST = 4000
_RATIO = 0.8
_ENOUGH = 20  # matches that agree; chance alone does not give so many


def locate(page: Page, page_form: PageForm, method: AnyMethod, form: Form, folder: Path | None) -> list[Pose]:
    """[(3x3 homography from form units to pixels, residual in form units)], or [].

    The reference picture shows the form's page edge to edge. Raises FormError where it cannot be read.
    """
    assert isinstance(method, FeaturesMethod)
    path = (folder or Path()) / method.image
    reference = form_picture(path, "registration.image")
    to_form = np.diag([page_form.width / reference.shape[1], page_form.height / reference.shape[0], 1.0])
    small, factor = reduce(page.gray, _SIDE)
    known, known_features = _of_reference(path)
    seen, seen_features = _describe(small)
    pairs = _pairs(known_features, seen_features)
    if len(pairs) < _ENOUGH:
        return []
    source = cv2.perspectiveTransform(known[None, pairs[:, 0]], to_form)[0]
    target = (seen[pairs[:, 1]] + 0.5) * factor - 0.5
    matrix, inliers = cv2.findHomography(source, target, cv2.USAC_MAGSAC, 3.0 * factor, None, 5000, 0.9999)
    if matrix is None or inliers.sum() < _ENOUGH or abs(np.linalg.det(matrix)) < 1e-12:
        return []
    kept = inliers.ravel() > 0
    back = cv2.perspectiveTransform(target[None, kept], np.linalg.inv(matrix))[0]
    residual = float(np.sqrt(((back - source[kept]) ** 2).sum(axis=1).mean()))
    return settle(page, page_form, form, [(matrix, residual)])


@lru_cache(maxsize=8)
def _of_reference(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Points (in pixels of the reference picture) and their features."""
    small, factor = reduce(form_picture(path, "registration.image"), _SIDE)
    points, features = _describe(small)
    return (points + 0.5) * factor - 0.5, features


def _describe(small: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Points (n x 2 float64) and features (n x m)."""
    points, features = cv2.SIFT.create(_MOST).detectAndCompute(small, None)
    if features is None:
        return np.empty((0, 2)), np.empty((0, 1), np.float32)
    return np.array([point.pt for point in points], np.float64), features


def _pairs(known: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Indices (n x 2) of features whose nearest partner is clearly nearer than the second."""
    if min(len(known), len(seen)) < 2:
        return np.empty((0, 2), int)
    matches = (pair for pair in cv2.BFMatcher(cv2.NORM_L2).knnMatch(known, seen, k=2) if len(pair) == 2)
    clear = [(one.queryIdx, one.trainIdx) for one, other in matches if one.distance < _RATIO * other.distance]
    return np.array(clear, int).reshape(-1, 2)
