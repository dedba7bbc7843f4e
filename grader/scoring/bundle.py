"""A scorer's bundle: a folder with one network or more, their numbers and their card, which belong together.

encoder.json            version, languages, members, SHA-256 of their files, stacking numbers and limits of flags
card.md                 what it was trained on and how good it is
MEMBER/encoder.onnx     weights stored small, arithmetic in float32; a member has the name of its base
MEMBER/tokenizer.json   its trimmed vocabulary
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

VERSION = "encoder/2"
NETWORK, TOKENIZER, NUMBERS, CARD = "encoder.onnx", "tokenizer.json", "encoder.json", "card.md"
_REMEDY = "reinstall grader, or export the bundle again"


@dataclass(frozen=True)
class Member:
    """One network with its tokenizer, both in `folder`. lengths: of what it reads."""

    folder: Path
    lengths: Lengths


@dataclass(frozen=True)
class Bundle:
    """A bundle whose files were found to belong together. name: that of the folder it was made for."""

    folder: Path
    name: str
    languages: tuple[str, ...]
    members: tuple[Member, ...]
    limits: Limits
    stack: Stack

    @classmethod
    def open(cls, folder: Path) -> Bundle:
        """Raises ModelError if a file is missing, damaged, or of another version."""
        numbers = read_numbers(folder)
        for name in files_of(numbers):
            path = folder / name
            if not path.is_file():
                raise ModelError(f"{path} is missing", _REMEDY)
            if sha256(path) != numbers["sha256"].get(name):
                raise ModelError(f"{path} is damaged, or not the one that {NUMBERS} describes", _REMEDY)
        try:
            named = numbers["members"].items()
            members = tuple(Member(folder / name, Lengths(**one["lengths"])) for name, one in named)
            limits, stack = Limits(**numbers["limits"]), Stack.read(numbers["stacking"])
            return cls(folder, numbers["name"], tuple(numbers["languages"]), members, limits, stack)
        except (KeyError, TypeError) as error:
            raise ModelError(f"{folder / NUMBERS} cannot be used: {error}", _REMEDY) from error

    def models(self) -> dict[str, str]:
        """Name of each file that decides marks → its SHA-256."""
        own = [one.folder / name for one in self.members for name in (NETWORK, TOKENIZER)]
        paths = [*own, self.folder / NUMBERS]
        return {f"{self.name}/{path.relative_to(self.folder).as_posix()}": sha256(path) for path in paths}


def files_of(numbers: dict[str, Any]) -> list[str]:
    """The files of the members, below the bundle."""
    return [f"{member}/{name}" for member in numbers["members"] for name in (NETWORK, TOKENIZER)]


def read_numbers(folder: Path) -> dict[str, Any]:
    """encoder.json. Raises ModelError if it is missing, damaged or of another version."""
    path = folder / NUMBERS
    try:
        numbers = json.loads(path.read_text(encoding="utf-8"))
        version, languages = numbers["version"], numbers["languages"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ModelError(f"{path} cannot be used: {error}", _REMEDY) from error
    if version != VERSION or not isinstance(languages, list):
        raise ModelError(f"{path} is of another version ({version})", _REMEDY)
    if not all(isinstance(numbers.get(key), dict) and numbers[key] for key in ("sha256", "members")):
        raise ModelError(f"{path} names no networks", _REMEDY)
    return dict(numbers)


def folder_for(language: str) -> Path | None:
    """The shipped bundle for exams in `language`: the one with the fewest other languages; None without any."""
    found = []
    for path in sorted(models_dir().glob(f"scorer/*/{NUMBERS}")):
        languages = read_numbers(path.parent)["languages"]
        if language in languages:
            found.append((len(languages), path.parent.name, path.parent))
    return min(found)[2] if found else None
