"""What the benchmarks of short answers share: the held-out questions, and the scorer that is judged.

What ships learned from every training question in its last pass, so on the training parts it is judged through the
network of a training run that never saw the first fold of questions (`--run RUN`, the folder of `grader train`),
with the numbers of the shipped bundle. Without `--run` figures of held-out questions are of weights that saw them;
every table and file says which it was.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import harness

from grader.scoring import choose
from grader.scoring.protocol import Scorer
from grader.training import sets
from grader.training.rows import Row, balanced_folds

FOLDS, FOLD, SEED = 5, 0, 20240501


@dataclass(frozen=True)
class Judged:
    """A scorer, and whether its weights never saw the held-out questions."""

    scorer: Scorer
    unseen: bool

    @property
    def title(self) -> str:
        return f"{self.scorer.name} ({'questions never seen' if self.unseen else 'weights saw these questions'})"


def validation_rows() -> list[Row]:
    """The training answers to the held-out questions, of every set whose weights ship."""
    rows = sets.training_rows(harness.need(harness.DATA / "asag"))
    folds = balanced_folds(rows, FOLDS, SEED)
    return [row for row, fold in zip(rows, folds, strict=True) if fold == FOLD]


def test_rows(names: list[str]) -> list[Row]:
    """The test parts of some sets. To be used once, when everything is settled."""
    folder = harness.need(harness.DATA / "asag")
    return [row for name in names for row in sets.load(folder, name) if row.split != "train"]


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The options that choose the scorer."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scorer", default=choose.AUTO, help="name in the registry; by default the one exams use")
    parser.add_argument("--run", type=Path, action="append", default=[], help="training run whose first fold is judged")
    return parser


def judged(options: argparse.Namespace, language: str, test: bool = False) -> Judged:
    """The scorer for exams in `language`. test: the rows are test parts, which no weight saw."""
    for run in options.run:
        if language in _languages(run):
            return Judged(of_fold(run, language), True)
    return Judged(choose.create(options.scorer, language), test)


def of_fold(run: Path, language: str) -> Scorer:
    """The scorer of a run's first fold network, with the numbers of the shipped bundle where there is one."""
    from grader.scoring.bundle import folder_for, read_numbers
    from grader.scoring.encoder import EncoderScorer
    from grader.training.export import export, write_numbers
    from grader.training.recipe import Recipe
    from grader.training.shipping import trained_by

    network = harness.need(run / "fold-0" / "model.pt")
    trained = replace(trained_by(run, Recipe.load(run / "recipe.json")), state=network)
    out = Path(tempfile.mkdtemp(prefix="grader-fold-"))
    rows = [row for row in validation_rows() if row.language == language]
    shipped = folder_for(language)
    numbers = read_numbers(shipped) if shipped is not None else {}
    export(trained, rows[:20], out, numbers.get("weights", "int8"), lambda _: None)
    if numbers:
        write_numbers({**read_numbers(out), **_fitted(numbers)}, out)
    return EncoderScorer(folder=out)


def _fitted(numbers: dict[str, object]) -> dict[str, object]:
    return {name: numbers[name] for name in ("stacking", "limits")}


def _languages(run: Path) -> tuple[str, ...]:
    from grader.training.recipe import Recipe

    return tuple(Recipe.load(harness.need(run / "recipe.json")).languages)


def saying(row: Row, text: str) -> Row:
    """The row with another text."""
    return replace(row, text=text)


def key(row: Row, seed: int) -> bytes:
    """A hash that orders rows by chance, the same on every machine."""
    return hashlib.sha256(f"{seed}:{row.group}:{row.text}".encode()).digest()


def sample(rows: list[Row], most: int) -> list[Row]:
    """At most `most` rows, of every set alike as far as it goes, in an order that the seed fixes."""
    by_set: dict[str, list[Row]] = {}
    for row in sorted(rows, key=lambda row: key(row, SEED)):
        by_set.setdefault(row.source, []).append(row)
    depth = max(map(len, by_set.values()), default=0)
    return [own[place] for place in range(depth) for own in by_set.values() if place < len(own)][:most]
