"""Runs a desk on the loopback address until it is stopped."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from grader.desk.app import create_app
from grader.desk.desk import Desk
from grader.desk.security import Session
from grader.errors import UsageError
from grader.store.store import RunStore


def serve(run: Path, port: int, marker: str, opened: Callable[[str], None]) -> None:
    """Serve the run's desk; returns when it is stopped by Ctrl-C or SIGTERM, after the run's files are written.

    port: 0 for any that is free. opened: called with the address once it can be opened. Raises StoreError for a
    folder that is not a settled run, UsageError for a port that is taken.
    """
    import uvicorn

    with RunStore.open(run) as store, _listening(port) as listener:
        desk = Desk(store, marker)
        session = Session(f"grader_desk_{desk.run_name}", desk.exam.exam.language)
        opened(f"http://127.0.0.1:{listener.getsockname()[1]}/enter?ticket={session.ticket}")
        # No access log: the first line of it would hold the ticket.
        config = uvicorn.Config(create_app(desk, session), log_level="warning", access_log=False, server_header=False)
        with suppress(KeyboardInterrupt):  # uvicorn has shut down in order and only says why
            uvicorn.Server(config).run(sockets=[listener])


def _listening(port: int) -> socket.socket:
    # asyncio turns off Nagle's algorithm only where it sees that the protocol is TCP; with it every answer
    # would wait 40 ms for a delayed acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise UsageError(f"port {port} cannot be used: {error.strerror}", "give another one with --port") from error
    return listener
