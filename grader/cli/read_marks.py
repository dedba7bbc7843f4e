"""grader read-marks: marks, bubbles and codes only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from grader.reading.table import PageRows


@click.command("read-marks")
@click.option(
    "--form",
    "form_path",
    required=True,
    type=click.Path(path_type=Path),
    help="form.json, or an OMRChecker template.json with its files beside it.",
)
@click.argument("scans", nargs=-1, required=True)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="CSV file to write.")
@click.option("--candidates", type=click.Path(path_type=Path), help="Roster CSV with a column `candidate`.")
@click.option("--pdf-dpi", default=200, show_default=True, type=click.IntRange(72, 600), help="For vector PDF pages.")
def command(form_path: Path, scans: tuple[str, ...], out: Path, candidates: Path | None, pdf_dpi: int) -> int:
    """Read marks, bubbles and codes of the SCANS (files, folders, URLs of a shared storage) into a CSV file.

    Columns: file,page,field,value,confidence,flags. A page that cannot be read has one row with its reason
    in flags, and the exit code is 1.
    """
    import cv2

    from grader.cli.output import check_output_file
    from grader.errors import ExitCode, UsageError
    from grader.intake.plan import list_pages
    from grader.intake.source import path_of
    from grader.reading.roster import Roster
    from grader.reading.table import open_form, read_pages, write_table

    cv2.setNumThreads(1)  # pages are small; threads only get in each other's way
    form, folder = open_form(form_path)
    roster = Roster.load(candidates) if candidates is not None else None
    refs = list_pages(scans)
    if not refs:
        raise UsageError("no files were found", "give images, PDF files or folders of them")
    check_output_file(out, [form_path, *map(path_of, refs)])
    pages = read_pages(refs, form, folder, roster, pdf_dpi)
    refused = write_table(out, _watched(pages, len(refs)))
    click.echo(f"{len(refs)} pages: {len(refs) - refused} read, {refused} not read; written: {out}", err=True)
    return ExitCode.DONE_WITH_REJECTS if refused else ExitCode.DONE


def _watched(pages: Iterable[PageRows], total: int) -> Iterator[PageRows]:
    """The pages, with a progress bar and the reasons of refused ones on stderr."""
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("pages"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("pages", total=total)
        for page in pages:
            if not page.read:
                bar.console.print(f"not read: {escape(page.detail)}", highlight=False, soft_wrap=True)
            yield page
            bar.advance(task)
