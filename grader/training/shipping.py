"""Finished training runs become a scorer: export, fit what held-out questions teach, write the card.

The predictions that `grader train` made of questions its fold networks never saw (held.npz; of several runs their
mean) are what stacking, confidence and limits are fitted on. Confidence under rubrics is fitted on whole marks of such
fold networks, made by the scorer itself with the points of reference answers as criteria.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from grader.errors import UsageError
from grader.scoring.bundle import CARD, read_numbers
from grader.scoring.encoder import EncoderScorer
from grader.scoring.encoding import Lengths
from grader.scoring.lexical import LexicalScorer
from grader.training import encoder_card, rubric_confidence, sets, stacking, stored
from grader.training.export import Trained, export, write_numbers
from grader.training.recipe import Recipe
from grader.training.rows import Row, balanced_folds
from grader.training.teacher import TEACHER

Say = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """A finished training run. weights: how its network is to be stored."""

    folder: Path
    recipe: Recipe
    weights: stored.Weights = "int8"

    @classmethod
    def open(cls, folder: Path, weights: stored.Weights = "int8") -> Run:
        """Raises UsageError if `folder` is none."""
        path = folder / "recipe.json"
        if not path.is_file():
            raise UsageError(f"{folder} is not a finished training run", "give the folder that `grader train` wrote")
        return cls(folder, Recipe.load(path), weights)

    def trained(self, network: str = "final") -> Trained:
        """The network that the run ends with, or that of "fold-0"."""
        recipe, state = self.recipe, self.folder / network / "model.pt"
        lengths = Lengths(recipe.question, recipe.reference, recipe.answer)
        tokenizer = self.folder / "tokenizer.json"
        return Trained(
            recipe.name, recipe.base, recipe.languages, state, tokenizer, recipe.pooling, lengths, self.weights
        )

    def rows(self, folder: Path) -> list[Row]:
        """The graded answers that it learnt from, in its order. folder: of the sets."""
        wanted, languages = set(self.recipe.stages[-1].sets), self.recipe.languages
        return [row for row in sets.training_rows(folder) if row.source in wanted and row.language in languages]


def ship(runs: Sequence[Run], folder: Path, out: Path, rubrics: int, say: Say) -> dict[str, Any]:
    """Write the bundle of the training runs `runs`, a member each, into `out`; returns the report that the card shows.

    folder: of the sets (asag). rubrics: most answers that are marked under made rubrics to fit their confidence.
    Raises UsageError for runs that do not belong together."""
    rows = runs[0].rows(folder)
    places, probabilities, turned = held_by(runs, folder)
    checked = [rows[place] for place in places]
    report: dict[str, Any] = {"export": export([run.trained() for run in runs], checked, out, say)}
    say("fitting stacking, confidence and limits")
    extractor = LexicalScorer().extractor
    whole = replace(stacking.held_out(rows, places, probabilities, extractor), turned=turned)
    fitted, limits, report["stacking"] = stacking.fit(whole, extractor)
    numbers = {**read_numbers(out), "stacking": fitted, "limits": limits}
    write_numbers(numbers, out)
    held_out = [run.trained("fold-0") for run in runs]
    if rubrics and all(one.state.is_file() for one in held_out):
        say("marking under rubrics made of reference answers")
        folds = balanced_folds(rows, runs[0].recipe.folds, runs[0].recipe.seed)
        away = [row for row, fold in zip(rows, folds, strict=True) if fold == 0]
        weighed = _under_rubrics(held_out, away, numbers, rubrics)
        report["rubrics"] = rubric_confidence.add(fitted, weighed)
        write_numbers(numbers, out)
    report["recipes"] = {run.recipe.base: run.recipe.model_dump(mode="json") for run in runs}
    taught = [run.folder / TEACHER for run in runs if (run.folder / TEACHER).is_file()]
    report["teachers"] = [json.loads(path.read_text(encoding="utf-8")) for path in taught]
    report["answers"] = {
        name: sum(row.source == name for row in rows) for name in dict.fromkeys(r.source for r in rows)
    }
    EncoderScorer(folder=out)  # what was written can be opened
    (out / CARD).write_text(encoder_card.write(numbers, report), encoding="utf-8")
    return report


def held_by(runs: Sequence[Run], folder: Path) -> tuple[list[int], np.ndarray, np.ndarray]:
    """(places of the rows that were held out, n x 7 probabilities, m x 7 of contradictions made of them): the mean of
    the runs. Raises UsageError for runs that held out other questions."""
    rows = runs[0].rows(folder)
    found = [_held(run.folder, len(rows)) for run in runs]
    if any(run.rows(folder) != rows or one[0] != found[0][0] for run, one in zip(runs, found, strict=True)):
        raise UsageError("the runs held out other questions", "give runs with the same sets, seed and folds")
    return found[0][0], np.mean([one[1] for one in found], axis=0), np.mean([one[2] for one in found], axis=0)


def _held(run: Path, count: int) -> tuple[list[int], np.ndarray, np.ndarray]:
    """(places of the rows that were held out, n x 7 probabilities, m x 7 of contradictions made of them)."""
    path = run / "held.npz"
    try:
        with np.load(path) as stored:
            places, probabilities, turned = stored["place"], stored["probabilities"], stored["contradictions"]
    except (OSError, KeyError, ValueError) as error:
        raise UsageError(f"{path} cannot be used: {error}", "let `grader train` finish") from error
    if probabilities.shape != (len(places), 7) or (len(places) and places.max() >= count):
        raise UsageError(f"{path} does not fit the data", "use the data that the run was trained with")
    return places.tolist(), probabilities, turned


def _under_rubrics(
    members: Sequence[Trained], rows: Sequence[Row], numbers: dict[str, Any], most: int
) -> list[rubric_confidence.Weighed]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        export(members, rows[:10], folder, lambda _: None)
        write_numbers({**read_numbers(folder), **{key: numbers[key] for key in ("stacking", "limits")}}, folder)
        return rubric_confidence.weigh(EncoderScorer(folder=folder), rows, most)
