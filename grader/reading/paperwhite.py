"""The paper's own white, everywhere on a page, so that shadows and coloured card are not taken for ink."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from grader.records import Page

# A reduced page has its shorter side at least this long; ink of up to a 21st of it is closed away.
_REDUCED_SIDE = 190
_CLOSING = 9

TO_HALF = np.array([[0.5, 0, -0.25], [0, 0.5, -0.25], [0, 0, 1]])  # from pixels of Page.gray to those of Page.half


def reduce(gray: np.ndarray, side: int = _REDUCED_SIDE) -> tuple[np.ndarray, int]:
    """A picture halved until its shorter side is just above `side`, and the factor (a power of two).

    Halving averages 2 x 2 pixels, which OpenCV does much faster than any other area reduction.
    """
    factor = 1
    while min(gray.shape) >= 2 * side:
        height, width = (length // 2 for length in gray.shape)
        gray = cv2.resize(gray[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
        factor *= 2
    return gray, factor


def reduce_page(page: Page, side: int = _REDUCED_SIDE) -> tuple[np.ndarray, int]:
    """`reduce` for a page, which keeps its half for all stages."""
    if min(page.shape) < 2 * side:
        return page.gray, 1
    small, factor = reduce(page.half, side)
    return small, 2 * factor


def paper_white(small: np.ndarray, factor: float) -> PaperWhite:
    """The paper's white of a reduced picture, by a factor of the picture that it will be asked for.

    A morphological closing removes what is dark and smaller than the window, print and marks alike, and
    keeps the edges of shadows where they are.
    """
    white = closed(small, _CLOSING)
    coarse = np.sort(white[::4, ::4], axis=None)
    return PaperWhite(white, factor, float(coarse[round(0.85 * (coarse.size - 1))]))


@dataclass(frozen=True, eq=False)
class PaperWhite:
    """Brightness of the unprinted paper (uint8, reduced by `factor`). bright: that of the page's lit part."""

    picture: np.ndarray
    factor: float
    bright: float

    def at(self, points: np.ndarray) -> np.ndarray:
        """Brightness at points (n x 2 pixels of the whole picture): n float32."""
        there = ((points + 0.5) / self.factor - 0.5).astype(np.float32)
        x, y = there[:, :1].copy(), there[:, 1:].copy()
        values = cv2.remap(self.picture, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return values[:, 0].astype(np.float32)


def closed(small: np.ndarray, window: int = 17) -> np.ndarray:
    """`small` with everything dark that is narrower than the window (pixels, odd) filled in."""
    kernel = np.ones((window, window), np.uint8)
    white = cv2.morphologyEx(small, cv2.MORPH_CLOSE, kernel, borderType=cv2.BORDER_REPLICATE)
    return cv2.blur(white, (window // 4 | 1, window // 4 | 1))
