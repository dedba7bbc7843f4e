"""An answer as the columns of its row in the store."""

from __future__ import annotations

from typing import Any

import msgspec

from grader.records import Mark

_EMPTY = {
    "file": None,
    "file_page": None,
    "box": "[0, 0, 0, 0]",
    "crop": "",
    "response": "",
    "proposal": None,
    "comment": "",
}


def to_json(value: object) -> str:
    """A box or criteria as a column holds them."""
    return msgspec.json.encode(value).decode()


def row_of(mark: Mark, order: int, **values: Any) -> dict[str, Any]:
    """The row of an answer that nobody decided. order: of its item in the exam; values: further columns."""
    return {
        **_EMPTY,
        "candidate": mark.candidate,
        "item": mark.item,
        "item_order": order,
        "mark": mark.mark,
        "max_mark": mark.max_mark,
        "confidence": mark.confidence,
        "status": mark.status,
        "flags": " ".join(mark.flags),
        "marker": mark.marker,
        "criteria": to_json([(c.id, c.mark, c.confidence, c.evidence) for c in mark.criteria])
        if mark.criteria
        else "[]",
        **values,
    }
