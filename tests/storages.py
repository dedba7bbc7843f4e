"""A real S3 server for the tests, in this process."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
from moto.server import ThreadedMotoServer

KEY, SECRET = "key-of-the-tests", "secret-of-the-tests"
BUCKET = "exam"


class Storage:
    """An S3 server with one bucket. It can go away and come back, its files kept."""

    def __init__(self) -> None:
        self.asked: list[str] = []  # what it was asked, such as "GET /exam/scans/1.png"
        self._port = 0
        self.start()
        self.client = boto3.client(
            "s3", endpoint_url=self.url, aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1"
        )
        self.client.create_bucket(Bucket=BUCKET)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self) -> None:
        self._server = ThreadedMotoServer("127.0.0.1", self._port, verbose=False)
        self._server.start()
        self._port = self._server.get_host_and_port()[1]

    def stop(self) -> None:
        self._server.stop()

    def put(self, name: str, data: bytes) -> None:
        self.client.put_object(Bucket=BUCKET, Key=name, Body=data)

    def put_folder(self, folder: Path, under: str) -> None:
        for path in sorted(folder.iterdir()):
            self.put(f"{under}/{path.name}", path.read_bytes())

    def remove(self, name: str) -> None:
        self.client.delete_object(Bucket=BUCKET, Key=name)

    def fetches(self, name: str) -> int:
        """How often bytes of a file were asked for."""
        return sum(asked == f"GET /{BUCKET}/{name}" for asked in self.asked)

    def clear(self) -> None:
        for held in self.client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            self.remove(held["Key"])
        self.asked.clear()


class _Asked(logging.Handler):
    """The server's log of requests."""

    def __init__(self, asked: list[str]) -> None:
        super().__init__(logging.INFO)
        self._asked = asked

    def emit(self, record: logging.LogRecord) -> None:
        if found := re.search(r"(GET|HEAD|PUT|DELETE|POST) [^ ?]+", record.getMessage()):
            self._asked.append(found[0])


@pytest.fixture(scope="module")
def server() -> Iterator[Storage]:
    log = logging.getLogger("werkzeug")
    log.setLevel(logging.INFO)
    log.propagate = False
    storage = Storage()
    log.handlers = [_Asked(storage.asked)]
    yield storage
    storage.stop()


@pytest.fixture
def storage(server: Storage, monkeypatch: pytest.MonkeyPatch) -> Iterator[Storage]:
    """The server, empty, and how it is reached in the environment."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("FSSPEC_S3_ENDPOINT_URL", server.url)
    import fsspec.config

    # fsspec reads the environment when it is imported, which may have been before. One try: ours are what is tested
    monkeypatch.setitem(
        fsspec.config.conf, "s3", {"endpoint_url": server.url, "config_kwargs": {"retries": {"max_attempts": 1}}}
    )
    server.clear()
    yield server
    server.clear()
