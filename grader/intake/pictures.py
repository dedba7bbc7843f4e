"""Picture files to 8-bit gray: JPEG by OpenCV (libjpeg gives luminance without decoding colour), the rest by Pillow.

The header is read first and nothing larger than the limits is ever decoded. Stored pixels are taken as they
are: the orientation that a camera writes into EXIF is often wrong on a desk, and registration tries all turns.
"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import BinaryIO

import cv2
import numpy as np
from PIL import Image

from grader.errors import PageError
from grader.exam.form import Channel
from grader.intake.source import File, Stat

MAX_SIDE = 16_384  # pixels; A3 at 600 dpi is 9,921 long, the largest phone sensors are 16,320 wide
MAX_PIXELS = 100_000_000  # A3 at 600 dpi is 70 million; gray, this is 100 MB
MAX_BYTES = 512 << 20  # of an encoded single picture; an uncompressed picture of MAX_PIXELS in colour has 300 MB

_BELIEVABLE_DPI = (90.0, 1300.0)
_DEFAULT_DPI = frozenset({72, 96})  # written by programs that do not know; no scanner means them
_BELIEVABLE_LONG_SIDE_MM = (90.0, 700.0)  # A6 to A2, with a margin

_SCAN_AGAIN = "scan the page again, or export it again from where it came"
_SMALLER = f"scan at 300 dpi; at most {MAX_SIDE} pixels a side and {MAX_PIXELS // 10**6} million in all"

warnings.filterwarnings("ignore", module="PIL")  # damage that matters is raised; the rest is not for the user
Image.MAX_IMAGE_PIXELS = None  # the limits above are checked instead, from the header, before decoding


@dataclass(frozen=True, eq=False)
class Decoded:
    """gray: height x width uint8 of the channel asked for, or what decodes it. dpi: None where the file's is not
    believable. coarse: the picture at half its size, where that was decoded first."""

    gray: np.ndarray | Callable[[], np.ndarray]
    dpi: float | None
    sha256: str
    coarse: np.ndarray | None = None


def decode_jpeg(data: bytes, channel: Channel, half_from: int | None = None) -> Decoded:
    """Decode a whole JPEG file. A picture over MAX_PIXELS is decoded at half scale only.

    half_from: a picture whose longer side has at least so many pixels is decoded at half its size first, which costs
    half the time (libjpeg leaves out the higher frequencies), and in full only when that is asked for.

    Raises PageError: truncated, too_large.
    """
    header = _open(io.BytesIO(data))
    halved = _halved(header)
    if not halved:
        check_size(*header.size)
    if not _jpeg_ends(data):
        raise PageError("truncated", "the JPEG stops before its end", _SCAN_AGAIN)
    sha256 = hashlib.sha256(data).hexdigest()
    dpi = believable_dpi(header.info.get("dpi"), header.size)
    if header.mode not in ("L", "RGB"):  # CMYK needs Pillow's knowledge of Adobe's inverted inks
        return Decoded(to_gray(_load(header), channel), dpi, sha256)
    if half_from is not None and not halved and max(header.size) >= half_from:
        return Decoded(lambda: _jpeg(data, channel, False), dpi, sha256, _jpeg(data, channel, True))
    return Decoded(_jpeg(data, channel, halved), dpi / 2 if dpi and halved else dpi, sha256)


def _jpeg(data: bytes, channel: Channel, halved: bool) -> np.ndarray:
    if channel == "gray":
        flags = cv2.IMREAD_REDUCED_GRAYSCALE_2 if halved else cv2.IMREAD_GRAYSCALE
    else:
        flags = cv2.IMREAD_REDUCED_COLOR_2 if halved else cv2.IMREAD_COLOR
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags | cv2.IMREAD_IGNORE_ORIENTATION)
    except cv2.error:
        image = None
    if image is None or _flat_tail(image, 12 if halved else 24):
        raise PageError("truncated", "the JPEG is damaged", _SCAN_AGAIN)
    return pick_channel(image, channel)


def decode_single(data: bytes, channel: Channel) -> Decoded:
    """Decode a picture file of one page that is not a JPEG. Raises PageError: truncated, too_large."""
    image = _open(io.BytesIO(data))
    check_size(*image.size)
    if image.format == "PNG":  # decoding alone would take a damaged chunk for a fine picture
        try:
            Image.open(io.BytesIO(data)).verify()
        except Exception as error:
            raise PageError("truncated", f"the PNG is cut off or damaged ({error})", _SCAN_AGAIN) from error
    gray = to_gray(_load(image), channel)
    return Decoded(gray, believable_dpi(image.info.get("dpi"), image.size), hashlib.sha256(data).hexdigest())


def count_frames(file: File) -> int:
    """Pictures in a TIFF, GIF or WebP file. Where one is damaged, the count includes it and stops there."""
    with file.open() as stream, _open(stream) as image:
        count = 0
        while True:
            try:
                image.seek(count)
            except EOFError:
                return count
            except Exception:  # a decoder may raise anything on damaged data
                return count + 1
            count += 1


def decode_frame(file: File, number: int, channel: Channel) -> Decoded:
    """Decode picture `number` (from 1) of a TIFF, GIF or WebP file; sha256 is of its pixels.

    Raises PageError: truncated, too_large.
    """
    image = _open_frames(file, file.stat(), os.getpid())
    try:
        image.seek(number - 1)
    except Exception as error:  # a decoder may raise anything on damaged data
        raise PageError("truncated", "this page of the file is cut off or damaged", _SCAN_AGAIN) from error
    check_size(*image.size)
    pixels = _load(image)
    described = f"{pixels.mode} {pixels.size}".encode()
    sha256 = hashlib.sha256(described + pixels.tobytes()).hexdigest()
    return Decoded(to_gray(pixels, channel), believable_dpi(image.info.get("dpi"), image.size), sha256)


def check_size(width: int, height: int) -> None:
    """Raises PageError too_large for a picture that is larger than the limits."""
    if max(width, height) > MAX_SIDE or width * height > MAX_PIXELS:
        raise PageError("too_large", f"the picture has {width} x {height} pixels", _SMALLER)


def believable_dpi(dpi: tuple[float, float] | None, size: tuple[int, int]) -> float | None:
    """The resolution a file states, or None: square pixels, a scanner's number, paper between A6 and A2."""
    if dpi is None:
        return None
    try:
        across, down = (float(value) for value in dpi)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    low, high = _BELIEVABLE_DPI
    if not (low <= across <= high and abs(across - down) <= 0.01 * across) or round(across) in _DEFAULT_DPI:
        return None
    shortest, longest = _BELIEVABLE_LONG_SIDE_MM
    return across if shortest <= max(size) / across * 25.4 <= longest else None


def to_gray(image: Image.Image, channel: Channel) -> np.ndarray:
    """A loaded Pillow picture of any mode as uint8 gray. What is transparent is paper: white."""
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits a pixel, in Pillow's several spellings
        values = np.asarray(image)
        peak = 1.0 if image.mode == "F" and values.max() <= 1 else 255.0 if values.max() <= 255 else 65535.0
        return np.clip(values.astype(np.float32) * (255.0 / peak), 0, 255).astype(np.uint8)
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))
    if channel == "gray":
        return np.asarray(image.convert("RGB").convert("L"))
    return pick_channel(np.asarray(image.convert("RGB"))[:, :, ::-1], channel)


def pick_channel(image: np.ndarray, channel: Channel) -> np.ndarray:
    """One channel (height x width uint8) of a gray or BGR uint8 picture."""
    if image.ndim == 2:
        return image
    if channel == "gray":
        return cv2.cvtColor(np.ascontiguousarray(image), cv2.COLOR_BGR2GRAY)
    if channel in ("min", "max"):
        return image.min(axis=2) if channel == "min" else image.max(axis=2)
    return np.ascontiguousarray(image[:, :, ("blue", "green", "red").index(channel)])


def _open(stream: BinaryIO) -> Image.Image:
    try:
        return Image.open(stream)
    except Exception as error:  # a decoder may raise anything on damaged data
        raise PageError("truncated", "the picture's header is cut off or damaged", _SCAN_AGAIN) from error


def _load(image: Image.Image) -> Image.Image:
    try:
        image.load()
    except Exception as error:  # a decoder may raise anything on damaged data
        raise PageError("truncated", f"the picture is cut off or damaged ({error})", _SCAN_AGAIN) from error
    return image


@lru_cache(maxsize=1)
def _open_frames(file: File, state: Stat, pid: int) -> Image.Image:
    """Kept open, so that page after page of one file costs no new walk. pid: a forked child opens its own."""
    return _open(file.open())


def _halved(header: Image.Image) -> bool:
    width, height = header.size
    fits = max(width, height) <= MAX_SIDE and width * height > MAX_PIXELS
    return fits and header.mode in ("L", "RGB") and not header.info.get("progressive")


def _jpeg_ends(data: bytes) -> bool:
    """True if an end-of-image marker follows the first scan (a thumbnail's lies before it; within a scan the
    byte FF is always stuffed). Decoders differ: some fill what is missing with gray and say nothing."""
    position = 2
    while position + 4 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
        elif marker == 0xDA:
            return data.rfind(b"\xff\xd9", position) >= 0
        elif marker in (0x01, *range(0xD0, 0xD8)):  # markers without a length
            position += 2
        else:
            position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
    return False


def _flat_tail(image: np.ndarray, rows: int) -> bool:
    """True if the last rows are one exact colour: what decoders paint where data is missing, mid-gray or the tone
    of the paper before it. Real paper has noise; scanners clip to white and pad with dark, which strong compression
    makes flat, and a drawn background is also at the top."""
    tail, colour = image[-rows:], image[-1, 0]
    if not np.all(image[-1] == colour):
        return False
    drawn = bool(np.all(image[0] == colour)) or not 64 < int(np.mean(colour)) < 247
    return len(image) > rows and not drawn and bool(np.all(tail == colour))
