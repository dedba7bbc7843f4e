"""The form: the geometry of a printed paper, as `form.json`.

One schema serves papers that grader prints (millimetres, fiducials, a page code) and papers printed
elsewhere (millimetres or pixels of a reference picture; corner marks, bars, page contour or features).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from grader.errors import FormError, Problem

SCHEMA = "grader-form/1"

Channel = Literal["gray", "red", "green", "blue", "min", "max"]
Role = Literal["item", "candidate", "other"]


class _Record(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BubbleBox(_Record):
    """One bubble: its label and its box. position: column of a multi-digit field (0 for a single choice).

    baseline: mean darkness (0 white to 1 black) inside the box on the blank form, where it is known.
    """

    label: str
    x: float
    y: float
    w: float = Field(gt=0)
    h: float = Field(gt=0)
    position: int = Field(default=0, ge=0)
    shape: Literal["rect", "ellipse"] = "rect"
    baseline: float | None = Field(default=None, ge=0, le=1)


class _Field(_Record):
    id: str
    role: Role = "item"
    item: str | None = None  # the exam's item that this field answers; None for identity and other fields


class MarksField(_Field):
    """Bubbles or boxes to fill, tick or cross. The value joins the marked labels, position by position.

    multiple: more than one mark at a position is allowed (else they are reported with a flag).
    """

    kind: Literal["marks"] = "marks"
    bubbles: tuple[BubbleBox, ...] = Field(min_length=1)
    multiple: bool = False
    style: Literal["fill", "any"] = "any"  # "fill": only filled bubbles count; "any": ticks and crosses too


class TextField(_Field):
    """A box to write in. alphabet: a named set ("any", "digits", "letters", "number") or the very characters
    allowed, written "=ABCD". cells: number of printed character cells (a handwritten candidate number), 0 if none."""

    kind: Literal["text"] = "text"
    x: float
    y: float
    w: float = Field(gt=0)
    h: float = Field(gt=0)
    lines: int = Field(default=1, ge=1)
    alphabet: str = "any"
    cells: int = Field(default=0, ge=0)


class CodeField(_Field):
    """A printed code. page_code: it is grader's own page code (exam, version, page, candidate, check)."""

    kind: Literal["code"] = "code"
    x: float
    y: float
    w: float = Field(gt=0)
    h: float = Field(gt=0)
    formats: tuple[Literal["QR", "Code128", "Code39", "DataMatrix"], ...] = ("QR",)
    page_code: bool = False


AnyField = Annotated[MarksField | TextField | CodeField, Field(discriminator="kind")]


class Fiducial(_Record):
    """A printed registration mark, by its centre. ring: black square ring with a black centre, as in a QR
    finder; square, disc: solid; cross; corner: an L-shaped bracket whose outer corner is (x, y).

    size: side or diameter.
    """

    x: float
    y: float
    size: float = Field(gt=0)
    kind: Literal["ring", "square", "disc", "cross", "corner"] = "square"


class PageForm(_Record):
    """One page of the form. marks: printed registration marks, used by the methods below."""

    number: int = Field(ge=1)
    width: float = Field(gt=0)
    height: float = Field(gt=0)
    fiducials: tuple[Fiducial, ...] = ()
    fields: tuple[AnyField, ...] = ()


class FiducialMethod(_Record):
    """grader's own paper: the page's fiducials at the four corners, one of a different kind for orientation."""

    method: Literal["fiducials"] = "fiducials"


class MarkersMethod(_Record):
    """Corner marks of a foreign form. image: a picture of the mark beside the form file (template matching);
    without it the page's `fiducials` say what to look for."""

    method: Literal["markers"] = "markers"
    image: str | None = None
    marker_width: float | None = None  # in form units


class BarsMethod(_Record):
    """Timing bars printed along an edge, by their centres in form units and their common size."""

    method: Literal["bars"] = "bars"
    bars: tuple[tuple[float, float], ...] = Field(min_length=4)
    w: float = Field(gt=0)
    h: float = Field(gt=0)


class ContourMethod(_Record):
    """The paper's own outline against its background, or a printed frame.

    corners: the outline's corners in form units (the page itself by default)."""

    method: Literal["contour"] = "contour"
    corners: tuple[tuple[float, float], ...] | None = None


class FeaturesMethod(_Record):
    """Feature matching against a reference picture of the blank form. The last resort: slow, needs texture."""

    method: Literal["features"] = "features"
    image: str


class WholeMethod(_Record):
    """The picture is the page, edge to edge; scale only."""

    method: Literal["whole"] = "whole"


class PlainMethod(_Record):
    """No print at all: the sheet's own outline, and item numbers that the candidate wrote (grader.exam.plain)."""

    method: Literal["plain"] = "plain"


AnyMethod = Annotated[
    FiducialMethod | MarkersMethod | BarsMethod | ContourMethod | FeaturesMethod | WholeMethod | PlainMethod,
    Field(discriminator="method"),
]


class Form(_Record):
    """A form. registration: methods in the order they are tried; the first whose residual is within
    max_residual (form units) is taken."""

    schema_: Literal["grader-form/1"] = Field(default="grader-form/1", alias="schema")
    id: str
    exam: str | None = None
    title: str = ""
    unit: Literal["mm", "px"] = "mm"
    channel: Channel = "gray"
    registration: tuple[AnyMethod, ...] = (FiducialMethod(),)
    max_residual: float = Field(default=1.0, gt=0)
    rotations: bool = True  # try all four turns; False where the form looks alike upside down
    align_bubbles: bool = False  # fit the page once more to the printed bubbles (geometry measured by hand)
    reference: str | None = None  # picture of the blank form beside the file: baseline for mark reading
    pages: tuple[PageForm, ...] = Field(min_length=1)

    @property
    def version(self) -> str:
        """First 8 hex digits of the SHA-256 of the geometry; printed in every page code."""
        return hashlib.sha256(self.canonical().encode()).hexdigest()[:8]

    def canonical(self) -> str:
        """Canonical JSON of what is printed: sorted keys, no blanks.

        Left out are how the paper is found (registration, limits, channel), what is measured on it (baselines),
        and values that are a field's default: a later release, which knows more optional fields, still gives
        paper printed today the same version.
        """
        printed = {"schema_", "id", "exam", "unit", "pages"}
        data = self.model_dump(mode="json", by_alias=True, exclude_defaults=True, include=printed)
        for page, own in zip(data["pages"], self.pages, strict=True):
            for dumped, field in zip(page.get("fields", ()), own.fields, strict=True):
                dumped["kind"] = field.kind
                for bubble in dumped.get("bubbles", ()):
                    bubble.pop("baseline", None)
        return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def plain(self) -> bool:
        """Whether the paper is plain: a candidate may hand in any number of pages, with any items on each."""
        return isinstance(self.registration[0], PlainMethod)

    def pictures(self) -> tuple[str, ...]:
        """Names of the pictures that the form needs beside it: of the blank page, of marks, to match features."""
        named = [self.reference, *(getattr(method, "image", None) for method in self.registration)]
        return tuple(dict.fromkeys(name for name in named if name))

    def page(self, number: int) -> PageForm:
        """The page numbered `number`. Raises KeyError if there is none."""
        for page in self.pages:
            if page.number == number:
                return page
        raise KeyError(number)

    def save(self, path: Path) -> None:
        """Write form.json, indented for people."""
        data = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        path.write_text(json.dumps(data, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")


def load_form(path: Path) -> Form:
    """Read form.json. Raises FormError with every problem at once."""
    try:
        text = path.read_text(encoding="utf-8")
        return Form.model_validate_json(text)
    except (OSError, UnicodeDecodeError) as error:
        raise FormError(str(path), [Problem("file", str(error), "give a readable form.json")]) from error
    except ValidationError as error:
        problems = [
            Problem(".".join(map(str, p["loc"])) or "file", p["msg"], "see the form schema: grader form schema")
            for p in error.errors()
        ]
        raise FormError(str(path), problems) from error
