"""What is printed besides the fields: text, lines and boxes, in millimetres from the top left of the page."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from grader.exam.form import AnyField

BLACK = 0.0
GRAY = 0.45  # outlines that must be seen but must not compete with pencil
PALE = 0.72  # writing lines: seen by the candidate, ignored by the reader


@dataclass(frozen=True)
class Text:
    """A line of text on a baseline. size: points. gray: 0 black to 1 white.

    max_width: the text is set smaller, and at last on two lines (upwards), until it fits this width.
    """

    x: float
    y: float
    text: str
    size: float = 9.0
    bold: bool = False
    align: Literal["left", "centre", "right"] = "left"
    gray: float = BLACK
    max_width: float | None = None


@dataclass(frozen=True)
class Rect:
    """A box by its outline's centre line. width: of the stroke, 0 for none. fill: gray, or None."""

    x: float
    y: float
    w: float
    h: float
    radius: float = 0.0
    width: float = 0.25
    gray: float = BLACK
    fill: float | None = None


@dataclass(frozen=True)
class Line:
    """A straight stroke. dash: millimetres on and off, or solid."""

    x1: float
    y1: float
    x2: float
    y2: float
    width: float = 0.25
    gray: float = BLACK
    dash: tuple[float, float] | None = None


Ink = Text | Rect | Line


@dataclass
class Part:
    """A piece of a page: the fields to read and the ink around them."""

    fields: list[AnyField] = field(default_factory=list)
    ink: list[Ink] = field(default_factory=list)

    def add(self, other: Part) -> None:
        """Take over another part's fields and ink."""
        self.fields += other.fields
        self.ink += other.ink
