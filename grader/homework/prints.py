"""A photographed answer as it goes back on paper: the sheet white, the light even, nothing blank around it."""

from __future__ import annotations

import cv2
import numpy as np

from grader.reading.paperwhite import closed

_BLACK, _WHITE = 0.35, 0.88  # of the paper's brightness: what is printed black, and what white
_RIM = 0.02  # of the width: at the edges there may be the edge of the sheet
_MARGIN = 14  # pixels left beside the writing


def printed(png: bytes) -> bytes:
    """The picture of an answer (PNG), to print: paper white, blank ends cut off."""
    gray = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    if gray is None or min(gray.shape) < 24:
        return png
    small = cv2.resize(gray, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    paper = cv2.resize(closed(small), gray.shape[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32)
    share = gray / np.maximum(paper, 1.0)
    even = np.clip((share - _BLACK) / (_WHITE - _BLACK), 0.0, 1.0)
    white = np.round(255 * even).astype(np.uint8)
    ok, data = cv2.imencode(".png", _trimmed(white), [cv2.IMWRITE_PNG_COMPRESSION, 9])
    assert ok
    return bytes(data)


def _trimmed(white: np.ndarray) -> np.ndarray:
    width = white.shape[1]
    rim = round(_RIM * width)
    ink = cv2.medianBlur(white, 3) < 128
    columns = np.flatnonzero(ink[:, rim : width - rim].any(axis=0)) + rim
    if not columns.size:
        return white
    left, right = max(0, int(columns[0]) - _MARGIN), min(width, int(columns[-1]) + _MARGIN)
    return white[:, left:right]
