"""`grader serve` as a process of its own, on a data folder with a centre's exam in it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from centre_run import make_centre
from service_client import PASSWORD, service_of

from grader.service import accounts

SECONDS_TO_START = 120
PEOPLE = ("chen", "wang", "zhao", "ling")


class CentreProcess:
    """The service on a free port, or on `port`. root: where it is; exam: path of the exam below it."""

    def __init__(self, data: Path, exam: str, log: Path, port: str = "0") -> None:
        self.exam, self._log = exam, log
        command = [sys.executable, "-m", "grader", "serve", "--data", str(data), "--port", port]
        with log.open("wb") as out:
            self.process = subprocess.Popen(command, stderr=out, stdout=out, env={**os.environ, "OMP_NUM_THREADS": "1"})
        self.root = self._printed()

    def _printed(self) -> str:
        deadline = time.monotonic() + SECONDS_TO_START
        while time.monotonic() < deadline and self.process.poll() is None:
            found = re.search(r"service: (http://127\.0\.0\.1:\d+)", self._log.read_text(encoding="utf-8"))
            if found:
                return found[1]
            time.sleep(0.05)
        raise AssertionError(f"the service did not start: {self._log.read_text(encoding='utf-8')}")

    @property
    def port(self) -> str:
        """The port it listens on."""
        return self.root.rpartition(":")[2]

    def __enter__(self) -> CentreProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """As a power failure of the process: no handler runs."""
        self.process.kill()
        self.process.wait()


def prepare(data: Path, candidates: int) -> str:
    """A data folder with an exam of that many candidates and people who can sign in; the exam's path."""
    with service_of(data) as house:
        protected = accounts.protect(PASSWORD)
        with house.service.database.begin() as connection:
            for login in PEOPLE:
                accounts.set_password(connection, house.ids[login], protected)
        return make_centre(house, candidates).root
