"""The quality gate: pages that nobody could read are excused here, with a reason, before work is spent on them.

The gate is meant to be passed: it stops what would fail anyway, and leaves doubt to the stages that measure it.
Everything is measured on a copy of about a thousand pixels (a quarter of a millimetre on A4), so the limits mean
the same for a 150-dpi fax, a 600-dpi scan and a photo. Measured on real sheets, the worst of them is far from
every limit; the numbers are beside the limits below.
"""

from __future__ import annotations

import cv2
import numpy as np

from grader.errors import PageError
from grader.records import Page

_MIN_LONG_SIDE = 440  # pixels: 1.5 per mm of A4; a 4 mm bubble has six. The smallest of the real sheets has 637
_MIN_SHORT_SIDE = 300
_MAX_ASPECT = 2.7  # A4 has 1.41, the narrowest printed forms about 2.2: what is longer is a strip of a page
_MIN_PAPER = 50  # gray level of paper, as the 90th percentile; real sheets from 174
_BLANK_CONTRAST = 40  # gray levels within 5 mm that count as something printed or written
_BLANK_SHARE = 0.0005  # of the page; one corner mark of 7 mm with its surroundings is four times as much
_MIN_CONTRAST = 40  # gray levels within 5 mm, 99th percentile; real sheets from 124
_FAINT_SHARE = 0.01  # of the page that shows structure above the noise: it is faint, not blank
_MIN_SHARPNESS = 0.45  # steepest rise over 0.5 mm / local contrast; real sheets from 0.83, a blur of 1.2 mm gives 0.42
_CLEARLY_SHARP = 0.9  # at half the size; pictures that fail the limit above have at most 0.79 there, real sheets 0.97

_BORDER = 0.03  # of each side: what is there is the edge of the paper or of the scanner's glass
_LOCAL = np.ones((15, 15), np.uint8)
_COARSE_LOCAL = np.ones((7, 7), np.uint8)
_STEP = np.ones((3, 3), np.uint8)

_BETTER_PHOTO = "scan it, or photograph it again in even light, holding still"


def check_quality(page: Page) -> None:
    """Pass a page that can be read. Under 2 ms on A4 at 200 dpi.

    Raises PageError: too_small, cropped, too_dark, blank_page, low_contrast, blurred.
    """
    height, width = page.shape
    long_side, short_side = max(height, width), min(height, width)
    if long_side < _MIN_LONG_SIDE or short_side < _MIN_SHORT_SIDE:
        _refuse(page, "too_small", f"{width} x {height} pixels are too few", "scan at 150 dpi or more")
    if long_side > _MAX_ASPECT * short_side:
        _refuse(page, "cropped", f"{width} x {height} pixels are a strip, not a page", "scan the whole page")

    small = reduced(page.half if long_side >= 1350 else page.gray)
    paper = _percentile(np.ascontiguousarray(small[::4, ::4]), 0.90)
    if paper < _MIN_PAPER:
        _refuse(page, "too_dark", f"the paper is as dark as {paper:.0f} of 255", _BETTER_PHOTO)

    rows, columns = (round(_BORDER * side) for side in small.shape)
    inner = np.ascontiguousarray(small[rows:-rows, columns:-columns])
    if _clearly_good(inner):
        return
    contrast, rise = _range(inner, _LOCAL), _range(inner, _STEP)
    highest = _percentile(contrast, 0.99)
    if highest < _MIN_CONTRAST:
        noise = max(12.0, 5 * _percentile(rise, 0.5))
        inked, faint = _share(contrast, _BLANK_CONTRAST), _share(contrast, noise)
        if inked < _BLANK_SHARE and faint < _FAINT_SHARE:
            _refuse(page, "blank_page", "nothing is on the page", "leave out blank pages, or scan the other side")
        if inked < _BLANK_SHARE:
            _refuse(page, "low_contrast", f"ink and paper differ by {highest:.0f} of 255", _BETTER_PHOTO)
        return  # little is on the page, but it is clear
    sharpness = _sharpness(contrast, rise)
    if sharpness < _MIN_SHARPNESS:
        _refuse(page, "blurred", f"edges reach {sharpness:.0%} of sharp ones", _BETTER_PHOTO)


def _clearly_good(inner: np.ndarray) -> bool:
    """A look at a quarter of the pixels, which settles it for nearly every page: far from too faint, and sharp beyond
    what a picture at the limit of blur shows at this size."""
    height, width = (side // 2 for side in inner.shape)
    coarse = cv2.resize(inner[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    contrast, rise = _range(coarse, _COARSE_LOCAL), _range(coarse, _STEP)
    if _percentile(contrast, 0.99) < 2 * _MIN_CONTRAST:
        return False
    return _sharpness(contrast, rise) >= _CLEARLY_SHARP


def reduced(gray: np.ndarray) -> np.ndarray:
    """Halved until the longer side is below 1,350 pixels: halving by area averages noise away, and OpenCV does
    it fast where the sides are even."""
    while max(gray.shape) >= 1350:
        height, width = (side // 2 for side in gray.shape)
        gray = cv2.resize(gray[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    return gray


def _range(gray: np.ndarray, window: np.ndarray) -> np.ndarray:
    """Brightest less darkest in the window around every other pixel."""
    return np.ascontiguousarray(cv2.morphologyEx(gray, cv2.MORPH_GRADIENT, window)[::2, ::2])


def _sharpness(contrast: np.ndarray, rise: np.ndarray) -> float:
    """How steep the steepest edges are where there is contrast: 1.0 for a step from one pixel to the next. A
    Gaussian blur of s pixels gives about erf(1 / (s * sqrt 2)), whatever the light."""
    level = max(0.6 * _percentile(contrast, 0.95), _BLANK_CONTRAST / 2)
    strong = (contrast >= level).view(np.uint8)
    return _percentile(cv2.divide(rise, contrast, scale=255), 0.98, strong) / 255


def _percentile(values: np.ndarray, share: float, mask: np.ndarray | None = None) -> float:
    """Percentile of uint8 values (where the mask is not 0), from their histogram."""
    counts = np.cumsum(cv2.calcHist([values], [0], mask, [256], [0, 256]))
    return float(np.searchsorted(counts, share * counts[-1]))


def _share(values: np.ndarray, level: float) -> float:
    return float(np.count_nonzero(values > level)) / values.size


def _refuse(page: Page, reason: str, message: str, remedy: str) -> None:
    where = page.ref.file if page.ref.page == 1 else f"{page.ref.file} page {page.ref.page}"
    raise PageError(reason, f"{where}: {message}", remedy)
