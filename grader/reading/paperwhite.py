"""The paper's own white, everywhere on a page, so that shadows and coloured card are not taken for ink."""

from __future__ import annotations

import cv2
import numpy as np

# A reduced page has its shorter side at least this long; ink of up to a 24th of it is closed away.
_REDUCED_SIDE = 380
_CLOSING = 17


def reduce(gray: np.ndarray, side: int = _REDUCED_SIDE) -> tuple[np.ndarray, int]:
    """The page halved until its shorter side is just above `side`, and the factor (a power of two).

    Halving averages 2 x 2 pixels, which OpenCV does much faster than any other area reduction.
    """
    factor = 1
    while min(gray.shape) >= 2 * side:
        height, width = (gray.shape[0] // 2) * 2, (gray.shape[1] // 2) * 2
        gray = cv2.resize(gray[:height, :width], (width // 2, height // 2), interpolation=cv2.INTER_LINEAR)
        factor *= 2
    return gray, factor


def paper_white(gray: np.ndarray) -> tuple[np.ndarray, int]:
    """Brightness of the unprinted paper (uint8, reduced size) and the reduction factor.

    A morphological closing removes what is dark and smaller than the window, print and marks alike, and
    keeps the edges of shadows where they are.
    """
    small, factor = reduce(gray)
    return closed(small), factor


def closed(small: np.ndarray) -> np.ndarray:
    """`small` with everything dark that is narrower than the window filled in."""
    kernel = np.ones((_CLOSING, _CLOSING), np.uint8)
    return cv2.blur(cv2.morphologyEx(small, cv2.MORPH_CLOSE, kernel, borderType=cv2.BORDER_REPLICATE), (5, 5))
