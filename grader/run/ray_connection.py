"""The coordinator's connection to a Ray cluster: nothing of Ray's on stdout, nothing told to anybody outside."""

from __future__ import annotations

import atexit
import io
import logging
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stdout

os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # whatever the machine's settings

import ray
from ray.exceptions import RayError, RaySystemError

from grader.errors import ExitCode, GraderError, UsageError

log = logging.getLogger(__name__)

_JOIN = "start Ray on the coordinator's machine as the cluster's head or a node of it; see grader/run/CLUSTER.md"
GO_ON = "put that right, and run the same command again: it goes on where it was"
_KNOCK_SECONDS = 3.0


class ClusterLostError(GraderError):
    """The cluster went away in mid-run. The run can be resumed."""

    exit_code = ExitCode.INTERRUPTED


@contextmanager
def connected(address: str) -> Iterator[None]:
    """A connection to the cluster at `address` (HOST:PORT of its head, or "auto").

    Raises UsageError where there is none, or where it does not let us in. After a ClusterLostError it is left as it is.
    """
    if "://" in address:
        raise UsageError(f"{address} is the address of a Ray client", f"give HOST:PORT; {_JOIN}")
    if ":" in address and (why := silence(address)):
        raise UsageError(f"nothing answers at {address}: {why}", _JOIN)
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
        except ClusterLostError:
            _give_up()
            raise
        except (OSError, RaySystemError) as error:  # of Ray's own sockets
            _give_up()
            raise ClusterLostError(f"Ray on this machine ended: {first_line(error)}", GO_ON) from error
        except BaseException:
            ray.shutdown()
            raise
        ray.shutdown()


def _give_up() -> None:
    atexit.unregister(ray.shutdown)  # it would wait for the head
    atexit.register(_leave)


def _leave() -> None:
    """End this process at once: the threads of a Ray that lost its head would end it by a crash."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(ExitCode.INTERRUPTED)


def silence(address: str) -> str:
    """Why nothing answers at HOST:PORT, "" if something does. Ray itself tries for minutes."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), _KNOCK_SECONDS).close()
    except (OSError, ValueError) as error:
        return str(error)
    return ""


def first_line(error: Exception) -> str:
    """What an error of Ray says first; the rest are pages."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class _ToLog(io.TextIOBase):
    """A stream whose lines go to the log of details."""

    def write(self, text: str) -> int:
        if text.strip():
            log.info("%s", text.strip())
        return len(text)
