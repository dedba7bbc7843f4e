"""The running service: its database, its data folder, and what is kept open between requests."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from grader.errors import StoreError
from grader.service import audit, sessions
from grader.service.database import Database, connect
from grader.service.exams import ExamPlace
from grader.store.store import RunStore

_NAMED = 200  # ids that one row of the audit log names; of more it gives the number


@dataclass(frozen=True)
class Settings:
    """hosts: names under which browsers may call; secure: they come through TLS; proxies: addresses whose
    X-Forwarded-For is believed."""

    hosts: tuple[str, ...] = ("127.0.0.1", "localhost")
    secure: bool = False
    proxies: tuple[str, ...] = ()


@dataclass
class Service:
    """What every route works with; `request.app.state.service`."""

    data: Path
    database: Database
    settings: Settings = field(default_factory=Settings)
    max_files: int = 1000
    _runs: dict[str, RunStore] = field(default_factory=dict)
    _views: dict[tuple[str, str, str], set[str]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def exam_folders(self) -> Path:
        """Where the exams' folders are."""
        return self.data / "exams"

    @property
    def cookie(self) -> str:
        """Name of the session's cookie. With the prefix browsers take it from this host alone, and by TLS."""
        return "__Host-grader" if self.settings.secure else "grader_session"

    def touch(self, token: str) -> None:
        """The session was used."""
        with self.database.begin() as connection:
            sessions.touch(connection, token)

    def run(self, exam: ExamPlace) -> RunStore:
        """The exam's run, kept open for readers. Raises StoreError where nothing was read yet."""
        with self._lock:
            if exam.id not in self._runs:
                self._runs[exam.id] = RunStore.open(exam.run)
            return self._runs[exam.id]

    def forget_run(self, exam_id: str) -> None:
        """Close the exam's run, as before its folder goes."""
        with self._lock:
            store = self._runs.pop(exam_id, None)
        if store is not None:
            store.close()

    def saw(self, account: str, exam: str, kind: str, what: Sequence[str]) -> None:
        """Note that pictures or the like were seen. They reach the audit log together, one row an account, exam
        and kind, when `note_views` is next called: every few seconds, and at the end.

        kind: "crops", "scans"; what: opaque ids, never names.
        """
        with self._lock:
            self._views.setdefault((account, exam, kind), set()).update(what)

    def note_views(self) -> None:
        """Write what was seen since the last time to the audit log."""
        with self._lock:
            views, self._views = self._views, {}
        if views:
            with self.database.begin() as connection:
                for (account, exam, kind), seen in sorted(views.items()):
                    audit.record(connection, account, f"saw_{kind}", exam, count=len(seen), ids=sorted(seen)[:_NAMED])

    def close(self) -> None:
        """Write what is left and let go of everything."""
        self.note_views()
        for exam_id in list(self._runs):
            with suppress(StoreError):
                self.forget_run(exam_id)
        self.database.close()


def open_service(data: Path, url: str | None = None, settings: Settings | None = None) -> Service:
    """The service of a data folder, made where it is missing; url: its database, SQLite in the folder by default.

    Raises UsageError or StoreError, as `connect` does, and StoreError for a folder that cannot be written.
    """
    try:
        (data / "exams").mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"cannot use the data folder {data}: {error.strerror}", "name another with --data") from error
    database = connect(url or f"sqlite:///{(data / 'service.sqlite').resolve()}")
    return Service(data, database, settings or Settings())
