"""Telling a picture that was saved twice from a page that was scanned twice.

Exact copies share `Page.sha256`. A copy that was saved again (other format, quality or name) has other bytes but
the same picture. Perceptual hashes of 64 bits are of no use here: all answer sheets of an exam look alike. So
the fingerprint is a picture of 64 x 64 mean gray levels, in which one bubble (3 x 4 mm on A4) is a cell.
"""

from __future__ import annotations

import cv2
import numpy as np

from grader.intake.quality import reduced

_CELLS = 64
_MAX_DIFFERENCE = 10  # gray levels of a cell's mean; saving as JPEG of quality 40 moves it by at most 4
_MAX_MEAN_DIFFERENCE = 1.5


def fingerprint(gray: np.ndarray) -> bytes:
    """64 x 64 mean gray levels of a page (height x width uint8), as 4,096 bytes. Deterministic."""
    return bytes(cv2.resize(reduced(gray), (_CELLS, _CELLS), interpolation=cv2.INTER_AREA))


def same_picture(one: bytes, other: bytes) -> bool:
    """True if two fingerprints are of one picture that was saved twice; a second scan moves the paper by more."""
    difference = np.abs(np.frombuffer(one, np.uint8).astype(np.int16) - np.frombuffer(other, np.uint8))
    return bool(difference.max() <= _MAX_DIFFERENCE and difference.mean() <= _MAX_MEAN_DIFFERENCE)
