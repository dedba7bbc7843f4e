"""Where the bytes of a page's file come from: a path of this machine, or the URL of a shared storage.

Everything that reads scans goes through `file_of`. URLs are those of fsspec (s3://bucket/key, sftp://host/path ...),
which is imported only when there is one. They hold no secrets: how to log in is the environment's matter.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, Protocol

from grader.records import PageRef

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_ONE_PAGE = frozenset({".jpg", ".jpeg", ".png", ".bmp"})


@dataclass(frozen=True)
class Stat:
    """modified: seconds since 1970, None where the storage does not say. version: changes when the bytes do."""

    kind: Literal["file", "folder", "other"]
    size: int
    modified: float | None
    version: str


class File(Protocol):
    """A file that may be read. Hashable; equal where it is the same file. All methods raise OSError, whose
    `strerror` a person can read."""

    def stat(self) -> Stat:
        """What is known without reading it. Of a folder that cannot be listed: raises."""
        ...

    def open(self) -> BinaryIO:
        """Its bytes, seekable."""
        ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True)
class LocalFile:
    """A file of this machine."""

    path: Path

    def stat(self) -> Stat:
        status = self.path.stat()
        folder, regular = stat.S_ISDIR(status.st_mode), stat.S_ISREG(status.st_mode)
        if folder:
            next(self.path.iterdir(), None)
        kind: Literal["file", "folder", "other"] = "folder" if folder else "file" if regular else "other"
        return Stat(kind, status.st_size, status.st_mtime, str(status.st_mtime_ns))

    def open(self) -> BinaryIO:
        return self.path.open("rb")


def file_of(ref: PageRef) -> File:
    """The file of a page."""
    return named(ref.file)


def named(name: str) -> File:
    """The file that a PageRef names so."""
    if is_url(name):
        from grader.intake.remote import RemoteFile

        return RemoteFile(name)
    return LocalFile(path_of(PageRef(name)))


def path_of(ref: PageRef) -> Path:
    """Where the file of a page is on this machine; a name that is not Unicode is found by its escapes."""
    if "\\" in ref.file and not os.path.lexists(ref.file):
        raw = re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), os.fsencode(ref.file))
        return Path(os.fsdecode(raw))
    return Path(ref.file)


def is_url(name: str) -> bool:
    """True for what is not on this machine's file system."""
    return _SCHEME.match(name) is not None


def says_one_page(name: str) -> bool:
    """True where a file's name says that it is a picture of a kind that holds one page."""
    return PurePosixPath(name).suffix.lower() in _ONE_PAGE
