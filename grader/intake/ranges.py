"""A stream over something that gives ranges of bytes: a storage, or a file that several read at their own places."""

from __future__ import annotations

import io
from collections.abc import Callable
from functools import lru_cache
from typing import BinaryIO

_BLOCK = 256 << 10  # bytes asked for at a time; counting the pages of a PDF needs its ends and little between
_KEPT = 16  # blocks


def stream_of(give: Callable[[int, int], bytes], size: int) -> BinaryIO:
    """A seekable stream of `size` bytes, of which `give`(start, end) gives those in [start, end)."""
    return io.BufferedReader(_Ranges(give, size))


class _Ranges(io.RawIOBase):
    def __init__(self, give: Callable[[int, int], bytes], size: int) -> None:
        self._size, self._position = size, 0
        self._block = lru_cache(maxsize=_KEPT)(lambda n: give(n * _BLOCK, min(size, (n + 1) * _BLOCK)))

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._position >= self._size:
            return 0
        number, offset = divmod(self._position, _BLOCK)
        data = self._block(number)[offset : offset + len(buffer)]
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)
