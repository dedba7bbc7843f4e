"""A real PostgreSQL for the tests: its own data, its own socket, no network, gone afterwards."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path

MISSING = "no PostgreSQL on this machine (apt-get install postgresql, or set POSTGRES_BIN to its programs)"


def programs() -> Path | None:
    """The folder of initdb and postgres, or None."""
    given = os.environ.get("POSTGRES_BIN")
    found = [Path(given)] if given else sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if not found and (initdb := shutil.which("initdb")):
        found = [Path(initdb).parent]
    return next((folder for folder in found if (folder / "initdb").is_file()), None)


class Postgres:
    """A server on a socket in a folder of its own. As root it runs under another account, which it insists on."""

    def __init__(self, bin_: Path) -> None:
        self._bin, self._names = bin_, count(1)
        self.folder = Path(tempfile.mkdtemp(prefix="grader-pg-"))
        self._user = _other_user()
        if self._user is not None:
            entry = pwd.getpwnam(self._user)
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        data = self.folder / "data"
        init = [bin_ / "initdb", "-D", data, "-U", "grader", "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync"]
        self._run(init)
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off -c max_connections=300"
        start = [bin_ / "pg_ctl", "-D", data, "-w", "-l", self.folder / "log", "-o", options, "start"]
        self._run(start)

    def url(self) -> str:
        """The address of a new, empty database."""
        name = f"grader{next(self._names)}"
        create = [self._bin / "createdb", "-h", self.folder, "-U", "grader", name]
        self._run(create)
        return f"postgresql+psycopg://grader@/{name}?host={self.folder}"

    def stop(self) -> None:
        """End it and delete all that it kept."""
        stop = [self._bin / "pg_ctl", "-D", self.folder / "data", "-m", "immediate", "-w", "stop"]
        with suppress(subprocess.CalledProcessError):
            self._run(stop)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, command: Sequence[object]) -> None:
        words = [str(word) for word in command]
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, user=self._user)


def _other_user() -> str | None:
    if os.geteuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in ("postgres", "nobody") if name in names)
