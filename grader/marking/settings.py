"""How one item is marked: its scheme, its seeds, and when the model may be accepted in bulk. JSON in the database."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from pydantic import TypeAdapter, ValidationError

from grader.errors import UsageError
from grader.exam.exam import Item, ShortAnswerItem
from grader.marking import scheme, seeds
from grader.marking.scheme import Scheme
from grader.marking.seeds import SeedPolicy


@dataclass(frozen=True)
class Bulk:
    """sure: the least confidence of a proposal that can be accepted in bulk. sample: how many a person looks at
    first. disagree: the share of the sample that may lie beyond the item's tolerance."""

    sure: float = 0.9
    sample: int = 20
    disagree: float = 0.0


@dataclass(frozen=True)
class ItemSettings:
    """lease: minutes for which an answer is a marker's own; any sign of life renews it."""

    scheme: Scheme = field(default_factory=Scheme)
    seeds: SeedPolicy = field(default_factory=SeedPolicy)
    bulk: Bulk = field(default_factory=Bulk)
    lease: float = 10.0


_ADAPTER = TypeAdapter(ItemSettings)


def default(item: Item) -> ItemSettings:
    """Single marking with the model's proposal shown; T is the item's tolerance."""
    return ItemSettings(Scheme(tolerance=item.mark_tolerance, step=step_of(item)))


def step_of(item: Item) -> float:
    """The coarsest of 1, 0.5, 0.25 ... that every mark of the item's rubric is a multiple of, at most 0.5 for free
    text: half marks are what people give."""
    values = [item.max_mark]
    if isinstance(item, ShortAnswerItem):
        values += [criterion.marks for criterion in item.rubric]
    step = 0.5
    while step > 1 / 64 and any(not (value / step).is_integer() for value in values):
        step /= 2
    return step


def check(settings: ItemSettings, max_mark: float) -> None:
    """Raises UsageError for settings that contradict each other or the item."""
    scheme.check(settings.scheme, max_mark)
    seeds.check(settings.seeds)
    if not 0 < settings.bulk.sure <= 1 or not 0 <= settings.bulk.disagree < 1 or settings.bulk.sample < 1:
        remedy = "give sure and disagree from 0 to 1, and a sample of at least 1"
        raise UsageError("the settings for bulk acceptance cannot be carried out", remedy)
    if not 0.5 <= settings.lease <= 24 * 60:
        raise UsageError(f"a lease of {settings.lease:g} minutes", "give half a minute to a day")


def dump(settings: ItemSettings) -> str:
    """As JSON."""
    return json.dumps(asdict(settings), sort_keys=True)


def load(text: str) -> ItemSettings:
    """From JSON. Raises UsageError for anything else."""
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UsageError(f"the settings cannot be read: {wrong}", "correct the named fields") from error
