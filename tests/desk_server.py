"""A desk as a process of its own, as a person starts it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

SECONDS_TO_START = 60


class DeskProcess:
    """`grader desk` on a free port. address: the one that it printed."""

    def __init__(self, run: Path, log: Path, port: str = "0") -> None:
        self._log = log
        command = [sys.executable, "-m", "grader", "desk", str(run), "--port", port, "--marker", "chen", "--no-browser"]
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stderr=out, stdout=out, env={**os.environ, "OMP_NUM_THREADS": "1"})
        self.address = self._printed()
        self.root = self.address.partition("/enter")[0]

    def _printed(self) -> str:
        deadline = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < deadline and self.process.poll() is None:
            found = re.search(r"http://127\.0\.0\.1:\d+/enter\?ticket=\S+", self._log.read_text(encoding="utf-8"))
            if found:
                return found[0]
            time.sleep(0.05)
        raise AssertionError(f"the desk did not start: {self._log.read_text(encoding='utf-8')}")

    def __enter__(self) -> DeskProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """As a power failure of the process: no handler runs."""
        self.process.kill()
        self.process.wait()

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """In order, as Ctrl-C does; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(60)

    def log(self) -> str:
        """What it said."""
        return self._log.read_text(encoding="utf-8")
