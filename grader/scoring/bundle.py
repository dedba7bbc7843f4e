"""A scorer's bundle: a folder with the network, its tokenizer, its numbers and its card, which belong together.

encoder.onnx     weights stored small, arithmetic in float32
tokenizer.json   the trimmed vocabulary
encoder.json     version, languages, lengths, SHA-256 of the two, stacking numbers and limits of flags
card.md          what it was trained on and how good it is
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.errors import ModelError
from grader.resources import models_dir, sha256
from grader.scoring.encoding import Lengths
from grader.scoring.stacking import Stack
from grader.scoring.triage import Limits

VERSION = "encoder/1"
NETWORK, TOKENIZER, NUMBERS, CARD = "encoder.onnx", "tokenizer.json", "encoder.json", "card.md"
_REMEDY = "reinstall grader, or export the bundle again"


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files were found to belong together. name: that of the folder it was made for."""

    folder: Path
    name: str
    languages: tuple[str, ...]
    lengths: Lengths
    limits: Limits
    stack: Stack

    @classmethod
    def open(cls, folder: Path) -> Bundle:
        """Raises ModelError if a file is missing, damaged, or of another version."""
        numbers = read_numbers(folder)
        for name in (NETWORK, TOKENIZER):
            path = folder / name
            if not path.is_file():
                raise ModelError(f"{path} is missing", _REMEDY)
            if sha256(path) != numbers["sha256"].get(name):
                raise ModelError(f"{path} is damaged, or not the one that {NUMBERS} describes", _REMEDY)
        try:
            lengths, limits = Lengths(**numbers["lengths"]), Limits(**numbers["limits"])
            return cls(
                folder, numbers["name"], tuple(numbers["languages"]), lengths, limits, Stack.read(numbers["stacking"])
            )
        except (KeyError, TypeError) as error:
            raise ModelError(f"{folder / NUMBERS} cannot be used: {error}", _REMEDY) from error

    def models(self) -> dict[str, str]:
        """Name of each file that decides marks → its SHA-256."""
        return {f"{self.name}/{name}": sha256(self.folder / name) for name in (NETWORK, TOKENIZER, NUMBERS)}


def read_numbers(folder: Path) -> dict[str, Any]:
    """encoder.json. Raises ModelError if it is missing, damaged or of another version."""
    path = folder / NUMBERS
    try:
        numbers = json.loads(path.read_text(encoding="utf-8"))
        version, languages, hashes = numbers["version"], numbers["languages"], numbers["sha256"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} cannot be used: {error}", _REMEDY) from error
    if version != VERSION or not isinstance(languages, list) or not isinstance(hashes, dict):
        raise ModelError(f"{path} is of another version ({version})", _REMEDY)
    return dict(numbers)


def folder_for(language: str) -> Path | None:
    """The shipped bundle for exams in `language`: the one with the fewest other languages; None without any."""
    found = []
    for path in sorted(models_dir().glob(f"scorer/*/{NUMBERS}")):
        languages = read_numbers(path.parent)["languages"]
        if language in languages:
            found.append((len(languages), path.parent.name, path.parent))
    return min(found)[2] if found else None
