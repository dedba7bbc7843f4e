"""grader demo: the whole main job on a shipped exam."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import click


@click.command("demo")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder for everything.")
@click.option("--exam", "exam_name", default="physics-g8-zh", show_default=True, help="A shipped exam, or a file.")
@click.option("--candidates", default=20, show_default=True, type=click.IntRange(1, 10_000), help="How many sit it.")
@click.option("--seed", default=7, show_default=True, help="The same seed gives the same sheets.")
@click.option("--profile", default="copier", show_default=True, help="Scanner: office, copier, phone or rough.")
@click.option("--workers", type=click.IntRange(1), help="Worker processes; one a core by default.")
@click.option("--language", type=click.Choice(["zh", "en"]), help="Of the report; the exam's by default.")
def command(
    out: Path,
    exam_name: str,
    candidates: int,
    seed: int,
    profile: str,
    workers: int | None,
    language: Literal["zh", "en"] | None,
) -> int:
    """Print an exam, let simulated candidates fill it, scan it with noise, read, score and report it."""
    from grader import registry
    from grader.cli.progress import batch_progress
    from grader.cli.run import report
    from grader.demo.demo import run_demo
    from grader.errors import UsageError
    from grader.report.write import write_report
    from grader.resources import rubrics_dir

    exam_file = rubrics_dir() / f"{exam_name}.yaml"
    if not exam_file.is_file():
        exam_file = Path(exam_name)
    if not exam_file.is_file():
        shipped = ", ".join(sorted(path.stem for path in rubrics_dir().glob("*.yaml")))
        raise UsageError(f"there is no exam {exam_name!r}", f"choose one of: {shipped}; or name a file")

    def say(text: str) -> None:
        click.echo(text, err=True)

    executor = registry.create("executor", "local", workers=workers)
    with batch_progress() as show:
        demo = run_demo(exam_file, out, executor, candidates=candidates, seed=seed, profile=profile, say=say, show=show)
    report(demo.summary, demo.run)
    checked = demo.checked
    say(
        f"checked against what was drawn: {checked.fields} choices, {checked.right} right, "
        f"{checked.flagged} flagged, {len(checked.silent)} wrong without a flag"
    )
    for line in checked.silent:
        say(f"  {line}")
    written = write_report(demo.run, out / "report", language=language)
    click.echo(f"open {written.html.resolve()}")
    return 0
