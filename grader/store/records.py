"""Page results as JSON and back: what the journal holds for one page.

The types in grader.records are the schema: msgspec writes and reads them as they are declared, and refuses what
does not fit. A float is written with the digits that give it back, so a record read back is the same bit for bit.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
import numpy as np

from grader.records import (
    Box,
    Bubble,
    Identity,
    Mark,
    Outcome,
    PageRef,
    PageResult,
    Reading,
    Registration,
    Response,
    Transcription,
)


class _Place(msgspec.Struct):
    """A Registration, its matrix as rows."""

    page_number: int
    to_pixels: list[list[float]]
    residual: float
    method: str
    code: str = ""


class _Record(msgspec.Struct):
    file: str
    page: int
    outcome: Outcome
    reason: str
    detail: str
    sha256: str
    identity: Identity | None
    sheet_page: int | None
    registration: _Place | None
    readings: tuple[Reading, ...]
    responses: tuple[Response, ...]
    marks: tuple[Mark, ...]
    crops: dict[str, str]
    seconds: dict[str, float]


class _Outline(msgspec.Struct):
    """What settling needs of every page. What it does not name is passed over, which costs a fraction of reading it."""

    file: str
    page: int
    outcome: Outcome
    reason: str
    detail: str
    sha256: str
    identity: Identity | None
    sheet_page: int | None
    registration: _Place | None
    seconds: dict[str, float]


class _NamedBubble(msgspec.Struct):
    position: int
    label: str
    darkness: float
    marked: bool | None


class _EarlierReading(msgspec.Struct):
    """A Reading as it was written before bubbles were written without the names of their measures."""

    field: str
    kind: Literal["marks", "text", "code"]
    value: str
    confidence: float
    flags: tuple[str, ...]
    box: Box
    bubbles: tuple[_NamedBubble, ...]
    transcription: Transcription | None


class _EarlierRecord(_Record):
    readings: tuple[_EarlierReading, ...]  # type: ignore[assignment]


def to_json(result: PageResult, crops: dict[str, str]) -> str:
    """The record of a page. crops: field id → SHA-256 of the PNG, which is stored apart.

    Raises ValueError where it could not be read back, as with a number that is none (JSON has no NaN): in the journal
    such a record would stop the settling of the whole run.
    """
    found = result.registration
    record = _Record(
        file=result.ref.file,
        page=result.ref.page,
        outcome=result.outcome,
        reason=result.reason,
        detail=result.detail,
        sha256=result.sha256,
        identity=result.identity,
        sheet_page=result.sheet_page,
        registration=None if found is None else _place(found),
        readings=result.readings,
        responses=result.responses,
        marks=result.marks,
        crops=crops,
        seconds=result.seconds,
    )
    text = _ENCODER.encode(record).decode()
    _DECODER.decode(text)
    return text


def from_json(text: str) -> tuple[PageResult, dict[str, str]]:
    """The page's result (its crops left out) and field id → SHA-256 of the crop."""
    record = _decoded(text)
    place = record.registration
    result = PageResult(
        ref=PageRef(record.file, record.page),
        outcome=record.outcome,
        reason=record.reason,
        detail=record.detail,
        sha256=record.sha256,
        identity=record.identity,
        sheet_page=record.sheet_page,
        registration=None if place is None else _registration(place),
        readings=record.readings,
        responses=record.responses,
        marks=record.marks,
        seconds=record.seconds,
    )
    return result, record.crops


def outline(text: str) -> PageResult:
    """The page's result without readings, responses, marks and crops."""
    record = _OUTLINE_DECODER.decode(text)
    return PageResult(
        ref=PageRef(record.file, record.page),
        outcome=record.outcome,
        reason=record.reason,
        detail=record.detail,
        sha256=record.sha256,
        identity=record.identity,
        sheet_page=record.sheet_page,
        registration=None if record.registration is None else _registration(record.registration),
        seconds=record.seconds,
    )


def _decoded(text: str) -> _Record:
    try:
        return _DECODER.decode(text)
    except msgspec.ValidationError:
        earlier = _EARLIER_DECODER.decode(text)
        readings = tuple(_reading(reading) for reading in earlier.readings)
        return msgspec.structs.replace(earlier, readings=readings)


def _reading(earlier: _EarlierReading) -> Reading:
    values = msgspec.structs.asdict(earlier)
    return Reading(**{**values, "bubbles": tuple(Bubble(*msgspec.structs.astuple(b)) for b in earlier.bubbles)})


def _place(found: Registration) -> _Place:
    return _Place(found.page_number, found.to_pixels.tolist(), float(found.residual), found.method, found.code)


def _registration(place: _Place) -> Registration:
    return Registration(place.page_number, np.array(place.to_pixels), place.residual, place.method, place.code)


def _plain(value: Any) -> Any:
    """numpy scalars as plain numbers."""
    return value.item()


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
_DECODER = msgspec.json.Decoder(_Record)
_OUTLINE_DECODER = msgspec.json.Decoder(_Outline)
_EARLIER_DECODER = msgspec.json.Decoder(_EarlierRecord)
