"""The service of a test on a real port, and browsers that have signed in to it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from service_client import House

from grader.service import sessions


class Site:
    """Where a House answers. root: "http://127.0.0.1:port"."""

    def __init__(self, house: House, root: str) -> None:
        self.house, self.root = house, root

    def cookie(self, login: str) -> dict[str, str]:
        """What a browser holds in which this person has signed in (for `BrowserContext.add_cookies`)."""
        with self.house.service.database.begin() as connection:
            token = sessions.begin(connection, self.house.ids[login], "browser")
        return {"name": self.house.service.cookie, "value": token, "url": self.root}


@contextmanager
def serving(house: House) -> Iterator[Site]:
    """The house's application behind a real server in this process."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(house.app, log_level="error", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started and time.monotonic() < deadline and thread.is_alive():
        time.sleep(0.02)
    assert server.started, "the server did not start"
    try:
        yield Site(house, f"http://127.0.0.1:{listener.getsockname()[1]}")
    finally:
        server.should_exit = True
        thread.join(60)
        listener.close()
