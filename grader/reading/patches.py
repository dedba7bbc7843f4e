"""The pictures of all bubbles of a page at once, as ink on white paper.

Nothing is warped but the bubbles themselves: one `cv2.remap` fetches every sample of every bubble.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from grader.exam.form import BubbleBox, MarksField, PageForm
from grader.reading.kept import by_identity
from grader.reading.paperwhite import PaperWhite, paper_white, reduce

REACH = 1.6  # a patch is up to this many times the bubble's box, to see what runs over its edge
_INNER = 0.78  # the part of the box that is safely inside its printed outline
_FEW_ALIKE = 4  # with fewer bubbles of a look nothing says what a blank one is like
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
        _kinds(list(looks.values()), bubbles),
        np.array([b.shape == "ellipse" for b in bubbles]),
        np.array([np.nan if b.baseline is None else b.baseline for b in bubbles]),
    )


def _kinds(looks: list[list[int]], bubbles: tuple[BubbleBox, ...]) -> tuple[np.ndarray, ...]:
    """The looks; those of few bubbles are taken together by shape and size, whatever their labels: most such
    labels stand beside the bubbles."""
    kinds = [np.array(members) for members in looks if len(members) >= _FEW_ALIKE]
    few: dict[tuple[str, float, float], list[int]] = {}
    for members in looks:
        if len(members) < _FEW_ALIKE:
            b = bubbles[members[0]]
            few.setdefault((b.shape, round(b.w, 1), round(b.h, 1)), []).extend(members)
    return (*kinds, *(np.array(sorted(members)) for members in few.values()))


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
    gray: np.ndarray,
    to_pixels: np.ndarray,
    plan: Layout,
    shape: tuple[int, int] | None = None,
    white: PaperWhite | None = None,
) -> Patches:
    """Fetch the patches of `plan` from a picture. to_pixels: 3x3 homography from form units to its pixels.

    shape: rows and columns of a patch, by default as many as the picture's resolution is worth. white: of
    this picture, where the caller has it.
    """
    rows, columns = shape or _samples(to_pixels, plan)
    white = white or paper_white(*reduce(gray))
    centres, at_x, at_y = _places(to_pixels, plan, rows, columns)
    darkness = cv2.remap(gray, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).astype(np.float32)
    light = white.at(centres)
    darkness *= (-1 / np.maximum(light, 24))[:, None]
    darkness += 1
    return Patches(
        darkness.reshape(-1, rows, columns),
        _inner(plan, columns, rows),
        _outside(gray, to_pixels, plan),
        light / max(white.bright, 1.0),
    )


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


def _places(to_pixels: np.ndarray, plan: Layout, rows: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels of the bubbles' centres (n x 2), and x and y of all samples (n x rows * columns float32;
    OpenCV's limit is 32767 each way).

    Within one bubble the homography is taken as affine: over 5 mm of a page in 8 % perspective that is off
    by a hundredth of a millimetre.
    """
    half = plan.sizes * plan.reach / 2
    zero = np.zeros(len(half))
    ends = np.stack([zero, zero, half[:, 0], zero, zero, half[:, 1]], axis=1).reshape(-1, 3, 2)
    at = cv2.perspectiveTransform((plan.centres[:, None] + ends).reshape(1, -1, 2), to_pixels)[0].reshape(-1, 3, 2)
    frame = np.stack([at[:, 0], at[:, 1] - at[:, 0], at[:, 2] - at[:, 0]], axis=2).astype(np.float32)
    u, v = np.meshgrid(2 * _grid(columns), 2 * _grid(rows))
    grid = np.stack([np.ones(u.size), u.ravel(), v.ravel()]).astype(np.float32)
    return at[:, 0], frame[:, 0] @ grid, frame[:, 1] @ grid
