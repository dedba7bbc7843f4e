"""What one marker does at one run: the store, its queues and the changes to them. Knows nothing of the web."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.desk.queue import Entry, Queue, alike, entry, opaque
from grader.desk.sure import Proposed
from grader.errors import StoreError, UsageError
from grader.exam.exam import Exam, Item, ShortAnswerItem
from grader.records import Transcription
from grader.run.refresh import refresh
from grader.scoring.normal import normalise
from grader.store.decisions import Attribution, Decision, answer_key, attribute, decide, undo
from grader.store.raised import Raised, raise_to_leader, raised
from grader.store.store import LedgerRow, ResultRow, RunStore


@dataclass(frozen=True)
class Progress:
    """How far an item is. order: its place in the exam, from 0."""

    order: int
    item: Item
    final: int
    proposed: int
    review: int

    @property
    def waiting(self) -> int:
        """Answers that a person has still to decide."""
        return self.proposed + self.review


@dataclass(frozen=True)
class LostPage:
    """A page that belongs to nobody yet. attributable: it lies on the form, so its answers can be given."""

    name: str
    row: LedgerRow

    @property
    def attributable(self) -> bool:
        """Whether saying whose page it is has an effect."""
        return self.row.sheet_page is not None


class NotHere(LookupError):
    """The run has no such item, answer or page."""


class Desk:
    """One run and one marker. Safe to call from several threads."""

    def __init__(self, store: RunStore, marker: str) -> None:
        """Raises StoreError for a run that was never settled."""
        meta = store.meta()
        if "summary" not in meta:
            raise StoreError(f"{store.folder} is not finished", "run the same grader run command again: it resumes")
        if "desk_secret" not in meta:  # kept, so that an address still opens the same answer after a restart
            meta["desk_secret"] = secrets.token_hex(32)
            store.set_meta(desk_secret=meta["desk_secret"])
        self.store = store
        self.marker = marker
        self.exam = Exam.model_validate(meta["exam"])
        self._secret = bytes.fromhex(meta["desk_secret"])
        self._lock = threading.RLock()
        self._queues: dict[int, tuple[Queue, set[str]]] = {}
        self._texts: dict[int, dict[str, str]] = {}
        self._raised = raised(store)
        self._unwritten = False

    @property
    def run_name(self) -> str:
        """An opaque name of the run."""
        return opaque(self._secret, "run")

    # looking

    def progress(self) -> list[Progress]:
        """Every item in the exam's order."""
        found = self.store.statuses()
        return [
            Progress(order, item, **{status: found.get(item.id, {}).get(status, 0) for status in _STATUSES})
            for order, item in enumerate(self.exam.items)
        ]

    def item(self, order: int) -> Item:
        """The item at that place. Raises NotHere if there is none."""
        if not 0 <= order < len(self.exam.items):
            raise NotHere(order)
        return self.exam.items[order]

    def queue(self, order: int) -> tuple[Queue, set[str]]:
        """The item's queue, and the names of the answers in it that wait."""
        with self._lock:
            if order not in self._queues:
                entries, waiting, texts = [], set(), {}
                for row in self.store.results(item=self.item(order).id):
                    one = entry(row, self._secret)
                    entries.append(one)
                    texts[one.group] = normalise(row.response)
                    if row.status != "final" and one.answer not in self._raised:
                        waiting.add(one.name)
                self._queues[order], self._texts[order] = (Queue(entries), waiting), texts
            return self._queues[order]

    def next(self, order: int, after: str | None = None) -> Entry | None:
        """The next answer to the item that waits, or None."""
        queue, waiting = self.queue(order)
        return queue.next(waiting, after if after in queue else None)

    def answer(self, order: int, name: str) -> ResultRow:
        """The answer as it stands. Raises NotHere if there is none."""
        candidate, file, page, item = self._entry(order, name).answer
        row = self.store.answer(candidate, item, file, page)
        if row is None:  # the run was settled again by somebody else
            self._forget()
            raise NotHere(name)
        return row

    def picture(self, order: int, name: str) -> bytes:
        """The PNG of the answer as written. Raises NotHere if there is none."""
        crop = self.answer(order, name).crop
        if not crop:
            raise NotHere(name)
        return self.store.crop(crop)

    def identical(self, order: int, name: str) -> list[Entry]:
        """The waiting answers that read the same as this one, this one first if it waits. Raises NotHere."""
        self._entry(order, name)
        queue, waiting = self.queue(order)
        return [one for one in queue.identical(name) if one.name in waiting]

    def near(self, order: int, name: str) -> list[Entry]:
        """The waiting answers that read nearly like this one, the most alike first. Raises NotHere."""
        one, (queue, waiting) = self._entry(order, name), self.queue(order)
        likeness = alike(one.group, self._texts[order])
        found = [e for e in queue.entries if e.name in waiting and e.group in likeness]
        return sorted(found, key=lambda e: (-likeness[e.group], e.group, e.name))

    def proposals(self, order: int) -> list[Proposed]:
        """What the engine proposed for the answers that wait, in the order of the queue."""
        queue, waiting = self.queue(order)
        rows = {answer_key(r.candidate, r.file, r.file_page, r.item): r for r in self._rows(order)}
        return [
            Proposed(one.name, row.mark, row.confidence, row.status)
            for one in queue.entries
            if one.name in waiting and (row := rows.get(one.answer))
        ]

    def transcription(self, order: int, name: str) -> Transcription | None:
        """How the picture of the answer was read, where its text comes from that one picture."""
        row = self.answer(order, name)
        record = row.file and self.store.page_record(row.file, row.file_page or 1)
        found = (r.transcription for r in (record.result.responses if record else ()) if r.item == row.item)
        return next(found, None)

    def _rows(self, order: int) -> Iterator[ResultRow]:
        return self.store.results(item=self.item(order).id)

    # for the leader

    def raised(self) -> list[tuple[int, str, str, str]]:
        """Item, name, who raised it and why, of every answer that waits for the leader."""
        places = {item.id: order for order, item in enumerate(self.exam.items)}
        return [
            (places[one.item], opaque(self._secret, "answer", *key), actor, one.comment)
            for key, (actor, one) in self._raised.items()
        ]

    def raise_to_leader(self, order: int, name: str, comment: str, standing: bool = True) -> None:
        """Set the answer aside with a word why, or (standing False) put it back. Raises NotHere."""
        candidate, file, page, item = self._entry(order, name).answer
        waiting = self.queue(order)[1]
        undecided = self.answer(order, name).status != "final"
        with self._lock:
            raise_to_leader(self.store, self.marker, Raised(candidate, item, file, page, comment, standing))
            self._raised = raised(self.store)
            if standing or not undecided:
                waiting.discard(name)
            else:
                waiting.add(name)

    # deciding

    def accept(self, order: int, names: Sequence[str]) -> None:
        """Make the engine's proposals final, as one action. Raises UsageError where one has no mark, NotHere."""
        _, waiting = self.queue(order)
        together = secrets.token_hex(8) if len(names) > 1 else ""
        made = []
        for name in names:
            candidate, file, page, item = self._entry(order, name).answer
            row = self.answer(order, name)
            held = row.proposal or row
            if held.mark is None:
                raise UsageError("no mark is proposed", "write one")
            criteria = {one.id: one.mark for one in held.criteria} or None
            made.append(Decision(candidate, item, file, page, held.mark, criteria, "", together))
        with self._lock:
            decide(self.store, self.marker, *made)
            waiting.difference_update(names)
            if self._raised:
                self._raised = raised(self.store)
            self._unwritten = True

    def decide(
        self,
        order: int,
        names: Sequence[str],
        mark: float,
        criteria: dict[str, float] | None,
        comment: str,
    ) -> None:
        """Give answers a mark: all of them or, on an error, none. Raises UsageError, NotHere."""
        _, waiting = self.queue(order)
        together = secrets.token_hex(8) if len(names) > 1 else ""
        made = [
            Decision(candidate, item, file, page, mark, criteria, comment, together)
            for candidate, file, page, item in (self._entry(order, name).answer for name in names)
        ]
        with self._lock:
            decide(self.store, self.marker, *made)
            waiting.difference_update(names)
            if self._raised:
                self._raised = raised(self.store)
            self._unwritten = True

    def undo(self) -> list[tuple[int, str]]:
        """Take back the marker's last action: item and name of its answers, [] where there is nothing."""
        with self._lock:
            withdrawn = undo(self.store, self.marker)
            places = {item.id: order for order, item in enumerate(self.exam.items)}
            found = []
            for decision in withdrawn:
                order = places[decision.item]
                name = opaque(self._secret, "answer", *decision.key)
                if self.answer(order, name).status != "final":
                    self.queue(order)[1].add(name)
                found.append((order, name))
            self._unwritten = self._unwritten or bool(withdrawn)
            return found

    # pages

    def lost_pages(self) -> Iterator[LostPage]:
        """The pages that came in and are unmatched."""
        for row in self.store.ledger():
            if row.file and row.outcome == "unmatched":
                yield LostPage(opaque(self._secret, "page", row.file, row.page), row)

    def lost_page(self, name: str) -> LostPage:
        """One of them. Raises NotHere if it is none of them."""
        for page in self.lost_pages():
            if page.name == name:
                return page
        raise NotHere(name)

    def give(self, name: str, candidate: str) -> LedgerRow:
        """Say whose page it is and settle again; what became of the page. Raises NotHere, UsageError."""
        with self._lock:
            page = self.lost_page(name)
            if not page.attributable:
                raise UsageError("the page does not lie on the form", "mark it by hand")
            ref = page.row.file, page.row.page
            attribute(self.store, self.marker, Attribution(*ref, candidate))
            self.refresh()
            return next(row for row in self.store.ledger() if (row.file, row.page) == ref)

    # the run's files

    def refresh(self) -> Mapping[str, int]:
        """Settle again and write the run's files; the counts of run.json."""
        with self._lock:
            summary: dict[str, Any] = refresh(self.store)
            self._forget()
            self._unwritten = False
            counts: dict[str, int] = summary["counts"]
            return counts

    def finish(self) -> None:
        """Write the run's files if a decision is not in them yet."""
        with self._lock:
            if self._unwritten:
                self.refresh()

    def _entry(self, order: int, name: str) -> Entry:
        queue, _ = self.queue(order)
        if name not in queue:
            raise NotHere(name)
        return queue[name]

    def _forget(self) -> None:
        with self._lock:
            self._queues.clear()
            self._texts.clear()


_STATUSES = ("final", "proposed", "review")


def criteria_of(item: Item, mark: float, given: Sequence[float | None]) -> dict[str, float] | None:
    """The marks per criterion that go with a mark: those given if they add up to it, else none ({}).

    None for an item without a rubric. given: in the order of the rubric, None where nothing was given.
    """
    if not isinstance(item, ShortAnswerItem) or not item.rubric:
        return None
    values = [value for value in given if value is not None]
    if len(values) != len(item.rubric) or abs(min(sum(values), item.max_mark) - mark) > 1e-9:
        return {}
    return {criterion.id: value for criterion, value in zip(item.rubric, values, strict=True)}
