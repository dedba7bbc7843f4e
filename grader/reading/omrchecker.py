"""OMRChecker's layout files (template.json with what lies beside it) as a form of ours, in its page's pixels.

OMRChecker cuts the page out of the picture, stretches it to pageDimensions and looks at boxes laid out in
blocks. Here the blocks become fields, the cutting becomes a method of registration, and since such layouts
are measured by hand the page is fitted once more to its printed bubbles. Filters that only change brightness
are accepted and left out: marks are compared with the sheet's own paper and print. Thresholds of config.json
have no counterpart here for the same reason, scoring (evaluation.json) belongs to an exam file, and a blank
field is empty whatever emptyValue says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from grader.errors import FormError, Problem
from grader.exam.form import (
    AnyMethod,
    BubbleBox,
    ContourMethod,
    FeaturesMethod,
    Fiducial,
    Form,
    MarkersMethod,
    MarksField,
    PageForm,
    WholeMethod,
)

_DIGITS = tuple("0123456789")
FIELD_TYPES: dict[str, tuple[tuple[str, ...], str]] = {
    "QTYPE_INT": (_DIGITS, "vertical"),
    "QTYPE_INT_FROM_1": ((*_DIGITS[1:], "0"), "vertical"),
    "QTYPE_MCQ4": (tuple("ABCD"), "horizontal"),
    "QTYPE_MCQ5": (tuple("ABCDE"), "horizontal"),
    "QTYPE_MCQ4_RTL": (tuple("DCBA"), "horizontal"),
    "QTYPE_MCQ5_RTL": (tuple("EDCBA"), "horizontal"),
}
_BRIGHTNESS_ONLY = {"GaussianBlur", "MedianBlur", "Levels"}
_LOOSE = 0.3  # of a bubble's smaller side: how far bubbles may be from where the layout has them
_RANGE = re.compile(r"([^.\d]+)(\d+)\.{2,3}(\d+)")
_IDENTITY = re.compile(r"roll|student|candidate|regist|考号|考生号|准考证", re.IGNORECASE)


def load_template(path: Path) -> tuple[Form, Path]:
    """The form and the folder of its pictures. Raises FormError with every problem at once."""
    problems: list[Problem] = []
    raw = _json(path, problems)
    for name in ("config.json", "evaluation.json"):
        if (path.parent / name).is_file():
            _json(path.parent / name, problems)
    template = _Template(raw if isinstance(raw, dict) else {}, path.parent, problems)
    form = template.form(path.parent.name or path.stem) if not problems else None
    if problems or form is None:
        raise FormError(str(path), problems or [Problem("file", "no layout", "give an OMRChecker template.json")])
    return form, path.parent


def _json(path: Path, problems: list[Problem]) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        problems.append(Problem(path.name, str(error), "give a readable JSON file", line))
        return None


@dataclass
class _Template:
    """Reads a layout piece by piece; what is wrong goes to `problems`."""

    raw: Mapping[str, Any]
    folder: Path
    problems: list[Problem]
    labels: dict[str, tuple[BubbleBox, ...]] = field(default_factory=dict)

    def form(self, name: str) -> Form | None:
        """The form, or None where something is wrong."""
        size = self._pair("pageDimensions", self.raw.get("pageDimensions"))
        bubble = self._pair("bubbleDimensions", self.raw.get("bubbleDimensions"))
        blocks = self.raw.get("fieldBlocks")
        if not isinstance(blocks, dict) or not blocks:
            self._wrong("fieldBlocks", "there is no block of fields", "describe at least one block")
            blocks = {}
        for key, block in blocks.items():
            self._block(f"fieldBlocks.{key}", block if isinstance(block, dict) else {}, bubble, size)
        fields = self._fields()
        methods, fiducials = self._registration(size)
        self._check_columns()
        if self.problems:
            return None
        page = PageForm(number=1, width=size[0], height=size[1], fiducials=fiducials, fields=fields)
        smallest = min(min(b.w, b.h) for boxes in self.labels.values() for b in boxes)
        return Form(
            id=name, unit="px", registration=methods, max_residual=_LOOSE * smallest, align_bubbles=True, pages=(page,)
        )

    # --- blocks ---------------------------------------------------------------------------------------

    def _block(self, where: str, block: Mapping[str, Any], bubble: _Pair, page: _Pair) -> None:
        """The bubbles of one block, label by label."""
        values, direction = self._values(where, block)
        origin = self._pair(f"{where}.origin", block.get("origin"), least=0.0)
        size = self._pair(f"{where}.bubbleDimensions", block.get("bubbleDimensions", bubble))
        steps = [self._number(f"{where}.{key}", block.get(key)) for key in ("bubblesGap", "labelsGap")]
        along, across = ((0.0, steps[0]), (steps[1], 0.0))
        if direction == "horizontal":
            along, across = ((steps[0], 0.0), (0.0, steps[1]))
        for row, label in enumerate(self._names(f"{where}.fieldLabels", block.get("fieldLabels"))):
            if label in self.labels:
                self._wrong(f"{where}.fieldLabels", f"{label!r} is in another block too", "give every field one name")
            self.labels[label] = tuple(
                BubbleBox(
                    label=value,
                    x=origin[0] + row * across[0] + column * along[0],
                    y=origin[1] + row * across[1] + column * along[1],
                    w=size[0],
                    h=size[1],
                )
                for column, value in enumerate(values)
            )
            if any(b.x + b.w > page[0] or b.y + b.h > page[1] for b in self.labels[label]):
                message = f"{label!r} lies outside the page of {page[0]:g} x {page[1]:g}"
                self._wrong(where, message, "correct origin, gaps or pageDimensions")

    def _values(self, where: str, block: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
        """The labels of a field's bubbles, and how they run."""
        values: tuple[str, ...] = ()
        direction = "vertical"
        kind = block.get("fieldType")
        if kind is not None and kind not in FIELD_TYPES:
            known = ", ".join(FIELD_TYPES)
            self._wrong(f"{where}.fieldType", f"{kind!r} is not known", f"choose one of {known}, or give bubbleValues")
        elif kind is not None:
            values, direction = FIELD_TYPES[kind]
        own = block.get("bubbleValues")
        if own is not None:
            if not isinstance(own, list) or not own or not all(isinstance(v, str | int) for v in own):
                self._wrong(f"{where}.bubbleValues", "is not a list of labels", 'give labels such as ["A", "B"]')
                own = []
            values = tuple(map(str, own))
        elif kind is None:
            self._wrong(where, "neither fieldType nor bubbleValues is given", "give one of the two")
        direction = block.get("direction", direction)
        if direction not in ("horizontal", "vertical"):
            self._wrong(f"{where}.direction", f"{direction!r} is no direction", "use horizontal or vertical")
        return values, direction

    def _names(self, where: str, given: object) -> list[str]:
        """Field names, with ranges such as q1..10 written out."""
        if not isinstance(given, list) or not given:
            self._wrong(where, "is not a list of names", 'give names such as ["q1..10"]')
            return []
        names: list[str] = []
        for text in map(str, given):
            match = _RANGE.fullmatch(text)
            if match is None:
                names.append(text)
            elif int(match[2]) < int(match[3]):
                names.extend(f"{match[1]}{number}" for number in range(int(match[2]), int(match[3]) + 1))
            else:
                self._wrong(where, f"the range {text!r} does not count up", f"write {match[1]}1..10")
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            self._wrong(where, f"named twice: {', '.join(repeated)}", "give every field one name")
        return names

    # --- fields ---------------------------------------------------------------------------------------

    def _fields(self) -> tuple[MarksField, ...]:
        """A field for every custom label (one position a column), and for every other field one of its own."""
        custom = self.raw.get("customLabels") or {}
        fields: list[MarksField] = []
        taken: set[str] = set()
        for name, given in (custom if isinstance(custom, dict) else {}).items():
            where = f"customLabels.{name}"
            parts = self._names(where, given)
            missing = [part for part in parts if part not in self.labels]
            if missing:
                self._wrong(where, f"no block has {', '.join(missing)}", "name fields of fieldBlocks")
            if taken.intersection(parts):
                shared = ", ".join(sorted(taken.intersection(parts)))
                self._wrong(where, f"{shared} belongs to another custom label too", "use every field once")
            taken.update(parts)
            bubbles = [
                b.model_copy(update={"position": position})
                for position, part in enumerate(parts)
                for b in self.labels.get(part, ())
            ]
            if bubbles:
                fields.append(self._field(name, tuple(bubbles)))
        fields.extend(self._field(name, boxes) for name, boxes in self.labels.items() if name not in taken and boxes)
        return tuple(fields)

    def _field(self, name: str, bubbles: tuple[BubbleBox, ...]) -> MarksField:
        if _IDENTITY.search(name):
            return MarksField(id=name, role="candidate", bubbles=bubbles)
        return MarksField(id=name, item=name, bubbles=bubbles)

    def _check_columns(self) -> None:
        columns = self.raw.get("outputColumns")
        if columns:
            known = {*self.labels, *(self.raw.get("customLabels") or {})}
            missing = [name for name in self._names("outputColumns", columns) if name not in known]
            if missing:
                self._wrong("outputColumns", f"there is no field {', '.join(missing)}", "name fields of the layout")

    # --- registration ---------------------------------------------------------------------------------

    def _registration(self, size: _Pair) -> tuple[tuple[AnyMethod, ...], tuple[Fiducial, ...]]:
        """What the last of the cutting steps stands for: it leaves the page that the blocks are laid out on."""
        method: AnyMethod = WholeMethod()
        fiducials: tuple[Fiducial, ...] = ()
        steps = self.raw.get("preProcessors") or []
        for number, step in enumerate(steps if isinstance(steps, list) else []):
            where = f"preProcessors.{number}"
            name = step.get("name") if isinstance(step, dict) else None
            options = (step.get("options") or {}) if isinstance(step, dict) else {}
            if name == "CropPage":
                method, fiducials = ContourMethod(), ()
            elif name == "CropOnMarkers":
                picture = self._picture(f"{where}.options.relativePath", options.get("relativePath", "omr_marker.jpg"))
                width = size[0] / self._number(
                    f"{where}.options.sheetToMarkerWidthRatio", options.get("sheetToMarkerWidthRatio", 17)
                )
                method = MarkersMethod(image=picture, marker_width=width)
                corners = ((0.0, 0.0), (size[0], 0.0), (size[0], size[1]), (0.0, size[1]))
                fiducials = tuple(Fiducial(x=x, y=y, size=width, kind="ring") for x, y in corners)
            elif name == "FeatureBasedAlignment":
                picture = self._picture(f"{where}.options.reference", options.get("reference"))
                method, fiducials = FeaturesMethod(image=picture), ()
            elif name not in _BRIGHTNESS_ONLY:
                known = "CropPage, CropOnMarkers, FeatureBasedAlignment, GaussianBlur, MedianBlur, Levels"
                self._wrong(f"{where}.name", f"the step {name!r} is not known", f"leave it out, or use one of {known}")
        return (method,), fiducials

    def _picture(self, where: str, name: object) -> str:
        if not isinstance(name, str) or not (self.folder / name).is_file():
            self._wrong(where, f"the picture {name!r} is missing", "put it beside template.json")
            return ""
        return name

    # --- numbers --------------------------------------------------------------------------------------

    def _wrong(self, where: str, message: str, remedy: str) -> None:
        self.problems.append(Problem(where, message, remedy))

    def _number(self, where: str, given: object, default: float = 1.0) -> float:
        if isinstance(given, bool) or not isinstance(given, int | float) or given < 0:
            self._wrong(where, f"{given!r} is not a number from 0", "give a number of pixels")
            return default
        return float(given)

    def _pair(self, where: str, given: object, least: float = 1.0) -> _Pair:
        if (
            not isinstance(given, Sequence)
            or len(given) != 2
            or not all(isinstance(v, int | float) and not isinstance(v, bool) and v >= least for v in given)
        ):
            self._wrong(where, f"{given!r} is not a pair of numbers from {least:g}", "give [width, height] or [x, y]")
            return (1.0, 1.0)
        return (float(given[0]), float(given[1]))


_Pair = tuple[float, float]
