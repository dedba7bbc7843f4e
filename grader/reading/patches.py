"""The pictures of all bubbles of a page at once, as ink on white paper.

Nothing is warped but the bubbles themselves: one `cv2.remap` fetches every sample of every bubble.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from grader.exam.form import BubbleBox, MarksField, PageForm
from grader.reading.kept import by_identity
from grader.reading.paperwhite import paper_white

REACH = 1.6  # a patch is up to this many times the bubble's box, to see what runs over its edge
_INNER = 0.78  # the part of the box that is safely inside its printed outline
_PIXELS_PER_SAMPLE = 2.0


@dataclass(frozen=True, eq=False)
class Layout:
    """The bubbles of one page of a form as arrays (n bubbles), in form units.

    ends: of each field, the index after its last bubble. reach: n x 2, size of the patch in box sizes, less
    than REACH where a neighbour is near. kinds: for each look (label, shape and size) its bubbles.
    """

    fields: tuple[MarksField, ...]
    bubbles: tuple[BubbleBox, ...]
    ends: tuple[int, ...]
    centres: np.ndarray
    sizes: np.ndarray
    reach: np.ndarray
    kinds: tuple[np.ndarray, ...]
    ellipse: np.ndarray
    baseline: np.ndarray


@by_identity
def layout(page_form: PageForm) -> Layout | None:
    """The page's bubbles as arrays; None if it has none."""
    fields = tuple(field for field in page_form.fields if isinstance(field, MarksField))
    if not fields:
        return None
    bubbles = tuple(bubble for field in fields for bubble in field.bubbles)
    sizes = np.array([(b.w, b.h) for b in bubbles], np.float64)
    centres = np.array([(b.x, b.y) for b in bubbles], np.float64) + sizes / 2
    looks: dict[tuple[str, str, float, float], list[int]] = {}
    for number, b in enumerate(bubbles):
        looks.setdefault((b.label, b.shape, round(b.w, 2), round(b.h, 2)), []).append(number)
    return Layout(
        fields,
        bubbles,
        tuple(int(end) for end in np.cumsum([len(field.bubbles) for field in fields])),
        centres,
        sizes,
        _reach(centres, sizes),
        tuple(np.array(members) for members in looks.values()),
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

    inner: the same shape, 1.0 inside the box, else 0.0. outside: n, the bubble is not wholly in the picture.
    light: n, brightness of the paper at the bubble relative to the page's (below about 0.4 is no paper).
    """

    darkness: np.ndarray
    inner: np.ndarray
    outside: np.ndarray
    light: np.ndarray


def sample(
    gray: np.ndarray, to_pixels: np.ndarray, plan: Layout, shape: tuple[int, int] | None = None
) -> Patches:
    """Fetch the patches of `plan` from a picture. to_pixels: 3x3 homography from form units to its pixels.

    shape: rows and columns of a patch, by default as many as the picture's resolution is worth.
    """
    rows, columns = shape or _samples(to_pixels, plan)
    extent = plan.sizes * plan.reach
    x = plan.centres[:, 0, None] + _grid(columns)[None, :] * extent[:, 0, None]
    y = plan.centres[:, 1, None] + _grid(rows)[None, :] * extent[:, 1, None]
    at_x, at_y = _project(to_pixels, x, y)
    picture = _fetch(gray, at_x.reshape(len(x), -1), at_y.reshape(len(x), -1)).reshape(-1, rows, columns)
    white, page_white = _white(gray, at_x[:, rows // 2, columns // 2], at_y[:, rows // 2, columns // 2])
    darkness = cv2.multiply(picture.reshape(len(x), -1), _spread(-1 / np.maximum(white, 24), rows * columns))
    darkness = darkness.reshape(picture.shape)
    darkness += 1
    return Patches(
        darkness, _inner(plan, columns, rows), _outside(gray, to_pixels, plan), white / max(page_white, 1.0)
    )


def _spread(values: np.ndarray, count: int) -> np.ndarray:
    return np.repeat(values.astype(np.float32)[:, None], count, axis=1)


def _grid(count: int) -> np.ndarray:
    """Places of `count` samples across a patch, from -0.5 to 0.5."""
    return (np.arange(count) + 0.5) / count - 0.5


@by_identity
def _inner(plan: Layout, columns: int, rows: int) -> np.ndarray:
    """1.0 for the samples inside the printed outline, else 0.0: n x rows x columns float32."""
    across = _grid(columns)[None, None, :] * plan.reach[:, 0, None, None] / (_INNER / 2)
    down = _grid(rows)[None, :, None] * plan.reach[:, 1, None, None] / (_INNER / 2)
    inside = (np.abs(across) <= 1) & (np.abs(down) <= 1)
    inside &= ~plan.ellipse[:, None, None] | (across**2 + down**2 <= 1.15)
    return inside.astype(np.float32)


def _samples(to_pixels: np.ndarray, plan: Layout) -> tuple[int, int]:
    """Rows and columns of a patch: one sample for every second pixel or so of a typical bubble."""
    size = np.median(plan.sizes, axis=0)
    centre = np.mean(plan.centres, axis=0)
    ends = centre + np.array([[0, 0], [size[0], 0], [0, size[1]]])
    origin, right, down = cv2.perspectiveTransform(ends[None], to_pixels)[0]
    width, height = np.linalg.norm(right - origin), np.linalg.norm(down - origin)
    rows, columns = np.clip(np.rint(np.array([height, width]) * REACH / _PIXELS_PER_SAMPLE), 14, 44).astype(int)
    return int(rows), int(columns)


def _outside(gray: np.ndarray, to_pixels: np.ndarray, plan: Layout) -> np.ndarray:
    """Which bubbles are not wholly in the picture (n)."""
    corners = np.concatenate([plan.centres + plan.sizes * half for half in ((-0.5, -0.5), (0.5, 0.5))])
    at = cv2.perspectiveTransform(corners[None], to_pixels)[0]
    height, width = gray.shape
    off = (at < -0.5).any(axis=1) | (at > (width - 0.5, height - 0.5)).any(axis=1)
    return off[: len(plan.sizes)] | off[len(plan.sizes) :]


def _project(to_pixels: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (x and y, n x rows x columns float32) of the grids spanned by x (n x columns) and y (n x rows)."""
    m = (to_pixels / to_pixels[2, 2]).astype(np.float32)
    x, y = x.astype(np.float32)[:, None, :], y.astype(np.float32)[:, :, None]
    scale = 1 / (m[2, 0] * x + (m[2, 1] * y + 1))
    return (m[0, 0] * x + (m[0, 1] * y + m[0, 2])) * scale, (m[1, 0] * x + (m[1, 1] * y + m[1, 2])) * scale


def _white(gray: np.ndarray, x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """Brightness of the paper at each point (n pixels), and that of the page's bright part."""
    white, factor = paper_white(gray)
    there = [((at + 0.5) / factor - 0.5).astype(np.float32)[:, None] for at in (x, y)]
    bright = np.partition(white[::4, ::4].ravel(), -white[::4, ::4].size // 7)[-white[::4, ::4].size // 7]
    return _fetch(white, *there)[:, 0], float(bright)


def _fetch(picture: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Interpolated float32 values at points (rows x columns, each under 32767: OpenCV's limit)."""
    values = cv2.remap(picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return values.astype(np.float32)
