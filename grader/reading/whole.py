"""The picture is the page, edge to edge. The form's own print says which way up, and vouches for the fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from grader.exam.form import AnyMethod, Form, PageForm
from grader.reading.printed import Pose, settle
from grader.records import Page

HANDLES_TURNS = True
_STRETCH = 0.04  # the picture's sides may be in another proportion than the form's by this much


def locate(page: Page, page_form: PageForm, method: AnyMethod, form: Form, folder: Path | None) -> list[Pose]:
    """[(3x3 homography from form units to pixels, residual in form units)], or [].

    The residual is what the proportions of the picture leave unexplained, or that of the fit to the bubbles.
    """
    height, width = page.gray.shape
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64) - 0.5
    poses: list[Pose] = []
    for turn in range(4):
        top_left, top_right, _, bottom_left = np.roll(corners, -turn, axis=0)
        right, down = (top_right - top_left) / page_form.width, (bottom_left - top_left) / page_form.height
        stretch = abs(np.log(np.linalg.norm(right) / np.linalg.norm(down)))
        if stretch <= _STRETCH:
            matrix = np.array([[right[0], down[0], top_left[0]], [right[1], down[1], top_left[1]], [0, 0, 1.0]])
            poses.append((matrix, float(stretch * max(page_form.width, page_form.height) / 2)))
    return settle(page, page_form, form, poses)
