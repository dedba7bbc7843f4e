"""results.xlsx: every answer, totals, items, options, ledger and the flags' meanings, with headers in both languages.

Rows are streamed (constant memory), and whatever a student wrote is text: never a formula, never a link.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import xlsxwriter

from grader.flags import FLAGS
from grader.report.summary import Summary
from grader.report.words import both, word
from grader.store.store import ResultRow, RunStore

_MAX_ROWS = 1_000_000  # a sheet has 1,048,576; the rest goes on to the next sheet
_MAX_TEXT = 32_000  # a cell holds 32,767 characters
_WIDE = {"response": 40, "flags": 34, "detail": 60, "file": 40, "meaning": 44, "criteria": 30, "marker": 22}

_ANSWERS = ("candidate", "item", "response", "mark", "max_mark", "confidence", "status", "flags", "marker",
            "criteria", "file", "page", "sheet_page")  # fmt: skip


def write_workbook(path: Path, store: RunStore, summary: Summary) -> None:
    """Write the workbook of a settled run."""
    options = {
        "constant_memory": True,
        "strings_to_formulas": False,
        "strings_to_urls": False,
        "strings_to_numbers": False,
        "nan_inf_to_errors": True,
    }
    with xlsxwriter.Workbook(str(path), options) as book:
        sheets = _Sheets(book)
        sheets.add("summary", ("item", "value"), _summary_rows(summary))
        sheets.add(
            "candidates",
            ("candidate", "confirmed", "provisional", "max_mark", "open", "unmarked"),
            ((t.candidate, t.confirmed, t.provisional, summary.max_total, t.open, t.unmarked) for t in summary.totals),
        )
        sheets.add("answers", _ANSWERS, (_answer(row) for row in store.results()))
        sheets.add("review_queue", _ANSWERS, (_answer(row) for row in store.results(status="review")))
        sheets.add("items", ("item", "type", "max_mark", "marked", "mean", "facility", "discrimination",
                             "full_share", "zero_share", "review"), _item_rows(summary))  # fmt: skip
        sheets.add("options", ("item", "option", "key", "count", "share", "rest_mean"), _option_rows(summary))
        sheets.add(
            "ledger",
            ("file", "page", "outcome", "reason", "meaning", "detail", "candidate", "sheet_page"),
            (
                (r.file, r.page, r.outcome, r.reason, _meaning(r.reason), r.detail, r.candidate, r.sheet_page)
                for r in store.ledger()
            ),
        )
        sheets.add(
            "flags",
            ("flag", "meaning", "stage", "blocks", "count"),
            (
                (
                    flag.code,
                    f"{flag.zh} {flag.en}",
                    both(flag.stage),
                    both("yes" if flag.blocks else "no"),
                    summary.flags[flag.code] + summary.reasons[flag.code],
                )
                for flag in FLAGS.values()
            ),
        )


class _Sheets:
    """Writes one table after the other; a table that is too long goes on on the next sheet."""

    def __init__(self, book: xlsxwriter.Workbook) -> None:
        self._book = book
        self._head = book.add_format(
            {"bold": True, "text_wrap": True, "valign": "top", "bottom": 1, "bg_color": "#EEF2F1"}
        )
        self._wrap = book.add_format({"text_wrap": True, "valign": "top"})
        self._plain = book.add_format({"valign": "top"})
        self._number = book.add_format({"valign": "top", "num_format": "0.00"})

    def add(self, title: str, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
        """A table: title and header are keys of the report's words."""
        sheet, line, part = self._open(title, header, 1), 1, 1
        for row in rows:
            if line > _MAX_ROWS:
                part += 1
                sheet, line = self._open(title, header, part), 1
            for column, value in enumerate(row):
                self._cell(sheet, line, column, value)
            line += 1

    def _open(self, title: str, header: Sequence[str], part: int) -> Any:
        name = both(title) if part == 1 else f"{both(title)} {part}"
        sheet = self._book.add_worksheet(name[:31])
        sheet.freeze_panes(1, 1)
        for column, key in enumerate(header):
            sheet.set_column(column, column, _WIDE.get(key, 14))
        sheet.set_row(0, 32)
        for column, key in enumerate(header):
            sheet.write_string(0, column, f"{word(key, 'zh')}\n{word(key, 'en')}", self._head)
        return sheet

    def _cell(self, sheet: Any, line: int, column: int, value: Any) -> None:
        if value is None or value == "":
            sheet.write_blank(line, column, None, self._plain)
        elif isinstance(value, float) and not value.is_integer():
            sheet.write_number(line, column, value, self._number)
        elif isinstance(value, int | float):
            sheet.write_number(line, column, value, self._plain)
        else:
            text = str(value)
            sheet.write_string(line, column, text[:_MAX_TEXT], self._wrap if len(text) > 20 else self._plain)


def _answer(row: ResultRow) -> tuple[Any, ...]:
    criteria = "; ".join(f"{c.id}: {c.mark:g}" for c in row.criteria)
    return (row.candidate, row.item, row.response, row.mark, row.max_mark, row.confidence, row.status,
            " ".join(row.flags), row.marker, criteria, row.file, row.file_page, row.page)  # fmt: skip


def _meaning(code: str) -> str:
    return f"{FLAGS[code].zh} {FLAGS[code].en}" if code else ""


def _summary_rows(summary: Summary) -> Iterable[tuple[str, Any]]:
    overall = summary.overall
    yield both("report"), summary.exam.exam.title
    yield both("pages_in"), summary.page_count
    for outcome, count in summary.pages.items():
        yield both(outcome), count
    yield both("missing_pages"), summary.missing
    for status in ("final", "proposed", "review"):
        yield both(status), summary.statuses[status]
    for key, value in (
        ("complete", overall.complete),
        ("mean", overall.mean),
        ("sd", overall.sd),
        ("median", overall.median),
        ("alpha", overall.alpha),
        ("error", overall.standard_error),
    ):
        yield both(key), value
    yield both("exam_version"), summary.exam.sha256
    yield both("form_version"), summary.form.version
    for key in ("versions", "models", "settings"):
        label = both({"versions": "software"}.get(key, key))
        yield label, json.dumps(summary.meta.get(key, {}), ensure_ascii=False, sort_keys=True)


def _item_rows(summary: Summary) -> Iterable[tuple[Any, ...]]:
    for row in summary.items:
        kind = both(summary.exam.item(row.item).type)
        yield (row.item, kind, row.max_mark, row.marked, row.mean, row.facility, row.discrimination, row.full,
               row.zero, summary.open_by_item[row.item])  # fmt: skip


def _option_rows(summary: Summary) -> Iterable[tuple[Any, ...]]:
    for item, options in summary.options.items():
        for option in options:
            label = option.label or both("no_answer")
            yield item, label, both("yes") if option.key else "", option.count, option.share, option.rest_mean
