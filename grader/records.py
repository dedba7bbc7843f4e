"""The typed, immutable records that flow through the engine, in one direction:

    PageRef → Page → Registration → Reading → Response → Mark

Coordinates are (x, y) with the origin at the top left; "form units" are millimetres, or pixels of the
reference picture where a form says so. Arrays are uint8 unless stated otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np

Outcome = Literal["read", "rejected", "duplicate", "unmatched"]
Status = Literal["final", "proposed", "review"]
Box = tuple[float, float, float, float]  # x, y, width, height


@dataclass(frozen=True, order=True)
class PageRef:
    """One page of one file. `page` counts from 1 within the file."""

    file: str
    page: int = 1


@dataclass(frozen=True, eq=False)
class Page:
    """A decoded page, as stored (no EXIF rotation applied).

    picture: height x width uint8, the channel that the form asks for (plain luminance by default), or what decodes
    it. coarse: the picture at half its size, where it was decoded at that size. dpi: from the file where it is
    believable, else None. sha256: of the encoded bytes of this page.
    """

    ref: PageRef
    picture: np.ndarray | Callable[[], np.ndarray]
    dpi: float | None
    sha256: str
    coarse: np.ndarray | None = None

    @cached_property
    def gray(self) -> np.ndarray:
        """The whole picture. Where only `coarse` was decoded so far it is decoded now, and PageError may be raised."""
        return self.picture() if callable(self.picture) else self.picture

    @cached_property
    def half(self) -> np.ndarray:
        """The picture at half its size: its pixel centres lie at 2x + 0.5 of `gray`. Most stages need no more."""
        if self.coarse is not None:
            return self.coarse
        import cv2

        height, width = (side // 2 for side in self.gray.shape)
        even = self.gray[: 2 * height, : 2 * width]
        return cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels; to a pixel where only `coarse` is there."""
        height, width = self.gray.shape if self.coarse is None else (2 * side for side in self.coarse.shape)
        return height, width


@dataclass(frozen=True, eq=False)
class Registration:
    """Where a form's page lies in a picture.

    to_pixels: 3x3 float64 homography from form units to pixels of `Page.gray`.
    residual: root mean square distance in form units between where registration marks should be and are.
    """

    page_number: int
    to_pixels: np.ndarray
    residual: float
    method: str
    code: str = ""  # text of the page code, where the form has one


@dataclass(frozen=True)
class Character:
    """One recognised character with the recogniser's probability, and its span (0..1) along the line."""

    text: str
    confidence: float
    start: float = 0.0
    end: float = 0.0


@dataclass(frozen=True)
class TextLine:
    """One line of text. box: x, y, width, height in pixels of the crop it was read from."""

    text: str
    confidence: float
    box: Box
    characters: tuple[Character, ...] = ()


@dataclass(frozen=True)
class Transcription:
    """What was read in one crop. text joins the lines with newlines; confidence is a probability-like score of
    its weakest line: that every character is right, or in running text, which bears single errors, that its mean
    character is. 1.0 for a crop that is certainly blank."""

    text: str
    confidence: float
    lines: tuple[TextLine, ...] = ()
    flags: tuple[str, ...] = ()


class Bubble(NamedTuple):
    """How one bubble was measured. darkness 0 (as when printed) to 1 (solid); marked None means doubtful."""

    position: int
    label: str
    darkness: float
    marked: bool | None


@dataclass(frozen=True)
class Reading:
    """What one field of the form holds. value: chosen labels or text, "" if empty.

    box: the field's bounding box in pixels of the page as scanned (upright rectangle around it).
    """

    field: str
    kind: Literal["marks", "text", "code"]
    value: str
    confidence: float
    flags: tuple[str, ...] = ()
    box: Box = (0.0, 0.0, 0.0, 0.0)
    bubbles: tuple[Bubble, ...] = ()
    transcription: Transcription | None = None


@dataclass(frozen=True)
class Identity:
    """Whose page this is. candidate "" if unknown; sources: what each source said, e.g. {"code": "007"}."""

    candidate: str
    confidence: float
    flags: tuple[str, ...] = ()
    sources: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Response:
    """What a candidate gave to an item. confidence: of the reading, not of the mark.

    transcription: character-level confidence where the text was read from handwriting.
    """

    candidate: str
    item: str
    text: str
    confidence: float = 1.0
    flags: tuple[str, ...] = ()
    transcription: Transcription | None = None


@dataclass(frozen=True)
class CriterionMark:
    """The mark for one criterion of a rubric. evidence: [start, end) in the response's text, or None."""

    id: str
    mark: float
    confidence: float
    evidence: tuple[int, int] | None = None


@dataclass(frozen=True)
class Mark:
    """A mark, who gave it, and how sure it is.

    mark is None where nothing can be proposed (an unread page). confidence: probability that the mark is
    within the item's tolerance of a human's. marker: versioned name, e.g. "rule:numeric/1".
    """

    candidate: str
    item: str
    mark: float | None
    max_mark: float
    confidence: float
    status: Status
    flags: tuple[str, ...] = ()
    marker: str = ""
    criteria: tuple[CriterionMark, ...] = ()


@dataclass(frozen=True, eq=False)
class PageResult:
    """All that one page gave; what a worker hands back. Small: crops are encoded pictures.

    crops: field id → PNG bytes. seconds: stage → time spent.
    """

    ref: PageRef
    outcome: Outcome
    reason: str = ""
    detail: str = ""
    sha256: str = ""
    identity: Identity | None = None
    sheet_page: int | None = None
    registration: Registration | None = None
    readings: tuple[Reading, ...] = ()
    responses: tuple[Response, ...] = ()
    marks: tuple[Mark, ...] = ()
    crops: dict[str, bytes] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
