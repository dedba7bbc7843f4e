"""Pages of PDF files, by PDFium. A page that is one scanned picture gives that picture as it was scanned; any
other page is rendered. PDFium is used by one thread of a process at a time."""

from __future__ import annotations

import atexit
import hashlib
import os
from dataclasses import replace
from functools import lru_cache
from typing import BinaryIO

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from grader.errors import PageError
from grader.exam.form import Channel
from grader.intake.pictures import Decoded, believable_dpi, check_size, decode_jpeg, pick_channel
from grader.intake.source import File, Stat

_PASSWORD_ERROR = pdfium_c.FPDF_ERR_PASSWORD
_SECURITY_ERROR = pdfium_c.FPDF_ERR_SECURITY
_TAIL_BYTES = 65_536  # some programs append to a PDF; readers look for its end mark well before the end
_COVERS = 0.85  # of the page: a scan may leave a margin
_EXPORT_AGAIN = "export or scan the PDF again"


def count_pages(file: File) -> int:
    """Pages of a PDF. Raises PageError: encrypted, truncated."""
    with _open(file) as document:
        return len(document)


def decode_page(file: File, number: int, channel: Channel, dpi: int, half_from: int | None = None) -> Decoded:
    """Decode page `number` (from 1); dpi: resolution for pages that must be rendered; half_from: see decode_jpeg.

    Raises PageError: encrypted, truncated, too_large.
    """
    document = _open_once(file, file.stat(), os.getpid())
    if not 1 <= number <= len(document):
        raise PageError("truncated", "the PDF has no such page", _EXPORT_AGAIN)
    try:
        page = document[number - 1]
        try:
            scan = _only_picture(page)
            return _scanned(page, scan, channel, half_from) if scan else _rendered(page, channel, dpi)
        finally:
            page.close()
    except pdfium.PdfiumError as error:
        raise PageError("truncated", f"this page of the PDF is damaged ({error})", _EXPORT_AGAIN) from error


def _open(file: File) -> pdfium.PdfDocument:
    stream = file.open()
    if not _is_whole(stream):  # PDFium would repair it and drop the pages that are lost, without a word
        stream.close()
        raise PageError("truncated", "the PDF stops before its end", _EXPORT_AGAIN)
    try:
        return pdfium.PdfDocument(stream, autoclose=True)
    except pdfium.PdfiumError as error:
        with stream:
            if error.err_code in (_PASSWORD_ERROR, _SECURITY_ERROR) and _names_encryption(stream):
                raise PageError("encrypted", "the PDF needs a password", "save it without a password") from error
        raise PageError("truncated", f"the PDF is damaged ({error})", _EXPORT_AGAIN) from error


def _names_encryption(stream: BinaryIO) -> bool:
    """PDFium's error code can be that of an earlier file, so the file itself must speak of encryption too (its
    trailer is never compressed: ISO 32000-1, 7.5.5 and 7.5.8)."""
    wanted, before = b"/Encrypt", b""
    stream.seek(0)
    while chunk := stream.read(1 << 20):
        if wanted in before + chunk:
            return True
        before = chunk[-len(wanted) :]
    return False


@lru_cache(maxsize=1)
def _open_once(file: File, state: Stat, pid: int) -> pdfium.PdfDocument:
    """Kept open, so that page after page of one file costs no new parse. pid: a forked child opens its own."""
    return _open(file)


atexit.register(_open_once.cache_clear)  # PDFium wants its documents closed before the process ends


def _is_whole(stream: BinaryIO) -> bool:
    """True if the end mark is there and, for a linearised file, all the bytes that its head announces
    (ISO 32000-1, 7.5.5 and annex F)."""
    head = stream.read(2048)
    size = stream.seek(0, os.SEEK_END)
    stream.seek(max(0, size - _TAIL_BYTES))
    tail = stream.read()
    if b"/Linearized" in head:
        announced = head.partition(b"/L ")[2].split(maxsplit=1)[:1]
        digits = announced[0].rstrip(b"/>") if announced else b""
        if digits.isdigit() and size < int(digits):
            return False
    return b"%%EOF" in tail


def _only_picture(page: pdfium.PdfPage) -> pdfium.PdfImage | None:
    """The picture that is the whole page: upright, opaque, nothing else visible. None: the page is rendered."""
    if pdfium_c.FPDFPage_GetAnnotCount(page):
        return None
    picture = None
    for thing in page.get_objects(max_depth=1):
        if isinstance(thing, pdfium.PdfImage):
            if picture is not None:
                return None
            picture = thing
        elif not _is_invisible_text(thing):
            return None
    if picture is None or pdfium_c.FPDFPageObj_HasTransparency(picture):
        return None
    matrix = picture.get_matrix()
    upright = abs(matrix.b) + abs(matrix.c) < 1e-3 * (abs(matrix.a) + abs(matrix.d))
    if not upright or matrix.a <= 0 or matrix.d <= 0:
        return None
    left, bottom, right, top = page.get_cropbox()
    inside = matrix.e >= left - 2 and matrix.f >= bottom - 2  # points: else a part of it is cropped away
    inside = inside and matrix.e + matrix.a <= right + 2 and matrix.f + matrix.d <= top + 2
    covers = matrix.a * matrix.d >= _COVERS * (right - left) * (top - bottom)
    return picture if inside and covers and _is_plain(picture) else None


def _is_invisible_text(thing: pdfium.PdfObject) -> bool:
    """The text layer that OCR programs lay under a scan."""
    if thing.type != pdfium_c.FPDF_PAGEOBJ_TEXT:
        return False
    return bool(pdfium_c.FPDFTextObj_GetTextRenderMode(thing) == pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE)


def _is_visible(thing: pdfium.PdfObject) -> bool:
    """True for what should leave a trace when it is rendered: PDFium leaves out what it cannot decode."""
    return thing.type == pdfium_c.FPDF_PAGEOBJ_IMAGE or (
        thing.type == pdfium_c.FPDF_PAGEOBJ_TEXT and not _is_invisible_text(thing)
    )


def _is_plain(picture: pdfium.PdfImage) -> bool:
    """True for colour spaces in which the stored samples are what is seen (no stencil, ink or palette)."""
    return picture.get_metadata().colorspace in (
        pdfium_c.FPDF_COLORSPACE_DEVICEGRAY,
        pdfium_c.FPDF_COLORSPACE_DEVICERGB,
        pdfium_c.FPDF_COLORSPACE_CALGRAY,
        pdfium_c.FPDF_COLORSPACE_CALRGB,
        pdfium_c.FPDF_COLORSPACE_ICCBASED,
    )


def _scanned(page: pdfium.PdfPage, picture: pdfium.PdfImage, channel: Channel, half_from: int | None) -> Decoded:
    width, height = picture.get_px_size()
    check_size(width, height)
    inches = picture.get_matrix().a / 72
    dpi = believable_dpi((width / inches, width / inches), (width, height))
    turns = page.get_rotation() // 90  # clockwise
    if list(picture.get_filters(skip_simple=True)) == ["DCTDecode"]:
        found = decode_jpeg(bytes(picture.get_data(decode_simple=True)), channel, None if turns else half_from)
    else:
        pixels = picture.get_bitmap().to_numpy()
        if not pixels.any():  # PDFium leaves a picture black that it cannot decode
            raise PageError("truncated", "the scan on this page of the PDF is damaged", _EXPORT_AGAIN)
        found = Decoded(_plain(pixels, channel), dpi, _hash(pixels))
    gray = found.gray
    if turns and not callable(gray):
        gray = np.ascontiguousarray(np.rot90(gray, -turns))
    return replace(found, gray=gray, dpi=dpi)


def _rendered(page: pdfium.PdfPage, channel: Channel, dpi: int) -> Decoded:
    width, height = page.get_size()
    check_size(round(width / 72 * dpi), round(height / 72 * dpi))
    pixels = page.render(scale=dpi / 72, grayscale=channel == "gray").to_numpy()
    if pixels.min() == pixels.max() and any(_is_visible(thing) for thing in page.get_objects(max_depth=1)):
        raise PageError("truncated", "what is on this page of the PDF is damaged", _EXPORT_AGAIN)
    return Decoded(_plain(pixels, channel), float(dpi), _hash(pixels))


def _plain(pixels: np.ndarray, channel: Channel) -> np.ndarray:
    """PDFium's bitmap (height x width x 1, 3 or 4, BGR) as gray that outlives the bitmap."""
    image = pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    if image.ndim == 3:
        image = image[:, :, :3]
    return np.array(pick_channel(image, channel), order="C")


def _hash(pixels: np.ndarray) -> str:
    return hashlib.sha256(f"{pixels.shape}".encode() + np.ascontiguousarray(pixels).tobytes()).hexdigest()
