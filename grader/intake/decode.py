"""One page of a file, decoded: the single entry to everything that can be read."""

from __future__ import annotations

import stat
from pathlib import Path

from grader.errors import PageError
from grader.exam.form import Channel
from grader.intake.formats import HEAD_BYTES, Kind, sniff
from grader.intake.pictures import MAX_BYTES, Decoded, decode_frame, decode_jpeg, decode_single
from grader.intake.plan import path_of
from grader.records import Page, PageRef
from grader.stages import stage

_READABLE = "give JPEG, PNG, TIFF or PDF"


def load_page(ref: PageRef, channel: Channel = "gray", pdf_dpi: int = 200) -> Page:
    """Decode one page to 8-bit gray of the channel asked for, its pixels as they are stored.

    pdf_dpi: resolution for PDF pages that are not scans. Raises PageError, naming the file and a remedy:
    empty_file, not_an_image, unsupported_kind, truncated, encrypted, too_large, unreadable_file.
    """
    try:
        found = _decode(path_of(ref), ref.page, channel, pdf_dpi)
    except PageError as error:
        where = ref.file if ref.page == 1 else f"{ref.file} page {ref.page}"
        raise PageError(error.reason, f"{where}: {error.message}", error.remedy) from error
    return Page(ref, found.gray, found.dpi, found.sha256)


def _decode(path: Path, number: int, channel: Channel, pdf_dpi: int) -> Decoded:
    try:
        kind = _kind(path)
        if kind == "pdf":
            from grader.intake.pdf import decode_page

            return decode_page(path, number, channel, pdf_dpi)
        if kind in ("tiff", "gif", "webp"):
            return decode_frame(path, number, channel)
        with stage("input"):
            data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PageError(
            "unreadable_file", f"it cannot be opened ({reason})", "check its path and permissions"
        ) from error
    return decode_jpeg(data, channel) if kind == "jpeg" else decode_single(data, channel)


def _kind(path: Path) -> Kind:
    """The kind of a file that can be read. Raises PageError for all others, OSError as the system does."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        next(path.iterdir(), None)  # a folder is only asked for where it could not be listed
        raise PageError("unreadable_file", "it is a folder", "give the files in it")
    if not stat.S_ISREG(status.st_mode):  # opening a pipe could wait for ever
        raise PageError("not_an_image", "it is not a regular file", _READABLE)
    with path.open("rb") as stream:
        kind = sniff(stream.read(HEAD_BYTES))
    if kind == "empty":
        raise PageError("empty_file", "the file has no bytes", "copy or scan it again")
    if kind == "unknown":
        raise PageError("not_an_image", "it is neither a picture nor a PDF, whatever its name says", _READABLE)
    if kind == "heic":
        remedy = "save as JPEG; on iPhone: Settings, Camera, Formats, Most Compatible"
        raise PageError("unsupported_kind", "HEIC and AVIF photos are not read", remedy)
    if kind not in ("pdf", "tiff") and status.st_size > MAX_BYTES:
        raise PageError("too_large", f"the file has {status.st_size >> 20} MiB", f"at most {MAX_BYTES >> 20} MiB")
    return kind
