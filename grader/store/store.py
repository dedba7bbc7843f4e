"""The store of one run: one SQLite file beside its CSV files. The only door to the tables.

Writers: `grader.run` (page events, projections). Readers: reports, the desk, `replay`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, func, insert, select

from grader.errors import StoreError
from grader.records import Box, CriterionMark, Outcome, PageRef, PageResult, Status
from grader.store import records, schema
from grader.store.entry import Entry, entry_of
from grader.store.lock import RunLock

DATABASE = "run.sqlite"
_AT_ONCE = 64  # pages whose records are fetched together
_END_LEASE = delete(schema.lease).where(
    schema.lease.c.file == bindparam("of_file"), schema.lease.c.page == bindparam("of_page")
)


@dataclass(frozen=True)
class LedgerRow:
    """What happened to one page of one file."""

    file: str
    page: int
    outcome: Outcome
    reason: str
    detail: str
    candidate: str
    sheet_page: int | None


@dataclass(frozen=True)
class Proposal:
    """What the engine derived for an answer that a person decided since."""

    mark: float | None
    confidence: float
    status: Status
    marker: str
    criteria: tuple[CriterionMark, ...]


@dataclass(frozen=True)
class ResultRow:
    """One answer of one candidate with its mark. file is None where the page is missing.

    box: x, y, width, height in pixels of the page as scanned. crop: SHA-256 for `RunStore.crop`, or "".
    proposal: what the engine had derived, where a person decided; comment: what the person wrote about it.
    """

    candidate: str
    page: int | None
    item: str
    response: str
    mark: float | None
    max_mark: float
    confidence: float
    status: Status
    flags: tuple[str, ...]
    file: str | None
    file_page: int | None
    crop: str
    marker: str
    criteria: tuple[CriterionMark, ...]
    box: Box
    item_order: int = 0
    proposal: Proposal | None = None
    comment: str = ""


@dataclass(frozen=True, eq=False)
class PageRecord:
    """The journal's record of one page. crops: field id → SHA-256."""

    result: PageResult
    crops: dict[str, str]


class RunStore:
    """One run. Open an existing one with `open`; a new or existing one, to mark scans into it, with `create`.

    Every method raises StoreError where the disk is full or the file damaged, locked or not writable.
    """

    def __init__(self, folder: Path, lock: RunLock | None = None) -> None:
        self.folder = folder
        self._lock = lock
        self._kinds: dict[PageRef, str] = {}  # of the events of pages that are read again
        self._engine = schema.connect(f"sqlite:///{folder / DATABASE}", durable=lock is not None)

    @classmethod
    def create(cls, folder: Path) -> RunStore:
        """The run at `folder`, made if it is not there, for this process alone until it is closed.

        Raises StoreError if the folder cannot be used or another process has it.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot make the run folder {folder}: {error.strerror}", "name another folder") from error
        lock = RunLock(folder)
        try:
            return cls(folder, lock)
        except StoreError:
            lock.release()
            raise

    @classmethod
    def open(cls, folder: Path) -> RunStore:
        """The run at `folder`. Raises StoreError if there is none."""
        if not (folder / DATABASE).is_file():
            raise StoreError(
                f"{folder} is not a run: it has no {DATABASE}", "name the folder given to grader run --out"
            )
        return cls(folder)

    def close(self) -> None:
        """Release the database file, and the folder."""
        self._engine.dispose()
        if self._lock is not None:
            self._lock.release()

    def begin(self) -> AbstractContextManager[Connection]:
        """A transaction: all of it is kept, or none."""
        return self._engine.begin()

    def __enter__(self) -> RunStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # what the run is

    def meta(self) -> dict[str, Any]:
        """exam, form, form_folder, settings, versions, models, and after settling counts and seconds."""
        with self._engine.connect() as connection:
            return {key: json.loads(value) for key, value in connection.execute(select(schema.meta))}

    def set_meta(self, **values: Any) -> None:
        """Set what describes the run."""
        with self._engine.begin() as connection:
            for key, value in values.items():
                connection.execute(delete(schema.meta).where(schema.meta.c.key == key))
                connection.execute(insert(schema.meta).values(key=key, value=json.dumps(value, ensure_ascii=False)))

    # the journal

    def done(self) -> dict[PageRef, datetime]:
        """The pages that the journal already holds, and when they came into it."""
        c = schema.event.c
        with self._engine.connect() as connection:
            query = select(c.file, c.page, c.at).where(c.kind.in_(_page_kinds(connection))).order_by(c.id)
            return {PageRef(file, page): datetime.fromisoformat(at) for file, page, at in connection.execute(query)}

    def read_again(self, refs: Iterable[PageRef]) -> None:
        """Let `record` take one more reading of these pages, which the journal holds: an event of its own. The last
        reading is the one that counts; the earlier ones stay in the journal."""
        wanted = set(refs)
        with self._engine.connect() as connection:
            c = schema.event.c
            query = select(c.file, c.page, func.count()).where(c.kind.in_(_page_kinds(connection)))
            for file, page, times in connection.execute(query.group_by(c.file, c.page)):
                if (ref := PageRef(file, page)) in wanted:
                    self._kinds[ref] = f"page/{times + 1}"

    def record_pages(self, results: Sequence[PageResult]) -> None:
        """`record` for results as a reader gives them."""
        self.record([entry_of(result) for result in results])

    def record(self, entries: Sequence[Entry]) -> None:
        """Append pages to the journal and end their leases, all or none.

        Idempotent: the key is (file, page), and what the journal already holds of a page stays as it is, unless it
        is to be read again.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        event = insert(schema.event).prefix_with("OR IGNORE", dialect="sqlite")
        picture = insert(schema.crop).prefix_with("OR IGNORE", dialect="sqlite")
        fixed, kinds = {"at": now, "actor": "engine"}, self._kinds
        events = [
            {**fixed, "kind": kinds.get(e.ref, "page"), "file": e.ref.file, "page": e.ref.page, "body": e.body}
            for e in entries
        ]
        pictures = {digest: png for entry in entries for digest, png in entry.pictures.items()}
        crops = [{"sha256": digest, "png": png} for digest, png in pictures.items()]
        ended = [{"of_file": entry.ref.file, "of_page": entry.ref.page} for entry in entries]
        with self._engine.begin() as connection:
            for statement, rows in ((event, events), (picture, crops), (_END_LEASE, ended)):
                if rows:
                    connection.execute(statement, rows)

    def page_events(self, order: Sequence[PageRef]) -> Iterator[tuple[int, PageRecord]]:
        """Event id and record of every page of `order` that the journal holds, streamed in that order."""
        for event_id, body in self._bodies(order):
            yield event_id, PageRecord(*records.from_json(body))

    def page_outlines(self, order: Sequence[PageRef]) -> Iterator[tuple[int, PageResult]]:
        """As `page_events`, without what was read on the pages: readings, responses and marks are empty."""
        for event_id, body in self._bodies(order):
            yield event_id, records.outline(body)

    def _bodies(self, order: Sequence[PageRef]) -> Iterator[tuple[int, str]]:
        c = schema.event.c
        with self._engine.connect() as connection:
            kinds = _page_kinds(connection)
            for start in range(0, len(order), _AT_ONCE):
                wanted = [(ref.file, ref.page) for ref in order[start : start + _AT_ONCE]]
                files, pages = ({key[part] for key in wanted} for part in (0, 1))  # SQLite has no index for pairs
                query = select(c.file, c.page, c.id, c.body).where(
                    c.kind.in_(kinds), c.file.in_(files), c.page.in_(pages)
                )
                query = query.order_by(c.id)  # the last reading of a page is the one that counts
                found = {(file, page): (id_, body) for file, page, id_, body in connection.execute(query)}
                yield from (found[key] for key in wanted if key in found)

    def page_record(self, file: str, page: int) -> PageRecord | None:
        """The record of one page, or None."""
        return next((record for _, record in self.page_events([PageRef(file, page)])), None)

    def keep_crop(self, png: bytes) -> str:
        """Keep a picture that was put together from crops; its SHA-256."""
        digest = hashlib.sha256(png).hexdigest()
        with self._engine.begin() as connection:
            statement = insert(schema.crop).prefix_with("OR IGNORE", dialect="sqlite")
            connection.execute(statement.values(sha256=digest, png=png))
        return digest

    # projections

    def project(self, pages: Iterable[dict[str, Any]], answers: Iterable[dict[str, Any]]) -> None:
        """Replace the projections by these rows, which hold every column. In one transaction; both are streamed."""
        with self._engine.begin() as connection:
            for table, rows in ((schema.page, pages), (schema.answer, answers)):
                connection.execute(delete(table))
                columns = [column.name for column in table.columns if column.autoincrement is not True]
                # straight to the driver: compiling each row of these many costs more than writing it
                named = ", ".join(f":{name}" for name in columns)
                statement = f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({named})"
                for chunk in _chunks(rows, 500):
                    connection.exec_driver_sql(statement, chunk)

    def ledger(self) -> Iterator[LedgerRow]:
        """Every page in the order of the plan."""
        c = schema.page.c
        query = select(c.file, c.page, c.outcome, c.reason, c.detail, c.candidate, c.sheet_page).order_by(c.ordinal)
        with self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=500).execute(query):
                yield LedgerRow(*row)

    def results(
        self, *, status: Status | None = None, candidate: str | None = None, item: str | None = None
    ) -> Iterator[ResultRow]:
        """Every answer, by candidate and then by the exam's order of items; streamed."""
        c = schema.answer.c
        query = select(schema.answer).order_by(c.candidate, c.item_order, c.id)
        for column, wanted in ((c.status, status), (c.candidate, candidate), (c.item, item)):
            if wanted is not None:
                query = query.where(column == wanted)
        with self._engine.connect() as connection:
            for row in connection.execution_options(yield_per=500).execute(query):
                yield _result_row(row)

    def results_table(self) -> Iterator[Sequence[Any]]:
        """Of every answer what results.csv holds, under the names of the columns, in the order of `results`."""
        c = schema.answer.c
        columns = (c.candidate, c.sheet_page, c.item, c.response, c.mark, c.max_mark, c.confidence, c.status, c.flags)
        query = select(*columns).order_by(c.candidate, c.item_order, c.id)
        with self._engine.connect() as connection:
            yield from connection.execution_options(yield_per=500).execute(query)

    def answer(self, candidate: str, item: str, file: str | None, file_page: int | None) -> ResultRow | None:
        """One answer by the page that holds it, or by the candidate where file is None; None if there is none."""
        query = select(schema.answer).where(where_answer(candidate, item, file, file_page))
        with self._engine.connect() as connection:
            row = connection.execute(query).first()
        return None if row is None else _result_row(row)

    def statuses(self) -> dict[str, dict[str, int]]:
        """item → status → number of answers."""
        c = schema.answer.c
        found: dict[str, dict[str, int]] = {}
        with self._engine.connect() as connection:
            query = select(c.item, c.status, func.count()).group_by(c.item, c.status)
            for item, status, count in connection.execute(query):
                found.setdefault(item, {})[status] = count
        return found

    def crop(self, sha256: str) -> bytes:
        """The PNG of a crop. Raises KeyError if there is none."""
        with self._engine.connect() as connection:
            png = connection.execute(select(schema.crop.c.png).where(schema.crop.c.sha256 == sha256)).scalar()
        if png is None:
            raise KeyError(sha256)
        return bytes(png)

    def count(self, **by: str) -> dict[str, int]:
        """Rows of a projection by one column: count(page="outcome") or count(answer="status")."""
        ((table_name, column_name),) = by.items()
        table = schema.metadata.tables[table_name]
        column = table.c[column_name]
        with self._engine.connect() as connection:
            rows = connection.execute(select(column, func.count()).group_by(column)).all()
            return {row[0]: row[1] for row in rows}


def _page_kinds(connection: Connection) -> list[str]:
    """Kinds of the events that are readings of pages: "page", and "page/2" and so on where any were read again."""
    kind = schema.event.c.kind
    again = select(kind).where(kind > "page/", kind < "page0").distinct()
    return ["page", *connection.execute(again).scalars()]


def where_answer(candidate: str, item: str, file: str | None, file_page: int | None) -> ColumnElement[bool]:
    """What identifies an answer: the page it is on, or the candidate where the page is missing."""
    c = schema.answer.c
    if file:
        return (c.file == file) & (c.file_page == file_page) & (c.item == item)
    return c.file.is_(None) & (c.candidate == candidate) & (c.item == item)


def _criteria(text: str) -> tuple[CriterionMark, ...]:
    return tuple(
        CriterionMark(id_, mark, confidence, tuple(evidence) if evidence else None)
        for id_, mark, confidence, evidence in json.loads(text)
    )


def _proposal(text: str | None) -> Proposal | None:
    if text is None:
        return None
    held = json.loads(text)
    return Proposal(**{**held, "criteria": _criteria(held["criteria"])})


def _result_row(row: Any) -> ResultRow:
    x, y, w, h = json.loads(row.box)
    return ResultRow(
        candidate=row.candidate,
        page=row.sheet_page,
        item=row.item,
        response=row.response,
        mark=row.mark,
        max_mark=row.max_mark,
        confidence=row.confidence,
        status=row.status,
        flags=tuple(row.flags.split()),
        file=row.file,
        file_page=row.file_page,
        crop=row.crop,
        marker=row.marker,
        criteria=_criteria(row.criteria),
        box=(x, y, w, h),
        item_order=row.item_order,
        proposal=_proposal(row.proposal),
        comment=row.comment,
    )


def _chunks(rows: Iterable[dict[str, Any]], size: int) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
