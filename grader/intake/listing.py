"""What there is to read in a shared storage: as `grader.intake.plan`, with as few requests as it takes.

A listing gives names, sizes and times of a thousand files at a time. A file whose name says that it holds one
picture is believed so far (the reader refuses it if it holds more); of others the first bytes are fetched, many at
once, and of those that can hold several pages what their count needs.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from grader.errors import PageError, StorageError
from grader.intake.formats import HEAD_BYTES, MANY_PAGES, sniff
from grader.intake.plan import count_of_kind, is_junk, is_junk_folder, natural_key
from grader.intake.remote import SilentError, SkimmedFile, heads, listing
from grader.intake.source import Stat, says_one_page

_LATER = "run the same command again when it answers"


def scans_under(root: str) -> dict[str, Stat]:
    """URL → state of the files under a URL, in natural order, without those that operating systems scatter.

    Raises StorageError, UsageError.
    """
    base = root.rstrip("/")
    states = listing(root)
    found = {url: _below(base, url) for url in states}
    kept = [url for url, parts in found.items() if not _is_scattered(parts)]
    return {url: states[url] for url in sorted(kept, key=lambda url: [natural_key(part) for part in found[url]])}


def count_pages(urls: Iterable[str]) -> dict[str, int]:
    """URL → pages in it, in the same order; 1 where the file does not tell, and the reader will say why.

    Raises StorageError where the storage does not answer: what cannot be counted would be lost.
    """
    counts = dict.fromkeys(urls, 1)
    url = ""
    try:
        for url, head in heads([url for url in counts if not says_one_page(url)], HEAD_BYTES):
            counts[url] = _count(url, head)
    except SilentError as error:
        raise StorageError(f"{url}: {error.strerror}", _LATER) from error
    return counts


def _count(url: str, head: bytes) -> int:
    kind = sniff(head)
    if kind not in MANY_PAGES:
        return 1
    file = SkimmedFile(url)
    try:
        return count_of_kind(file, kind)
    except (PageError, OSError):
        return 1
    finally:
        for error in file.errors:
            raise error


def _below(base: str, url: str) -> tuple[str, ...]:
    return PurePosixPath(url.removeprefix(base).lstrip("/")).parts


def _is_scattered(parts: tuple[str, ...]) -> bool:
    return any(is_junk(part) for part in parts) or any(is_junk_folder(part) for part in parts[:-1])
