"""From a recipe to a network: `grader train RECIPE --out DIR`.

The stages are run for each fold of questions that is held out, to learn what the network is worth on questions that
it never saw: calibration and limits come from those. What ships goes on from the first of these networks and reads
all answers once more, those of the held-out questions for the first time: a fraction of the cost of another training
from the start. Whatever is done already is not done again: each training has its own resumable state, and a finished
one is only read.

    DIR/recipe.json      the recipe; checks.json: what the checks of the data found
    DIR/fold-K/          model.pt of the members that never saw the questions of fold K; where the recipe
                         has an anchor also anchor.pt and last.pt, of which it is the mean
    DIR/teacher.json     which run taught it, where one did
    DIR/held.npz         their predictions: place (of the row), probabilities (n x 7); contradictions (m x 7): of
                         contradictions made of right ones among them
    DIR/final/model.pt   the network that ships, and tokenizer.json that belongs to all of them
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from grader.errors import UsageError
from grader.scoring.encoding import Encoding, Lengths
from grader.training import augment, bases, checks, fine_tune, opposites, pairs, sets, variants, vocabulary
from grader.training.cross_encoder import CrossEncoder, encode
from grader.training.recipe import Recipe, Stage
from grader.training.rows import Row, balanced_folds
from grader.training.teacher import TEACHER, Teacher, Words, soft

Say = Callable[[str], None]
ANCHOR, LAST = "anchor.pt", "last.pt"  # of a fold: before the last stage, and after it
_OPPOSED, _CONTRADICTED = 0.3, 20240503  # share of the held-out answers that is turned, and the seed


@dataclass(frozen=True, eq=False)
class Bench:
    """What every training of one recipe shares. folder: of the sets; out: of the run. rows: the graded answers of
    its last stage; folds: of each row; teacher: whose word is learnt beside the human's, where the recipe asks."""

    recipe: Recipe
    folder: Path
    out: Path
    rows: list[Row]
    folds: np.ndarray
    tokenizer: Path
    kept: np.ndarray
    teacher: Teacher | None = None

    def folder_of(self, fold: int) -> Path:
        """Where the network that never saw the questions of `fold` is kept."""
        return self.out / f"fold-{fold}"

    def encoding(self, stage: Stage | None = None) -> Encoding:
        """As the finished network reads, or as it reads while `stage` teaches it."""
        recipe = self.recipe
        lengths = stage.lengths if stage else None
        kept = lengths or (recipe.question, recipe.reference, recipe.answer)
        return Encoding.load(self.tokenizer, Lengths(*kept))

    def network(self) -> CrossEncoder:
        """The base with a new head; the same one each time."""
        torch.manual_seed(self.recipe.seed)
        base = bases.load(self.recipe.base, self.kept)
        return CrossEncoder(base, self.recipe.pooling, self.recipe.dropout).to(device())

    def words(self, stage: Stage, fold: int) -> Words:
        """Of the teacher, for a student that may not see the questions of `fold`; empty where it is not asked."""
        if self.teacher is None or not stage.teacher:
            return {}
        return self.teacher.words(self.rows, self.folds.tolist(), fold)


def device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(recipe: Recipe, data: Path, out: Path, teacher: Path | None = None, say: Say | None = None) -> Path:
    """The whole run; returns the state dict that ships. data: the folder that holds asag/. teacher: a finished run.

    Raises UsageError if the data is refused by its checks, the folder holds another recipe's run, or the recipe asks
    for a teacher and there is none that fits.
    """
    say = say or _say
    bench = open_bench(recipe, data / "asag", out, teacher)
    say(f"{len(bench.rows)} graded answers to {len({row.group for row in bench.rows})} questions")
    held: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for fold in range(recipe.out_of_fold):
        away = bench.folds == fold
        learnt = [row for row, one in zip(bench.rows, away, strict=True) if not one]
        say(f"fold {fold + 1}: {len(learnt)} answers learnt, {away.sum()} held out")
        model = _trained(bench, learnt, fold)
        rows = [row for row, one in zip(bench.rows, away, strict=True) if one]
        found, turned = (
            fine_tune.predict(model, _inputs(bench.encoding(), part)) for part in (rows, contradictions(rows))
        )
        held.append((np.flatnonzero(away), found, turned))
    place, probabilities, turned = (np.concatenate([one[part] for one in held]) for part in range(3))
    np.savez(out / "held.npz", place=place, probabilities=probabilities, contradictions=turned)
    say(f"all {len(bench.rows)} answers")
    return _finished(bench, out)


def open_bench(recipe: Recipe, folder: Path, out: Path, teacher: Path | None = None) -> Bench:
    """Load the data, check it, trim the vocabulary."""
    if teacher is None and any(stage.teacher for stage in (*recipe.stages, recipe.finish)):
        raise UsageError(f"the recipe {recipe.name!r} learns from a teacher", "train one, then give it as --teacher")
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
    learnt_from = None if teacher is None else Teacher.open(teacher)
    if learnt_from is not None:
        (out / TEACHER).write_text(learnt_from.described(), encoding="utf-8")
    return Bench(recipe, folder, out, rows, folds, tokenizer, np.load(kept_file), learnt_from)


def graded_rows(recipe: Recipe, folder: Path) -> list[Row]:
    """The training answers of the last stage: sets whose weights may ship, in the recipe's languages."""
    wanted = set(recipe.stages[-1].sets)
    return [row for row in sets.training_rows(folder) if row.source in wanted and row.language in recipe.languages]


def lesson(bench: Bench, stage: Stage, learnt: Sequence[Row], seed: int, words: Words) -> fine_tune.Task:
    """What a stage learns from: graded answers as learnt here, or pairs; then what is made of them. words: of a
    teacher; it says something of graded answers only."""
    rows: list[Row] = []
    for name in stage.sets:
        rows += pairs.load(bench.folder, name) if name in pairs.PAIRS else [r for r in learnt if r.source == name]
    varied = variants.misread(rows, stage.noise, seed)
    graded = varied + variants.beside_peers(rows, stage.peers, seed) + opposites.opposed_rows(rows, stage.opposed, seed)
    everything = graded + (augment.made_rows(rows, seed) if stage.made else [])
    taught = None
    if words:
        taught = np.full((len(everything), 7), np.nan, np.float32)
        taught[: len(rows)] = soft(rows, words)
    weight = fine_tune.weights(everything, len(graded), stage)
    inputs = _inputs(bench.encoding(stage), everything)
    return fine_tune.Task(inputs, everything, weight, len(graded), taught, stage.teacher)


def contradictions(rows: Sequence[Row]) -> list[Row]:
    """Contradictions made of right answers to held-out questions, to learn how many of them the network tells."""
    return [row for row in opposites.opposed_rows(rows, _OPPOSED, _CONTRADICTED) if row.label == "contradictory"]


def _trained(bench: Bench, learnt: Sequence[Row], fold: int) -> CrossEncoder:
    """The network that never saw the questions of `fold`, after every stage, from the file where it is finished."""
    out, stages = bench.folder_of(fold), bench.recipe.stages
    out.mkdir(parents=True, exist_ok=True)
    model, done = bench.network(), out / "model.pt"
    if not done.is_file():
        for number in range(len(stages)):
            # What is learnt from pairs alone is the same whichever questions are held out: it is learnt once.
            shared = all(set(one.sets) <= set(pairs.PAIRS) for one in stages[: number + 1])
            folder = out.parent / "shared" if shared else out
            if bench.recipe.anchor and number == len(stages) - 1:
                _keep(model.state_dict(), out / ANCHOR)
            _staged(bench, model, learnt, number, folder, fold)
        if bench.recipe.anchor:
            _keep(model.state_dict(), out / LAST)
        _keep(_anchored(bench, model, out), done)
        for number in range(len(stages)):
            (out / f"stage-{number}.pt").unlink(missing_ok=True)
    model.load_state_dict(torch.load(done, weights_only=True))
    return model.eval()


def _finished(bench: Bench, out: Path) -> Path:
    """What ships: the network of the first fold after the finishing stage over everything."""
    done = out / "final" / "model.pt"
    if not done.is_file():
        done.parent.mkdir(exist_ok=True)
        model, folder = _trained(bench, [], 0), bench.folder_of(0)
        if bench.recipe.anchor:
            model.load_state_dict(torch.load(folder / LAST, weights_only=True))
        stage, seed = bench.recipe.finish, bench.recipe.seed
        chosen = _drawn(bench.rows, stage.again, seed, bench.folds == 0)
        task = lesson(bench, stage, chosen, seed + 1, bench.words(stage, 0))
        fine_tune.fit(model, task, stage, seed + 1, done.with_name("stage.pt"))
        _keep(_anchored(bench, model, folder), done)
        done.with_name("stage.pt").unlink()
    return done


def _anchored(bench: Bench, model: CrossEncoder, folder: Path) -> dict[str, torch.Tensor]:
    """The mean of the network's weights and of those before the last stage (Wortsman et al. 2022): what a late stage
    teaches costs less of what the others did."""
    share, own = bench.recipe.anchor, model.state_dict()
    if not share:
        return own
    before = torch.load(folder / ANCHOR, weights_only=True)
    return {
        name: share * before[name].to(value) + (1 - share) * value if value.is_floating_point() else value
        for name, value in own.items()
    }


def _drawn(rows: Sequence[Row], share: float, seed: int, always: np.ndarray) -> list[Row]:
    """About a share of the rows by chance, and those that are always read."""
    chosen = always | (np.random.default_rng(seed).random(len(rows)) < share)
    return [row for row, one in zip(rows, chosen, strict=True) if one]


def _staged(bench: Bench, model: CrossEncoder, learnt: Sequence[Row], number: int, folder: Path, fold: int) -> None:
    stage, seed = bench.recipe.stages[number], bench.recipe.seed
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / f"after-{number}.pt"
    if folder.name == "shared" and done.is_file():
        model.load_state_dict(torch.load(done, weights_only=True))
        return
    drawn = _drawn(learnt, stage.again, seed + number, np.zeros(len(learnt), bool))
    task = lesson(bench, stage, drawn, seed, bench.words(stage, fold))
    fine_tune.fit(model, task, stage, seed, folder / f"stage-{number}.pt")
    if folder.name == "shared":
        _keep(model.state_dict(), done)


def _keep(state: dict[str, torch.Tensor], path: Path) -> None:
    partial = path.with_name(path.name + ".partial")
    torch.save({name: value.cpu() for name, value in state.items()}, partial)
    partial.replace(path)


def _inputs(encoding: Encoding, rows: Sequence[Row]) -> list[fine_tune.Sequence_]:
    found = [encode(encoding, row) for row in rows]
    return [(list(one.ids), list(one.types)) for one in found]


def _texts(rows: Iterable[Row]) -> list[str]:
    return sorted({text for row in rows for text in (row.question, *row.references, row.text)})


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
