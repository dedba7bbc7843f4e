"""`grader paper`: print an exam's answer sheets."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("exam", type=click.Path(path_type=Path))
@click.option(
    "--out",
    "-o",
    required=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for paper.pdf and form.json.",
)
@click.option(
    "--candidates",
    type=click.Path(path_type=Path),
    help="Roster (CSV with the columns candidate and, if you like, name): own pages for everybody.",
)
@click.option(
    "--size",
    type=click.Choice(["A4", "A3"]),
    default="A4",
    show_default=True,
    help="A3 is landscape with two columns.",
)
@click.option(
    "--digits",
    type=click.IntRange(1, 12),
    default=None,
    help="Digits of the candidate number.  [default: the roster's longest number, else 8]",
)
def command(exam: Path, out: Path, candidates: Path | None, size: str, digits: int | None) -> None:  # fmt: skip
    """Print answer sheets for EXAM: paper.pdf and the matching form.json."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from grader.exam.load import load_exam
    from grader.paper.sheets import print_sheets, unfit
    from grader.reading.roster import Roster

    roster = Roster.load(candidates) if candidates is not None else None
    count = len(roster.candidates) if roster is not None else 1
    columns = (TextColumn("answer sheets"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("sheets", total=count)
        form = print_sheets(
            load_exam(exam), out, roster=roster, size=size, digits=digits, progress=lambda: bar.advance(task)
        )
    pages = count * len(form.pages)
    click.echo(f"{out / 'paper.pdf'}: {pages} pages to print, form {form.version}", err=True)
    without = unfit(form, roster.candidates) if roster is not None else []
    if without:
        click.echo(
            f"{len(without)} candidates' numbers ({without[0]}) do not fit the bubbles: they must leave those empty, "
            "their pages are known by the printed code",
            err=True,
        )
    click.echo(f"{out / 'form.json'}: give it to grader run with the scans", err=True)
