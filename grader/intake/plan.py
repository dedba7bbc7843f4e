"""What there is to read: files and folders become a list of pages, in the order a person would expect.

Nothing is decoded here. A file that cannot be opened, counted or read is still one page, so that the
reader gives it its ledger row; the only files left out are those that operating systems scatter.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from grader.intake.formats import HEAD_BYTES, sniff
from grader.records import PageRef

_JUNK_FILES = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", ".directory", ".localized"})
_JUNK_FOLDERS = frozenset(
    {"__macosx", "@eadir", ".spotlight-v100", ".fseventsd", ".trashes", "$recycle.bin", "lost+found",
     "system volume information"}
)  # fmt: skip


def list_pages(paths: Sequence[Path], without: Path | None = None) -> list[PageRef]:
    """Every page under `paths`: folders walked in natural order, files of several pages expanded.

    without: a folder that is not walked, such as the one results are written to. A path reached twice is
    listed once. A name that is not Unicode is written with backslash escapes
    (`path_of` finds the file again), so that it can stand in any report. Raises nothing.
    """
    files: dict[str, None] = {}  # an ordered set
    for path in paths:
        for file in _walk(path, _identity(without)):
            files.setdefault(os.path.normpath(file))
    return [PageRef(_printable(file), page) for file in files for page in range(1, _count_pages(file) + 1)]


def path_of(ref: PageRef) -> Path:
    """Where the file of a page is."""
    if "\\" in ref.file and not os.path.lexists(ref.file):
        raw = re.sub(rb"\\x([0-9a-f]{2})", lambda m: bytes([int(m[1], 16)]), os.fsencode(ref.file))
        return Path(os.fsdecode(raw))
    return Path(ref.file)


def is_junk(name: str) -> bool:
    """True for what an operating system leaves in folders: never a scan, so never a ledger row."""
    return name.lower() in _JUNK_FILES or name.startswith("._")


def natural_key(name: str) -> tuple[object, ...]:
    """Sorting key by which page2 comes before page10. Digits sort before letters; case only breaks ties."""
    parts = re.split(r"([0-9]+)", name.casefold())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part), name


def _walk(path: Path, above: set[tuple[int, int]]) -> Iterator[str]:
    """Files under `path`, depth first. above: folders not to walk: those that hold it, so that link loops end."""
    try:
        status = path.stat()
        if not stat.S_ISDIR(status.st_mode):
            yield str(path)
            return
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        names = sorted(os.listdir(path), key=natural_key)
    except (OSError, ValueError):  # dangling or looping link, no permission, a name with a NUL: one row
        yield str(path)
        return
    for name in names:
        child = path / name
        if is_junk(name) or (name.lower() in _JUNK_FOLDERS and child.is_dir()):
            continue
        yield from _walk(child, above | {here})


def _identity(folder: Path | None) -> set[tuple[int, int]]:
    """What a folder is known by, whatever its path; nothing where there is none."""
    try:
        status = folder.stat() if folder else None
    except OSError:
        return set()
    return {(status.st_dev, status.st_ino)} if status else set()


def _printable(file: str) -> str:
    return os.fsencode(file).decode("utf-8", "backslashreplace")


def _count_pages(file: str) -> int:
    """Pages in a file; 1 where that cannot be told, and the reader will say why."""
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):
            return 1
        with open(file, "rb") as stream:
            kind = sniff(stream.read(HEAD_BYTES))
        if kind == "pdf":
            from grader.intake.pdf import count_pages

            return max(1, count_pages(Path(file)))
        if kind in ("tiff", "gif", "webp"):
            from grader.intake.pictures import count_frames

            return max(1, count_frames(Path(file)))
    except Exception:  # whatever is wrong with the file, its page is listed and reading it says what
        return 1
    return 1
