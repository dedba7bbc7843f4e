"""Where a page lies, by its outline against the background or by a printed frame."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from grader.exam.form import AnyMethod, ContourMethod, Form, PageForm
from grader.reading.paperwhite import reduce
from grader.reading.printed import Pose, settle
from grader.reading.quads import find_quads
from grader.records import Page

HANDLES_TURNS = True
_SIDE = 560
_UNKNOWN = 0.004  # of the page's longer side: how far a fitted outline may be off, where nothing else tells


def locate(page: Page, page_form: PageForm, method: AnyMethod, form: Form, folder: Path | None) -> list[Pose]:
    """[(3x3 homography from form units to pixels, residual in form units)], or [].

    Every outline in the picture is tried all four ways up; the form's print decides between them. Without
    form.align_bubbles the residual is only what an outline is good for, whatever its own accuracy.
    """
    assert isinstance(method, ContourMethod)
    w, h = page_form.width, page_form.height
    model = np.array(method.corners or ((0, 0), (w, 0), (w, h), (0, h)), np.float32)
    if len(model) != 4:
        return []
    small, factor = reduce(page.gray, _SIDE)
    poses: list[Pose] = []
    for quad in find_quads(small):
        corners = (quad + 0.5) * factor - 0.5
        for turn in range(4):
            seen = np.roll(corners, -turn, axis=0).astype(np.float32)
            poses.append((cv2.getPerspectiveTransform(model, seen), _UNKNOWN * max(w, h)))
    return settle(page, page_form, form, poses)
