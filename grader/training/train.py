"""From a recipe to a network: `grader train RECIPE --out DIR`.

The stages are run for each fold of questions that is held out, to learn what the network is worth on questions that
it never saw: calibration and limits come from those. What ships goes on from the first of these networks and reads
all answers once more, those of the held-out questions for the first time: a fraction of the cost of another training
from the start. Whatever is done already is not done again: each training has its own resumable state, and a finished
one is only read.

    DIR/recipe.json      the recipe; checks.json: what the checks of the data found
    DIR/fold-K/          model.pt of the members that never saw the questions of fold K
    DIR/held.npz         their predictions: place (of the row), probabilities (n x 7)
    DIR/final/model.pt   the network that ships, and tokenizer.json that belongs to all of them
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from grader.scoring.encoding import Encoding, Lengths
from grader.training import augment, bases, checks, fine_tune, opposites, pairs, sets, variants, vocabulary
from grader.training.cross_encoder import CrossEncoder, encode
from grader.training.recipe import Recipe, Stage
from grader.training.rows import Row, balanced_folds

Say = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class Bench:
    """What every training of one recipe shares. rows: the graded answers of its last stage; folds: of each row."""

    recipe: Recipe
    folder: Path
    rows: list[Row]
    folds: np.ndarray
    tokenizer: Path
    kept: np.ndarray

    @property
    def encoding(self) -> Encoding:
        recipe = self.recipe
        return Encoding.load(self.tokenizer, Lengths(recipe.question, recipe.reference, recipe.answer))

    def network(self) -> CrossEncoder:
        """The base with a new head; the same one each time."""
        torch.manual_seed(self.recipe.seed)
        base = bases.load(self.recipe.base, self.kept)
        return CrossEncoder(base, self.recipe.pooling, self.recipe.dropout).to(device())


def device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(recipe: Recipe, data: Path, out: Path, say: Say | None = None) -> Path:
    """The whole run; returns the state dict that ships. data: the folder that holds asag/.

    Raises UsageError if the data is refused by its checks or the folder holds another recipe's run.
    """
    say = say or _say
    bench = open_bench(recipe, data / "asag", out)
    say(f"{len(bench.rows)} graded answers to {len({row.group for row in bench.rows})} questions")
    held = []
    for fold in range(recipe.out_of_fold):
        away = bench.folds == fold
        learnt = [row for row, one in zip(bench.rows, away, strict=True) if not one]
        say(f"fold {fold + 1}: {len(learnt)} answers learnt, {away.sum()} held out")
        model = _trained(bench, learnt, out / f"fold-{fold}")
        places = np.flatnonzero(away)
        inputs = _inputs(bench.encoding, [bench.rows[place] for place in places.tolist()])
        held.append((places, fine_tune.predict(model, inputs)))
    np.savez(
        out / "held.npz",
        place=np.concatenate([places for places, _ in held]),
        probabilities=np.concatenate([found for _, found in held]),
    )
    say(f"all {len(bench.rows)} answers")
    return _finished(bench, out)


def open_bench(recipe: Recipe, folder: Path, out: Path) -> Bench:
    """Load the data, check it, trim the vocabulary."""
    out.mkdir(parents=True, exist_ok=True)
    recipe.claim(out)
    rows = graded_rows(recipe, folder)
    everything = [row for name in recipe.stages[-1].sets for row in sets.load(folder, name)]
    found = checks.check(everything)
    (out / "checks.json").write_text(found.to_json(), encoding="utf-8")
    found.refuse()
    folds = np.array(balanced_folds(rows, recipe.folds, recipe.seed))
    tokenizer = out / "tokenizer.json"
    kept_file = out / "kept.npy"
    if not tokenizer.is_file():
        whole = bases.whole_vocabulary(recipe.base)
        if recipe.base == "e5":  # its Latin pieces belong to a hundred languages
            kept = vocabulary.of_texts(whole, recipe.languages, _texts(rows))
        else:
            kept = vocabulary.of_languages(whole, recipe.languages, recipe.pieces)
        np.save(kept_file, kept)
        vocabulary.write(vocabulary.trimmed(whole, kept), tokenizer)
    return Bench(recipe, folder, rows, folds, tokenizer, np.load(kept_file))


def graded_rows(recipe: Recipe, folder: Path) -> list[Row]:
    """The training answers of the last stage: sets whose weights may ship, in the recipe's languages."""
    wanted = set(recipe.stages[-1].sets)
    return [row for row in sets.training_rows(folder) if row.source in wanted and row.language in recipe.languages]


def stage_rows(bench: Bench, stage: Stage, learnt: Sequence[Row], seed: int) -> tuple[list[Row], int]:
    """(rows, how many of them were graded by people) of a stage: graded answers as learnt here, or pairs."""
    rows: list[Row] = []
    for name in stage.sets:
        rows += pairs.load(bench.folder, name) if name in pairs.PAIRS else [r for r in learnt if r.source == name]
    graded = variants.misread(rows, stage.noise, seed) + variants.beside_peers(rows, stage.peers, seed)
    graded += opposites.opposed_rows(rows, stage.opposed, seed)
    made = augment.made_rows(rows, seed) if stage.made else []
    return graded + made, len(graded)


def _trained(bench: Bench, learnt: Sequence[Row], out: Path) -> CrossEncoder:
    """The network after every stage, from the file where it is finished."""
    out.mkdir(parents=True, exist_ok=True)
    model, done = bench.network(), out / "model.pt"
    if not done.is_file():
        for number in range(len(bench.recipe.stages)):
            # What is learnt from pairs alone is the same whichever questions are held out: it is learnt once.
            shared = all(set(one.sets) <= set(pairs.PAIRS) for one in bench.recipe.stages[: number + 1])
            folder = out.parent / "shared" if shared else out
            _staged(bench, model, learnt, number, folder)
        _keep(model, done)
        for number in range(len(bench.recipe.stages)):
            (out / f"stage-{number}.pt").unlink(missing_ok=True)
    model.load_state_dict(torch.load(done, weights_only=True))
    return model.eval()


def _finished(bench: Bench, out: Path) -> Path:
    """What ships: the network of the first fold after the finishing stage over everything."""
    done = out / "final" / "model.pt"
    if not done.is_file():
        done.parent.mkdir(exist_ok=True)
        model = _trained(bench, [], out / "fold-0")
        chosen = _drawn(bench.rows, bench.recipe.finish.again, bench.recipe.seed, bench.folds == 0)
        rows, real = stage_rows(bench, bench.recipe.finish, chosen, bench.recipe.seed + 1)
        task = fine_tune.Task(_inputs(bench.encoding, rows), rows, fine_tune.weights(rows, real, bench.recipe.finish))
        fine_tune.fit(model, task, bench.recipe.finish, bench.recipe.seed + 1, done.with_name("stage.pt"))
        _keep(model, done)
        done.with_name("stage.pt").unlink()
    return done


def _drawn(rows: Sequence[Row], share: float, seed: int, always: np.ndarray) -> list[Row]:
    """About a share of the rows by chance, and those that are always read."""
    chosen = always | (np.random.default_rng(seed).random(len(rows)) < share)
    return [row for row, one in zip(rows, chosen, strict=True) if one]


def _staged(bench: Bench, model: CrossEncoder, learnt: Sequence[Row], number: int, folder: Path) -> None:
    stage, seed = bench.recipe.stages[number], bench.recipe.seed
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / f"after-{number}.pt"
    if folder.name == "shared" and done.is_file():
        model.load_state_dict(torch.load(done, weights_only=True))
        return
    drawn = _drawn(learnt, stage.again, seed + number, np.zeros(len(learnt), bool))
    rows, real = stage_rows(bench, stage, drawn, seed)
    task = fine_tune.Task(_inputs(bench.encoding, rows), rows, fine_tune.weights(rows, real, stage))
    fine_tune.fit(model, task, stage, seed, folder / f"stage-{number}.pt")
    if folder.name == "shared":
        _keep(model, done)


def _keep(model: CrossEncoder, path: Path) -> None:
    partial = path.with_name(path.name + ".partial")
    torch.save({name: value.cpu() for name, value in model.state_dict().items()}, partial)
    partial.replace(path)


def _inputs(encoding: Encoding, rows: Sequence[Row]) -> list[fine_tune.Sequence_]:
    found = [encode(encoding, row) for row in rows]
    return [(list(one.ids), list(one.types)) for one in found]


def _texts(rows: Iterable[Row]) -> list[str]:
    return sorted({text for row in rows for text in (row.question, *row.references, row.text)})


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
