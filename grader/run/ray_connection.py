"""The coordinator's connection to a Ray cluster: nothing of Ray's on stdout, nothing told to anybody outside."""

from __future__ import annotations

import io
import logging
import os
import socket
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stdout

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # whatever the machine's settings

import ray
from ray.exceptions import RayError

from grader.errors import UsageError

log = logging.getLogger(__name__)

_JOIN = "start Ray on the coordinator's machine as the cluster's head or a node of it; see grader/run/CLUSTER.md"
_KNOCK_SECONDS = 10.0


@contextmanager
def connected(address: str) -> Iterator[None]:
    """A connection to the cluster at `address` (HOST:PORT of its head, or "auto").

    Raises UsageError where there is none, or where it does not let us in.
    """
    if "://" in address:
        raise UsageError(f"{address} is the address of a Ray client", f"give HOST:PORT; {_JOIN}")
    _knock(address)
    with redirect_stdout(_ToLog()):  # Ray tells what befell its workers on stdout, which is for data
        try:
            # Ray makes nodes import from where it is started, which could be a folder of scans, or of other code
            with chdir(os.sep):
                ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (RayError, ConnectionError, RuntimeError, ValueError, OSError) as error:
            what = f"there is no Ray cluster at {address} that can be used: {first_line(error)}"
            raise UsageError(what, _JOIN) from error
        try:
            yield
        finally:
            ray.shutdown()


def _knock(address: str) -> None:
    """Raise UsageError where nobody listens: Ray itself tries for minutes."""
    host, colon, port = address.rpartition(":")
    if not colon:
        return
    try:
        socket.create_connection((host, int(port)), _KNOCK_SECONDS).close()
    except (OSError, ValueError) as error:
        raise UsageError(f"nothing answers at {address}: {error}", _JOIN) from error


def first_line(error: Exception) -> str:
    """What an error of Ray says first; the rest are pages."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class _ToLog(io.TextIOBase):
    """A stream whose lines go to the log of details."""

    def write(self, text: str) -> int:
        if text.strip():
            log.info("%s", text.strip())
        return len(text)
