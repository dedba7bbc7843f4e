"""`grader ocr`: the text of images."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from grader.errors import ExitCode


@click.command("ocr")
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Rows are written here (JSON Lines).")
@click.option("--line", is_flag=True, help="Each image is one line of text; no lines are looked for.")
@click.option("--engine", default="ppocr", show_default=True, help="ppocr, ppocr-openvino, ppocr-cuda or paddleocr.")
@click.option(
    "--alphabet",
    default="any",
    show_default=True,
    help='Characters that may occur: any, digits, letters, number, or "=" and the characters (=ABCD).',
)
def command(paths: tuple[str, ...], out: Path, line: bool, engine: str, alphabet: str) -> int:
    """Read the text of images, PDF files and folders of them, here or in a shared storage.

    One row a page: {"file", "page", "text", "confidence", "flags", "lines": [{"text", "confidence", "box"}]}.
    A page that cannot be read gets a row with its "error", and the exit code is 1.
    """
    from grader.cli.output import check_output_file
    from grader.errors import UsageError
    from grader.intake.plan import list_pages
    from grader.intake.source import path_of
    from grader.ocr.alphabet import parse
    from grader.ocr.files import read_pages
    from grader.registry import create

    parse(alphabet)
    reader = create("ocr", engine)
    refs = list_pages(paths)
    if not refs:
        raise UsageError("no files were found", "give images, PDF files or folders of them")
    check_output_file(out, map(path_of, refs))
    refused = total = 0
    try:
        target = out.open("w", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}", "choose another --out") from error
    with target:
        lines = 1 if line else None
        for row in read_pages(refs, reader, lines=lines, alphabet=alphabet, progress=_progress):
            total += 1
            target.write(json.dumps(row, ensure_ascii=False) + "\n")
            target.flush()
            if "error" in row:
                refused += 1
                click.echo("not read: {message} (remedy: {remedy})".format(**row["error"]), err=True)
    click.echo(f"{total} pages, {total - refused} read, {refused} rejected: {out}", err=True)
    return ExitCode.DONE_WITH_REJECTS if refused else ExitCode.DONE


def _progress(done: int, total: int) -> None:
    if total > 1 and sys.stderr.isatty():
        click.echo(f"\r{done}/{total}", err=True, nl=done == total)
