"""Both databases for tests of marking. PostgreSQL's is shared by all of them: a test works on an exam of its own.

Import the fixtures into a test module: `from marking_databases import marking_url, shared_url`.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from service_postgres import Postgres


@pytest.fixture(scope="session")
def shared_url(postgres: Postgres) -> str:
    """The address of a database of the tests' own server."""
    return postgres.url()


@pytest.fixture(params=["sqlite", "postgresql"])
def marking_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of a database of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'service.sqlite'}"
    url: str = request.getfixturevalue("shared_url")
    return url
