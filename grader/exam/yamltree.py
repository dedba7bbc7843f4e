"""YAML as a plain tree that remembers its lines, built from parser events: nothing is ever constructed.

Scalars keep the text as written ("007", "3.20" and "no" survive), so the schema decides what they mean.
Anchors, aliases, tags, duplicate keys and several documents have no use in an exam and are refused, which
also makes entity-expansion bombs impossible; depth and size are bounded before anything is built.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from grader.errors import Problem

MAX_BYTES = 1 << 19
MAX_DEPTH = 8
MAX_NODES = 50_000

Path = tuple[str | int, ...]
Tree = dict[str, Any] | list[Any] | str | None


class Unreadable(Exception):
    """The text is not a usable YAML document; carries the problems."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__(str(problems[0]))
        self.problems = problems


@dataclass
class Document:
    """The tree, the line (1-based) of every path in it, and problems that did not prevent reading it."""

    tree: Tree = None
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def line(self, path: Path) -> int | None:
        """The line of `path`, or of its nearest ancestor that is in the file."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path)


@dataclass
class _Open:
    """A collection that is being read."""

    path: Path
    value: dict[str, Any] | list[Any]
    key: str | None = None


def spell(path: Path) -> str:
    """A path as people write it: items[3].rubric[0].marks."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text or "file"


def read(text: str) -> Document:
    """The one document in `text`. Raises Unreadable for a syntax error or a document beyond the limits."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    reader = _Reader()
    try:
        for event in YAML(typ="rt").parse(text):
            reader.take(event)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        what = getattr(error, "problem", None) or str(error).splitlines()[0]
        line = mark.line + 1 if mark is not None else None
        remedy = "check indentation, colons, quotes and brackets here and on the line above; use spaces, not tabs"
        raise Unreadable([*reader.document.problems, Problem("file", f"not YAML: {what}", remedy, line)]) from error
    except RecursionError as error:
        raise Unreadable([Problem("file", "nested too deeply", "an exam needs no such nesting")]) from error
    return reader.document


class _Reader:
    def __init__(self) -> None:
        self.document = Document()
        self._open: list[_Open] = []
        self._nodes = 0
        self._documents = 0

    def take(self, event: Any) -> None:
        """One parser event."""
        kind = type(event).__name__
        line = event.start_mark.line + 1
        if kind == "DocumentStartEvent":
            self._documents += 1
            if self._documents > 1:
                self._refuse("several documents in one file", "keep one exam in a file, without ---", line)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            self._open.pop()
        elif kind == "AliasEvent":
            self._refuse(f"the alias *{event.anchor} is not allowed", "write the value out", line)
        elif kind == "ScalarEvent":
            self._check(event, line)
            self._scalar(event, line)
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            self._check(event, line)
            if len(self._open) >= MAX_DEPTH:
                self._refuse("nested too deeply", "an exam needs no such nesting", line)
            value: dict[str, Any] | list[Any] = {} if kind == "MappingStartEvent" else []
            self._open.append(_Open(self._place(value, line), value))

    def _check(self, event: Any, line: int) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._refuse(f"more than {MAX_NODES} values", "split the exam", line)
        if event.anchor:
            self._refuse(f"the anchor &{event.anchor} is not allowed", "write the value out where it is needed", line)
        if event.tag:
            self._refuse(f"the tag {event.tag} is not allowed", "remove it; plain values are enough", line)

    def _refuse(self, message: str, remedy: str, line: int) -> None:
        raise Unreadable([*self.document.problems, Problem("file", message, remedy, line)])

    def _scalar(self, event: Any, line: int) -> None:
        parent = self._open[-1] if self._open else None
        if parent is not None and isinstance(parent.value, dict) and parent.key is None:
            if event.value in parent.value:
                where = spell((*parent.path, event.value))
                first = self.document.lines[(*parent.path, event.value)]
                message = f"the key stands twice (first on line {first})"
                self.document.problems.append(Problem(where, message, "remove one of the two", line))
            parent.key = event.value
            return
        empty = event.value in ("", "~", "null", "Null", "NULL") and event.style is None
        self._place(None if empty else event.value, line)

    def _place(self, value: Tree, line: int) -> Path:
        """Put a value where it belongs; returns its path."""
        path: Path = ()
        if not self._open:
            self.document.tree = value
        else:
            parent = self._open[-1]
            if isinstance(parent.value, list):
                path = (*parent.path, len(parent.value))
                parent.value.append(value)
            elif parent.key is None:
                self._refuse("a key must be plain text", "write `key: value`", line)
            else:
                path = (*parent.path, parent.key)
                parent.value[parent.key] = value
                parent.key = None
        self.document.lines[path] = line
        return path
