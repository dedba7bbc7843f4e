"""A scanner, a photocopier and a phone: what happens to a page on its way to a file."""

from __future__ import annotations

import io
from dataclasses import dataclass, field

import cv2
import numpy as np
from PIL import Image


@dataclass(frozen=True)
class Profile:
    """Ranges are drawn from uniformly.

    skew: degrees to either side. perspective: how much opposite edges may differ in length. blur: standard
    deviation in millimetres. noise: standard deviation in gray levels. gradient: loss of light across the
    page. shadow: probability of a cast shadow. speckle: dust grains a page. turns: probability of a page
    lying turned by 90, 180 or 270 degrees. colour: probability of a colour file. surround: "page" cuts at
    the paper (where skew allows), "lid" leaves a scanner's border, "desk" a photographed table.
    """

    dpi: tuple[int, ...] = (200,)
    skew: float = 0.8
    perspective: float = 0.0
    blur: tuple[float, float] = (0.03, 0.07)
    noise: tuple[float, float] = (1.0, 4.0)
    contrast: tuple[float, float] = (0.9, 1.0)
    gradient: float = 0.03
    shadow: float = 0.0
    speckle: int = 0
    quality: tuple[int, int] = (75, 92)
    turns: float = 0.0
    colour: float = 0.2
    surround: tuple[str, ...] = ("page",)


PROFILES: dict[str, Profile] = {
    "office": Profile(),
    "copier": Profile(
        dpi=(150, 200, 300), skew=2.5, blur=(0.05, 0.1), contrast=(0.95, 1.25), speckle=60, quality=(60, 85),
        turns=0.1, colour=0.0, surround=("page", "lid"),
    ),
    "phone": Profile(
        dpi=(170, 200, 240), skew=5.0, perspective=0.08, blur=(0.05, 0.11), noise=(2.0, 7.0), gradient=0.35,
        shadow=0.6, quality=(60, 90), turns=0.3, colour=1.0, surround=("desk",),
    ),
    "rough": Profile(
        dpi=(150, 175, 200, 250, 300), skew=5.0, perspective=0.08, blur=(0.03, 0.12), noise=(1.0, 9.0),
        contrast=(0.75, 1.15), gradient=0.3, shadow=0.5, speckle=25, quality=(40, 90), turns=0.3, colour=0.4,
        surround=("lid", "desk"),
    ),
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Scan:
    """data: an encoded JPEG. to_pixels: 3x3 from page millimetres to its pixels. turn: degrees clockwise."""

    data: bytes
    to_pixels: np.ndarray
    dpi: int
    turn: int
    notes: dict[str, float] = field(default_factory=dict)


def scan(page: np.ndarray, scale: float, rng: np.random.Generator, profile: Profile) -> Scan:
    """Scan a gray page (uint8, `scale` pixels a millimetre)."""
    dpi = int(rng.choice(profile.dpi))
    surround = str(rng.choice(profile.surround))
    size = np.array(page.shape[::-1]) / scale
    to_pixels, shape, surround = _geometry(size, dpi, surround, rng, profile)
    picture = _expose(page, scale, to_pixels, shape, surround, rng)
    blur = rng.uniform(*profile.blur) * dpi / 25.4
    picture = cv2.GaussianBlur(picture, (0, 0), blur)
    picture = _light(picture, rng, profile)
    contrast = rng.uniform(*profile.contrast)
    picture = 255 * (1 - contrast * (1 - picture / 255)) if contrast < 1 else (picture - 235) * contrast + 240
    picture = _dust(picture, dpi, rng, profile)
    noise = rng.uniform(*profile.noise)
    picture += noise * rng.standard_normal(picture.shape, dtype=np.float32)
    turn = int(rng.integers(1, 4)) if rng.random() < profile.turns else 0
    picture, to_pixels = _turned(picture, to_pixels, turn)
    quality = int(rng.integers(profile.quality[0], profile.quality[1] + 1))
    data = _encode(picture, dpi, quality, rng.random() < profile.colour, rng)
    notes = {"blur": round(float(blur), 3), "noise": round(float(noise), 2), "quality": quality,
             "contrast": round(float(contrast), 3)}  # fmt: skip
    return Scan(data, to_pixels, dpi, turn * 90, notes)


def _geometry(
    size: np.ndarray, dpi: int, surround: str, rng: np.random.Generator, profile: Profile
) -> tuple[np.ndarray, tuple[int, int], str]:
    """Homography from page millimetres to pixels, the picture's height and width, and what surrounds the page."""
    corners = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float64) * size
    inward = rng.uniform(0, profile.perspective / 2, (4, 2)) * size
    bent = corners + inward * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    angle = np.deg2rad(rng.uniform(-profile.skew, profile.skew))
    if surround == "page" and abs(angle) > np.deg2rad(1.5):  # a scanner would cut the corner marks off
        surround = "lid"
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    placed = (bent - size / 2) @ spin.T
    if surround == "page":
        frame = np.stack([-size / 2, size / 2])
    else:
        border = rng.uniform(1.0, 8.0) if surround == "lid" else rng.uniform(4.0, 25.0)
        frame = np.stack([placed.min(axis=0) - border, placed.max(axis=0) + border])
    pixels = (placed - frame[0]) * dpi / 25.4
    matrix = cv2.getPerspectiveTransform(corners.astype(np.float32), pixels.astype(np.float32))
    width, height = np.ceil((frame[1] - frame[0]) * dpi / 25.4).astype(int)
    return matrix.astype(np.float64), (int(height), int(width)), surround


def _expose(
    page: np.ndarray, scale: float, to_pixels: np.ndarray, shape: tuple[int, int], surround: str,
    rng: np.random.Generator,
) -> np.ndarray:  # fmt: skip
    """The page on its background, as float32 gray."""
    height, width = shape
    shrink = np.sqrt(abs(np.linalg.det(to_pixels[:2, :2]))) / scale
    if shrink < 0.9:  # average before sampling coarsely, as a sensor does
        page = cv2.GaussianBlur(page, (0, 0), 0.35 / shrink)
    matrix = to_pixels @ np.diag([1 / scale, 1 / scale, 1.0])
    picture = cv2.warpPerspective(page, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=255)
    inside = cv2.warpPerspective(np.full_like(page, 255), matrix, (width, height), flags=cv2.INTER_LINEAR)
    paper = rng.uniform(0.9, 0.99)
    ground = _background((height, width), surround, rng)
    weight = inside.astype(np.float32) / 255
    return weight * (picture.astype(np.float32) * np.float32(paper)) + (1 - weight) * ground


def _background(shape: tuple[int, int], surround: str, rng: np.random.Generator) -> np.ndarray:
    """A scanner's lid (white or black) or a table top with some grain. float32 gray."""
    if surround == "page":
        return np.full(shape, 250, np.float32)
    if surround == "lid":
        return np.full(shape, 20 if rng.random() < 0.5 else 246, np.float32)
    coarse = rng.standard_normal((24, 3), dtype=np.float32)
    grain = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return (np.float32(rng.uniform(45, 140)) + 9 * grain).astype(np.float32)


def _light(picture: np.ndarray, rng: np.random.Generator, profile: Profile) -> np.ndarray:
    """Light that falls off across the page, and the soft shadow of a hand or a phone."""
    rows, columns = 48, 48
    y, x = np.mgrid[0:1:48j, 0:1:48j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    ramp = (x - 0.5) * np.cos(angle) + (y - 0.5) * np.sin(angle)
    lamp = 1 - rng.uniform(0, profile.gradient) * (0.5 + ramp)
    if rng.random() < profile.shadow:
        middle, lean, soft = rng.uniform(0.1, 0.9), rng.uniform(-0.6, 0.6), rng.uniform(0.01, 0.1)
        side = x + lean * (y - 0.5) - middle
        if rng.random() < 0.5:
            side = -side
        lamp = lamp * (1 - rng.uniform(0.1, 0.4) / (1 + np.exp(np.clip(-side / soft, -50, 50))))
    lamp = cv2.resize(lamp.astype(np.float32).reshape(rows, columns), picture.shape[::-1])
    return picture * lamp


def _dust(picture: np.ndarray, dpi: int, rng: np.random.Generator, profile: Profile) -> np.ndarray:
    """Grains on the glass, at most a third of a millimetre."""
    for _ in range(int(rng.integers(0, profile.speckle + 1))):
        centre = (int(rng.integers(picture.shape[1])), int(rng.integers(picture.shape[0])))
        radius = int(rng.uniform(0, 0.17) * dpi / 25.4)
        cv2.circle(picture, centre, radius, float(rng.uniform(60, 180)), -1, cv2.LINE_AA)
    return picture


def _turned(picture: np.ndarray, to_pixels: np.ndarray, turn: int) -> tuple[np.ndarray, np.ndarray]:
    """Turned clockwise by `turn` quarters."""
    for _ in range(turn):
        quarter = np.array([[0, -1, picture.shape[0] - 1], [1, 0, 0], [0, 0, 1]], np.float64)
        picture, to_pixels = np.rot90(picture, -1), quarter @ to_pixels
    return np.ascontiguousarray(picture), to_pixels


def _encode(picture: np.ndarray, dpi: int, quality: int, colour: bool, rng: np.random.Generator) -> bytes:
    gray = np.clip(np.round(picture), 0, 255).astype(np.uint8)
    image = Image.fromarray(gray)
    if colour:
        tint = 1 - rng.uniform(0, 0.09, 3) * np.array([0.3, 0.6, 1.0])
        tables = [np.clip(np.arange(256) * t, 0, 255).astype(np.uint8) for t in tint]
        image = Image.merge("RGB", [Image.fromarray(table[gray]) for table in tables])
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, dpi=(dpi, dpi))
    return buffer.getvalue()
