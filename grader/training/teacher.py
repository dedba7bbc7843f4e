"""Distillation: a finished run, often of a larger base, says what it thinks of the answers that the next one learns.

Hinton et al. 2015: its probabilities tell more than the human's one word. The word of a teacher on a question that
the student's fold holds out comes from the teacher's network that held out the same fold, so nothing of a held-out
question reaches the student; whether both dealt the same questions into the same folds is checked.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from grader.errors import UsageError
from grader.resources import sha256
from grader.scoring.encoding import Encoding, Lengths
from grader.training import bases, fine_tune
from grader.training.cross_encoder import CrossEncoder, encode
from grader.training.recipe import Recipe
from grader.training.rows import Row, balanced_folds

TEACHER = "teacher.json"
Words = Mapping[Row, np.ndarray]  # answer → 7 probabilities: four steps, then the classes


@dataclass(frozen=True)
class Teacher:
    """run: the folder of a training run, with the network of every fold that a student may hold out."""

    run: Path
    recipe: Recipe

    @classmethod
    def open(cls, run: Path) -> Teacher:
        """Raises UsageError if `run` is no training run."""
        path = run / "recipe.json"
        if not path.is_file():
            raise UsageError(f"{run} is not a training run", "give the folder that `grader train` wrote as --teacher")
        return cls(run, Recipe.load(path))

    def described(self) -> str:
        """JSON for the student's card: the recipe and the SHA-256 of each network that may be asked."""
        states = sorted(self.run.glob("fold-*/model.pt"))
        digests = {state.parent.name: sha256(state) for state in states}
        return json.dumps({"recipe": self.recipe.model_dump(mode="json"), "sha256": digests}, indent=1) + "\n"

    def words(self, rows: Sequence[Row], folds: Sequence[int], fold: int) -> Words:
        """What the teacher's network without the questions of `fold` says of every row; kept beside it.

        Raises UsageError if the teacher deals these answers into other folds, or has no such network."""
        own = balanced_folds(rows, self.recipe.folds, self.recipe.seed)
        state = self.run / f"fold-{fold}" / "model.pt"
        if own != list(folds):
            raise UsageError(f"{self.run} holds out other questions", "use a teacher with the same seed and folds")
        if not state.is_file():
            raise UsageError(f"{state} is missing", f"let the teacher's training finish fold {fold + 1}")
        key = hashlib.sha256(f"{sha256(state)} {list(rows)}".encode()).hexdigest()[:16]
        kept = self.run / f"fold-{fold}" / f"words-{key}.npy"
        if not kept.is_file():
            network = self._network(state)
            with torch.autocast(next(network.parameters()).device.type, dtype=torch.bfloat16):
                np.save(kept, fine_tune.predict(network, self._inputs(rows)))
        return dict(zip(rows, np.load(kept), strict=True))

    def _network(self, state: Path) -> CrossEncoder:
        base = bases.load(self.recipe.base, np.load(self.run / "kept.npy"))
        network = CrossEncoder(base, self.recipe.pooling, self.recipe.dropout)
        network.load_state_dict(torch.load(state, map_location="cpu", weights_only=True))
        return network.to("cuda" if torch.cuda.is_available() else "cpu").eval()

    def _inputs(self, rows: Sequence[Row]) -> list[fine_tune.Sequence_]:
        lengths = Lengths(self.recipe.question, self.recipe.reference, self.recipe.answer)
        encoding = Encoding.load(self.run / "tokenizer.json", lengths)
        return [(list(one.ids), list(one.types)) for one in (encode(encoding, row) for row in rows)]


def soft(rows: Sequence[Row], words: Words) -> np.ndarray:
    """n x 7; rows of which the teacher said nothing are nan."""
    silent = np.full(7, np.nan, np.float32)
    return np.stack([words.get(row, silent) for row in rows]).astype(np.float32)
