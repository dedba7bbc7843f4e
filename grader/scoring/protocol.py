"""What every scorer of short answers offers. Scorers are named in grader.registry under "scorer"."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from grader.exam.exam import ShortAnswerItem
from grader.records import Mark, Response


class Scorer(Protocol):
    """Proposes marks for free text. Never final: the triage in grader.scoring.marking decides the status."""

    name: str  # versioned, e.g. "model:lexical/1"

    def models(self) -> dict[str, str]:
        """Name of each weight file → its SHA-256."""
        ...

    def score(self, item: ShortAnswerItem, language: str, responses: Sequence[Response]) -> list[Mark]:
        """One mark a response, in order. The mark of a response does not depend on the others given."""
        ...
