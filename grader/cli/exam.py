"""`grader exam`: check exam files, export their JSON Schema."""

from __future__ import annotations

from pathlib import Path

import click

from grader.errors import ExamError, ExitCode, UsageError


@click.group()
def command() -> None:
    """Check an exam file; export its JSON Schema."""


@command.command()
@click.argument("exams", metavar="EXAM...", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(exams: tuple[Path, ...]) -> int:
    """Check exam files: one OK line each on stdout, or all problems with line, field and remedy (exit 2)."""
    from grader.exam.load import load_exam

    code = ExitCode.DONE
    for path in exams:
        try:
            exam = load_exam(path)
        except ExamError as error:
            click.echo(f"error: {error}", err=True)
            code = ExitCode.UNUSABLE
            continue
        total = sum(item.max_mark for item in exam.items)
        click.echo(f"OK {path}: {exam.exam.id}, {len(exam.items)} items, {total:g} marks, sha256 {exam.sha256}")
    return code


@command.command()
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write to a file instead of stdout.")
def schema(out: Path | None) -> None:
    """The JSON Schema of exam files, for editors that complete and check as you type."""
    import json

    from grader.exam.exam import json_schema

    text = json.dumps(json_schema(), ensure_ascii=False, indent=2)
    if out is None:
        click.echo(text)
    else:
        try:
            out.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{out} cannot be written: {error.strerror}", "choose another --out") from error
