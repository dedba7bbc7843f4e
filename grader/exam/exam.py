"""The exam: items, answers and rubrics, as the contract's `exam.yaml`."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

SCHEMA = "grader-exam/1"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExamHeader(_Record):
    id: str
    title: str
    language: Literal["zh", "en"]


class _Item(_Record):
    id: str
    max_mark: float = Field(gt=0)
    prompt: str = ""
    tolerance: float | str | None = None

    @property
    def mark_tolerance(self) -> float:
        """How far from a human's mark still counts as agreeing."""
        return max(1.0, 0.1 * self.max_mark) if self.max_mark > 2 else 0.0


class ChoiceItem(_Item):
    type: Literal["choice"]
    options: str
    answer: str


class Partial(_Record):
    """subset: the mark for a correct but incomplete set of options."""

    subset: float = Field(ge=0)


class MultiChoiceItem(_Item):
    type: Literal["multi_choice"]
    options: str
    answer: str
    partial: Partial | None = None


class BlankItem(_Item):
    type: Literal["blank"]
    answers: tuple[str, ...] = Field(min_length=1)
    math: bool = False  # accept mathematically equivalent expressions


class NumericItem(_Item):
    type: Literal["numeric"]
    answer: float | str
    unit: str | None = None


class Criterion(_Record):
    id: str
    marks: float = Field(gt=0)
    criterion: str


class ShortAnswerItem(_Item):
    type: Literal["short_answer"]
    reference_answers: tuple[str, ...] = ()
    rubric: tuple[Criterion, ...] = ()


Item = Annotated[
    ChoiceItem | MultiChoiceItem | BlankItem | NumericItem | ShortAnswerItem, Field(discriminator="type")
]


class Exam(_Record):
    exam: ExamHeader
    items: tuple[Item, ...] = Field(min_length=1)

    def item(self, item_id: str) -> Item:
        """The item `item_id`. Raises KeyError if there is none."""
        for item in self.items:
            if item.id == item_id:
                return item
        raise KeyError(item_id)

    def canonical(self) -> str:
        """Canonical JSON of the exam: sorted keys, no blanks."""
        data = self.model_dump(mode="json")
        return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def sha256(self) -> str:
        """Hex SHA-256 of the canonical JSON: the version of the exam and its rubric."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()
