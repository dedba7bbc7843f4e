"""The database under the service: the same promises from SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from grader.errors import StoreError, UsageError
from grader.service import audit, schema
from grader.service.database import Database, connect, moment, now, stamp


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = connect(database_url)
    yield opened
    opened.close()


def _account(name: str) -> dict[str, object]:
    return {"id": name, "login": name, "name": name, "role": "marker", "active": True, "created": now()}


def test_a_transaction_is_kept_whole_or_not_at_all(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(insert(schema.account).values(**_account("bob")))
    with pytest.raises(IntegrityError), database.begin() as connection:
        connection.execute(insert(schema.account), [_account("ada"), _account("bob")])
    with database.read() as connection:
        assert list(connection.execute(select(schema.account.c.id)).scalars()) == ["bob"]


def test_a_transaction_within_a_transaction_is_refused(database: Database) -> None:
    with database.begin(), pytest.raises(RuntimeError, match="within"), database.begin():
        pass
    with database.begin():
        pass  # and the first one has let go


def test_a_second_start_finds_what_the_first_one_left(database: Database, database_url: str) -> None:
    with database.begin() as connection:
        connection.execute(insert(schema.account).values(**_account("ada")))
    again = connect(database_url)
    with again.read() as connection:
        assert connection.scalar(select(schema.account.c.login)) == "ada"
    again.close()


def test_a_database_of_another_version_is_refused(database: Database, database_url: str) -> None:
    with database.begin() as connection:
        connection.execute(text("UPDATE schema_version SET schema = 'grader-service/0'"))
    with pytest.raises(StoreError, match="grader-service/0"):
        connect(database_url)


@pytest.mark.parametrize("url", ["mysql://x/y", "nonsense", "postgresql+psycopg://grader@127.0.0.1:9/none"])
def test_a_database_that_cannot_be_used_is_said(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        connect(url)
    assert refused.value.remedy


def test_a_password_in_the_address_is_never_said() -> None:
    with pytest.raises(UsageError) as refused:
        connect("postgresql+psycopg://grader:hush-hush@127.0.0.1:9/none")
    assert "hush-hush" not in str(refused.value)


def test_the_log_refuses_changes_from_anybody(database: Database) -> None:
    with database.begin() as connection:
        audit.record(connection, "ada", "did")
    changes: list[Any] = [
        update(schema.audit).values(action="never"),
        delete(schema.audit),
        text("DELETE FROM audit WHERE id = 1"),
        *([text("TRUNCATE audit")] if database.engine.dialect.name == "postgresql" else []),
    ]
    for statement in changes:
        with pytest.raises(DBAPIError, match="can only grow"), database.begin() as connection:
            connection.execute(statement)
    with database.read() as connection:
        assert audit.verify(connection).broken is None


def test_many_writers_make_one_chain(database: Database) -> None:
    def write(who: str) -> None:
        for turn in range(10):
            with database.begin() as connection:
                audit.record(connection, who, "did", turn=turn)

    threads = [threading.Thread(target=write, args=(f"person {n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        verdict = audit.verify(connection)
    assert (verdict.rows, verdict.broken) == (60, None)


# each changes row 3 in another way, as one could who writes the files past the triggers
TAMPERINGS = {
    "a word": "UPDATE audit SET action = 'nothing' WHERE id = 3",
    "the time": "UPDATE audit SET at = '2020-01-01T00:00:00.000000Z' WHERE id = 3",
    "the person": "UPDATE audit SET actor = 'eve' WHERE id = 3",
    "the detail": "UPDATE audit SET detail = '{}' WHERE id = 3",
    "its hash": "UPDATE audit SET hash = previous WHERE id = 3",
    "taken out": "DELETE FROM audit WHERE id = 3",
}


@pytest.mark.parametrize("how", TAMPERINGS)
def test_a_change_past_the_triggers_shows(database: Database, how: str) -> None:
    with database.begin() as connection:
        for turn in range(5):
            audit.record(connection, "ada", "did", "exam", turn=turn)
        assert audit.verify(connection).broken is None
    with database.begin() as connection:
        if database.engine.dialect.name == "postgresql":
            connection.execute(text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        else:
            connection.execute(text("DROP TRIGGER audit_no_update"))
            connection.execute(text("DROP TRIGGER audit_no_delete"))
        connection.execute(text(TAMPERINGS[how]))
    with database.read() as connection:
        assert audit.verify(connection).broken == 3


def test_times_compare_as_text() -> None:
    early, late = "2026-01-31T08:00:00.000001Z", "2026-01-31T08:00:00.100000Z"
    assert stamp(moment(early)) == early
    assert (early < late) == (moment(early) < moment(late))
    assert len(now()) == len(early)


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "service.sqlite").write_text("not a database " * 100)
    with pytest.raises(StoreError):
        connect(f"sqlite:///{tmp_path / 'service.sqlite'}")
