"""What a night can do to a run: processes killed, a disk that fills up, power cut in the middle of a write."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import numpy as np
from stores import check, journaled

_FRAME = 24  # bytes of the header of a frame in the write-ahead log (sqlite.org/fileformat2.html, 4.1)
_LOG_HEAD = 32


class Run:
    """`grader run` in a process of its own, its messages in a file. Killed when the context ends."""

    def __init__(self, arguments: Sequence[str], out: Path, environment: Mapping[str, str] | None = None) -> None:
        self.out = out
        self._said = out.parent.parent / f"{out.name}.stderr"  # not on the disk of the run, which may be full
        self._since = self._said.stat().st_size if self._said.exists() else 0
        command = ["env", "--default-signal=INT", sys.executable, "-m", "grader", "run", *arguments, "--out", str(out)]
        with self._said.open("ab") as stderr:
            self.process = subprocess.Popen(command, stderr=stderr, env={**os.environ, **(environment or {})})

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def said(self) -> str:
        """What it wrote to stderr so far."""
        return self._said.read_bytes()[self._since :].decode(errors="replace")

    def wait_for(self, what: Callable[[], object], seconds: float = 120) -> bool:
        """Wait until something has come about; False where the run ended before that."""
        deadline = time.monotonic() + seconds
        while not what():
            if self.process.poll() is not None:
                return bool(what())
            assert time.monotonic() < deadline, f"it did not come about in {seconds} s: {self.said()[-2000:]}"
            time.sleep(0.02)
        return True

    def reaches(self, pages: int, seconds: float = 600) -> bool:
        """Wait until the journal holds so many pages; False where the run ended before that."""
        return self.wait_for(lambda: journaled(self.out) >= pages, seconds)

    def kill(self) -> None:
        """End it as the kernel does."""
        self.process.kill()
        self.process.wait()

    def kill_worker(self, rng: np.random.Generator) -> bool:
        """End one of its workers as the kernel does; False where there is none."""
        found = workers(self.process.pid)
        with suppress(ProcessLookupError):
            if found:
                os.kill(found[int(rng.integers(len(found)))], signal.SIGKILL)
                return True
        return False


def workers(parent: int) -> list[int]:
    """Process ids of a pool's workers."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError, ValueError, IndexError):
            state, ppid = (folder / "stat").read_text().rpartition(")")[2].split()[:2]
            if int(ppid) == parent and state != "Z" and b"--multiprocessing-fork" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[Path]:
    """`folder` as a disk of its own with `size` bytes. Raises PermissionError where this process may not mount."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise PermissionError(f"no small disk can be mounted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


def fill(folder: Path, leaving: int = 0) -> Path:
    """Leave so many bytes free on the disk of a folder; the file that has to go to make room."""
    ballast = folder / "ballast"
    with suppress(OSError), ballast.open("ab", buffering=0) as file:
        while (free := shutil.disk_usage(folder).free - leaving) > 0 or not leaving:
            file.write(bytes(1 << 16 if free > 1 << 16 else 1 << 12))
    return ballast


class Clock:
    """A wall clock that can be set, for processes that are started with `environment`; all others keep theirs.
    Raises FileNotFoundError where there is no C compiler."""

    def __init__(self, folder: Path) -> None:
        library, self._offset = folder / "clock.so", folder / "clock.offset"
        source = Path(__file__).with_name("clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
        self.set_by(0)
        self.environment = {"LD_PRELOAD": str(library), "CLOCK_OFFSET": str(self._offset)}

    def set_by(self, seconds: int) -> None:
        """Make it so many seconds wrong, also for processes that run."""
        with self._offset.open("r+b" if self._offset.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))


def cut_power(store: Path, rng: np.random.Generator) -> str:
    """Do to a store what a power cut may: of the write-ahead log's last writes any part has reached the disk.

    What was already copied into the database had been forced to the disk before (the order of writes that SQLite
    keeps), so the log is cut only behind that; how far that is stands in the index of the log. Whatever follows the
    cut is gone, or zeros, or noise. Only for a store that nobody has opened since its process was killed: whoever
    opens it recovers it. Returns what was done.
    """
    log, index = (store.with_name(store.name + end) for end in ("-wal", "-shm"))
    if not log.exists() or not index.exists() or log.stat().st_size <= _LOG_HEAD:
        return "nothing was on its way"
    head = index.read_bytes()[:136]
    (page_size,), (last,) = struct.unpack_from("<H", head, 14), struct.unpack_from("<I", head, 16)
    (copied,) = struct.unpack_from("<I", head, 128)  # frames that a checkpoint began to copy
    frame = _FRAME + (page_size if page_size > 1 else 1 << 16)
    first, end = (_LOG_HEAD + frames * frame for frames in (min(copied, last), last))
    if first >= end:
        return "nothing was on its way"
    place = int(rng.integers(first, end))
    data = bytearray(log.read_bytes())
    how = ("gone", "zeros", "noise")[int(rng.integers(3))]
    if how == "gone":
        del data[place:]
    else:
        data[place:] = bytes(len(data) - place) if how == "zeros" else rng.bytes(len(data) - place)
    log.write_bytes(data)
    index.unlink()
    return f"{how} from byte {place} of {end}"


def survives_power_cuts(store: Path, rng: np.random.Generator, folder: Path, times: int) -> list[int]:
    """Cut the power `times` times on copies of a store; how many pages each copy still holds.

    Raises AssertionError where a copy is damaged.
    """
    held = []
    for _ in range(times):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for file in store.parent.glob(store.name + "*"):
            shutil.copy(file, folder)
        cut_power(folder / store.name, rng)
        with closing(sqlite3.connect(folder / store.name)) as copy:
            held.append(check(copy))
    shutil.rmtree(folder, ignore_errors=True)
    return held
