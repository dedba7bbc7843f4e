"""One page of a file, decoded: the single entry to everything that can be read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from grader.errors import PageError
from grader.exam.form import Channel
from grader.intake.formats import HEAD_BYTES, MANY_PAGES, Kind, sniff
from grader.intake.pictures import MAX_BYTES, Decoded, decode_frame, decode_jpeg, decode_single
from grader.intake.source import Stat, file_of, is_url, says_one_page
from grader.records import Page, PageRef
from grader.stages import stage

if TYPE_CHECKING:
    import numpy as np

_READABLE = "give JPEG, PNG, TIFF or PDF"
_NAME_IT = "give the file a name that ends as its kind does"


def load_page(ref: PageRef, channel: Channel = "gray", pdf_dpi: int = 200, half_from: int | None = None) -> Page:
    """Decode one page to 8-bit gray of the channel asked for, its pixels as they are stored.

    pdf_dpi: resolution for PDF pages that are not scans. half_from: where half the size is likely to do: a JPEG whose
    longer side has at least so many pixels is decoded at half its size, and in full when `Page.gray` is asked for.
    Raises PageError, naming the file and a remedy: empty_file, not_an_image, unsupported_kind, truncated, encrypted,
    too_large, unreadable_file.
    """
    with _named(ref):
        found = _decode(ref, channel, pdf_dpi, half_from)
    picture = partial(_later, ref, found.gray) if callable(found.gray) else found.gray
    return Page(ref, picture, found.dpi, found.sha256, found.coarse)


def _later(ref: PageRef, decode: Callable[[], np.ndarray]) -> np.ndarray:
    with stage("decode"), _named(ref):
        return decode()


@contextmanager
def _named(ref: PageRef) -> Iterator[None]:
    """What is wrong with a page is said of its file."""
    try:
        yield
    except PageError as error:
        where = ref.file if ref.page == 1 else f"{ref.file} page {ref.page}"
        raise PageError(error.reason, f"{where}: {error.message}", error.remedy) from error


def _decode(ref: PageRef, channel: Channel, pdf_dpi: int, half_from: int | None) -> Decoded:
    file = file_of(ref)
    try:
        with stage("input"):
            status = file.stat()
            _check_file(status)
            with file.open() as stream:
                head = stream.read(HEAD_BYTES)
                kind = _kind(head, status)
                if kind in MANY_PAGES and is_url(ref.file) and says_one_page(ref.file):  # so its pages were not counted
                    raise PageError("unsupported_kind", f"it is a {kind.upper()}, whatever its name says", _NAME_IT)
                data = b"" if kind in MANY_PAGES else head + stream.read()
        if kind == "pdf":
            from grader.intake.pdf import decode_page

            return decode_page(file, ref.page, channel, pdf_dpi, half_from)
        if kind in MANY_PAGES:
            return decode_frame(file, ref.page, channel)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PageError(
            "unreadable_file", f"it cannot be opened ({reason})", "check its path and permissions"
        ) from error
    return decode_jpeg(data, channel, half_from) if kind == "jpeg" else decode_single(data, channel)


def _check_file(status: Stat) -> None:
    if status.kind == "folder":  # a folder is only asked for where it could not be listed
        raise PageError("unreadable_file", "it is a folder", "give the files in it")
    if status.kind != "file":  # opening a pipe could wait for ever
        raise PageError("not_an_image", "it is not a regular file", _READABLE)


def _kind(head: bytes, status: Stat) -> Kind:
    """The kind of a file that can be read. Raises PageError for all others."""
    kind = sniff(head)
    if kind == "empty":
        raise PageError("empty_file", "the file has no bytes", "copy or scan it again")
    if kind == "unknown":
        raise PageError("not_an_image", "it is neither a picture nor a PDF, whatever its name says", _READABLE)
    if kind == "heic":
        remedy = "save as JPEG; on iPhone: Settings, Camera, Formats, Most Compatible"
        raise PageError("unsupported_kind", "HEIC and AVIF photos are not read", remedy)
    if kind not in ("pdf", "tiff") and status.size > MAX_BYTES:
        raise PageError("too_large", f"the file has {status.size >> 20} MiB", f"at most {MAX_BYTES >> 20} MiB")
    return kind
