"""Homework written on plain sheets and photographed: simulated hands and cameras, no printed form anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from grader.demo.handwriting import Hand, write
from grader.demo.scan import PROFILES, Profile, scan
from grader.exam.form import TextField

SCALE = 300 / 25.4  # pixels a millimetre of the sheet that is written on
PHONE = replace(PROFILES["phone"], turns=0.0)


def written(lines: Sequence[str], seed: int = 1, *, pitch: float = 11.0, left: float = 18.0) -> np.ndarray:
    """An A4 sheet (gray uint8) with a line of handwriting for each text."""
    rng = np.random.default_rng([seed, 1])
    page = np.full((round(297 * SCALE), round(210 * SCALE)), 255, np.uint8)
    hand = Hand.draw(rng)
    for number, text in enumerate(lines):
        box = TextField(id="line", x=left, y=20 + number * pitch, w=180, h=pitch - 1)
        write(page, SCALE, box, text, hand, rng)
    return page


def photographed(page: np.ndarray, seed: int = 1, turn: int = 0, profile: Profile = PHONE) -> bytes:
    """JPEG of the sheet on a table, in perspective; turned clockwise by `turn` quarters."""
    made = scan(page, SCALE, np.random.default_rng([seed, 2]), profile)
    picture = cv2.imdecode(np.frombuffer(made.data, np.uint8), cv2.IMREAD_GRAYSCALE)
    ok, data = cv2.imencode(".jpg", np.ascontiguousarray(np.rot90(picture, -turn)), [cv2.IMWRITE_JPEG_QUALITY, 88])
    assert ok
    return bytes(data)
