"""Intake: every kind of file decodes to the same page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import hostile
import numpy as np
import pytest
from PIL import Image
from reportlab.pdfgen.canvas import Canvas
from scans import SHEET, refusal, saved, sheet_as, write

from grader.intake.decode import load_page
from grader.intake.duplicates import fingerprint, same_picture
from grader.intake.plan import list_pages
from grader.intake.quality import check_quality
from grader.records import PageRef

# What is read


def test_jpeg_pixels_are_the_stored_ones_whatever_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees"
    image = Image.fromarray(SHEET)
    plain = write(tmp_path, "plain.jpg", saved(image, "JPEG", dpi=(200, 200)))
    turned = write(tmp_path, "turned.jpg", saved(image, "JPEG", exif=exif))
    page = load_page(PageRef(str(turned)))
    assert np.array_equal(page.gray, load_page(PageRef(str(plain))).gray)
    assert page.dpi is None
    assert load_page(PageRef(str(plain))).dpi == pytest.approx(200)


@pytest.mark.parametrize("dpi", [72, 96, 20, 5000, 1000])
def test_a_resolution_that_cannot_be_is_not_believed(dpi: int, tmp_path: Path) -> None:
    path = write(tmp_path, "page.jpg", saved(Image.fromarray(SHEET), "JPEG", dpi=(dpi, dpi)))
    assert load_page(PageRef(str(path))).dpi is None


def _gray16() -> Image.Image:
    return Image.fromarray(SHEET.astype(np.uint16) * 257)


def _transparent() -> Image.Image:
    """Black ink on transparent black: what is not ink must come out as paper."""
    return Image.merge("RGBA", [Image.new("L", SHEET.shape[::-1])] * 3 + [Image.fromarray(255 - SHEET)])


KINDS: dict[str, Callable[[], bytes]] = {
    "gray.png": lambda: saved(Image.fromarray(SHEET), "PNG"),
    "16-bit.png": lambda: saved(_gray16(), "PNG"),
    "16-bit.tif": lambda: saved(_gray16(), "TIFF"),
    "alpha.png": lambda: saved(_transparent(), "PNG", compress_level=1),
    "gray-alpha.png": lambda: saved(_transparent().convert("LA"), "PNG", compress_level=1),
    "palette.png": lambda: saved(Image.fromarray(SHEET).convert("RGB").quantize(256), "PNG"),
    "1-bit.png": lambda: saved(Image.fromarray(SHEET).convert("1"), "PNG"),
    "colour.jpg": lambda: saved(Image.fromarray(SHEET).convert("RGB"), "JPEG", quality=90),
    "progressive.jpg": lambda: saved(Image.fromarray(SHEET), "JPEG", quality=90, progressive=True),
    "cmyk.jpg": lambda: saved(Image.fromarray(SHEET).convert("RGB").convert("CMYK"), "JPEG", quality=95),
    "lzw.tif": lambda: sheet_as(".tif"),
    "g4.tif": lambda: sheet_as(".g4"),
    "jpeg.tif": lambda: hostile.tiff_of([SHEET], "jpeg"),
    "cmyk.tif": lambda: saved(Image.fromarray(SHEET).convert("RGB").convert("CMYK"), "TIFF"),
    "page.bmp": lambda: sheet_as(".bmp"),
    "page.webp": lambda: sheet_as(".webp"),
    "page.gif": lambda: saved(Image.fromarray(SHEET), "GIF"),
    "page.jp2": lambda: saved(Image.fromarray(SHEET), "JPEG2000"),
    "png-without-extension": lambda: saved(Image.fromarray(SHEET), "PNG"),
    "gray.pdf": lambda: sheet_as(".pdf"),
    "1-bit.pdf": lambda: saved(Image.fromarray(SHEET).convert("1"), "PDF", resolution=200),
    "palette.pdf": lambda: saved(Image.fromarray(SHEET).convert("P"), "PDF", resolution=200),
    "colour.pdf": lambda: saved(Image.fromarray(SHEET).convert("RGB"), "PDF", resolution=200),
    "cmyk.pdf": lambda: saved(Image.fromarray(SHEET).convert("RGB").convert("CMYK"), "PDF", resolution=200),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_decodes_to_the_same_page(name: str, tmp_path: Path) -> None:
    page = load_page(PageRef(str(write(tmp_path, name, KINDS[name]()))))
    check_quality(page)
    slack = 1 if name in ("palette.pdf", "cmyk.pdf") else 0  # rendered: a part of a pixel is a pixel
    assert np.abs(np.subtract(page.gray.shape, SHEET.shape)).max() <= slack
    assert page.gray.dtype == np.uint8
    assert len(page.sha256) == 64
    coarse, expected = (cv2.resize(g, (100, 141), interpolation=cv2.INTER_AREA).astype(int) for g in (page.gray, SHEET))
    assert np.abs(coarse - expected).mean() < (8 if name.startswith(("1-bit", "g4", "cmyk")) else 2)


@pytest.mark.parametrize(
    ("channel", "level"), [("red", 200), ("green", 120), ("blue", 40), ("min", 40), ("max", 200), ("gray", 135)]
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "PDF"])
def test_channels(kind: str, channel: str, level: int, tmp_path: Path) -> None:
    path = write(tmp_path, "page", saved(Image.new("RGB", (600, 800), (200, 120, 40)), kind))
    page = load_page(PageRef(str(path)), channel)  # type: ignore[arg-type]
    assert abs(int(np.median(page.gray)) - level) <= 2


def test_pages_of_one_file_are_distinct_and_repeatable(tmp_path: Path) -> None:
    sheets = [hostile.sheet((700, 495), seed) for seed in range(4)]
    for path in (
        write(tmp_path, "four.tif", hostile.tiff_of(sheets, "group4")),
        write(tmp_path, "four.pdf", hostile.pdf_of([hostile.encoded(sheet) for sheet in sheets])),
    ):
        refs = list_pages([path])
        assert [ref.page for ref in refs] == [1, 2, 3, 4]
        hashes = [load_page(ref).sha256 for ref in refs]
        assert len(set(hashes)) == 4
        assert [load_page(ref).sha256 for ref in reversed(refs)] == hashes[::-1]


def test_a_scanned_pdf_page_gives_the_scan_itself(tmp_path: Path) -> None:
    jpeg = write(tmp_path, "scan.jpg", sheet_as(".jpg"))
    canvas = Canvas(str(tmp_path / "scan.pdf"), pagesize=(595.2, 841.8))
    canvas.drawImage(str(jpeg), 0, 0, 595.2, 841.8)
    text = canvas.beginText(100, 100)
    text.setTextRenderMode(3)  # invisible: the text layer of an OCR program
    text.textOut("recognised text")
    canvas.drawText(text)
    canvas.save()
    page = load_page(PageRef(str(tmp_path / "scan.pdf")))
    assert np.array_equal(page.gray, load_page(PageRef(str(jpeg))).gray)
    assert page.sha256 == load_page(PageRef(str(jpeg))).sha256
    assert page.dpi == pytest.approx(200, abs=0.5)


def test_a_pdf_page_with_something_over_the_scan_is_rendered_whole(tmp_path: Path) -> None:
    jpeg = write(tmp_path, "scan.jpg", hostile.encoded(np.full(A4_HALF, 240, np.uint8)))
    canvas = Canvas(str(tmp_path / "scan.pdf"), pagesize=(595.2, 841.8))
    canvas.drawImage(str(jpeg), 0, 0, 595.2, 841.8)
    canvas.rect(100, 100, 200, 200, fill=1)
    canvas.save()
    page = load_page(PageRef(str(tmp_path / "scan.pdf")), pdf_dpi=150)
    assert abs(page.gray.shape[0] - 1754) <= 1
    assert page.gray.min() < 10
    assert page.dpi == 150


A4_HALF = (1170, 827)


def test_a_pdf_page_whose_picture_cannot_be_decoded_is_damaged_not_blank(tmp_path: Path) -> None:
    whole = tmp_path / "whole.pdf"
    canvas = Canvas(str(whole), pagesize=(595.2, 841.8), pageCompression=0)
    canvas.drawImage(str(write(tmp_path, "scan.png", sheet_as(".png"))), 0, 0, 595.2, 841.8)
    canvas.save()
    data = whole.read_bytes()
    start = data.index(b"stream", data.index(b"/Subtype /Image")) + 8
    broken = data[:start] + b"!" * 5000 + data[start + 5000 :]
    assert load_page(PageRef(str(whole))).gray.shape == SHEET.shape
    assert refusal(write(tmp_path, "broken.pdf", broken)).reason == "truncated"


def test_a_pdf_without_pages_after_an_encrypted_one_is_damaged_not_encrypted(tmp_path: Path) -> None:
    secret = write(tmp_path, "secret.pdf", hostile.pdf_of([sheet_as(".jpg")], encrypt="x"))
    Canvas(str(tmp_path / "none.pdf")).save()
    assert refusal(secret).reason == "encrypted"
    assert refusal(tmp_path / "none.pdf").reason == "truncated"


@pytest.mark.parametrize("colour", [255, 0])
def test_a_blank_pdf_page_is_blank(colour: int, tmp_path: Path) -> None:
    canvas = Canvas(str(tmp_path / "blank.pdf"), pagesize=(595.2, 841.8))
    canvas.showPage()
    canvas.save()
    assert refusal(tmp_path / "blank.pdf").reason == "blank_page"
    picture = hostile.encoded(np.full(A4_HALF, colour, np.uint8))
    error = refusal(write(tmp_path, "scan.pdf", hostile.pdf_of([picture])))
    assert error.reason == ("blank_page" if colour else "too_dark")


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_turned_pdf_page_is_seen_as_readers_show_it(turns: int, tmp_path: Path) -> None:
    jpeg = write(tmp_path, "scan.jpg", sheet_as(".jpg"))
    for name, extra in (("scan.pdf", False), ("vector.pdf", True)):
        canvas = Canvas(str(tmp_path / name), pagesize=(595.2, 841.8))
        canvas.setPageRotation(90 * turns)
        canvas.drawImage(str(jpeg), 0, 0, 595.2, 841.8)
        if extra:
            canvas.rect(1, 1, 2, 2, fill=1)
        canvas.save()
    scan, rendered = (load_page(PageRef(str(tmp_path / name))).gray for name in ("scan.pdf", "vector.pdf"))
    small = [cv2.resize(gray, (90, 90), interpolation=cv2.INTER_AREA).astype(int) for gray in (scan, rendered)]
    assert np.abs(small[0] - small[1]).mean() < 3


def test_a_photo_too_large_is_read_at_half_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grader.intake.pictures.MAX_PIXELS", 3_000_000)
    photo = saved(Image.fromarray(SHEET), "JPEG", dpi=(200, 200))
    page = load_page(PageRef(str(write(tmp_path, "photo.jpg", photo))))
    assert page.gray.shape == (1170, 827)
    assert page.dpi == pytest.approx(100)
    assert refusal(write(tmp_path, "photo.png", hostile.encoded(SHEET, ".png"))).reason == "too_large"


# Duplicates


def test_a_picture_saved_again_is_the_same_and_one_more_bubble_is_not() -> None:
    again = cv2.imdecode(cv2.imencode(".jpg", SHEET, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_GRAYSCALE)
    other = SHEET.copy()
    cv2.circle(other, (760, 1200), 16, 40, -1)
    assert fingerprint(SHEET) == fingerprint(SHEET.copy())
    assert same_picture(fingerprint(SHEET), fingerprint(again))
    assert not same_picture(fingerprint(SHEET), fingerprint(other))
    assert not same_picture(fingerprint(SHEET), fingerprint(np.roll(SHEET, 8, axis=1)))
