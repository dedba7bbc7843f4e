"""Shared fixtures. Data sets are used in place; tests that need them skip where they are absent."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import service_postgres

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("GRADER_DATA", ROOT.parent / "shared" / "data"))


# The sandbox of the browser wants rights that a container does not give; the rest keeps it from calling home.
_BROWSER_FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if DATA.is_dir():
        return
    skip = pytest.mark.skip(reason=f"the data sets are not at {DATA} (set GRADER_DATA)")
    for item in items:
        if "data" in item.keywords:
            item.add_marker(skip)


@pytest.fixture(scope="session")
def data() -> Path:
    """Folder of the real data sets (mark such tests with @pytest.mark.data)."""
    return DATA


@pytest.fixture(scope="session")
def postgres() -> Iterator[service_postgres.Postgres]:
    """A PostgreSQL server of the tests' own; skips where none is installed."""
    programs = service_postgres.programs()
    if programs is None:
        pytest.skip(service_postgres.MISSING)
    server = service_postgres.Postgres(programs)
    yield server
    server.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind: every test that asks for it runs on both."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.sqlite'}"
    server: service_postgres.Postgres = request.getfixturevalue("postgres")
    return server.url()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A real Chromium; skips where there is none."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (pip install grader[dev])")
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if path is None:
        pytest.skip("no chromium on this machine (set CHROMIUM to its path)")
    with driver.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=_BROWSER_FLAGS)
        yield browser
        browser.close()
