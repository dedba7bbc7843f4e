"""The exam: items, answers and rubrics, as the contract's `exam.yaml`.

Every rule of the format stands on the field that it is about (what a value may look like: grader.exam.fields),
so an exam built in code obeys the same rules as one read from a file; grader.exam.load adds lines and gathers
every problem at once.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from grader.exam import expression, number, units
from grader.exam.fields import MAX_ITEMS, MAX_LIST, Id, Labels, Marks, Text, Written, deviation, rule

SCHEMA = "grader-exam/1"


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExamHeader(_Record):
    """id: names the exam in page codes and results. language: of the questions and answers."""

    id: Id
    title: Written
    language: Literal["zh", "en"]


class _Item(_Record):
    """Field order matters: a rule may look at the fields above it."""

    id: Id
    max_mark: Marks
    prompt: Text = ""

    @property
    def mark_tolerance(self) -> float:
        """How far from a human's mark still counts as agreeing."""
        return max(1.0, 0.1 * self.max_mark) if self.max_mark > 2 else 0.0


class ChoiceItem(_Item):
    """One option is right."""

    type: Literal["choice"]
    options: Labels
    answer: Labels

    @field_validator("answer")
    @classmethod
    def _one_option(cls, answer: str, info: ValidationInfo) -> str:
        if len(answer) != 1:
            raise rule(f"a choice has one answer, not {answer!r}", "give one option, or use type: multi_choice")
        return _within_options(answer, info)


class Partial(_Record):
    """subset: the mark for a correct but incomplete set of options."""

    subset: float = Field(ge=0, allow_inf_nan=False)


class MultiChoiceItem(_Item):
    """A set of options is right; a wrong option gives 0, a correct incomplete set gives partial.subset."""

    type: Literal["multi_choice"]
    options: Labels
    answer: Labels
    partial: Partial | None = None

    @field_validator("answer")
    @classmethod
    def _some_options(cls, answer: str, info: ValidationInfo) -> str:
        options = info.data.get("options", answer)
        return "".join(sorted(_within_options(answer, info), key=options.index))

    @field_validator("partial")
    @classmethod
    def _less_than_full(cls, partial: Partial | None, info: ValidationInfo) -> Partial | None:
        full = info.data.get("max_mark")
        if partial is not None and full is not None and partial.subset >= full:
            what = f"subset {partial.subset:g} is not less than max_mark {full:g}"
            raise rule(what, "an incomplete set must earn less than a complete one")
        return partial


def _within_options(answer: str, info: ValidationInfo) -> str:
    options = info.data.get("options")
    strange = [label for label in answer if options is not None and label not in options]
    if strange:
        what = f"the answer {', '.join(strange)} is not among the options {options}"
        raise rule(what, "correct the answer or the options")
    return answer


class BlankItem(_Item):
    """Any of `answers` is right, after normalisation. math: so is any mathematically equivalent expression."""

    type: Literal["blank"]
    math: bool = False
    answers: tuple[Written, ...] = Field(min_length=1, max_length=MAX_LIST)

    @field_validator("answers")
    @classmethod
    def _readable_maths(cls, answers: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for answer in answers if info.data.get("math") else ():
            try:
                expression.parse(answer)
            except expression.NotMaths as error:
                what = f"{answer!r} cannot be read as mathematics: {error}"
                raise rule(what, "write it plainly, such as 2*x/3, x^2 or √2, or remove math: true") from error
        return answers


class NumericItem(_Item):
    """A number, as written (3.2, 1/2, 3.2×10^3), in `unit`. tolerance: accepted deviation of the value:
    relative ("1%"), absolute in the item's unit (0.05) or with a unit ("5 cm/s"); none means exactly equal."""

    type: Literal["numeric"]
    answer: Written
    unit: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60)] | None = None
    tolerance: Written | None = None

    @field_validator("answer")
    @classmethod
    def _a_number(cls, answer: str) -> str:
        if number.parse(answer) is None:
            what = f"{answer!r} is not a number"
            raise rule(what, "write a number such as 3.2, 1/2 or 3.2×10^3, and its unit as `unit`")
        return answer

    @field_validator("unit")
    @classmethod
    def _known_unit(cls, unit: str | None) -> str | None:
        if unit is not None and not units.parse(unit):
            raise rule(f"{unit!r} is not a unit that is known", "write it in symbols, such as m/s, kg/m^3 or 米/秒")
        return unit

    @field_validator("tolerance")
    @classmethod
    def _usable_tolerance(cls, tolerance: str | None, info: ValidationInfo) -> str | None:
        if tolerance is None:
            return None
        if "answer" in info.data and "unit" in info.data:
            deviation(info.data["answer"], info.data["unit"], tolerance)
        return tolerance

    @property
    def value(self) -> float:
        """The answer as a number of the item's unit."""
        value = number.parse(self.answer)
        assert value is not None  # checked when the item was made
        return value

    @property
    def value_tolerance(self) -> float:
        """The accepted deviation, in the item's unit."""
        return 0.0 if self.tolerance is None else deviation(self.answer, self.unit, self.tolerance)


class Criterion(_Record):
    """One point of a rubric and the marks that it carries."""

    id: Id
    marks: Marks
    criterion: Written


class ShortAnswerItem(_Item):
    """Free text. cap: the criteria may carry more than max_mark together ("any two of three points"); the
    mark stops at max_mark. tolerance: how far from a human's mark still counts as agreeing."""

    type: Literal["short_answer"]
    reference_answers: tuple[Written, ...] = Field(default=(), max_length=MAX_LIST)
    cap: bool = False
    rubric: tuple[Criterion, ...] = Field(default=(), max_length=MAX_LIST, validate_default=True)
    tolerance: float | None = Field(default=None, ge=0, allow_inf_nan=False)

    @field_validator("rubric")
    @classmethod
    def _sound_rubric(cls, rubric: tuple[Criterion, ...], info: ValidationInfo) -> tuple[Criterion, ...]:
        if not rubric:
            if info.data.get("reference_answers") == ():
                what = "neither reference_answers nor rubric is given"
                raise rule(what, "give at least one reference answer or one criterion")
            return rubric
        twice = [name for name, count in Counter(c.id for c in rubric).items() if count > 1]
        if twice:
            raise rule(f"the criterion {', '.join(twice)} stands twice", "give every criterion its own id")
        full, total = info.data.get("max_mark"), sum(c.marks for c in rubric)
        if full is None or abs(total - full) < 1e-9:
            return rubric
        what = f"the criteria carry {total:g} marks, max_mark is {full:g}"
        if total < full:
            raise rule(what, "raise the marks of the criteria, or lower max_mark")
        if not info.data.get("cap"):
            raise rule(what, "make them equal; or add `cap: true` if any of the points will do up to max_mark")
        return rubric

    @field_validator("tolerance")
    @classmethod
    def _less_than_all(cls, tolerance: float | None, info: ValidationInfo) -> float | None:
        full = info.data.get("max_mark")
        if tolerance is not None and full is not None and tolerance >= full:
            what = f"{tolerance:g} marks of {full:g} would call any two marks equal"
            raise rule(what, "give a tolerance below max_mark")
        return tolerance

    @property
    def mark_tolerance(self) -> float:
        """How far from a human's mark still counts as agreeing."""
        return super().mark_tolerance if self.tolerance is None else self.tolerance


Item = Annotated[ChoiceItem | MultiChoiceItem | BlankItem | NumericItem | ShortAnswerItem, Field(discriminator="type")]


class Exam(_Record):
    """A whole exam."""

    exam: ExamHeader
    items: tuple[Item, ...] = Field(min_length=1, max_length=MAX_ITEMS)

    @field_validator("items")
    @classmethod
    def _ids_differ(cls, items: tuple[Item, ...]) -> tuple[Item, ...]:
        twice = [name for name, count in Counter(item.id for item in items).items() if count > 1]
        if twice:
            raise PydanticCustomError("duplicate_items", "several items are called {ids}", {"ids": ", ".join(twice)})
        return items

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


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the exam file, for editors."""
    schema = Exam.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": SCHEMA, **schema}
