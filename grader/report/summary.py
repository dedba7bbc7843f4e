"""What a report says, gathered from a run's store in one pass over the answers and one over the ledger.

Bounded: of answers only a matrix of marks and the choices of choice items are kept; lists of things to look
at stop at a stated number, and the spreadsheet has all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from grader.exam.exam import ChoiceItem, Exam, MultiChoiceItem
from grader.exam.form import Form
from grader.report.statistics import (
    Bin,
    ExamStatistics,
    ItemStatistics,
    OptionCount,
    complete_rows,
    distribution,
    exam_statistics,
    item_statistics,
    option_counts,
)
from grader.store.store import LedgerRow, ResultRow, RunStore

MAX_REVIEW_SHOWN = 120
MAX_PAGES_SHOWN = 60


@dataclass(frozen=True)
class Total:
    """A candidate's marks. confirmed: final marks alone; provisional: proposed and doubtful ones too."""

    candidate: str
    confirmed: float
    provisional: float
    open: int  # answers in review
    unmarked: int  # answers without any mark


@dataclass
class Summary:
    """Everything the HTML report shows; `totals` is by candidate."""

    exam: Exam
    form: Form
    meta: dict[str, Any]
    pages: dict[str, int]
    missing: int
    reasons: Counter[str]
    statuses: Counter[str]
    flags: Counter[str]
    open_by_item: Counter[str]
    items: list[ItemStatistics]
    options: dict[str, list[OptionCount]]
    overall: ExamStatistics
    scores: list[Bin]
    totals: list[Total]
    review: list[ResultRow]
    not_read: list[LedgerRow]
    max_total: float = 0.0

    @property
    def page_count(self) -> int:
        """Pages that came in."""
        return sum(self.pages.values())

    @property
    def balances(self) -> bool:
        """Pages in equal pages read and pages excused with a reason."""
        return self.page_count == self.meta.get("counts", {}).get("pages", self.page_count)


@dataclass
class _Tally:
    """What one pass over the answers collects."""

    items: dict[str, int]
    candidates: dict[str, int] = field(default_factory=dict)
    rows: list[np.ndarray] = field(default_factory=list)
    final: list[np.ndarray] = field(default_factory=list)
    open: list[int] = field(default_factory=list)
    choices: dict[str, dict[int, str]] = field(default_factory=dict)

    def add(self, row: ResultRow) -> None:
        number = self.candidates.setdefault(row.candidate, len(self.candidates))
        if number == len(self.rows):
            self.rows.append(np.full(len(self.items), np.nan))
            self.final.append(np.zeros(len(self.items)))
            self.open.append(0)
        column = self.items[row.item]
        self.open[number] += row.status == "review"
        if row.mark is not None and np.isnan(self.rows[number][column]):
            self.rows[number][column] = row.mark
            if row.status == "final":
                self.final[number][column] = row.mark
        if row.item in self.choices and row.file is not None:
            self.choices[row.item].setdefault(number, row.response)

    def marks(self) -> np.ndarray:
        return np.stack(self.rows) if self.rows else np.empty((0, len(self.items)))


def gather(store: RunStore) -> Summary:
    """Read a settled run."""
    held = store.meta()
    meta = {**held.get("summary", {}), **held}  # counts, seconds and absent are in the summary
    exam = Exam.model_validate(meta["exam"])
    form = Form.model_validate(meta["form"])
    chosen = [item for item in exam.items if isinstance(item, ChoiceItem | MultiChoiceItem)]
    tally = _Tally({item.id: n for n, item in enumerate(exam.items)}, choices={item.id: {} for item in chosen})
    statuses: Counter[str] = Counter()
    flags: Counter[str] = Counter()
    open_by_item: Counter[str] = Counter()
    review: list[ResultRow] = []
    for row in store.results():
        statuses[row.status] += 1
        flags.update(row.flags)
        if row.status == "review":
            open_by_item[row.item] += 1
            if len(review) < MAX_REVIEW_SHOWN:
                review.append(row)
        if counts_for_statistics(row):
            tally.add(row)
    pages, missing, reasons, not_read = _read_ledger(store)
    marks = tally.marks()
    max_total = sum(item.max_mark for item in exam.items)
    complete = complete_rows(marks).sum(axis=1)
    return Summary(
        exam=exam,
        form=form,
        meta=meta,
        pages=pages,
        missing=missing,
        reasons=reasons,
        statuses=statuses,
        flags=flags,
        open_by_item=open_by_item,
        items=item_statistics([(item.id, item.max_mark) for item in exam.items], marks),
        options={item.id: _options(item, exam, tally, marks) for item in chosen},
        overall=exam_statistics(marks),
        scores=distribution(complete, max_total),
        totals=list(_totals(tally, marks)),
        review=review,
        not_read=not_read,
        max_total=max_total,
    )


def counts_for_statistics(row: ResultRow) -> bool:
    """False for answers whose candidate is in doubt: they belong to nobody until a person has looked."""
    return bool(row.candidate) and not any(flag.startswith("identity_") for flag in row.flags)


def _read_ledger(store: RunStore) -> tuple[dict[str, int], int, Counter[str], list[LedgerRow]]:
    pages = dict.fromkeys(("read", "rejected", "duplicate", "unmatched"), 0)
    missing, reasons, not_read = 0, Counter[str](), list[LedgerRow]()
    for row in store.ledger():
        if row.reason:
            reasons[row.reason] += 1
        if not row.file:  # a page that never came: not one of the pages that did
            missing += 1
            continue
        pages[row.outcome] += 1
        if row.outcome != "read" and len(not_read) < MAX_PAGES_SHOWN:
            not_read.append(row)
    return pages, missing, reasons, not_read


def _totals(tally: _Tally, marks: np.ndarray) -> Iterator[Total]:
    for candidate, number in tally.candidates.items():
        given = marks[number]
        confirmed = float(tally.final[number].sum())
        unmarked = int(np.isnan(given).sum())
        yield Total(candidate, confirmed, float(np.nansum(given)), tally.open[number], unmarked)


def _options(item: ChoiceItem | MultiChoiceItem, exam: Exam, tally: _Tally, marks: np.ndarray) -> list[OptionCount]:
    others = [column for column, other in enumerate(exam.items) if other.id != item.id]
    possible = sum(exam.items[column].max_mark for column in others)
    rests: list[float | None] = []
    for number in tally.choices[item.id]:
        given = marks[number][others]
        rests.append(float(given.sum()) / possible if possible and not np.isnan(given).any() else None)
    return option_counts(item.options, item.answer, list(tally.choices[item.id].values()), rests)
