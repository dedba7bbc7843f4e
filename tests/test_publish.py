"""Results in a database: there once however often they are published, whole or not at all, and no secret told."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from marking_databases import marking_url, shared_url
from report_run import make_run
from service_postgres import Postgres
from sqlalchemy import Engine, create_engine, text

from grader.errors import ExitCode, UsageError
from grader.run import publish
from grader.run.publish import DatabaseError, ResultsDatabase
from grader.run.published import SCHEMA
from grader.store.decisions import Decision, decide
from grader.store.store import RunStore

__all__ = ["marking_url", "shared_url"]

NOWHERE = "postgresql+psycopg://grader:Geheim1@127.0.0.1:1/results?application_name=x"


@pytest.fixture
def run(tmp_path: Path) -> Iterator[RunStore]:
    """A settled run of eight candidates with a rejected, a duplicate and two unmatched pages."""
    with RunStore.open(make_run(tmp_path / "made")) as store:
        yield store


class Reader:
    """What an analyst sees of one run."""

    def __init__(self, url: str, run: RunStore) -> None:
        self._engine: Engine = create_engine(url)
        self._in = f"{SCHEMA}." if self._engine.dialect.name == "postgresql" else ""
        self._run = run

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of this run, in order."""
        order = "" if table == "runs" else " ORDER BY position"
        query = text(f"SELECT * FROM {self._in}{table} WHERE run_id = :id{order}")
        with self._engine.connect() as connection:
            return [dict(row) for row in connection.execute(query, {"id": self._run.meta()["run_id"]}).mappings()]


def test_what_is_published_is_what_the_run_holds(run: RunStore, marking_url: str) -> None:
    ResultsDatabase(marking_url).publish(run)
    there = Reader(marking_url, run)
    (row,) = there.rows("runs")
    counts = run.meta()["summary"]["counts"]
    assert {name: row[name] for name in counts} == counts
    assert (row["exam_id"], row["exam_title"]) == ("unit-3", "物态变化 <b>&</b> Phases")
    results, held = there.rows("results"), list(run.results())
    assert len(results) == len(held) == counts["responses"]
    for row, answer in zip(results, held, strict=True):
        assert (row["candidate"], row["item"], row["mark"], row["max_mark"], row["confidence"], row["status"]) == (
            answer.candidate, answer.item, answer.mark, answer.max_mark, answer.confidence, answer.status
        )  # fmt: skip
        assert row["response"] == answer.response
        assert (row["file"], row["file_page"], row["sheet_page"]) == (answer.file, answer.file_page, answer.page)
    assert [(row["file"], row["outcome"], row["reason"]) for row in there.rows("ledger")] == [
        (page.file, page.outcome, page.reason) for page in run.ledger()
    ]


def test_published_again_it_is_there_once_and_as_it_is_now(run: RunStore, marking_url: str) -> None:
    database = ResultsDatabase(marking_url)
    database.publish(run)
    there = Reader(marking_url, run)
    before = there.rows("results")
    database.publish(run)
    assert there.rows("results") == before
    assert [len(there.rows(table)) for table in ("runs", "results", "ledger")] == [1, 36, 12]
    answer = next(row for row in run.results(candidate="1002", item="3"))
    decide(run, "Wang", Decision("1002", "3", answer.file, answer.file_page, 1.5))
    database.publish(run)
    changed = [new for old, new in zip(before, there.rows("results"), strict=True) if old != new]
    assert [(row["item"], row["mark"], row["marker"]) for row in changed] == [("3", 1.5, "person:Wang")]


def test_two_runs_of_an_exam_stay_apart_and_a_copy_is_the_same_run(
    run: RunStore, marking_url: str, tmp_path: Path
) -> None:
    database = ResultsDatabase(marking_url)
    database.publish(run)
    shutil.copytree(run.folder, tmp_path / "copy")
    with RunStore.open(make_run(tmp_path / "other", candidates=2)) as other, RunStore.open(tmp_path / "copy") as copy:
        database.publish(other)
        database.publish(copy)
        assert len(Reader(marking_url, run).rows("runs")) == 1
        assert len(Reader(marking_url, other).rows("ledger")) == len(list(other.ledger())) == 6
    assert len(Reader(marking_url, run).rows("ledger")) == len(list(run.ledger())) == 12


def test_whole_or_not_at_all(run: RunStore, marking_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    database = ResultsDatabase(marking_url)
    database.publish(run)
    before = Reader(marking_url, run).rows("results")

    def broken(store: RunStore) -> Iterator[dict[str, Any]]:
        yield from list(publish_ledger(store))[:3]
        raise KeyboardInterrupt

    publish_ledger = publish._ledger_rows
    monkeypatch.setattr(publish, "_ledger_rows", broken)
    with pytest.raises(KeyboardInterrupt):
        database.publish(run)
    assert Reader(marking_url, run).rows("results") == before
    assert len(Reader(marking_url, run).rows("ledger")) == 12


def test_columns_are_of_types_that_can_be_queried(run: RunStore, postgres: Postgres) -> None:
    url = postgres.url()
    ResultsDatabase(url).publish(run)
    with create_engine(url).connect() as connection:
        flagged = connection.execute(
            text("SELECT count(*) FROM grader.results WHERE 'unit_missing' = ANY(flags) AND mark IS NULL")
        ).scalar_one()
        mean = connection.execute(text("SELECT avg(mark / max_mark) FROM grader.results WHERE item = '1'")).scalar_one()
        version = connection.execute(text("SELECT versions ->> 'grader' FROM grader.runs")).scalar_one()
        fresh = connection.execute(
            text("SELECT published_at > now() - interval '1 hour' FROM grader.runs")
        ).scalar_one()
        gone = connection.execute(text("DELETE FROM grader.runs")).rowcount  # takes the rest of the run with it
        left = connection.execute(text("SELECT count(*) FROM grader.results")).scalar_one()
    assert (flagged, version, fresh, gone, left) == (5, "0", True, 1, 0)
    assert 0 < mean < 1


def test_who_may_only_write_publishes_into_tables_that_others_made(run: RunStore, postgres: Postgres) -> None:
    url = postgres.url()
    ResultsDatabase(url).publish(run)
    with create_engine(url).begin() as connection:
        connection.execute(text("CREATE ROLE clerk LOGIN"))
        connection.execute(text("GRANT USAGE ON SCHEMA grader TO clerk"))
        connection.execute(text("GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA grader TO clerk"))
    ResultsDatabase(url.replace("//grader@", "//clerk@")).publish(run)
    assert len(Reader(url, run).rows("ledger")) == 12


def test_text_that_no_database_takes_is_published_without_it(run: RunStore, postgres: Postgres) -> None:
    with run.begin() as connection:
        connection.execute(text("UPDATE answer SET response = 'a' || char(0) || 'b' WHERE candidate = '1001'"))
    url = postgres.url()
    ResultsDatabase(url).publish(run)
    said = {row["response"] for row in Reader(url, run).rows("results") if row["candidate"] == "1001"}
    assert said == {"a\ufffdb"}


# what cannot be


@pytest.mark.parametrize(
    ("url", "what"),
    [("mysql://tom:Geheim1@host/x", "not in mysql"), ("Geheim1", "not the URL of a database"),
     ("postgresql+asyncpg://tom:Geheim1@host/x", "not in postgresql"), ("", "not the URL of a database")],
)  # fmt: skip
def test_an_address_that_can_never_work_is_refused(url: str, what: str) -> None:
    with pytest.raises(UsageError, match=what) as refused:
        ResultsDatabase(url)
    assert "Geheim1" not in str(refused.value)


def test_a_server_that_does_not_answer_is_named_without_its_password(run: RunStore) -> None:
    with pytest.raises(DatabaseError, match=r"127\.0\.0\.1:1/results") as lost:
        ResultsDatabase(NOWHERE).publish(run)
    assert "Geheim1" not in str(lost.value)
    assert "run the same command again" in lost.value.remedy


def test_an_account_that_is_refused_is_named_without_its_password(run: RunStore, postgres: Postgres) -> None:
    with pytest.raises(DatabaseError) as refused:
        ResultsDatabase(postgres.url().replace("grader@", "nobody-such:Geheim1@")).publish(run)
    assert "Geheim1" not in str(refused.value)
    assert "nobody-such" in str(refused.value)


# the command line


def test_a_run_publishes_at_its_end_and_ends_well_without_a_database(tmp_path: Path) -> None:
    from drawn_run import make_job

    folder = make_job(tmp_path / "job", pages=2).form_folder

    def grader(database: str) -> subprocess.CompletedProcess[str]:
        words = ["run", "exam.yaml", "--form", "form.json", "--scans", "scans", "--out", "run", "--executor", "serial"]
        command = [sys.executable, "-m", "grader", *words, "--database", database]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)

    away = grader(NOWHERE)
    assert away.returncode == ExitCode.DONE_WITH_REJECTS
    assert "warning" in away.stderr
    assert "the results were not published" in away.stderr
    assert (folder / "run" / "results.csv").read_text(encoding="utf-8").count("\n") == 1 + 16
    there = grader(f"sqlite:///{folder / 'results.sqlite'}")  # the same command, now that there is one
    assert there.returncode == ExitCode.DONE, there.stderr
    assert "published: sqlite:///" in there.stderr
    with closing(sqlite3.connect(folder / "results.sqlite")) as connection:
        assert connection.execute("SELECT count(*), sum(mark) FROM results").fetchone() == (16, 16.0)
    for path in (folder / "run").iterdir():
        assert b"Geheim1" not in path.read_bytes(), path.name
    assert "Geheim1" not in away.stdout + away.stderr
    never = grader("oracle://tom:Geheim1@host/x")
    assert never.returncode == ExitCode.UNUSABLE
    assert "Geheim1" not in never.stderr
