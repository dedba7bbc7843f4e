"""What the form of a mark says, read against the item that it marks. Pure."""

from __future__ import annotations

import math

from starlette.datastructures import FormData

from grader.desk.views import Typed
from grader.exam.exam import Item, ShortAnswerItem

_MAX_COMMENT = 2000


def typed_in(item: Item, form: FormData) -> Typed:
    """Everything typed, as it was typed."""
    rubric = item.rubric if isinstance(item, ShortAnswerItem) else ()
    criteria = tuple(str(form.get(f"criterion.{place}", "")).strip() for place in range(len(rubric)))
    comment = str(form.get("comment", "")).replace("\r\n", "\n").strip()[:_MAX_COMMENT]
    return Typed(str(form.get("mark", "")).strip(), criteria, comment)


def mark_in(item: Item, typed: Typed, form: FormData) -> float | None:
    """The mark that the pressed button gives, or None if none can be read from the form."""
    pressed = form.get("act", "save")
    if pressed in {"full", "zero"}:
        return item.max_mark if pressed == "full" else 0.0
    mark = _number(typed.mark)
    return mark if mark is not None and 0 <= mark <= item.max_mark else None


def criteria_in(item: Item, typed: Typed, form: FormData) -> list[float | None]:
    """The mark of each criterion in the order of the rubric, None where none can be read."""
    rubric = item.rubric if isinstance(item, ShortAnswerItem) else ()
    pressed = form.get("act", "save")
    if pressed in {"full", "zero"}:
        return [criterion.marks if pressed == "full" else 0.0 for criterion in rubric]
    given = [_number(text) for text in typed.criteria]
    fits = (v is not None and 0 <= v <= c.marks for v, c in zip(given, rubric, strict=True))
    return [value if fit else None for value, fit in zip(given, fits, strict=True)]


def _number(text: str) -> float | None:
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return round(value, 2) if math.isfinite(value) else None
