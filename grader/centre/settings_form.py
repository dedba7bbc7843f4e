"""The settings of an item as a form, and the form as settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from pydantic import TypeAdapter, ValidationError

from grader.marking import scheme
from grader.marking.settings import ItemSettings
from grader.run.output import number

CHOICES: dict[str, tuple[str, ...]] = {
    "kind": get_args(scheme.Kind),
    "model": get_args(scheme.ModelRole),
    "rounding": get_args(scheme.Rounding),
    "tie": get_args(scheme.Tie),
}
# field of the form → part of the settings, name there, whether it is typed as a percentage
_FIELDS: dict[str, tuple[str, str, bool]] = {
    "kind": ("scheme", "kind", False),
    "tolerance": ("scheme", "tolerance", False),
    "step": ("scheme", "step", False),
    "rounding": ("scheme", "rounding", False),
    "tie": ("scheme", "tie", False),
    "model": ("scheme", "model", False),
    "rate": ("seeds", "rate", True),
    "window": ("seeds", "window", False),
    "limit": ("seeds", "limit", True),
    "practice": ("seeds", "practice", False),
    "qualification": ("seeds", "qualification", False),
    "pass_share": ("seeds", "pass_share", True),
    "sure": ("bulk", "sure", True),
    "sample": ("bulk", "sample", False),
    "disagree": ("bulk", "disagree", True),
    "lease": ("", "lease", False),
}
_ADAPTER = TypeAdapter(ItemSettings)


@dataclass(frozen=True)
class Group:
    """Fields that belong together, under a heading."""

    word: str
    fields: tuple[str, ...]


GROUPS = (
    Group("set_scheme", ("kind", "tolerance", "step", "rounding", "tie", "model")),
    Group("set_seeds", ("rate", "window", "limit")),
    Group("set_trials", ("practice", "qualification", "pass_share")),
    Group("set_bulk", ("sure", "sample", "disagree", "lease")),
)


def shown(chosen: ItemSettings) -> dict[str, str]:
    """What stands in each field."""
    found = {}
    for field, (part, name, percent) in _FIELDS.items():
        value = getattr(getattr(chosen, part) if part else chosen, name)
        found[field] = value if isinstance(value, str) else number(round(100 * value, 4) if percent else value)
    return found


def percent(field: str) -> bool:
    """Whether the field is typed as a percentage."""
    return _FIELDS[field][2]


def read(typed: Mapping[str, str]) -> ItemSettings | str:
    """The settings that the form says, or the name of the first field that cannot be read."""
    parts: dict[str, dict[str, object]] = {"scheme": {}, "seeds": {}, "bulk": {}, "": {}}
    for field, (part, name, as_percent) in _FIELDS.items():
        text = typed.get(field, "").strip().replace(",", ".").removesuffix("%").strip()
        if field in CHOICES:
            parts[part][name] = text
            continue
        try:
            value = float(text)
        except ValueError:
            return field
        parts[part][name] = round(value / 100, 6) if as_percent else value
    whole = {**parts.pop(""), **parts}
    try:
        return _ADAPTER.validate_python(whole)
    except ValidationError as error:
        wrong = str(error.errors()[0]["loc"][-1])
        return wrong if wrong in _FIELDS else "kind"
