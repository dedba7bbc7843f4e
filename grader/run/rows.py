"""An answer as the columns of its row in the store."""

from __future__ import annotations

import json
from typing import Any

from grader.records import Mark


def row_of(mark: Mark, order: int, **values: Any) -> dict[str, Any]:
    """The row of an answer that nobody decided. order: of its item in the exam; values: further columns."""
    criteria = [(c.id, c.mark, c.confidence, c.evidence) for c in mark.criteria]
    empty = {"file": None, "file_page": None, "box": "[0, 0, 0, 0]", "crop": "", "response": ""}
    empty |= {"proposal": None, "comment": ""}
    return {
        **empty,
        "candidate": mark.candidate,
        "item": mark.item,
        "item_order": order,
        "mark": mark.mark,
        "max_mark": mark.max_mark,
        "confidence": mark.confidence,
        "status": mark.status,
        "flags": " ".join(mark.flags),
        "marker": mark.marker,
        "criteria": json.dumps(criteria),
        **values,
    }
