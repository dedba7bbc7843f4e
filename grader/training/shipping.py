"""A finished training run becomes a scorer: export, fit what held-out questions teach, write the card.

The predictions that `grader train` made of questions its fold networks never saw (held.npz) are what stacking,
confidence and limits are fitted on. Confidence under rubrics is fitted on whole marks of such a fold network, made
by the scorer itself with the points of reference answers as criteria.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
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


def ship(run: Path, folder: Path, out: Path, kind: stored.Weights, rubrics: int, say: Say) -> dict[str, Any]:
    """Write the bundle of the training run `run` into `out`; returns the report that the card shows.

    folder: of the sets (asag). rubrics: most answers that are marked under made rubrics to fit their confidence."""
    recipe = _recipe(run)
    trained = trained_by(run, recipe)
    rows = graded_rows(recipe, folder)
    places, probabilities, turned = _held(run, len(rows))
    checked = [rows[place] for place in places]
    report: dict[str, Any] = {"export": export(trained, checked, out, kind, say)}
    say("fitting stacking, confidence and limits")
    extractor = LexicalScorer().extractor
    whole = replace(stacking.held_out(rows, places, probabilities, extractor), turned=turned)
    fitted, limits, report["stacking"] = stacking.fit(whole, extractor)
    numbers = {**read_numbers(out), "stacking": fitted, "limits": limits}
    write_numbers(numbers, out)
    if rubrics and (run / "fold-0" / "model.pt").is_file():
        say("marking under rubrics made of reference answers")
        network = replace(trained, state=run / "fold-0" / "model.pt")
        folds = balanced_folds(rows, recipe.folds, recipe.seed)
        away = [row for row, fold in zip(rows, folds, strict=True) if fold == 0][: 4 * rubrics]
        judged = _under_rubrics(network, away, numbers, kind, rubrics)
        report["rubrics"] = rubric_confidence.add(fitted, judged)
        write_numbers(numbers, out)
    report["recipe"] = recipe.model_dump(mode="json")
    if (run / TEACHER).is_file():
        report["teacher"] = json.loads((run / TEACHER).read_text(encoding="utf-8"))
    report["answers"] = {
        name: sum(row.source == name for row in rows) for name in dict.fromkeys(r.source for r in rows)
    }
    EncoderScorer(folder=out)  # what was written can be opened
    (out / CARD).write_text(encoder_card.write(numbers, report), encoding="utf-8")
    return report


def _recipe(run: Path) -> Recipe:
    path = run / "recipe.json"
    if not path.is_file():
        raise UsageError(f"{run} is not a finished training run", "give the folder that `grader train` wrote")
    return Recipe.load(path)


def trained_by(run: Path, recipe: Recipe) -> Trained:
    """The network that a run ends with."""
    lengths = Lengths(recipe.question, recipe.reference, recipe.answer)
    state, tokenizer = run / "final" / "model.pt", run / "tokenizer.json"
    return Trained(recipe.name, recipe.base, recipe.languages, state, tokenizer, recipe.pooling, lengths)


def graded_rows(recipe: Recipe, folder: Path) -> list[Row]:
    """The graded answers that the run learnt from, in its order."""
    wanted = set(recipe.stages[-1].sets)
    return [row for row in sets.training_rows(folder) if row.source in wanted and row.language in recipe.languages]


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
    trained: Trained, rows: Sequence[Row], numbers: dict[str, Any], kind: stored.Weights, most: int
) -> list[stacking.Judged]:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        export(trained, rows[:10], folder, kind, lambda _: None)
        write_numbers({**read_numbers(folder), **{key: numbers[key] for key in ("stacking", "limits")}}, folder)
        graded = [row for row in rows if not row.label]
        return rubric_confidence.decisions(EncoderScorer(folder=folder), graded, most)
