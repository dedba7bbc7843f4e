"""What there is to read: files and folders become a list of pages, in the order a person would expect.

Nothing is decoded here. A file that cannot be opened, counted or read is still one page, so that the
reader gives it its ledger row; the only files left out are those that operating systems scatter.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from grader.intake.formats import HEAD_BYTES, MANY_PAGES, Kind, sniff
from grader.intake.source import File, LocalFile, is_url
from grader.records import PageRef

_JUNK_FILES = frozenset({".ds_store", "thumbs.db", "ehthumbs.db", "desktop.ini", ".directory", ".localized"})
_JUNK_FOLDERS = frozenset(
    {"__macosx", "@eadir", ".spotlight-v100", ".fseventsd", ".trashes", "$recycle.bin", "lost+found",
     "system volume information"}
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What there is to read. modified: URL → when it was last written, in seconds since 1970, as the storage says;
    files of this machine are not in it."""

    pages: list[PageRef]
    modified: dict[str, float]


def plan(places: Sequence[Path | str], without: Path | None = None) -> Plan:
    """Every page under `places`: folders walked in natural order, files of several pages expanded.

    places: paths, or URLs of a shared storage. without: a folder that is not walked, such as the one results are
    written to. A file reached twice is listed once. A name that is not Unicode is written with backslash escapes
    (`path_of` finds the file again), so that it can stand in any report. Raises StorageError and UsageError for
    URLs, nothing for paths.
    """
    counts: dict[str, int] = {}  # in the order of the plan
    modified: dict[str, float] = {}
    for place in places:
        if is_url(str(place)):
            from grader.intake.listing import count_pages, scans_under

            found = scans_under(str(place))
            counts |= count_pages(url for url in found if url not in counts)
            modified |= {url: state.modified for url, state in found.items() if state.modified is not None}
            continue
        for file in map(os.path.normpath, _walk(Path(place), _identity(without))):
            if _printable(file) not in counts:
                counts[_printable(file)] = _count_pages(file)
    return Plan([PageRef(file, page) for file, count in counts.items() for page in range(1, count + 1)], modified)


def list_pages(places: Sequence[Path | str], without: Path | None = None) -> list[PageRef]:
    """The pages of `plan`."""
    return plan(places, without).pages


def is_junk_folder(name: str) -> bool:
    """True for the folders in which operating systems and programs keep their own things."""
    return name.lower() in _JUNK_FOLDERS


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
        if is_junk(name) or (is_junk_folder(name) and child.is_dir()):
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
        return count_of_kind(LocalFile(Path(file)), kind)
    except Exception:  # whatever is wrong with the file, its page is listed and reading it says what
        return 1


def count_of_kind(file: File, kind: Kind) -> int:
    """Pages in a file of a kind, at least 1. Raises whatever its decoder raises."""
    if kind == "pdf":
        from grader.intake.pdf import count_pages

        return max(1, count_pages(file))
    if kind in MANY_PAGES:
        from grader.intake.pictures import count_frames

        return max(1, count_frames(file))
    return 1
