"""A desk on a settled run, and a browser-like client that has entered it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import report_run
from fastapi.testclient import TestClient
from httpx import Response

from grader.desk.app import create_app
from grader.desk.desk import Desk
from grader.desk.security import Session
from grader.store.store import RunStore

ADDRESS = "http://127.0.0.1:8765"
SHORT, NUMERIC = 3, 2  # places of items "4" and "3" in report_run.EXAM


class Visitor:
    """Follows the desk as a browser without scripts does."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.session = Session("desk", desk.exam.exam.language)
        self.app = create_app(desk, self.session)
        self.client = TestClient(self.app, base_url=ADDRESS)

    def enter(self) -> Visitor:
        """Use the ticket."""
        self.client.get("/enter", params={"ticket": self.session.ticket}).raise_for_status()
        return self

    def post(self, path: str, **fields: object) -> Response:
        """Send a form as our own pages do."""
        return self.client.post(path, data={"csrf": self.session.csrf, **fields})

    def first(self, order: int) -> str:
        """Path of the first answer of an item that waits."""
        return urlsplit(str(self.client.get(f"/items/{order}/next").url)).path


@contextmanager
def visiting(folder: Path, candidates: int = 8) -> Iterator[Visitor]:
    """A desk of a made-up run in `folder`, entered."""
    with RunStore.open(report_run.make_run(folder, candidates=candidates)) as store:
        yield Visitor(Desk(store, "chen")).enter()


def rows(desk: Desk) -> dict[tuple[str, str], tuple[float | None, str, str]]:
    """(candidate, item) → mark, status, marker."""
    return {(r.candidate, r.item): (r.mark, r.status, r.marker) for r in desk.store.results()}


def links(text: str) -> set[str]:
    """Every address in a page."""
    return set(re.findall(r'(?:href|src|action)="([^"]*)"', text))
