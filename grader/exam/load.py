"""Read an exam file; report everything that is wrong with it at once, each with line, field and remedy."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from grader.errors import ExamError, Problem
from grader.exam import yamltree
from grader.exam.exam import Criterion, Exam, ExamHeader, Item, Partial

_MODELS: dict[str, type[BaseModel]] = {
    get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(get_args(Item)[0])
}
MAX_PROBLEMS = 200
_KINDS = ", ".join(_MODELS)

_REMEDIES = {
    "missing": "add it",
    "string_type": "write text here",
    "string_too_short": "write something here",
    "string_too_long": "shorten it",
    "float_parsing": "write a plain number",
    "float_type": "write a plain number",
    "greater_than": "write a larger number",
    "greater_than_equal": "write a number that is not negative",
    "less_than_equal": "write a smaller number",
    "bool_parsing": "write true or false",
    "tuple_type": "write a list: [one, another], or one a line after a dash",
    "too_short": "give at least one",
    "too_long": "shorten the list",
    "literal_error": "choose one of those",
    "model_type": "write `key: value` pairs here",
    "model_attributes_type": "write `key: value` pairs here",
    "union_tag_not_found": f"add `type:` with one of {_KINDS}",
    "union_tag_invalid": f"choose one of {_KINDS}",
}


def load_exam(path: Path | str) -> Exam:
    """The exam in a YAML file. Raises ExamError with every problem at once; nothing in it is executed."""
    path = Path(path)
    return parse_exam(_text(path), str(path))


def parse_exam(text: str, where: str) -> Exam:
    """The exam in a text of YAML; where: what problems call it. Raises ExamError as `load_exam`."""
    if len(text.encode()) > yamltree.MAX_BYTES:
        raise ExamError(where, [Problem("file", "larger than 512 KiB", "an exam file holds text only; split it")])
    try:
        document = yamltree.read(text)
    except yamltree.Unreadable as error:
        raise ExamError(where, _presentable(error.problems)) from error
    exam, problems = _check(document)
    if exam is None:
        raise ExamError(where, _presentable(problems))
    return exam


def _presentable(problems: list[Problem]) -> list[Problem]:
    """In the order of the file, as many as a person can use, each of a length that can be read."""
    ordered = sorted(problems, key=lambda p: (p.line or 0, p.field))
    shown = [Problem(_clip(p.field), _clip(p.message), _clip(p.remedy), p.line) for p in ordered[:MAX_PROBLEMS]]
    left = len(ordered) - len(shown)
    if left:
        shown.append(Problem("file", f"{left} more problems of this kind", "correct those above first"))
    return shown


def _clip(text: str) -> str:
    return text if len(text) <= 300 else text[:300] + "…"


def _text(path: Path) -> str:
    def refuse(message: str, remedy: str, line: int | None = None) -> ExamError:
        return ExamError(str(path), [Problem("file", message, remedy, line)])

    try:
        with path.open("rb") as file:
            raw = file.read(yamltree.MAX_BYTES + 1)
    except OSError as error:
        raise refuse(f"cannot be read: {error.strerror or error}", "give the path of an exam.yaml") from error
    if len(raw) > yamltree.MAX_BYTES:
        raise refuse("larger than 512 KiB", "an exam file holds text only; split it")
    if not raw.strip():
        raise refuse("the file is empty", "start from one of the example exams")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise refuse("not UTF-8", "save the file with the encoding UTF-8 (not GBK or UTF-16)", line) from error


def _check(document: yamltree.Document) -> tuple[Exam | None, list[Problem]]:
    """The exam, or None and the problems."""
    tree = document.tree
    problems = list(document.problems)
    if not isinstance(tree, dict):
        what = "an exam is `exam: {...}` and `items: [...]`"
        return None, [*problems, Problem("file", "not a mapping of keys", what, document.line(()))]
    problems += _same_ids(tree, document)
    try:
        exam = Exam.model_validate(tree)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            # Duplicates were reported above; a list is not empty because everything in it is wrong.
            if detail["type"] != "duplicate_items" and not (detail["type"] == "too_short" and detail["input"]):
                problems.append(_problem(detail, tree, document))
        return None, problems
    return (None, problems) if problems else (exam, [])


def _same_ids(tree: dict[str, Any], document: yamltree.Document) -> list[Problem]:
    """Items that share an id, found even where other things are wrong with them."""
    first: dict[str, int] = {}
    problems = []
    items = tree.get("items")
    for index, item in enumerate(items if isinstance(items, list) else ()):
        name = item.get("id") if isinstance(item, dict) else None
        if not isinstance(name, str):
            continue
        path = ("items", index, "id")
        if name.strip() in first:
            what = f"the id {name.strip()!r} was used before, on line {first[name.strip()]}"
            problems.append(Problem(yamltree.spell(path), what, "give every item its own id", document.line(path)))
        else:
            first[name.strip()] = document.line(path) or 0
    return problems


def _problem(detail: Any, tree: Any, document: yamltree.Document) -> Problem:
    """One error of pydantic in the words of the file."""
    path = _place(detail["loc"])
    context = detail.get("ctx", {})
    kind = detail["type"]
    message, remedy = (
        detail["msg"],
        context.get("remedy") or _REMEDIES.get(kind, "see the format of exam files"),
    )
    if kind == "missing":
        message = "is missing"
    elif kind in ("too_short", "string_too_short"):
        message = "is empty"
    elif kind == "extra_forbidden":
        message, remedy = _unknown_key(path, tree)
    elif kind == "union_tag_invalid":
        message = f"there is no item type {context.get('tag')!r}"
        near = difflib.get_close_matches(str(context.get("tag")), list(_MODELS), 1)
        remedy = f"did you mean {near[0]}?" if near else remedy
        path = (*path, "type")
    elif kind == "union_tag_not_found":
        message, path = "is missing", (*path, "type")
    elif kind in (
        "model_type",
        "model_attributes_type",
        "string_type",
        "tuple_type",
        "bool_type",
        "float_type",
    ):
        message = "nothing is written here" if detail["input"] is None else message
    return Problem(yamltree.spell(path), message, remedy, document.line(path))


def _place(location: tuple[str | int, ...]) -> yamltree.Path:
    """pydantic's location without the names of item types that it puts after an item's index."""
    path: yamltree.Path = tuple(location)
    if len(path) > 2 and path[0] == "items" and path[2] in _MODELS:
        path = (*path[:2], *path[3:])
    return path


def _unknown_key(path: yamltree.Path, tree: Any) -> tuple[str, str]:
    known = sorted(_fields(path[:-1], tree))
    near = difflib.get_close_matches(str(path[-1]), known, 1, 0.6)
    remedy = f"did you mean {near[0]}?" if near else f"remove it; known here: {', '.join(known)}"
    return f"unknown key {str(path[-1])!r}", remedy


def _fields(parent: yamltree.Path, tree: Any) -> set[str]:
    """The keys that the format knows at `parent`."""
    model: type[BaseModel] = Exam
    if parent == ("exam",):
        model = ExamHeader
    elif "rubric" in parent:
        model = Criterion
    elif parent[-1:] == ("partial",):
        model = Partial
    elif parent:
        model = _MODELS[tree["items"][parent[1]]["type"]]
    return set(model.model_fields)
