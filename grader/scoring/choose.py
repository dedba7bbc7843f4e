"""Which scorer marks an exam's short answers: the encoder where a bundle reads the exam's language, else lexical."""

from __future__ import annotations

from typing import Any

from grader import registry
from grader.scoring.protocol import Scorer

AUTO = "auto"


def resolve(name: str, language: str) -> str:
    """The name in grader.registry that `name` stands for ("auto": the best there is for exams in `language`)."""
    if name != AUTO:
        return name
    from grader.scoring.bundle import folder_for

    return "encoder" if folder_for(language) is not None else "lexical"


def create(name: str, language: str, **options: Any) -> Scorer:
    """The scorer `name` for exams in `language`. Raises UsageError for an unknown name, ModelError for weights that
    are missing or damaged."""
    chosen = resolve(name, language)
    if chosen == "encoder":
        options["language"] = language
    scorer: Scorer = registry.create("scorer", chosen, **options)
    return scorer
