"""The recipe of one shipped scorer: a YAML file beside this module, everything that decides its weights.

    name: en
    base: minilm            # minilm | e5 | mpnet
    languages: [en]
    sets: [scientsbank, beetle, saf]
    ...

`Recipe.load("en")` reads a shipped one, `Recipe.load(path)` any other; an unknown or missing field is refused.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from grader.errors import UsageError

FOLDER = Path(__file__).parent / "recipes"


class Stage(BaseModel):
    """One pass of training over some sets, from the weights that the stage before left."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    sets: tuple[str, ...]
    epochs: int = Field(ge=1)
    rate: float = Field(gt=0)  # peak learning rate of the topmost layer
    layer_decay: float = Field(default=0.9, gt=0, le=1)  # each layer below the top learns this much slower
    batch: int = Field(default=16, ge=1)
    warm_up: float = Field(default=0.1, ge=0, lt=1)  # share of the steps
    weight_decay: float = Field(default=0.01, ge=0)
    balance: float = Field(default=0.3, ge=0, le=1)  # a set of n rows weighs n ** (1 - balance)
    contradiction: float = Field(default=1.5, gt=0)  # weight of the rare class
    made: float = Field(default=0.0, ge=0)  # weight of answers made by rule beside human-graded ones
    peers: float = Field(default=0.0, ge=0)  # answers read against a right answer of another student, share of rows
    opposed: float = Field(default=0.0, ge=0)  # right answers turned into contradictions, share of rows
    worded: bool = False  # answers graded in marks, and made ones, teach the class head what is known of them
    noise: float = Field(default=0.0, ge=0, le=1)  # share of the answers that get reading mistakes
    teacher: float = Field(default=0.0, ge=0, le=1)  # share of a teacher's word beside the human's (--teacher)
    # tokens kept of question, reference and answer while this stage learns; by default the recipe's
    lengths: tuple[int, int, int] | None = None
    # share of the answers that are read; of the finish: of those learnt before
    again: float = Field(default=1.0, ge=0, le=1)


class Recipe(BaseModel):
    """See the module. folds: questions are dealt into so many; out_of_fold: how many of them are held out in turn
    to fit calibration and to choose by."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    base: Literal["minilm", "e5", "mpnet"]
    languages: tuple[Literal["en", "zh"], ...]
    seed: int = 20240501
    folds: int = Field(default=5, ge=2)
    out_of_fold: int = Field(default=1, ge=1)
    pooling: Literal["cls", "mean"] = "cls"
    dropout: float = Field(default=0.1, ge=0, lt=1)
    pieces: int = Field(default=0, ge=0)  # of a WordPiece vocabulary the commonest so many are kept; 0: all
    question: int = Field(default=64, ge=0)  # tokens kept of each part
    reference: int = Field(default=128, ge=1)
    answer: int = Field(default=128, ge=1)
    anchor: float = Field(
        default=0.0, ge=0, lt=1
    )  # share of the weights before the last stage in what judges and ships
    stages: tuple[Stage, ...]
    finish: Stage  # what ships goes on from the network of the first fold, over all questions

    @property
    def digest(self) -> str:
        """SHA-256 of the recipe's canonical JSON."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @classmethod
    def load(cls, source: str | Path) -> Recipe:
        """A shipped recipe by name, or a file. Raises UsageError with every problem."""
        path = FOLDER / f"{source}.yaml" if isinstance(source, str) else source
        if isinstance(source, str) and not path.is_file():
            known = ", ".join(sorted(one.stem for one in FOLDER.glob("*.yaml")))
            raise UsageError(f"there is no recipe called {source!r}", f"choose from {known}, or give a .yaml file")
        try:
            return cls.model_validate(YAML(typ="safe").load(path.read_text(encoding="utf-8")))
        except (OSError, YAMLError) as error:
            raise UsageError(f"{path} cannot be read: {error}", "give a recipe in YAML") from error
        except ValidationError as error:
            lines = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
            raise UsageError(
                f"{path} is no recipe:\n  " + "\n  ".join(lines), "compare it with a shipped one"
            ) from error

    def claim(self, out: Path) -> None:
        """Write the recipe into `out`. Raises UsageError if another one is there."""
        path, own = out / "recipe.json", self.model_dump_json(indent=1) + "\n"
        if path.is_file() and path.read_text(encoding="utf-8") != own:
            raise UsageError(f"{out} holds the run of another recipe", "choose another folder, or remove it")
        path.write_text(own, encoding="utf-8")
