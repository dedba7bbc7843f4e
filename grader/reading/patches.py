"""The pictures of all bubbles of a page at once, as ink on white paper.

Nothing is warped but the bubbles themselves: one `cv2.remap` fetches every sample of every bubble.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from grader.exam.form import BubbleBox, MarksField, PageForm
from grader.reading.paperwhite import paper_white

REACH = 1.6  # a patch is up to this many times the bubble's box, to see what runs over its edge
_INNER = 0.78  # the part of the box that is safely inside its printed outline
_PIXELS_PER_SAMPLE = 1.7


@dataclass(frozen=True, eq=False)
class Layout:
    """The bubbles of one page of a form as arrays (n bubbles), in form units.

    reach: n x 2, size of the patch in box sizes, less than REACH where a neighbour is near.
    kinds: index of the group of bubbles that look alike when blank (same label, shape and size).
    """

    fields: tuple[MarksField, ...]
    bubbles: tuple[BubbleBox, ...]
    owner: np.ndarray
    centres: np.ndarray
    sizes: np.ndarray
    reach: np.ndarray
    kinds: np.ndarray
    ellipse: np.ndarray
    baseline: np.ndarray


_layouts: dict[int, tuple[PageForm, Layout | None]] = {}


def layout(page_form: PageForm) -> Layout | None:
    """The page's bubbles as arrays; None if it has none. Kept for the forms used last."""
    known = _layouts.get(id(page_form))
    if known is None or known[0] is not page_form:
        if len(_layouts) > 64:
            _layouts.clear()
        known = _layouts[id(page_form)] = (page_form, _layout(page_form))
    return known[1]


def _layout(page_form: PageForm) -> Layout | None:
    fields = tuple(field for field in page_form.fields if isinstance(field, MarksField))
    if not fields:
        return None
    bubbles = tuple(bubble for field in fields for bubble in field.bubbles)
    owner = np.repeat(np.arange(len(fields)), [len(field.bubbles) for field in fields])
    corners = np.array([(b.x, b.y) for b in bubbles], np.float64)
    sizes = np.array([(b.w, b.h) for b in bubbles], np.float64)
    looks: dict[tuple[str, str, float, float], int] = {}
    kinds = [looks.setdefault((b.label, b.shape, round(b.w, 2), round(b.h, 2)), len(looks)) for b in bubbles]
    centres = corners + sizes / 2
    return Layout(
        fields,
        bubbles,
        owner,
        centres,
        sizes,
        _reach(centres, sizes),
        np.array(kinds),
        np.array([b.shape == "ellipse" for b in bubbles]),
        np.array([np.nan if b.baseline is None else b.baseline for b in bubbles]),
    )


def _reach(centres: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """How far a patch may go, in box sizes, before it meets the box of a neighbour (n x 2, at least 1)."""
    reach = np.full(centres.shape, REACH)
    for axis in (0, 1):
        other = 1 - axis
        for start in range(0, len(centres), 512):  # in blocks: a page may hold thousands of bubbles
            part = slice(start, start + 512)
            along = np.abs(centres[part, None, axis] - centres[None, :, axis])
            across = np.abs(centres[part, None, other] - centres[None, :, other])
            beside = (across < sizes[part, None, other] * REACH) & (along > sizes[part, None, axis] * 0.5)
            gap = np.where(beside, along - sizes[None, :, axis] / 2, np.inf).min(axis=1)
            reach[part, axis] = np.minimum(reach[part, axis], 1.9 * gap / sizes[part, axis])
    reach = np.maximum(reach, 1.0)
    for size in np.unique(sizes, axis=0):  # bubbles of one size are compared, so they reach equally far
        alike = (sizes == size).all(axis=1)
        reach[alike] = reach[alike].min(axis=0)
    return reach


@dataclass(frozen=True, eq=False)
class Patches:
    """Darkness of every bubble, 0 (the paper there) to 1 (black): n x rows x columns float32.

    inner: the same shape, True inside the box. outside: n, the bubble is not wholly in the picture.
    light: n, brightness of the paper at the bubble relative to the page's (below about 0.4 is no paper).
    """

    darkness: np.ndarray
    inner: np.ndarray
    outside: np.ndarray
    light: np.ndarray


def sample(gray: np.ndarray, to_pixels: np.ndarray, plan: Layout) -> Patches:
    """Fetch the patches of `plan` from a picture. to_pixels: 3x3 homography from form units to its pixels."""
    columns, rows = _samples(to_pixels, plan)
    u = (np.arange(columns) + 0.5) / columns - 0.5
    v = (np.arange(rows) + 0.5) / rows - 0.5
    extent = plan.sizes * plan.reach
    x = plan.centres[:, 0, None] + u[None, :] * extent[:, 0, None]
    y = plan.centres[:, 1, None] + v[None, :] * extent[:, 1, None]
    at = _project(to_pixels, x, y)
    height, width = gray.shape
    picture = _fetch(gray, at.reshape(len(at), -1, 2)).reshape(-1, rows, columns)
    middle = at[:, rows // 2, columns // 2]
    white, page_white = _white(gray, middle)
    darkness = 1 - picture / np.maximum(white, 24)[:, None, None]
    low, high = at.min(axis=(1, 2)), at.max(axis=(1, 2))
    slack = (high - low) * 0.25  # the surroundings of a bubble may be off the picture, the bubble may not
    outside = ((low + slack < 0) | (high - slack > (width - 1, height - 1))).any(axis=1)
    return Patches(darkness, _inner(plan, u, v), outside, white / max(page_white, 1.0))


def _samples(to_pixels: np.ndarray, plan: Layout) -> tuple[int, int]:
    """Columns and rows of a patch: about one sample for every second pixel of a typical bubble."""
    ends = np.stack([plan.centres - plan.sizes / 2, plan.centres + plan.sizes / 2])
    pixels = _points(to_pixels, ends.reshape(-1, 2)).reshape(ends.shape)
    turned = abs(to_pixels[0, 1]) > abs(to_pixels[0, 0])
    size = np.median(np.abs(pixels[1] - pixels[0]), axis=0)
    size = size[::-1] if turned else size
    columns, rows = np.clip(np.rint(size * REACH / _PIXELS_PER_SAMPLE), 14, 44).astype(int)
    return int(columns), int(rows)


def _project(to_pixels: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Pixels (n x rows x columns x 2, float32) of the grids spanned by x (n x columns) and y (n x rows)."""
    m = to_pixels.astype(np.float32)
    x, y = x.astype(np.float32)[:, None, :], y.astype(np.float32)[:, :, None]
    scale = 1 / (m[2, 0] * x + m[2, 1] * y + m[2, 2])
    at = np.empty((*scale.shape, 2), np.float32)
    at[..., 0] = (m[0, 0] * x + m[0, 1] * y + m[0, 2]) * scale
    at[..., 1] = (m[1, 0] * x + m[1, 1] * y + m[1, 2]) * scale
    return at


def _points(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return cv2.perspectiveTransform(points.reshape(1, -1, 2).astype(np.float64), matrix)[0]


def _white(gray: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, float]:
    """Brightness of the paper at each point (n x 2 pixels), and that of the page's bright part."""
    white, factor = paper_white(gray)
    there = ((at + 0.5) / factor - 0.5).astype(np.float32)
    return _fetch(white, there[:, None])[:, 0], float(np.percentile(white[::4, ::4], 85))


def _fetch(picture: np.ndarray, at: np.ndarray) -> np.ndarray:
    """Interpolated float32 values at points (rows x columns x 2, each side under 32767: OpenCV's limit)."""
    values = cv2.remap(picture, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return values.astype(np.float32)


def _inner(plan: Layout, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Which samples lie inside the printed outline: n x rows x columns."""
    across = u[None, None, :] * plan.reach[:, 0, None, None] / (_INNER / 2)
    down = v[None, :, None] * plan.reach[:, 1, None, None] / (_INNER / 2)
    rect = (np.abs(across) <= 1) & (np.abs(down) <= 1)
    round_ = across**2 + down**2 <= 1.15
    return np.where(plan.ellipse[:, None, None], round_ & rect, rect)
