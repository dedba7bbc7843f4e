"""Writes the files that a batch meets on a bad day, each with the reason that the ledger must give.

`DAMAGED` needs nothing; the stacks at the end are made from good page files.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image
from reportlab.lib.pdfencrypt import StandardEncryption
from reportlab.pdfgen.canvas import Canvas

A4_200 = (2339, 1654)  # height x width in pixels


def sheet(shape: tuple[int, int] = A4_200, seed: int = 1) -> np.ndarray:
    """A page of ruled boxes, bubbles and strokes on slightly noisy paper, uint8 gray: a form, but nobody's."""
    random = np.random.default_rng(seed)
    height, width = shape
    page = np.full(shape, 240, np.uint8)
    unit = width / 210  # pixels in a millimetre
    for row in range(int(height / unit / 12) - 3):
        y = int((20 + 12 * row) * unit)
        for column in range(10):
            centre = (int((25 + 16 * column) * unit), y)
            filled = -1 if random.random() < 0.2 else max(1, round(0.3 * unit))
            cv2.circle(page, centre, int(2.2 * unit), 40, filled, cv2.LINE_AA)
        cv2.line(page, (int(15 * unit), y + int(6 * unit)), (int(190 * unit), y + int(6 * unit)), 60, 2)
    return np.clip(page + random.normal(0, 3, shape), 0, 255).astype(np.uint8)


def encoded(gray: np.ndarray, kind: str = ".jpg") -> bytes:
    """A picture as bytes of a file of that kind."""
    return bytes(cv2.imencode(kind, gray)[1])


def pdf_of(pictures: Sequence[bytes], encrypt: str | None = None, invariant: bool = True) -> bytes:
    """A PDF with one A4 page a JPEG or PNG."""
    stream = io.BytesIO()
    encryption = StandardEncryption(encrypt, ownerPassword="owner", strength=128) if encrypt else None
    canvas = Canvas(stream, pagesize=(595.2, 841.8), encrypt=encryption, invariant=invariant)
    for picture in pictures:
        canvas.drawInlineImage(Image.open(io.BytesIO(picture)), 0, 0, 595.2, 841.8)
        canvas.showPage()
    canvas.save()
    return stream.getvalue()


def tiff_of(pages: Sequence[np.ndarray], compression: str = "tiff_lzw") -> bytes:
    """A TIFF of several pages; group4 makes them 1-bit."""
    images = [Image.fromarray(page) for page in pages]
    if compression == "group4":
        images = [image.convert("1") for image in images]
    stream = io.BytesIO()
    images[0].save(stream, "TIFF", compression=compression, save_all=True, append_images=images[1:], dpi=(200, 200))
    return stream.getvalue()


def cut(data: bytes, share: float = 0.6) -> bytes:
    """The first part of a file, as when a copy was interrupted."""
    return data[: int(len(data) * share)]


def gutted(data: bytes, share: float = 0.5) -> bytes:
    """A file whose middle was overwritten with zeros, its end intact, as when a disk lost a sector."""
    start = int(len(data) * share)
    return data[:start] + bytes(4096) + data[start + 4096 :]


def huge_png(side: int = 20_000) -> bytes:
    """A white picture of side x side pixels in a few hundred kilobytes."""
    stream = io.BytesIO()
    Image.new("1", (side, side), 1).save(stream, "PNG")
    return stream.getvalue()


def huge_jpeg(side: int = 20_000) -> bytes:
    """The head of a JPEG of 8 x 8 that says it has side x side: a decompression bomb."""
    data = bytearray(encoded(np.full((8, 8), 255, np.uint8)))
    frame = data.index(b"\xff\xc0")
    data[frame + 5 : frame + 9] = side.to_bytes(2, "big") * 2
    return bytes(data)


def blank() -> bytes:
    """Paper with nothing on it but scanner noise."""
    noise = np.random.default_rng(2).normal(238, 3, A4_200)
    return encoded(np.clip(noise, 0, 255).astype(np.uint8))


def blurred() -> bytes:
    """A page photographed far out of focus."""
    return encoded(cv2.GaussianBlur(sheet(), (0, 0), 14))


# file name → (its bytes, the reason in the ledger)
DAMAGED: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.jpg": (lambda: b"", "empty_file"),
    "cut.jpg": (lambda: cut(encoded(sheet())), "truncated"),
    "cut-in-the-header.jpg": (lambda: encoded(sheet())[:300], "truncated"),
    "cut.png": (lambda: cut(encoded(sheet(), ".png")), "truncated"),
    "gutted.png": (lambda: gutted(encoded(sheet(), ".png")), "truncated"),
    "cut.tif": (lambda: cut(tiff_of([sheet()])), "truncated"),
    "cut.pdf": (lambda: cut(pdf_of([encoded(sheet())])), "truncated"),
    "encrypted.pdf": (lambda: pdf_of([encoded(sheet())], encrypt="secret"), "encrypted"),
    "text.jpg": ("答案：B\nThis is not a picture.\n".encode, "not_an_image"),
    "page.html": (lambda: b"<!DOCTYPE html><script>alert(1)</script>", "not_an_image"),
    "huge.png": (huge_png, "too_large"),
    "huge.jpg": (huge_jpeg, "too_large"),
    "photo.heic": (lambda: b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic" + bytes(64), "unsupported_kind"),
    "stamp.png": (lambda: encoded(sheet((200, 141)), ".png"), "too_small"),
    "strip.png": (lambda: encoded(sheet((3000, 500)), ".png"), "cropped"),
    "blank.jpg": (blank, "blank_page"),
    "dark.jpg": (lambda: encoded((sheet() * 0.12).astype(np.uint8)), "too_dark"),
    "faint.jpg": (lambda: encoded((200 + sheet() * 0.12).astype(np.uint8)), "low_contrast"),
    "blurred.jpg": (blurred, "blurred"),
}


def write_damaged(folder: Path) -> dict[Path, str]:
    """Write every damaged file; file → expected reason."""
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}
    for name, (make, reason) in DAMAGED.items():
        (folder / name).write_bytes(make())
        expected[folder / name] = reason
    return expected


def write_foreign_form(path: Path) -> Path:
    """A clear page of a form that belongs to nobody."""
    path.write_bytes(encoded(sheet(seed=3)))
    return path


def upside_down(pages: Sequence[Path], folder: Path) -> list[Path]:
    """The pages of a stack that was fed the wrong way round."""
    folder.mkdir(parents=True, exist_ok=True)
    turned = []
    for page in pages:
        picture = cv2.imread(str(page), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
        target = folder / f"{page.stem}.png"
        cv2.imwrite(str(target), cv2.rotate(picture, cv2.ROTATE_180))
        turned.append(target)
    return turned


def copied(pages: Sequence[Path], folder: Path) -> list[Path]:
    """Byte-identical copies under other names."""
    folder.mkdir(parents=True, exist_ok=True)
    return [Path(shutil.copyfile(page, folder / f"copy-of-{page.name}")) for page in pages]


def saved_again(pages: Sequence[Path], folder: Path, quality: int = 60) -> list[Path]:
    """The same pictures, saved again as JPEG: other bytes, same page."""
    folder.mkdir(parents=True, exist_ok=True)
    saved = []
    for page in pages:
        picture = cv2.imread(str(page), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
        target = folder / f"again-{page.stem}.jpg"
        cv2.imwrite(str(target), picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
        saved.append(target)
    return saved


def without(pages: Sequence[Path], missing: int, folder: Path) -> list[Path]:
    """The stack without page number `missing` (from 0)."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = [page for number, page in enumerate(pages) if number != missing]
    return [Path(shutil.copyfile(page, folder / page.name)) for page in kept]
