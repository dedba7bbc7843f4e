"""Which way up the letters in the bubbles are: for papers whose grid of bubbles looks alike upside down."""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from grader.reading.patches import Layout, sample, whole
from grader.resources import font_path

_FONT = "NotoSansSC-Regular.ttf"
_SIDE = 48  # samples along a patch
_HEIGHTS = (0.32, 0.4, 0.5, 0.6, 0.72)  # of a capital, as a share of the patch
_TELLING = set("ABCDEFGJKLMPQRTUVWY1234567")  # these look different upside down


def legibility(gray: np.ndarray, matrix: np.ndarray, plan: Layout) -> float:
    """Mean correlation (-1 to 1) of what is printed in the bubbles with their labels; 0 where these tell nothing.

    The median picture of the bubbles with a label shows what is printed in them, since most are not marked.
    """
    darkness = sample(whole(gray, matrix), plan, (_SIDE, _SIDE)).darkness
    scores = []
    for members in plan.kinds:
        label = plan.bubbles[members[0]].label.upper()
        if label not in _TELLING or len(members) < 3:
            continue
        picture = np.median(darkness[members], axis=0).astype(np.float32)
        width, height = plan.sizes[members[0]] * plan.reach[members[0]]
        picture = cv2.resize(picture, (max(12, round(_SIDE * width / height)), _SIDE))
        scores.append(_likeness(picture, label))
    return float(np.mean(scores)) if scores else 0.0


def _likeness(picture: np.ndarray, label: str) -> float:
    """The best correlation of the letter with any place near the middle, at any size."""
    best = -1.0
    rows, columns = picture.shape
    for height in _HEIGHTS:
        glyph = _glyph(label, round(height * rows))
        if glyph.shape[0] > rows or glyph.shape[1] > columns:
            continue
        match = cv2.matchTemplate(picture, glyph, cv2.TM_CCOEFF_NORMED)
        middle_y, middle_x = match.shape[0] // 2, match.shape[1] // 2
        reach_y, reach_x = max(1, rows // 10), max(1, columns // 10)
        near = match[
            max(0, middle_y - reach_y) : middle_y + reach_y + 1, max(0, middle_x - reach_x) : middle_x + reach_x + 1
        ]
        best = max(best, float(near.max()))
    return best


@lru_cache(maxsize=256)
def _glyph(label: str, height: int) -> np.ndarray:
    """The letter as darkness 0 to 1, its capital height in samples, with a little paper around it."""
    font = ImageFont.truetype(str(font_path(_FONT)), size=max(6, round(height / 0.73)))
    left, top, right, bottom = font.getbbox(label)
    margin = max(1, round(0.12 * height))
    picture = Image.new("L", (round(right - left) + 2 * margin, round(bottom - top) + 2 * margin), 0)
    ImageDraw.Draw(picture).text((margin - left, margin - top), label, fill=255, font=font)
    blurred = cv2.GaussianBlur(np.asarray(picture, np.float32) / 255, (0, 0), max(0.6, 0.05 * height))
    return np.asarray(blurred, np.float32)
