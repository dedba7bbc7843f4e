"""What a file is, told by its first bytes: names and extensions are not believed."""

from __future__ import annotations

from typing import Literal

Kind = Literal["jpeg", "png", "tiff", "pdf", "bmp", "webp", "gif", "jpeg2000", "heic", "unknown", "empty"]

MANY_PAGES: frozenset[Kind] = frozenset({"pdf", "tiff", "gif", "webp"})  # kinds of files that can hold several

HEAD_BYTES = 1024  # the PDF standard's readers accept a header anywhere in the first 1024 bytes

_MAGIC: tuple[tuple[bytes, Kind], ...] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"II*\x00", "tiff"),
    (b"MM\x00*", "tiff"),
    (b"II+\x00", "tiff"),
    (b"MM\x00+", "tiff"),
    (b"BM", "bmp"),
    (b"GIF8", "gif"),
    (b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jpeg2000"),
    (b"\xff\x4f\xff\x51", "jpeg2000"),
)
_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")


def sniff(head: bytes) -> Kind:
    """The kind of a file whose first HEAD_BYTES bytes (or fewer, if it is shorter) are `head`."""
    if not head:
        return "empty"
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return "heic"
    return "pdf" if b"%PDF-" in head else "unknown"
