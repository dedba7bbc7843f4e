"""Trains the lexical scorer and writes it with its card: `python -m grader.training.lexical --out models/scorer`.

Questions are dealt into folds; each fold is predicted by members trained on the others, and from those
predictions come calibration, limits and the validation figures. What ships is the average of all members.
Test parts are read only with --test, after everything else is settled, and only to fill in the card.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from grader.resources import sha256
from grader.scoring import triage
from grader.scoring.confidence import Calibration
from grader.scoring.features import NAMES, Extractor, Weights
from grader.scoring.lexical import VERSION, LexicalScorer
from grader.scoring.text import look
from grader.training import augment, card, evaluation, sets, validation, weights
from grader.training.network import Network, Recipe, export, fit, predict
from grader.training.rows import Row, balanced_folds

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@dataclass(frozen=True, eq=False)
class Held:
    """Predictions for every training row by members that never saw its question."""

    members: list[Network]
    folds: np.ndarray
    passes: np.ndarray
    point_passes: np.ndarray
    made: int


def train(data: Path, out: Path, recipe: Recipe, with_test: bool) -> dict[str, Any]:
    """The whole run. Returns the numbers written beside the graph. data: the folder that holds asag/."""
    folder, start = data / "asag", time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    rows = sets.training_rows(folder)
    words = out / "lexical-words.json"
    words.write_text(_compact(weights.build(folder, rows)), encoding="utf-8")
    extractor = Extractor(Weights.load(words))
    _say(f"{len(rows)} training answers to {len({row.group for row in rows})} questions")
    features = np.stack([extractor.holistic(row.question, row.references, look(row.text)) for row in rows])
    points = validation.point_rows(rows, extractor)
    held = cross_fit(rows, features, points, extractor, recipe)
    graph = out / "lexical.onnx"
    export(held.members, graph, {"version": VERSION, "seed": str(recipe.seed)})
    numbers = settle(rows, features, points, held, extractor)
    numbers |= {"version": VERSION, "features": list(NAMES), "sha256": {"graph": _hash(graph), "words": _hash(words)}}
    (out / "lexical.json").write_text(json.dumps(numbers, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    scorer = LexicalScorer(out)
    report: dict[str, Any] = {
        "recipe": asdict(recipe),
        "rows": {name: sum(row.source == name for row in rows) for name in sets.SETS if sets.SETS[name].ships},
        "made": held.made,
        "parity": parity(scorer, held.members, rows, features),
        "validation": validation_figures(rows, held, numbers),
        "seconds": round(time.monotonic() - start),
    }
    if with_test:
        report["test"] = test_figures(folder, scorer)
    (out / "lexical.md").write_text(card.write(numbers, report), encoding="utf-8")
    return numbers | {"report": report}


def cross_fit(
    rows: Sequence[Row],
    features: np.ndarray,
    points: Sequence[validation.PointRow],
    extractor: Extractor,
    recipe: Recipe,
) -> Held:
    """Members for each fold, and what they say of the fold they did not see."""
    folds = np.array(balanced_folds(rows, recipe.folds, recipe.seed))
    passes, members = np.zeros((len(rows), 5), np.float32), []
    point_passes = np.zeros((len(points), 5), np.float32)
    point_folds = np.array([folds[point.row] for point in points])
    blank = np.zeros(len(NAMES), np.float32)
    point_features = np.stack([blank if point.features is None else point.features for point in points])
    extra = [made(_take(rows, folds == fold), extractor, recipe.seed + fold) for fold in range(recipe.folds)]
    for fold in range(recipe.folds):
        others = [one for number, one in enumerate(extra) if number != fold]
        real = _take(rows, folds != fold)
        taught = [*real, *(row for more, _ in others for row in more)]
        seen = np.concatenate([features[folds != fold], *(vectors for _, vectors in others)])
        seeds = [recipe.seed + 100 * fold + repeat for repeat in range(recipe.repeats)]
        own = [fit(seen, taught, len(real), recipe, seed) for seed in seeds]
        passes[folds == fold] = predict(own, features[folds == fold])
        point_passes[point_folds == fold] = predict(own, point_features[point_folds == fold])
        members += own
        _say(f"fold {fold + 1} of {recipe.folds} trained on {len(taught)} answers")
    return Held(members, folds, passes, point_passes, sum(len(more) for more, _ in extra))


def made(rows: Sequence[Row], extractor: Extractor, seed: int) -> tuple[list[Row], np.ndarray]:
    """Training rows made by rule from the rows of one fold, with their features."""
    whole = augment.made_rows(rows, seed)
    vectors = [extractor.holistic(row.question, row.references, look(row.text)) for row in whole]
    for row in augment.judged_points(rows):
        answer = look(row.text)
        span = extractor.closest([extractor.sight(row.references[0])], answer)
        if span is not None:
            whole.append(row)
            vectors.append(extractor.holistic(row.question, row.references, answer.part(*span)))
    return whole, np.stack(vectors)


def _take(rows: Sequence[Row], chosen: np.ndarray) -> list[Row]:
    return [rows[place] for place in np.flatnonzero(chosen).tolist()]


def settle(
    rows: Sequence[Row],
    features: np.ndarray,
    points: Sequence[validation.PointRow],
    held: Held,
    extractor: Extractor,
) -> dict[str, Any]:
    """Calibration and limits, as plain numbers."""
    rubric = validation.rubric_decisions(rows, points, held.point_passes)
    knots = validation.calibrate([*validation.rescaled(rows, held.passes), *rubric])
    measures = [
        triage.measure(
            look(row.text), extractor.sight(row.question), [extractor.sight(text) for text in row.references],
            features[place].tolist(), float(held.passes[place, 4] * (1 - held.passes[place, 3])), extractor.weights,
        )
        for place, row in enumerate(rows)
    ]  # fmt: skip
    natural, calibration = validation.natural(rows, held.passes), Calibration(knots)
    sure = np.array([calibration.apply(one.kind, one.raw) for one in natural])
    limits = validation.choose_limits(rows, measures, natural, sure)
    limit = validation.contradiction_limit(rows, held.passes)
    rates = validation.flag_rates(rows, measures, limits)
    return {"limits": asdict(limits), "three_way": limit, "calibration": knots, "right_answers_flagged": rates}


def validation_figures(rows: Sequence[Row], held: Held, numbers: dict[str, Any]) -> dict[str, Any]:
    """Figures of each set on held-out questions. Calibration is fitted again without the fold it is judged on."""
    sure = np.zeros(len(rows))
    decisions = validation.natural(rows, held.passes)
    for fold in np.unique(held.folds):
        others = np.flatnonzero(held.folds != fold)
        fitted = validation.calibrate(validation.rescaled([rows[n] for n in others.tolist()], held.passes[others]))
        calibration = Calibration(fitted)
        for place in np.flatnonzero(held.folds == fold):
            sure[place] = calibration.apply(decisions[place].kind, decisions[place].raw)
    found = {}
    for name in dict.fromkeys(row.source for row in rows):
        chosen = [n for n, row in enumerate(rows) if row.source == name]
        parts = [rows[n] for n in chosen], held.passes[chosen], [decisions[n] for n in chosen], sure[chosen]
        found[name] = validation.figures(*parts, numbers)
    return found


def test_figures(folder: Path, scorer: LexicalScorer) -> dict[str, Any]:
    """Figures of every test split, through the scorer as shipped."""
    found = {}
    for name in sets.SETS:
        rows = sets.load(folder, name)
        for split in ("test", "UA", "UQ", "UD"):
            chosen = [row for row in rows if row.split == split]
            if chosen:
                found[f"{name} {split}"] = evaluation.split_figures(scorer, chosen)
    return found


def parity(scorer: LexicalScorer, members: Sequence[Network], rows: Sequence[Row], features: np.ndarray) -> float:
    """The largest difference between the graph on ONNX Runtime and torch, over every training row."""
    expected = predict(members, features)
    given = [scorer.probabilities(row.question, row.references, look(row.text))[1] for row in rows]
    worst = float(np.abs(np.stack(given) - expected).max())
    if worst > 1e-4:
        raise RuntimeError(f"the exported graph differs from the trained network by {worst}")
    return worst


def _hash(path: Path) -> str:
    sha256.cache_clear()  # the file has just been written
    return sha256(path)


def _compact(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True) + "\n"


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the lexical scorer.")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GRADER_DATA", DATA)))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--test", action="store_true", help="measure the test parts too (the last run only)")
    options = parser.parse_args()
    report = train(options.data, options.out, Recipe(), options.test)["report"]
    print(json.dumps(report, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
