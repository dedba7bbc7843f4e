"""The report of a run: workbook, annotated scans and the HTML page, in one folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from grader.errors import StoreError
from grader.report.html import write_html
from grader.report.scans import write_annotated
from grader.report.summary import gather
from grader.report.words import Language
from grader.report.workbook import write_workbook
from grader.store.store import RunStore


@dataclass(frozen=True)
class Written:
    """What a report holds. lost: scans that can no longer be read, so that their pages are not drawn."""

    html: Path
    workbook: Path
    drawn: int
    lost: tuple[str, ...]


def write_report(
    run: Path,
    out: Path,
    *,
    language: Language | None = None,
    annotated: bool = True,
    show: Callable[[int], None] = lambda total: None,
) -> Written:
    """Write OUT/report.html, results.xlsx and, unless told not to, annotated/ and annotated.pdf.

    language: shown first; that of the exam by default. show: called for each annotated page with their number.
    Raises StoreError if `run` is no settled run or `out` cannot be written.
    """
    with RunStore.open(run) as store:
        if "summary" not in store.meta():
            raise StoreError(f"{run} is not finished", "run the same grader run command again: it resumes")
        summary = gather(store)
        language = language or summary.exam.exam.language
        total = summary.pages["read"] + summary.pages["unmatched"]
        try:
            out.mkdir(parents=True, exist_ok=True)
            write_workbook(out / "results.xlsx", store, summary)
            drawn, lost = 0, list[str]()
            if annotated:
                drawn, lost = write_annotated(store, summary.exam, summary.form, out, language, lambda: show(total))
            write_html(out / "report.html", store, summary, language, annotated)
        except OSError as error:
            raise StoreError(f"cannot write the report to {out}: {error}", "name another folder") from error
    return Written(out / "report.html", out / "results.xlsx", drawn, tuple(lost))
