"""Page results as JSON and back: what the journal holds for one page.

The types in grader.records are the schema: msgspec writes and reads them as they are declared, and refuses what
does not fit. A float is written with the digits that give it back, so a record read back is the same bit for bit.
"""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from grader.records import Identity, Mark, Outcome, PageRef, PageResult, Reading, Registration, Response


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


def to_json(result: PageResult, crops: dict[str, str]) -> str:
    """The record of a page. crops: field id → SHA-256 of the PNG, which is stored apart."""
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
    return _ENCODER.encode(record).decode()


def from_json(text: str) -> tuple[PageResult, dict[str, str]]:
    """The page's result (its crops left out) and field id → SHA-256 of the crop."""
    record = _DECODER.decode(text)
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


def _place(found: Registration) -> _Place:
    return _Place(found.page_number, found.to_pixels.tolist(), float(found.residual), found.method, found.code)


def _registration(place: _Place) -> Registration:
    return Registration(place.page_number, np.array(place.to_pixels), place.residual, place.method, place.code)


def _plain(value: Any) -> Any:
    """numpy scalars as plain numbers."""
    return value.item()


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
_DECODER = msgspec.json.Decoder(_Record)
