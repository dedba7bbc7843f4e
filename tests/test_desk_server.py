"""The desk as a real process: what it acknowledged survives its being killed, and it leaves the files behind."""

from __future__ import annotations

import csv
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import report_run
from desk_run import NUMERIC, SHORT
from desk_server import DeskProcess

from grader.store.store import RunStore


@contextmanager
def entered(desk: DeskProcess) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=desk.root, follow_redirects=True) as client:
        client.get(desk.address).raise_for_status()
        yield client


def save(client: httpx.Client, order: int, mark: str) -> str:
    """Mark the next answer; its path, once the desk has acknowledged."""
    page = client.get(f"/items/{order}/next")
    token = re.search(r'name="csrf" value="(\w+)"', page.text)
    assert token is not None
    answer = client.post(page.url.path, data={"csrf": token[1], "mark": mark, "comment": f"comment {mark}"})
    assert answer.status_code == 200
    assert "已保存" in answer.text
    return str(page.url.path)


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    run = report_run.make_run(tmp_path)
    acknowledged: list[tuple[str, str]] = []
    for round_ in range(2):  # killed, opened again, killed again
        with DeskProcess(run, tmp_path / f"log-{round_}") as desk, entered(desk) as client:
            acknowledged += [(save(client, order, mark), mark) for order, mark in ((SHORT, "3"), (NUMERIC, "1.5"))]
            desk.kill()
            with pytest.raises(httpx.TransportError):
                client.get("/")
    with RunStore.open(run) as store:
        decided = [(row.mark, row.comment) for row in store.results() if row.marker == "person:chen"]
    assert sorted(decided) == [(1.5, "comment 1.5")] * 2 + [(3.0, "comment 3")] * 2
    assert len({path for path, _ in acknowledged}) == 4
    with DeskProcess(run, tmp_path / "log-last") as desk, entered(desk) as client:
        for path, mark in acknowledged:
            assert f"chen 已评：{mark}" in client.get(path).text


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_writes_the_files_when_it_is_stopped_in_order(tmp_path: Path, how: signal.Signals) -> None:
    run = report_run.make_run(tmp_path)
    with DeskProcess(run, tmp_path / "log") as desk:
        with entered(desk) as client:
            save(client, NUMERIC, "2.5")
        code = desk.stop(how)
        assert code in {0, -signal.SIGTERM}, desk.log()
        assert "Traceback" not in desk.log()
    with (run / "results.csv").open(encoding="utf-8") as file:
        assert [row["status"] for row in csv.DictReader(file) if row["mark"] == "2.5"] == ["final"]


def test_it_says_when_a_port_is_taken(tmp_path: Path) -> None:
    run = report_run.make_run(tmp_path)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = [sys.executable, "-m", "grader", "desk", str(run), "--no-browser"]
        port = str(taken.getsockname()[1])
        found = subprocess.run([*command, "--port", port], capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 2
    assert f"port {port} cannot be used" in found.stderr
    assert "--port" in found.stderr
    assert "Traceback" not in found.stderr


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "grader", "desk", str(tmp_path), "--no-browser", "--port", "0"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == 2
    assert "is not a run" in found.stderr


def test_help_does_not_load_the_web() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from grader.cli import cli;"
        "print(CliRunner().invoke(cli, ['--help']).output, CliRunner().invoke(cli, ['desk', '--help']).output);"
        "print({'fastapi', 'uvicorn', 'jinja2', 'numpy', 'sqlalchemy'} & set(sys.modules))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert "desk" in found.stdout
    assert found.stdout.rstrip().endswith("set()")
