"""What the benchmarks of short answers share: the held-out questions, and the scorer that is judged.

What ships learned from every training question in its last pass, so on the training parts it is judged through the
network of a training run that never saw the first fold of questions (`--run RUN`, the folder of `grader train`).
Without `--run` figures of held-out questions are of weights that saw them;
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
        return f"{self.scorer.name} ({'answers never seen' if self.unseen else 'weights saw these answers'})"


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
    told = "training run whose first fold is judged; of several in one language their mean"
    parser.add_argument("--run", type=Path, action="append", default=[], help=told)
    return parser


def judged(options: argparse.Namespace, language: str, test: bool = False) -> Judged:
    """The scorer for exams in `language`. test: the rows are test parts, which no weight saw."""
    runs = [run for run in options.run if language in _languages(run)]
    if runs:
        return Judged(of_fold(runs), True)
    return Judged(choose.create(options.scorer, language), test)


def of_fold(folders: list[Path]) -> Scorer:
    """The scorer of the runs' first fold networks. Its stacking and limits were fitted on the predictions that these
    networks made of the held-out questions, as those of a shipped bundle are: its confidence on these questions is
    therefore judged a little too kindly, and only the test parts are new to everything."""
    from grader.scoring.bundle import read_numbers
    from grader.scoring.encoder import EncoderScorer
    from grader.scoring.lexical import LexicalScorer
    from grader.training import shipping, stacking
    from grader.training.export import export, write_numbers

    runs = [shipping.Run.open(harness.need(folder)) for folder in folders]
    rows = runs[0].rows(harness.DATA / "asag")
    places, probabilities, turned = shipping.held_by(runs, harness.DATA / "asag")
    out = Path(tempfile.mkdtemp(prefix="grader-fold-"))
    export([run.trained("fold-0") for run in runs], [rows[place] for place in places[:20]], out, lambda _: None)
    extractor = LexicalScorer().extractor
    held = replace(stacking.held_out(rows, places, probabilities, extractor), turned=turned)
    fitted, limits, _ = stacking.fit(held, extractor)
    write_numbers({**read_numbers(out), "stacking": fitted, "limits": limits}, out)
    return EncoderScorer(folder=out)


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
