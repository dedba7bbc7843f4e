"""One writer a run: a lock that the system releases when its holder ends, however it ends."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from grader.errors import StoreError

_FILE = "run.lock"


class RunLock:
    """Holds the run folder for this process until `release`; raises StoreError where another process has it."""

    def __init__(self, folder: Path) -> None:
        # The file stays when the lock goes: deleting it could take it from under one who waits for it.
        try:
            self._file = os.open(folder / _FILE, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise StoreError(
                f"cannot write to the run folder {folder}: {error.strerror}",
                "make it writable, or name another folder",
            ) from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(self._file, 32).decode(errors="replace").strip()
            os.close(self._file)
            process = f"process {holder}" if holder.isdecimal() else "another process"
            raise StoreError(
                f"{process} is working on {folder}",
                "wait until it has ended, or stop it, and run the same command again; or name another folder",
            ) from error
        os.truncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let others have the folder."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
