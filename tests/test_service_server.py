"""The service as a process: what it prints, what a kill leaves, whom it refuses, and many markers at once."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from conftest import ROOT

from grader.service import accounts, audit
from grader.service.database import connect

PASSWORD = "rather long and odd"


class Served:
    """`grader serve` on a free port. root: its address; link: that of the set-up, or ""."""

    def __init__(self, data: Path, url: str, *options: str) -> None:
        self._log = data.parent / f"log-{time.monotonic_ns()}"
        command = [sys.executable, "-m", "grader", "serve", "--data", str(data), "--port", "0", "--database", url]
        with self._log.open("wb") as out:
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}
            self.process = subprocess.Popen([*command, *options], stderr=out, stdout=out, env=environment)
        deadline = time.monotonic() + 120
        while "Ctrl-C" not in self.said() and self.process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        found = re.search(r"service: (\S+)", self.said())
        self.root = found[1] if found else ""
        set_up = re.search(r"set up:\s+(\S+)", self.said())
        self.link = set_up[1] if set_up else ""

    def said(self) -> str:
        return self._log.read_text(encoding="utf-8")

    def end(self, how: signal.Signals) -> int:
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.wait(60)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def served(data: Path, database_url: str) -> Iterator[Served]:
    data.mkdir()
    made = Served(data, database_url)
    yield made
    made.end(signal.SIGKILL)


def set_up(served: Served) -> httpx.Client:
    """A browser that has made the administrator."""
    browser = httpx.Client(base_url=served.root, follow_redirects=True, timeout=60)
    page = browser.get(served.link)
    fields = dict(re.findall(r'name="(csrf|ticket)" value="([^"]*)"', page.text))
    answer = browser.post(
        "/setup", data={**fields, "login": "ada", "name": "Ada", "password": PASSWORD, "again": PASSWORD}
    )
    assert answer.url.path == "/exams"
    return browser


def test_a_kill_loses_nothing_that_was_acknowledged(served: Served, data: Path, database_url: str) -> None:
    browser = set_up(served)
    token = re.search(r'name="csrf" value="(\w+)"', browser.get("/accounts").text)
    assert token is not None
    for n in range(5):
        made = browser.post("/accounts", data={"csrf": token[1], "login": f"m{n}", "name": "M", "role": "marker"})
        assert made.status_code == 200
    served.end(signal.SIGKILL)
    again = Served(data, database_url)
    assert again.link == "", "it is set up"
    page = httpx.get(f"{again.root}/accounts", cookies=browser.cookies, timeout=60)
    assert page.status_code == 200, "and the session stands"
    assert all(f"<b>m{n}</b>" in page.text for n in range(5))
    assert again.end(signal.SIGINT) == 0
    assert "Traceback" not in again.said()
    database = connect(database_url)
    with database.read() as connection:
        assert len(accounts.everybody(connection)) == 6
        assert audit.verify(connection).broken is None
    database.close()


def test_a_data_folder_has_one_server_and_a_port_too(
    served: Served, data: Path, database_url: str, tmp_path: Path
) -> None:
    second = Served(data, database_url)
    assert second.end(signal.SIGINT) == 2
    assert "is working on" in second.said()
    port = served.root.rpartition(":")[2]
    elsewhere = Served(tmp_path / "other", f"sqlite:///{tmp_path / 'other.sqlite'}", "--port", port)
    assert elsewhere.end(signal.SIGINT) == 2
    assert "give another --host or --port" in elsewhere.said()
    for other in (second, elsewhere):
        assert "Traceback" not in other.said()
    assert httpx.get(f"{served.root}/login", timeout=60).status_code == 200


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "--name"),
        (["--host", "no-such-host.invalid"], "cannot be used"),
        (["--database", "mysql://x"], "SQLite or PostgreSQL"),
        (["--database", "postgresql://127.0.0.1:9/none"], "cannot be used"),
    ],
)
def test_what_cannot_be_served_is_said(tmp_path: Path, options: list[str], said: str) -> None:
    refused = Served(tmp_path / "data", f"sqlite:///{tmp_path / 'x.sqlite'}", *options)
    assert refused.end(signal.SIGINT) == 2
    assert said in refused.said()
    assert "remedy" in refused.said()
    assert "Traceback" not in refused.said()


def test_markers_at_once_neither_collide_nor_lose_a_mark(tmp_path: Path, database_url: str) -> None:
    """The benchmark itself, short: what it counts as wrong, not how long anything took."""
    command = [sys.executable, "service.py", "--markers", "6", "--seconds", "5", "--pause", "0.2", "--answers", "150"]
    command += [] if database_url.startswith("sqlite") else ["--database", database_url]
    environment = {**os.environ, "GRADER_BENCH_OUT": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        command, cwd=ROOT / "benchmarks", env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "service.json").read_text(encoding="utf-8"))
    assert result["answers"] >= 6, "each saved one at least"
    assert (result["errors"], result["double_leases"], result["lost"]) == ({}, 0, 0)
    assert result["server"]["said"] == 0
