"""Handwriting in boxes: glyphs of handwriting fonts, each set a little differently and warped.

It looks written and exercises the path from box to text; it does not measure recognition of real hands.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from grader.exam.form import TextField
from grader.paper.typeface import characters
from grader.resources import font_path

CHINESE, LATIN, PRINT = "LongCang-Regular.ttf", "PatrickHand-Regular.ttf", "NotoSansSC-Regular.ttf"


@dataclass(frozen=True)
class Hand:
    """How somebody writes. size: of a character as a share of the line's height; slant: shear;
    wobble: irregularity; darkness of the ink 0 to 1; weight: growth of the strokes in millimetres."""

    size: float
    slant: float
    wobble: float
    darkness: float
    weight: float

    @staticmethod
    def draw(rng: np.random.Generator) -> Hand:
        """A legible hand, chosen by chance."""
        return Hand(
            size=rng.uniform(0.58, 0.72),
            slant=rng.uniform(-0.05, 0.22),
            wobble=rng.uniform(0.4, 1.0),
            darkness=rng.uniform(0.72, 0.93),
            weight=rng.uniform(0.0, 0.12),
        )


def write(page: np.ndarray, scale: float, field: TextField, text: str, hand: Hand, rng: np.random.Generator) -> None:
    """Write `text` into a text field, in place: in its cells, on its line, or broken over its lines.

    page: gray uint8. scale: pixels a millimetre. Text that does not fit is written smaller.
    """
    if field.cells:
        _write_cells(page, scale, field, text, hand, rng)
        return
    pitch = field.h / field.lines if field.lines == 1 else (field.h - 3.0) / field.lines
    room = field.w - (3.0 if field.lines == 1 else 8.0)
    height = min(pitch * hand.size, 7.0)
    lines = _wrap(text, room, height)
    while len(lines) > field.lines and height > 2.0:
        height *= 0.93
        lines = _wrap(text, room, height)
    for number, line in enumerate(lines[: field.lines]):
        left = field.x + (1.5 if field.lines == 1 else 4.0) + rng.uniform(0.0, 1.0)
        baseline = field.y + pitch * (number + (0.76 if field.lines == 1 else 0.86))
        _write_line(page, scale, line, left, baseline, height, hand, rng)


def paste(page: np.ndarray, scale: float, field: TextField, crop: np.ndarray) -> None:
    """Put a picture of real handwriting (gray uint8, dark on light) into a text field, in place.

    Its paper is made white and it is scaled to fit the box, as if it had been written there.
    """
    paper = cv2.GaussianBlur(cv2.dilate(crop, np.ones((15, 15), np.uint8)), (0, 0), 15).astype(np.float32)
    ink = np.clip(1 - crop / np.maximum(paper, 1), 0, 1)
    ink[ink < 0.08] = 0
    fit = min((field.w - 2.0) * scale / crop.shape[1], (field.h - 1.6) * scale / crop.shape[0])
    how = cv2.INTER_AREA if fit < 1 else cv2.INTER_CUBIC
    sized = cv2.resize((ink * 255).astype(np.uint8), None, fx=fit, fy=fit, interpolation=how)
    top = field.y * scale + (field.h * scale - sized.shape[0]) / 2
    _darken(page, sized, round((field.x + 1.0) * scale), round(top), 1.0)


def _write_cells(
    page: np.ndarray, scale: float, field: TextField, text: str, hand: Hand, rng: np.random.Generator
) -> None:
    cell = field.w / field.cells
    height = min(field.h, cell * 1.25) * min(hand.size + 0.08, 0.78)
    for i, char in enumerate(text[: field.cells]):
        width = _advance(char, height)
        left = field.x + i * cell + (cell - width) / 2 + rng.normal(0, 0.04 * cell)
        _write_line(page, scale, char, left, field.y + field.h * 0.8, height, hand, rng)


def _write_line(
    page: np.ndarray, scale: float, text: str, left: float, baseline: float, height: float, hand: Hand,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Set characters from `left` on a drifting baseline (millimetres); height is that of the em square."""
    drift = rng.normal(0, 0.006) * hand.wobble
    x = left
    for char in text:
        advance = _advance(char, height)
        if not char.isspace():
            y = baseline + (x - left) * drift + rng.normal(0, 0.025 * height) * hand.wobble
            _stamp(page, scale, char, x, y, height * (1 + rng.normal(0, 0.04) * hand.wobble), hand, rng)
        x += advance * (1 + rng.normal(0, 0.03) * hand.wobble)


def _stamp(
    page: np.ndarray, scale: float, char: str, x: float, y: float, height: float, hand: Hand,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """One glyph with its left end of the baseline at (x, y) millimetres, turned, sheared and bent."""
    glyph = _glyph(char, 96)
    size = height * scale
    side = int(size * 2) + 4
    grow = size / 96
    turn = np.deg2rad(rng.normal(0, 2.2) * hand.wobble)
    shear = hand.slant + rng.normal(0, 0.03) * hand.wobble
    linear = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) @ np.array([[1, -shear], [0, 1]])
    linear = linear * grow * np.array([1 + rng.normal(0, 0.04) * hand.wobble, 1.0])
    origin = np.array([48.0, 140.0])  # where _glyph puts the left end of the baseline
    target = np.array([side * 0.25, side * 0.72])
    to_source = np.linalg.inv(linear)
    grid = np.stack(np.meshgrid(np.arange(side), np.arange(side)), axis=-1).astype(np.float32) - target
    phase, bend = rng.uniform(0, 2 * np.pi, 2), rng.normal(0, 1.6, 2) * hand.wobble
    source = (grid @ to_source.T + origin).astype(np.float32)
    wave = 2 * np.pi / 96
    map_x = source[..., 0] + np.float32(bend[0]) * np.sin(source[..., 1] * wave + phase[0]).astype(np.float32)
    map_y = source[..., 1] + np.float32(bend[1]) * np.sin(source[..., 0] * wave + phase[1]).astype(np.float32)
    ink = cv2.remap(glyph, map_x, map_y.astype(np.float32), cv2.INTER_LINEAR)
    if hand.weight * scale >= 0.6:
        ink = cv2.dilate(ink, np.ones((2, 2), np.uint8))
    _darken(page, ink, round(x * scale - target[0]), round(y * scale - target[1]), hand.darkness)


def _darken(page: np.ndarray, ink: np.ndarray, left: int, top: int, darkness: float) -> None:
    x0, y0 = max(left, 0), max(top, 0)
    x1, y1 = min(left + ink.shape[1], page.shape[1]), min(top + ink.shape[0], page.shape[0])
    if x1 <= x0 or y1 <= y0:
        return
    part = ink[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.float32) * (darkness / 255)
    region = page[y0:y1, x0:x1]
    region[:] = np.round(region * (1 - part)).astype(np.uint8)


def _wrap(text: str, room: float, height: float) -> list[str]:
    """Lines no wider than `room` millimetres, broken at blanks in Latin text and anywhere in Chinese."""
    lines: list[str] = []
    for paragraph in text.splitlines() or [""]:
        line, width = "", 0.0
        for word in _words(paragraph):
            need = sum(_advance(char, height) for char in word)
            if line and width + need > room:
                lines.append(line)
                line, width, word = "", 0.0, word.lstrip()  # noqa: PLW2901
                need = sum(_advance(char, height) for char in word)
            line, width = line + word, width + need
        lines.append(line)
    return lines


def _words(text: str) -> list[str]:
    """Pieces that stay together: a Latin word with the blank before it, or one Chinese character."""
    pieces: list[str] = []
    for char in text:
        joins = pieces and ord(char) < 0x2E80 and ord(pieces[-1][-1]) < 0x2E80
        if joins and not char.isspace():
            pieces[-1] += char
        else:
            pieces.append(char)
    return pieces


@lru_cache(maxsize=4096)
def _glyph(char: str, size: int) -> np.ndarray:
    """The glyph as ink (255) on 192 x 192, baseline at y = 140, left end at x = 48."""
    image = Image.new("L", (192, 192), 0)
    ImageDraw.Draw(image).text((48, 140), char, font=_font(_file_for(char), size), fill=255, anchor="ls")
    return np.asarray(image)


@lru_cache(maxsize=4096)
def _advance(char: str, height: float) -> float:
    return float(_font(_file_for(char), 96).getlength(char)) / 96 * height


def _file_for(char: str) -> str:
    """The first font with this character; handwriting before print."""
    order = (LATIN, CHINESE, PRINT) if ord(char) < 0x2E80 else (CHINESE, PRINT)
    return next((name for name in order if ord(char) in characters(name)), PRINT)


@lru_cache(maxsize=8)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(font_path(name)), size)
