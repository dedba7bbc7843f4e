"""Lines of text set in handwriting fonts, warped and degraded like a scan: for fitting, never for figures.

Everything follows from a seed. The texts are made of words and characters drawn at random, so that a
recogniser cannot lean on a language model it does not have.
"""

from __future__ import annotations

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from grader.resources import font_path

CHINESE = "LongCang-Regular.ttf"
ENGLISH = "PatrickHand-Regular.ttf"
_WORDS = [
    "energy", "light", "plants", "water", "oxygen", "force", "speed", "cell", "nucleus", "gravity",
    "motion", "current", "voltage", "because", "the", "increases", "reaction", "temperature",
    "pressure", "volume", "density", "acid", "base", "salt", "mixture", "solution", "heat", "work",
    "power", "field", "wave", "sound", "student", "answer", "measure", "result", "north", "equator",
    "season", "climate", "river", "mountain", "history",
]  # fmt: skip
_HANZI = (
    "的一是在不了有和人这中大为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产种面而方后多"
    "定行学法所民得经十三之进着等部度家电力里如水化高自二理起小物现实加量都两体制机当使点从业本去把性好应开它合还因"
    "由其些然前外天政四日那社义事平形相全表间样与关各重新线内数正心反你明看原又么利比或但质气第向道命此变条只没结解"
    "光植叶氧糖能热速度摩擦重力压强密度质量电阻电流电压功率波长频率细胞蛋白酶反应溶液酸碱盐历史地理经济文化"
)


def random_text(random: np.random.Generator, kind: str) -> str:
    """A line of "zh", "en" or "number" text."""
    if kind == "zh":
        length = int(random.integers(2, 22))
        return "".join(random.choice(list(_HANZI), length)) + str(random.choice(["", "。", "，"]))
    if kind == "en":
        return " ".join(random.choice(_WORDS, int(random.integers(1, 8))))
    digits = "".join(random.choice(list("0123456789"), int(random.integers(1, 5))))
    point = "." + str(random.integers(0, 100)) if random.random() < 0.5 else ""
    return digits + point + str(random.choice(["", "", "m/s", "kg", "N", "cm", "J"]))


def render(text: str, random: np.random.Generator, kind: str, size: int = 44) -> np.ndarray:
    """`text` in handwriting, black on white, gray uint8, with a margin; characters jitter and the line waves."""
    font = ImageFont.truetype(str(font_path(CHINESE if kind == "zh" else ENGLISH)), size)
    width = int(font.getlength(text) * 1.25 + 2 * size)
    image = Image.new("L", (width, 3 * size), 255)
    draw = ImageDraw.Draw(image)
    x = size / 2
    for character in text:
        draw.text((x, size * 0.7 + random.normal(0, 0.03 * size)), character, 0, font=font)
        x += font.getlength(character) * random.uniform(0.96, 1.12)
    gray = np.asarray(image)[:, : int(x + size / 2)]
    return _warp(gray, random, size)


def _warp(gray: np.ndarray, random: np.random.Generator, size: int) -> np.ndarray:
    """A smooth random displacement of up to a twelfth of the character size, and strokes thicker or thinner."""
    height, width = gray.shape
    coarse = random.normal(0, 1, (2, max(2, height // 24), max(2, width // 24))).astype(np.float32)
    shift = [cv2.resize(c, (width, height), interpolation=cv2.INTER_CUBIC) * size / 24 for c in coarse]
    columns, rows = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    warped = cv2.remap(gray, columns + shift[0], rows + shift[1], cv2.INTER_LINEAR, borderValue=255)
    if random.random() < 0.5:
        warped = cv2.erode(warped, np.ones((2, 2), np.uint8))
    ink = np.flatnonzero((warped < 128).any(axis=1))
    top, bottom = (int(ink[0]), int(ink[-1])) if ink.size else (0, height)
    return np.asarray(warped[max(0, top - 8) : bottom + 8], np.uint8)


def degrade(gray: np.ndarray, random: np.random.Generator, strength: float = 1.0) -> np.ndarray:
    """Like a scan: paper tone, paler ink, blur, noise, JPEG. strength 0 (none) to about 2 (bad)."""
    ink = random.uniform(0, 0.5 * strength)
    paper = 255 - random.uniform(0, 40 * strength)
    picture = paper * (ink + (1 - ink) * gray.astype(np.float32) / 255)
    sigma = random.uniform(0, 1.2 * strength)
    if sigma > 0.2:
        picture = cv2.GaussianBlur(picture, (0, 0), sigma)
    picture += random.normal(0, random.uniform(0, 8 * strength) + 1e-6, picture.shape)
    quality = int(random.uniform(95 - 40 * min(1.0, strength), 96))
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 0))


def strike(gray: np.ndarray, random: np.random.Generator, manner: str, left: int, right: int) -> np.ndarray:
    """`gray` with columns [left, right) struck out. manner: "line", "double", "zigzag" or "scribble"."""
    struck = gray.copy()
    rows = np.flatnonzero((gray[:, left:right] < 128).any(axis=1))
    top, bottom = int(rows[0]), int(rows[-1])
    middle, tall = (top + bottom) / 2, bottom - top
    width = int(random.integers(2, 5))
    if manner in ("line", "double"):
        for offset in [0.0] if manner == "line" else [-0.12, 0.12]:
            x = np.linspace(left - 4, right + 4, 24)
            wobble = np.cumsum(random.normal(0, 0.012 * tall, 24)) + random.uniform(-0.1, 0.1) * tall
            y = middle + offset * tall + wobble
            y += np.linspace(-0.5, 0.5, 24) * random.uniform(-0.12, 0.12) * (right - left)
            cv2.polylines(struck, [np.stack([x, y], 1).astype(np.int32)], False, 0, width, cv2.LINE_AA)
    else:
        turns = max(6, int((right - left) / (6 if manner == "scribble" else 10)))
        if manner == "zigzag":
            x = np.linspace(left, right, turns) + random.normal(0, 2, turns)
            y = np.where(np.arange(turns) % 2, top, bottom) + random.normal(0, 0.08 * tall, turns)
        else:
            y = np.linspace(top, bottom, turns + 4) + random.normal(0, 2, turns + 4)
            x = np.where(np.arange(turns + 4) % 2, left, right) + random.normal(0, 3, turns + 4)
        cv2.polylines(struck, [np.stack([x, y], 1).astype(np.int32)], False, 0, width, cv2.LINE_AA)
    return struck
