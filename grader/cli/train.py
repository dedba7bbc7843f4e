"""`grader train`: fine-tune a scorer of short answers."""

from __future__ import annotations

from pathlib import Path

import click

from grader.errors import ExitCode, UsageError


@click.command()
@click.argument("recipe", metavar="RECIPE")
@click.option("--out", required=True, type=click.Path(path_type=Path, file_okay=False), help="Folder of the run.")
@click.option(
    "--data",
    envvar="GRADER_DATA",
    default="../shared/data",
    show_default=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder that holds asag/.",
)
@click.option(
    "--teacher",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A finished run whose word is learnt beside the human's, where RECIPE asks for it.",
)
def command(recipe: str, out: Path, data: Path, teacher: Path | None) -> int:
    """Train the network of RECIPE (en, zh or a .yaml file); run again it goes on where it stopped.

    Some questions are held out in turn to measure and to calibrate; what ships is trained on all of them. Then
    `grader export OUT --out FOLDER` makes the scorer of it. Needs the extra `train`; a GPU is used where there is one.
    """
    from importlib.util import find_spec

    if find_spec("torch") is None or find_spec("transformers") is None:
        raise UsageError("training needs torch and transformers", "pip install 'grader[train]'")
    from grader.training.recipe import Recipe
    from grader.training.train import train

    done = train(Recipe.load(Path(recipe) if recipe.endswith((".yaml", ".yml")) else recipe), data, out, teacher)
    click.echo(f"trained: {done}", err=True)
    return ExitCode.DONE
