"""Runs the service until it is stopped."""

from __future__ import annotations

import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from grader.errors import UsageError
from grader.service import accounts
from grader.service.app import create_app, tidy
from grader.service.service import Service, Settings, open_service
from grader.store.lock import RunLock


def serve(
    data: Path, host: str, port: int, url: str | None, settings: Settings, opened: Callable[[str, str], None]
) -> None:
    """Serve the data folder; returns when it is stopped by Ctrl-C or SIGTERM.

    port: 0 for any that is free. opened: called with the address, and the path of the set-up link where nobody has
    an account yet, else "". Raises UsageError for an address that cannot be used, StoreError for a data folder
    that another process has or that cannot be written.
    """
    import uvicorn

    service = open_service(data, url, settings)
    lock = RunLock(data)
    try:
        with _listening(host, port) as listener:
            tidy(service)
            shown = f"[{host}]" if ":" in host else host
            opened(f"http://{shown}:{listener.getsockname()[1]}", _set_up_path(service))
            # No access log: its lines would hold the tickets of links.
            config = uvicorn.Config(
                create_app(service), log_level="warning", access_log=False, server_header=False,
                proxy_headers=bool(settings.proxies), forwarded_allow_ips=",".join(settings.proxies),
            )  # fmt: skip
            with suppress(KeyboardInterrupt):  # uvicorn has shut down in order and only says why
                uvicorn.Server(config).run(sockets=[listener])
    finally:
        service.close()
        lock.release()


def _set_up_path(service: Service) -> str:
    with service.database.begin() as connection:
        if accounts.set_up(connection):
            return ""
        return f"/setup?ticket={accounts.new_ticket(connection, None)}"


def _listening(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)  # TCP by name, so that asyncio turns off Nagle's algorithm
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(512)
    except OSError as error:
        what = f"{host} port {port} cannot be used: {error.strerror}"
        raise UsageError(what, "give another --host or --port") from error
    return listener
