"""Writing set in the shipped fonts, and boxes as a form prints them, at 200 dpi."""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from grader.resources import font_path

PRINT = "NotoSansSC-Regular.ttf"
HAND_ZH = "LongCang-Regular.ttf"
HAND_EN = "PatrickHand-Regular.ttf"


def empty(height: int = 96, width: int = 640, paper: int = 250) -> np.ndarray:
    """An empty box."""
    return np.full((height, width), paper, np.uint8)


def write(
    box: np.ndarray, text: str, at: tuple[int, int] = (24, 20), font: str = HAND_EN, size: int = 44, ink: int = 40
) -> np.ndarray:
    """A copy of `box` with `text` at the top left corner `at`, in pixels."""
    image = Image.fromarray(box)
    ImageDraw.Draw(image).text(at, text, fill=ink, font=ImageFont.truetype(str(font_path(font)), size))
    return np.array(image)


def ruled(box: np.ndarray, rows: tuple[int, ...], ink: int = 120, lean: int = 0) -> np.ndarray:
    """A copy with printed rules across at `rows`; each falls by `lean` pixels to the right."""
    picture = box.copy()
    for row in rows:
        cv2.line(picture, (0, row), (box.shape[1] - 1, row + lean), ink, 2)
    return picture


def framed(box: np.ndarray, ink: int = 60) -> np.ndarray:
    """A copy with a printed frame along its edges."""
    picture = box.copy()
    cv2.rectangle(picture, (1, 1), (box.shape[1] - 2, box.shape[0] - 2), ink, 3)
    return picture


def scanned(box: np.ndarray, seed: int = 1, noise: float = 4.0) -> np.ndarray:
    """A copy with blur, noise and JPEG artefacts."""
    random = np.random.default_rng(seed)
    picture = cv2.GaussianBlur(box, (0, 0), 0.7).astype(np.float32) + random.normal(0, noise, box.shape)
    encoded = cv2.imencode(".jpg", np.clip(picture, 0, 255).astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 75])[1]
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE))
