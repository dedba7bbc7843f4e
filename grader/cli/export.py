"""`grader export`: trained networks become a scorer that marks exams."""

from __future__ import annotations

from pathlib import Path

import click

from grader.errors import ExitCode, UsageError


@click.command()
@click.argument(
    "runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False)
)
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Bundle to write.")
@click.option(
    "--data",
    envvar="GRADER_DATA",
    default="../shared/data",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder that holds asag/.",
)
@click.option(
    "--weights",
    type=click.Choice(["int4", "int8", "mixed", "fp16", "fp32"]),
    multiple=True,
    default=["int8"],
    show_default=True,
    help="How weights are stored (mixed: embeddings int8, matrices fp16); arithmetic is float32 in any case. Once for "
    "all runs, or once for each.",
)
@click.option(
    "--dynamic",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also write the first run's network in int8 arithmetic here, for comparison only: its marks depend on the "
    "processor.",
)
@click.option("--rubrics", default=300, show_default=True, help="Answers marked under made rubrics; 0 for none.")
def command(
    runs: tuple[Path, ...], out: Path, data: Path, weights: tuple[str, ...], dynamic: Path | None, rubrics: int
) -> int:
    """Make a scorer of RUN, the folder that `grader train` wrote; of several their mean. Needs the extra `train`.

    The graphs are checked against PyTorch on every held-out answer; confidence and flags are fitted on them.
    """
    import json
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("onnx") is None:
        raise UsageError("exporting needs torch and onnx", "pip install 'grader[train]'")
    if len(weights) not in (1, len(runs)):
        raise UsageError(f"{len(runs)} runs, {len(weights)} --weights", "give --weights once, or once for each run")
    from grader.training import export, shipping

    def say(message: str) -> None:
        click.echo(message, err=True)

    kinds = weights * len(runs) if len(weights) == 1 else weights
    opened = [shipping.Run.open(run, kind) for run, kind in zip(runs, kinds, strict=True)]  # type: ignore[arg-type]
    report = shipping.ship(opened, data / "asag", out, rubrics, say)
    if dynamic is not None:
        export.dynamic_int8(out / opened[0].recipe.base, dynamic)
    click.echo(json.dumps(report, ensure_ascii=False, indent=1))
    return ExitCode.DONE
