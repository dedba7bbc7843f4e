"""The link by which a phone uploads without signing in, and several phones at once."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from homework_class import with_class
from plain_paper import photographed, written
from service_client import Client, House, service_of
from sqlalchemy import Connection, select
from starlette.requests import Request

from grader.homework import jobs, keeper, schema, uploads
from grader.homework.jobs import Job
from grader.homework.keeper import Keeper

LARGE = b"x" * 1_500_000


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    with service_of(tmp_path / "data", database_url) as made:
        yield made


def link_of(tian: Client, root: str) -> str:
    found = re.search(r"<code>http://[^/]+(/upload/[^<]+)</code>", tian.post(f"{root}/phone").text)
    assert found is not None
    return found[1]


def test_a_phone_uploads_by_its_link_alone(house: House) -> None:
    tian, phone = house.client("tian"), house.client(None)
    root = with_class(tian)
    page = tian.post(f"{root}/phone").text
    assert "<svg" in page
    link = re.search(r"<code>http://[^/]+(/upload/[^<]+)</code>", page)
    assert link is not None
    text = phone.get(link[1]).text
    assert 'capture="environment"' in text
    assert "1002" in text
    assert "王芳" not in text
    headers = {"X-Upload": "1", "X-CSRF-Token": phone.csrf}
    data = photographed(written(["1. B"]))
    sent = phone.http.post(
        link[1], data={"candidate": "1002", "path": "x.jpg"}, files=[("files", ("x", data))], headers=headers
    )
    assert sent.json()["taken"]
    assert phone.get("/upload/somethingelse").status_code == 404
    assert phone.get(root, follow_redirects=False).status_code == 303
    assert "王芳" in tian.get(f"{root}/upload").text


@pytest.mark.parametrize("in_header", [True, False])
def test_nothing_is_read_of_who_holds_no_link(house: House, monkeypatch: pytest.MonkeyPatch, in_header: bool) -> None:
    phone = house.client(None)
    fields = {} if in_header else {"csrf": phone.csrf}
    headers = {"X-CSRF-Token": phone.csrf} if in_header else {}

    def read(*_: object, **__: object) -> None:
        raise AssertionError("a stranger's files were read")

    monkeypatch.setattr(Request, "form", read)
    answer = phone.http.post("/upload/somethingelse", data=fields, files={"files": ("x", LARGE)}, headers=headers)
    assert answer.status_code == 404


def test_phones_at_once_lose_no_file(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    at = uploads.now

    def slow() -> str:  # asked for between taking a number and keeping it: time for the others to take the same one
        time.sleep(0.3)
        return at()

    monkeypatch.setattr(uploads, "now", slow)
    tian = house.client("tian")
    link = link_of(tian, with_class(tian))
    photos = [photographed(written(["1. B"], seed=seed), seed=seed) for seed in range(4)]

    def send(photo: bytes) -> bool:
        phone = house.client(None)
        headers = {"X-Upload": "1", "X-CSRF-Token": phone.csrf}
        sent = phone.http.post(link, data={"candidate": "1002"}, files=[("files", ("x", photo))], headers=headers)
        return bool(sent.json()["taken"])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(send, photos))
    with house.service.database.read() as connection:
        assert sorted(connection.scalars(select(schema.upload.c.number))) == [1, 2, 3, 4]


def test_nothing_ends_the_queue_of_readings(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    exam = with_class(house.client("tian")).split("/")[2]
    database, any_queued = house.service.database, jobs.any_queued
    blows = iter([RuntimeError("the database went away")])
    reads = iter([ValueError("a mistake"), ""])

    def shaky(connection: Connection) -> bool:
        for blow in blows:
            raise blow
        return any_queued(connection)

    def read(_keeper: Keeper, _job: Job) -> str:
        found = next(reads)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(jobs, "any_queued", shaky)
    monkeypatch.setattr(Keeper, "_read", read)
    monkeypatch.setattr(keeper, "_LOOK_EVERY", 0.02)
    monkeypatch.setattr(keeper, "_GATHER", 0.0)
    stop = keeper.start(house.service)
    found = []
    for _ in range(2):
        with database.begin() as connection:
            jobs.ask(connection, exam, "x")
        deadline = time.monotonic() + 30
        while (job := latest(house, exam)).active and time.monotonic() < deadline:
            time.sleep(0.02)
        found.append(job.state)
    stop()
    assert found == ["failed", "done"]


def latest(house: House, exam: str) -> Job:
    with house.service.database.read() as connection:
        job = jobs.latest(connection, exam)
    assert job is not None
    return job
