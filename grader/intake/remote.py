"""Scans in a shared storage, through fsspec: what is listed there, and the bytes of one file.

A storage fails in two ways. A refusal (no such file, no permission) is an answer and is believed; where no answer
comes, it is asked again a few times. Errors are told in words of our own, because those of the packages below can
hold keys and tokens; for the same reason a URL that holds a secret is refused.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache, partial
from queue import Empty, SimpleQueue
from threading import Thread
from time import sleep
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

from grader.errors import StorageError, UsageError
from grader.intake.ranges import stream_of
from grader.intake.source import Stat

T = TypeVar("T")

_PAUSES = (0.3, 1.0, 3.0)  # seconds between tries of what is not answered
_ANSWER_SECONDS = 20.0  # for one answer ...
_LISTING_SECONDS = 1800.0  # ... and for a listing, which comes in parts of a thousand files
_CHUNK = 16 << 20  # bytes asked for at a time
_IN_MEMORY = 32 << 20  # a larger file is held on disk, without a name, so that no crash leaves it behind
_HEADS = 256  # files whose first bytes are asked for together

_WITH_USER = frozenset({"sftp", "ssh", "ftp", "smb"})  # where a user name is a part of the address
_NO_LOGIN = frozenset({"NoCredentialsError", "PartialCredentialsError", "TokenRetrievalError", "ProfileNotFound"})
_LOGIN = (
    "set the storage's address and keys in the environment (for S3: FSSPEC_S3_ENDPOINT_URL, AWS_ACCESS_KEY_ID, "
    "AWS_SECRET_ACCESS_KEY) or in fsspec's configuration, on every machine that reads"
)


class RefusedError(OSError):
    """The storage answered that it does not give what was asked for. `strerror` says why."""


class SilentError(OSError):
    """The storage did not answer, asked several times. `strerror` says how that showed."""


def is_silence(error: BaseException | None) -> bool:
    """True for an error that a storage's silence caused."""
    return error is not None and (isinstance(error, SilentError) or is_silence(error.__cause__))


@dataclass(frozen=True)
class RemoteFile:
    """A file in a storage. Its state is asked for once: an object lives for the reading of one page.

    Methods raise RefusedError and SilentError.
    """

    url: str

    def stat(self) -> Stat:
        return self._stat

    def open(self) -> BinaryIO:
        """The whole file: fetched once by a process, and held until it opens another one."""
        return _fetched(self.url, self._stat, os.getpid()).opened()

    def range(self, start: int, end: int) -> bytes:
        """Some of its bytes, fewer where it ends."""
        end = min(end, self._stat.size)
        if start >= end:
            return b""
        return _answer(self.url, lambda system, path: bytes(system.cat_file(path, start=start, end=end)))

    @cached_property
    def _stat(self) -> Stat:
        found = _answer(self.url, lambda system, path: _state(system.info(path)))
        if found.size < 0:
            raise RefusedError(0, "the storage does not say how large it is")
        return found


@dataclass(frozen=True)
class SkimmedFile(RemoteFile):
    """Fetches only the blocks that are read, which for counting pages are few. errors: what went wrong meanwhile,
    which decoders of a stream do not let pass."""

    errors: list[OSError] = field(default_factory=list, compare=False)

    def open(self) -> BinaryIO:
        return stream_of(self._noted, self._stat.size)

    def _noted(self, start: int, end: int) -> bytes:
        try:
            return self.range(start, end)
        except OSError as error:
            self.errors.append(error)
            raise


def listing(root: str) -> dict[str, Stat]:
    """URL → state of every file under `root`, in no particular order; of a file, itself.

    Raises StorageError where the storage cannot be reached or does not let us in, or where nothing is there;
    UsageError for a URL that holds a secret or that no installed package understands.
    """
    _check_no_secret(root)
    top = _system(root)[1].rstrip("/")
    try:
        found = _answer(root, lambda system, path: system.find(path, detail=True), _LISTING_SECONDS)
    except OSError as error:
        raise StorageError(f"{root}: {error.strerror}", f"correct the URL, or {_LOGIN}") from error
    base, states = root.rstrip("/"), {}
    for path, info in found.items():
        rest = path.removeprefix(top).removeprefix("/")
        if info.get("type") == "file" and not path.endswith("/"):  # some storages write a file for a folder
            states[f"{base}/{rest}" if rest else root] = _state(info)
    if not states:
        raise StorageError(f"{root}: no file is there", "correct the URL; names are written as in the storage")
    return states


def heads(urls: Sequence[str], length: int) -> Iterator[tuple[str, bytes]]:
    """The first bytes of files of one storage, many asked for at once; b"" of those that it refuses to give.

    Raises SilentError.
    """
    for first in range(0, len(urls), _HEADS):
        some = urls[first : first + _HEADS]
        paths = [_system(url)[1] for url in some]
        try:
            given = _answer(some[0], partial(_ranges, paths=paths, length=length), 3 * _ANSWER_SECONDS)
        except OSError:
            given = [None] * len(paths)
        for url, data in zip(some, given, strict=True):
            yield url, data if isinstance(data, bytes) else _head(url, length)


def _ranges(system: Any, _: str, paths: list[str], length: int) -> list[Any]:
    return list(system.cat_ranges(paths, [0] * len(paths), [length] * len(paths), on_error="return"))


def _head(url: str, length: int) -> bytes:
    try:
        return RemoteFile(url).range(0, length)
    except RefusedError:
        return b""


# asking


def _answer(url: str, ask: Callable[[Any, str], T], seconds: float | None = None) -> T:
    """What a storage answers to `ask`(file system, path). Raises RefusedError, SilentError."""
    for pause in (*_PAUSES, None):
        try:
            system, path = _system(url)
            return _within(seconds or _ANSWER_SECONDS, partial(ask, system, path))
        except UsageError as error:  # told when the files were listed; here by a machine that lacks the package
            raise RefusedError(0, error.message) from error
        except Exception as error:  # packages raise what they like
            if why := _refusal(error):
                raise RefusedError(0, why) from None
            _made.cache_clear()  # a connection that broke is of no use to the next try
            if pause is None:
                raise SilentError(0, f"the storage does not answer ({type(error).__name__})") from None
        sleep(pause)
    raise AssertionError


def _refusal(error: Exception) -> str:
    """Why the storage refuses, or "" where it failed to answer."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "the storage has no such file, folder or bucket"
    if isinstance(error, PermissionError):
        return "the storage does not give access to it"
    if type(error).__name__ in _NO_LOGIN:
        return "no keys for the storage were found"
    if isinstance(error, ValueError | IsADirectoryError):  # such as a bucket's name that cannot be one
        return f"the storage cannot have it ({type(error).__name__})"
    return ""


def _within(seconds: float, ask: Callable[[], T]) -> T:
    """The answer, if it comes in time. A thread that waits for a dead network is left behind."""
    box: SimpleQueue[tuple[bool, Any]] = SimpleQueue()

    def put() -> None:
        try:
            box.put((True, ask()))
        except Exception as error:
            box.put((False, error))

    Thread(target=put, daemon=True).start()
    try:
        fine, found = box.get(timeout=seconds)
    except Empty:
        raise TimeoutError from None
    if not fine:
        raise found
    answer: T = found
    return answer


def _system(url: str) -> tuple[Any, str]:
    """The file system of a URL, and the path in it. Raises UsageError where no installed package understands it."""
    protocol = url.partition("://")[0].lower()
    try:
        from fsspec import get_filesystem_class

        kind = get_filesystem_class(protocol)
    except ImportError as error:
        remedy = "pip install 'grader[remote]'; for others than S3 fsspec's documentation names the package"
        raise UsageError(f"a package that reads {protocol}:// is not installed", remedy) from error
    except ValueError as error:
        raise UsageError(f"{protocol}:// is nothing that fsspec knows", "give a folder, or s3://bucket/...") from error
    options = tuple(sorted(kind._get_kwargs_from_urls(url).items()))
    return _made(kind, options, os.getpid()), str(kind._strip_protocol(url))


@lru_cache(maxsize=8)
def _made(kind: Any, options: tuple[tuple[str, Any], ...], pid: int) -> Any:
    """A listing is not kept, because it grows old during a run. pid: a forked child makes its own."""
    return kind(use_listings_cache=False, skip_instance_cache=True, **dict(options))


def _check_no_secret(url: str) -> None:
    """Raise UsageError for a URL with a secret in it: it would be shown, stored and listed among the processes."""
    parts = urlsplit(url)
    user = parts.username is not None and parts.scheme.lower() not in _WITH_USER
    if parts.password is not None or user or parts.query:
        shown = f"{parts.scheme}://{parts.hostname or ''}{parts.path}"
        raise UsageError(f"the address of {shown} holds a user, password or options", f"leave them out, and {_LOGIN}")


def _state(info: dict[str, Any]) -> Stat:
    kinds = {"file": "file", "directory": "folder"}
    changed = next((info[key] for key in ("LastModified", "mtime", "last_modified", "updated") if info.get(key)), None)
    moment = changed.timestamp() if isinstance(changed, datetime) else changed
    modified = float(moment) if isinstance(moment, int | float) else None
    version = str(info.get("ETag") or info.get("etag") or changed or "")
    size = -1 if info.get("size") is None else int(info["size"])
    return Stat(kinds.get(info.get("type", ""), "other"), size, modified, version)  # type: ignore[arg-type]


# holding


class _Held:
    """A file's bytes on this machine."""

    def __init__(self, file: RemoteFile) -> None:
        self.size = file.stat().size
        self._data = b""
        self._disk = None
        if self.size <= _IN_MEMORY:
            self._data = file.range(0, self.size)
            return
        self._disk = tempfile.TemporaryFile(prefix="grader-scan-")  # noqa: SIM115
        for start in range(0, self.size, _CHUNK):
            self._disk.write(file.range(start, start + _CHUNK))
        self._disk.flush()
        if RemoteFile(file.url).stat() != file.stat():
            raise SilentError(0, "the file changed while it was fetched")

    def opened(self) -> BinaryIO:
        """A stream of its own over the bytes."""
        if self._disk is None:
            return io.BytesIO(self._data)
        return stream_of(self._part, self.size)

    def _part(self, start: int, end: int) -> bytes:
        assert self._disk is not None
        return os.pread(self._disk.fileno(), end - start, start)


@lru_cache(maxsize=1)
def _fetched(url: str, state: Stat, pid: int) -> _Held:
    """Held while page after page of one file is read. pid: a forked child fetches its own."""
    return _Held(RemoteFile(url))
