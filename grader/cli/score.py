"""`grader score`: mark responses that are already text."""

from __future__ import annotations

from pathlib import Path

import click

from grader.errors import ExitCode, UsageError


@click.command()
@click.argument("exam", metavar="EXAM", type=click.Path(path_type=Path))
@click.argument("responses", metavar="RESPONSES.jsonl", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="MARKS.jsonl to write.")
@click.option(
    "--scorer",
    default="auto",
    show_default=True,
    help="Scorer of short answers: encoder or lexical (auto: encoder where one reads the exam's language); "
    "none leaves them to people.",
)
@click.option("--calibration", type=click.Path(path_type=Path), help="What grader calibrate learned of this exam.")
def command(exam: Path, responses: Path, out: Path, scorer: str, calibration: Path | None) -> int:
    """Mark responses: a row {"candidate", "item", "text"} in, the same row with its mark out, in order.

    A row that cannot be used is reported with its line, written without a mark, and makes the exit code 1.
    """
    import os
    from collections import Counter

    from grader import registry
    from grader.cli.output import check_output_file
    from grader.exam.exam import ShortAnswerItem
    from grader.exam.load import load_exam
    from grader.scoring import choose, rows
    from grader.scoring.calibration_file import calibrated
    from grader.scoring.marking import mark_responses

    loaded = load_exam(exam)
    given = rows.read_rows(responses)
    check_output_file(out, (exam, responses, *([calibration] if calibration else [])))
    usable = [row.response for row in given if row.response is not None]
    if not usable:
        raise UsageError(f"{responses}: no row can be used; line {given[0].line}: {given[0].problem}", "see the format")
    short = {item.id for item in loaded.items if isinstance(item, ShortAnswerItem)}
    known = scorer in {*registry.ENGINES["scorer"], choose.AUTO}  # a mistyped name is refused even where none is needed
    needed = scorer != "none" and (not known or any(response.item in short for response in usable))
    engine = choose.create(scorer, loaded.exam.language) if needed or calibration else None
    if calibration is not None:
        engine = calibrated(engine, calibration, loaded)
    marks = iter(mark_responses(loaded, usable, engine))

    written = []
    counts: Counter[str] = Counter()
    for row in given:
        problem = row.problem
        if row.response is None:
            result = rows.rejected(row)
        else:
            mark = next(marks)
            result = rows.marked(row, mark)
            problem = f"the exam has no item {row.response.item!r}" if "unknown_item" in mark.flags else ""
            if problem:
                result["max_mark"] = None
        counts["rejected" if problem else result["status"]] += 1
        if problem:
            click.echo(f"{responses}:{row.line}: {problem}", err=True)
        written.append(rows.dump(result))
    partial = out.with_name(out.name + ".partial")
    try:
        partial.write_text("\n".join(written) + "\n", encoding="utf-8")
        os.replace(partial, out)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror or error}", "choose another file") from error
    click.echo(f"{len(given)} responses: " + ", ".join(f"{n} {name}" for name, n in sorted(counts.items())), err=True)
    return ExitCode.DONE_WITH_REJECTS if counts["rejected"] else ExitCode.DONE
