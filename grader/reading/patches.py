"""The pictures of all bubbles of a page at once, as ink on white paper.

Nothing is warped but the bubbles themselves: one `cv2.remap` fetches every sample of every bubble.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from grader.exam.form import BubbleBox, MarksField, PageForm
from grader.reading.kept import by_identity
from grader.reading.paperwhite import TO_HALF, PaperWhite, paper_white, reduce, reduce_page
from grader.records import Page

REACH = 1.6  # a patch is up to this many times the bubble's box, to see what runs over its edge
_INNER = 0.78  # the part of the box that is safely inside its printed outline
_FEW_ALIKE = 4  # with fewer bubbles of a look nothing says what a blank one is like
_APART, _APART_IN_HALF = 2.0, 1.5  # pixels between samples; those of a halved picture are means of four
_DETAIL_IN_HALF = 1.0  # the same for a closer look
_FEWEST, _FEWEST_IN_HALF, _MOST = 14, 12, 44  # samples along a side of a patch
DENSE = 9.0  # pixels along the shorter side of a bubble that show it well


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

    @property
    def measured(self) -> bool:
        """Whether it is known of every bubble how dark it is when blank."""
        return bool(np.isfinite(self.baseline).all())


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


@dataclass(frozen=True, eq=False)
class View:
    """A picture to sample bubbles from. to_pixels: 3x3 from form units to its pixels. white: of its paper. halved: it
    shows the page at half its size."""

    gray: np.ndarray
    to_pixels: np.ndarray
    white: PaperWhite
    halved: bool = False


def view(page: Page, to_pixels: np.ndarray, plan: Layout) -> View:
    """The page as it lies by `to_pixels`; at half its size where that still shows the bubbles well, and it is known
    how dark they are when blank."""
    small, factor = reduce_page(page)
    if plan.measured and min(_extent(to_pixels, plan)) >= 2 * DENSE:
        return View(page.half, TO_HALF @ to_pixels, paper_white(small, factor / 2), True)
    return View(page.gray, to_pixels, paper_white(small, factor))


def whole(gray: np.ndarray, to_pixels: np.ndarray) -> View:
    """A picture (height x width uint8) as it is."""
    return View(gray, to_pixels, paper_white(*reduce(gray)))


def sample(seen: View, plan: Layout, shape: tuple[int, int] | None = None) -> Patches:
    """Fetch the patches of `plan`. shape: rows and columns of one, by default as many as the resolution is worth."""
    apart, fewest = (_APART_IN_HALF, _FEWEST_IN_HALF) if seen.halved else (_APART, _FEWEST)
    rows, columns = shape or _shape(seen, plan, apart, fewest)
    darkness, light = _darkness(seen, plan, rows, columns)
    return Patches(
        darkness,
        _inner(plan, columns, rows),
        _outside(seen.gray, seen.to_pixels, plan),
        light / max(seen.white.bright, 1.0),
    )


def details(seen: View, plan: Layout, chosen: np.ndarray) -> np.ndarray:
    """Darkness of the `chosen` bubbles (m indices) on a closer look: m x rows x columns float32."""
    shape = _shape(seen, plan, _DETAIL_IN_HALF if seen.halved else _APART, _FEWEST)
    return _darkness(seen, plan, *shape, chosen)[0]


def _darkness(
    seen: View, plan: Layout, rows: int, columns: int, chosen: np.ndarray | slice = slice(None)
) -> tuple[np.ndarray, np.ndarray]:
    """Darkness of the chosen bubbles (n x rows x columns), and brightness of the paper there (n)."""
    centres, at_x, at_y = _places(seen.to_pixels, _ends(plan)[chosen], rows, columns)
    levels = cv2.remap(seen.gray, at_x, at_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    light = seen.white.at(centres)
    darkness = levels * (-1 / np.maximum(light, 24))[:, None]
    darkness += 1
    return darkness.reshape(-1, rows, columns), light


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


def _shape(seen: View, plan: Layout, apart: float, fewest: int) -> tuple[int, int]:
    """Rows and columns of a patch whose samples lie `apart` pixels."""
    rows, columns = np.clip(np.rint(_extent(seen.to_pixels, plan) * (REACH / apart)), fewest, _MOST).astype(int)
    return int(rows), int(columns)


def _extent(to_pixels: np.ndarray, plan: Layout) -> np.ndarray:
    """Height and width of a typical bubble in pixels."""
    origin, right, down = cv2.perspectiveTransform(_typical(plan), to_pixels)[0]
    return np.array([np.hypot(*(down - origin)), np.hypot(*(right - origin))])


@by_identity
def _typical(plan: Layout) -> np.ndarray:
    """A bubble of middling size and place: its centre, and the points its width and its height away (1 x 3 x 2)."""
    width, height = np.median(plan.sizes, axis=0)
    return plan.centres.mean(axis=0) + np.array([[[0, 0], [width, 0], [0, height]]])


def _outside(gray: np.ndarray, to_pixels: np.ndarray, plan: Layout) -> np.ndarray:
    """Which bubbles are not wholly in the picture (n)."""
    corners = np.concatenate([plan.centres + plan.sizes * half for half in ((-0.5, -0.5), (0.5, 0.5))])
    at = cv2.perspectiveTransform(corners[None], to_pixels)[0]
    height, width = gray.shape
    off = (at < -0.5).any(axis=1) | (at > (width - 0.5, height - 0.5)).any(axis=1)
    return off[: len(plan.sizes)] | off[len(plan.sizes) :]


@by_identity
def _ends(plan: Layout) -> np.ndarray:
    """Of every patch the centre and the middles of its right and lower sides, in form units (n x 3 x 2)."""
    half = plan.sizes * plan.reach / 2
    zero = np.zeros(len(half))
    steps = np.stack([zero, zero, half[:, 0], zero, zero, half[:, 1]], axis=1).reshape(-1, 3, 2)
    return plan.centres[:, None] + steps


def _places(to_pixels: np.ndarray, ends: np.ndarray, rows: int, columns: int) -> tuple[np.ndarray, ...]:
    """Pixels of the patches' centres (n x 2), and x and y of all samples (n x rows * columns float32;
    OpenCV's limit is 32767 each way).

    Within one bubble the homography is taken as affine: over 5 mm of a page in 8 % perspective that is off
    by a hundredth of a millimetre.
    """
    at = cv2.perspectiveTransform(ends.reshape(1, -1, 2), to_pixels)[0].reshape(-1, 3, 2)
    frame = np.stack([at[:, 0], at[:, 1] - at[:, 0], at[:, 2] - at[:, 0]], axis=2).astype(np.float32)
    grid = _samples(rows, columns)
    return at[:, 0], frame[:, 0] @ grid, frame[:, 1] @ grid


@lru_cache(maxsize=64)
def _samples(rows: int, columns: int) -> np.ndarray:
    """1, x and y (-1 to 1) of the samples of a patch (3 x rows * columns float32)."""
    u, v = np.meshgrid(2 * _grid(columns), 2 * _grid(rows))
    return np.stack([np.ones(u.size), u.ravel(), v.ravel()]).astype(np.float32)
