"""A real PostgreSQL on a Unix socket in a temporary folder, and a fixture that gives a test both databases.

Import the fixtures into a test module: `from marking_databases import database_url, postgres`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

_BIN = Path("/usr/lib/postgresql/15/bin")


def _found() -> Path | None:
    on_path = shutil.which("initdb")
    return _BIN if (_BIN / "initdb").is_file() else Path(on_path).parent if on_path else None


def _as_postgres() -> dict[str, object]:
    """A server refuses to run as root: then it runs as the user postgres."""
    if os.geteuid() != 0:
        return {}
    user = pwd.getpwnam("postgres")
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "cwd": "/"}


@pytest.fixture(scope="session")
def postgres() -> Iterator[Path]:
    """The folder of the socket of a server that runs."""
    found = _found()
    if found is None:
        pytest.skip("no PostgreSQL server is installed")
    folder = Path(tempfile.mkdtemp(prefix="grader-pg-"))
    who = _as_postgres()
    if who:
        os.chown(folder, int(str(who["user"])), int(str(who["group"])))
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    init = [found / "initdb", "-D", folder / "data", "-A", "trust", "-U", "grader", "-E", "UTF8", "--no-locale", "-N"]
    subprocess.run(init, check=True, **who, **quiet)  # type: ignore[call-overload]
    settings = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off"]
    server = subprocess.Popen([found / "postgres", "-D", folder / "data", *settings], **who, **quiet)  # type: ignore[call-overload]
    try:
        for _ in range(100):
            asked = subprocess.run([found / "pg_isready", "-h", folder], check=False, **quiet)  # type: ignore[call-overload]
            if asked.returncode == 0:
                break
            if server.poll() is not None:
                raise RuntimeError("PostgreSQL did not start")
            subprocess.run(["sleep", "0.1"], check=True)
        yield folder
    finally:
        server.terminate()
        server.wait(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of each kind in turn. PostgreSQL's is shared: a test works on an exam of its own."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.sqlite'}"
    return f"postgresql+psycopg://grader@/postgres?host={request.getfixturevalue('postgres')}"
