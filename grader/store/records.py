"""Page results as JSON and back: what the journal holds for one page.

Floats go through `repr`, so a record read back is the same bit for bit.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from grader.records import (
    Bubble,
    Character,
    CriterionMark,
    Identity,
    Mark,
    PageRef,
    PageResult,
    Reading,
    Registration,
    Response,
    TextLine,
    Transcription,
)


def to_json(result: PageResult, crops: dict[str, str]) -> str:
    """The record of a page. crops: field id → SHA-256 of the PNG, which is stored apart."""
    registration = result.registration
    data = {
        "file": result.ref.file,
        "page": result.ref.page,
        "outcome": result.outcome,
        "reason": result.reason,
        "detail": result.detail,
        "sha256": result.sha256,
        "identity": asdict(result.identity) if result.identity else None,
        "sheet_page": result.sheet_page,
        "registration": registration
        and {
            "page_number": registration.page_number,
            "to_pixels": [[float(v) for v in row] for row in registration.to_pixels],
            "residual": float(registration.residual),
            "method": registration.method,
            "code": registration.code,
        },
        "readings": [asdict(r) for r in result.readings],
        "responses": [asdict(r) for r in result.responses],
        "marks": [asdict(m) for m in result.marks],
        "crops": crops,
        "seconds": result.seconds,
    }
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), default=_plain)


def from_json(text: str) -> tuple[PageResult, dict[str, str]]:
    """The page's result (its crops left out) and field id → SHA-256 of the crop."""
    import numpy as np

    data = json.loads(text)
    registration = data["registration"]
    result = PageResult(
        ref=PageRef(data["file"], data["page"]),
        outcome=data["outcome"],
        reason=data["reason"],
        detail=data["detail"],
        sha256=data["sha256"],
        identity=_identity(data["identity"]),
        sheet_page=data["sheet_page"],
        registration=registration
        and Registration(**{**registration, "to_pixels": np.array(registration["to_pixels"], dtype=np.float64)}),
        readings=tuple(_reading(r) for r in data["readings"]),
        responses=tuple(_response(r) for r in data["responses"]),
        marks=tuple(_mark(m) for m in data["marks"]),
        seconds=data["seconds"],
    )
    return result, data["crops"]


def _identity(data: dict[str, Any] | None) -> Identity | None:
    if data is None:
        return None
    sources = tuple((name, value) for name, value in data["sources"])
    return Identity(data["candidate"], data["confidence"], tuple(data["flags"]), sources)


def _transcription(data: dict[str, Any] | None) -> Transcription | None:
    if data is None:
        return None
    lines = tuple(
        TextLine(
            line["text"],
            line["confidence"],
            _box(line["box"]),
            tuple(Character(**character) for character in line["characters"]),
        )
        for line in data["lines"]
    )
    return Transcription(data["text"], data["confidence"], lines, tuple(data["flags"]))


def _reading(data: dict[str, Any]) -> Reading:
    return Reading(
        field=data["field"],
        kind=data["kind"],
        value=data["value"],
        confidence=data["confidence"],
        flags=tuple(data["flags"]),
        box=_box(data["box"]),
        bubbles=tuple(Bubble(**bubble) for bubble in data["bubbles"]),
        transcription=_transcription(data["transcription"]),
    )


def _response(data: dict[str, Any]) -> Response:
    return Response(
        data["candidate"],
        data["item"],
        data["text"],
        data["confidence"],
        tuple(data["flags"]),
        _transcription(data["transcription"]),
    )


def _mark(data: dict[str, Any]) -> Mark:
    criteria = tuple(
        CriterionMark(c["id"], c["mark"], c["confidence"], tuple(c["evidence"]) if c["evidence"] else None)
        for c in data["criteria"]
    )
    return Mark(**{**data, "flags": tuple(data["flags"]), "criteria": criteria})


def _box(values: list[float]) -> tuple[float, float, float, float]:
    x, y, w, h = values
    return (x, y, w, h)


def _plain(value: Any) -> Any:
    """numpy scalars as plain numbers."""
    return value.item()
