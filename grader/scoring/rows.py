"""Responses as JSON lines, and marks as the same lines with the mark added. A bad row costs itself only."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from grader.errors import UsageError
from grader.flags import FLAGS
from grader.records import Mark, Response

MAX_TEXT = 100_000


@dataclass(frozen=True)
class Row:
    """One line of the input: what it held, and the response in it or what is wrong with it."""

    line: int
    data: dict[str, Any]
    response: Response | None
    problem: str = ""


def read_rows(path: Path) -> list[Row]:
    """All rows of a JSONL file (blank lines skipped). Raises UsageError if the file itself cannot be used."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}", "give a file of JSON lines") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 (byte {error.start})", "save it with the encoding UTF-8") from error
    rows = list(_rows(text))
    if not rows:
        remedy = 'write one {"candidate": ..., "item": ..., "text": ...} a line'
        raise UsageError(f"{path} holds no responses", remedy)
    return rows


def _rows(text: str) -> Iterator[Row]:
    # Only \n separates JSON lines: other line separators may stand inside a string.
    for line, raw in enumerate(text.split("\n"), 1):
        if raw.strip():
            yield _row(line, raw)


def _row(line: int, raw: str) -> Row:
    try:
        data = json.loads(raw)
    except (ValueError, RecursionError) as error:
        return Row(line, {}, None, f"not JSON: {getattr(error, 'msg', 'it cannot be parsed')}")
    if not isinstance(data, dict):
        return Row(line, {}, None, "not a JSON object")
    problem = _problem(data)
    if problem:
        return Row(line, data, None, problem)
    return Row(
        line,
        data,
        Response(
            candidate=str(data["candidate"]),
            item=str(data["item"]),
            text=data["text"],
            confidence=float(data.get("confidence", 1.0)),
            flags=tuple(data.get("flags", ())),
        ),
    )


def _problem(data: dict[str, Any]) -> str:  # noqa: PLR0911 - a case a return
    """What keeps a row from being a response, "" if nothing."""
    for key in ("candidate", "item"):
        if not isinstance(data.get(key), str | int) or isinstance(data[key], bool):
            return f"{key} must be text" if key in data else f"{key} is missing"
    text = data.get("text")
    if not isinstance(text, str):
        return "text must be text" if "text" in data else "text is missing"
    if len(text) > MAX_TEXT:
        return f"text is longer than {MAX_TEXT} characters"
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return "it holds half of a surrogate pair, which is no character"
    confidence, codes = data.get("confidence", 1.0), data.get("flags", [])
    if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 <= confidence <= 1:
        return "confidence must be a number from 0 to 1"
    if not isinstance(codes, list) or any(not isinstance(code, str) or code not in FLAGS for code in codes):
        return "flags must be a list of known codes"
    return ""


def marked(row: Row, mark: Mark) -> dict[str, Any]:
    """The row with its mark."""
    return {
        **row.data,
        "mark": mark.mark,
        "max_mark": mark.max_mark,
        "confidence": round(mark.confidence, 6),
        "status": mark.status,
        "flags": list(mark.flags),
        "criteria": [
            {
                "id": one.id,
                "mark": one.mark,
                "confidence": one.confidence,
                "evidence": list(one.evidence) if one.evidence else None,
            }
            for one in mark.criteria
        ],
        "marker": mark.marker,
    }


def rejected(row: Row) -> dict[str, Any]:
    """A row that could not be used, accounted for: no mark, for a person to see, with its line and reason."""
    known = {key: row.data.get(key) for key in ("candidate", "item", "text")}
    kept = {key: value if isinstance(value, str | int) else None for key, value in known.items()}
    return {
        **kept,
        "mark": None,
        "max_mark": None,
        "confidence": 0.0,
        "status": "review",
        "flags": ["unreadable_row"],
        "criteria": [],
        "marker": "",
        "line": row.line,
        "problem": row.problem,
    }


def dump(row: dict[str, Any]) -> str:
    """One line of JSON, always valid UTF-8."""
    plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
    return json.dumps(plain, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")
