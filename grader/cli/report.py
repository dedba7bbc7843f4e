"""grader report: results, annotated scans and statistics of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Folder for the report.")
@click.option("--language", type=click.Choice(["zh", "en"]), help="Shown first; the exam's by default.")
@click.option(
    "--annotated/--no-annotated", default=True, show_default=True, help="Draw copies of the scans (needs the scans)."
)
def command(run: Path, out: Path, language: Literal["zh", "en"] | None, annotated: bool) -> int:
    """Write the report of the run folder RUN: report.html, results.xlsx and annotated copies of the scans."""
    from rich.console import Console
    from rich.progress import Progress

    from grader.errors import ExitCode
    from grader.report.write import write_report

    console = Console(stderr=True)
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("drawing", total=None, visible=annotated)

        def show(total: int) -> None:
            progress.update(task, total=total, advance=1)

        written = write_report(run, out, language=language, annotated=annotated, show=show)
    for message in written.lost[:20]:
        click.echo(f"not drawn: {message}", err=True)
    if len(written.lost) > 20:
        click.echo(f"not drawn: {len(written.lost) - 20} more", err=True)
    if written.lost:
        click.echo("scans with relative paths are looked for from here: run this where grader run was run", err=True)
    if annotated:
        click.echo(f"annotated: {written.drawn} pages in {out / 'annotated'} and {out}/annotated*.pdf", err=True)
    click.echo(f"workbook:  {written.workbook}", err=True)
    click.echo(f"report:    {written.html}", err=True)
    return ExitCode.DONE_WITH_REJECTS if written.lost else ExitCode.DONE
