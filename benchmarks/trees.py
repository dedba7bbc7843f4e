"""What a run costs while it runs, seen from outside: memory of its whole process tree, processor time, wall time."""

from __future__ import annotations

import resource
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

_INTERVAL = 0.25  # s between looks at the memory


@dataclass
class Cost:
    """wall, cpu: seconds, of the process and all that it started. peak: bytes that the tree had at most, shared pages
    counted once (PSS). samples: (seconds since the start, bytes)."""

    wall: float = 0.0
    cpu: float = 0.0
    peak: int = 0
    samples: list[tuple[float, int]] = field(default_factory=list)


def ran(command: Sequence[str], stdout: IO[bytes]) -> Cost:
    """Run a command to its end, its stderr shown. Raises CalledProcessError where it fails."""
    cost, before, start = Cost(), _spent(), time.perf_counter()
    with subprocess.Popen(command, stdout=stdout) as process:
        watching = threading.Thread(target=_watch, args=(process, cost, start))
        watching.start()
        process.wait()
        watching.join()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    cost.wall, cost.cpu = time.perf_counter() - start, _spent() - before
    cost.peak = max((size for _, size in cost.samples), default=0)
    return cost


def _watch(process: subprocess.Popen[bytes], cost: Cost, start: float) -> None:
    while process.poll() is None:
        cost.samples.append((time.perf_counter() - start, sum(map(_proportional, tree(process.pid)))))
        time.sleep(_INTERVAL)


def tree(pid: int) -> list[int]:
    """A process and all that it started."""
    try:
        children = " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")).split()
    except OSError:
        return []
    return [pid, *(one for child in children for one in tree(int(child)))]


def _proportional(pid: int) -> int:
    """Bytes in memory, what several processes share divided among them."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    return 0


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
