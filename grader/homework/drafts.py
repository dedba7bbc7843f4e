"""An assignment as it stands in the browser's form, and what the exam's own rules say of it, field by field."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from grader.errors import ExamError, Problem
from grader.exam.exam import BlankItem, ChoiceItem, Exam, MultiChoiceItem, NumericItem, ShortAnswerItem
from grader.exam.load import load_exam

TYPES = ("choice", "multi_choice", "blank", "numeric", "short_answer")
MAX_ITEMS, MAX_CRITERIA = 60, 12
_FIELDS = ("id", "type", "max_mark", "prompt", "options", "answer", "subset", "answers", "unit", "tolerance",
           "reference_answers")  # fmt: skip
_NAME = re.compile(r"item\.(\d{1,4})\.(?:(criterion|marks)\.)?(\w+)")


@dataclass(frozen=True)
class DraftItem:
    """One item as typed. key: names its inputs (item.<key>.<field>). rubric: (criterion, marks) as typed."""

    key: int
    fields: Mapping[str, str]
    rubric: tuple[tuple[str, str], ...] = ()

    def __getitem__(self, field: str) -> str:
        return self.fields.get(field, "")

    @property
    def empty(self) -> bool:
        """Whether nothing was typed into it that says what is asked or right."""
        typed = ("prompt", "answer", "answers", "reference_answers")
        return not any(self[name].strip() for name in typed) and not any(text.strip() for text, _ in self.rubric)


@dataclass(frozen=True)
class Draft:
    """An assignment as typed."""

    title: str = ""
    language: str = "zh"
    code: str = ""
    items: tuple[DraftItem, ...] = ()


@dataclass(frozen=True)
class Trouble:
    """One thing to mend. field: id of the input that it is about ("title", "item.3.answer"), or ""."""

    field: str
    message: str
    remedy: str


def new_item(key: int, number: int, kind: str = "choice") -> DraftItem:
    """An item to begin with."""
    fields = {"id": str(number), "type": kind, "max_mark": "2", "options": "ABCD"}
    return DraftItem(key, fields, (("", ""),) * 2)


def from_form(form: Mapping[str, Any], title: str, language: str, code: str) -> Draft:
    """The draft in a form's fields (item.<key>.<field>, item.<key>.criterion.<n>, item.<key>.marks.<n>)."""
    fields: dict[int, dict[str, str]] = {}
    rubrics: dict[int, dict[int, dict[str, str]]] = {}
    for name, value in form.items():
        match = _NAME.fullmatch(name)
        if match is None or not isinstance(value, str):
            continue
        key, part, field = int(match[1]), match[2], match[3]
        if part and field.isdecimal() and int(field) < MAX_CRITERIA:
            rubrics.setdefault(key, {}).setdefault(int(field), {})[part] = value.strip()
        elif not part and field in _FIELDS:
            fields.setdefault(key, {})[field] = value.replace("\r\n", "\n")
    items = []
    for key, typed in list(fields.items())[:MAX_ITEMS]:
        rows = [rubrics[key][n] for n in sorted(rubrics.get(key, {}))]
        items.append(DraftItem(key, typed, tuple((r.get("criterion", ""), r.get("marks", "")) for r in rows)))
    return Draft(title, language, code, tuple(items))


def from_exam(exam: Exam) -> Draft:
    """An exam as a draft, to be changed in the browser."""
    items = []
    for key, item in enumerate(exam.items):
        fields = {"id": item.id, "type": item.type, "max_mark": f"{item.max_mark:g}", "prompt": item.prompt}
        rubric: tuple[tuple[str, str], ...] = ()
        match item:
            case ChoiceItem() | MultiChoiceItem():
                fields |= {"options": item.options, "answer": item.answer}
                if isinstance(item, MultiChoiceItem) and item.partial is not None:
                    fields["subset"] = f"{item.partial.subset:g}"
            case BlankItem():
                fields["answers"] = "\n".join(item.answers)
            case NumericItem():
                fields |= {"answer": item.answer, "unit": item.unit or "", "tolerance": item.tolerance or ""}
            case ShortAnswerItem():
                fields["reference_answers"] = "\n".join(item.reference_answers)
                rubric = tuple((c.criterion, f"{c.marks:g}") for c in item.rubric)
        items.append(DraftItem(key, fields, rubric))
    return Draft(exam.exam.title, exam.exam.language, exam.exam.id, tuple(items))


def source(draft: Draft) -> str:
    """The draft as the text of an exam file (JSON, which is YAML)."""
    header = {"id": draft.code, "title": draft.title.strip(), "language": draft.language}
    tree = {"exam": header, "items": [_tree(item) for item in _kept(draft)]}
    return json.dumps(tree, ensure_ascii=False, indent=1) + "\n"


def check(draft: Draft) -> tuple[Exam | None, list[Trouble]]:
    """The exam that the draft is, or what is to be mended, each beside its input."""
    if not _kept(draft):
        return None, [Trouble("", "there is no item", "write at least one")]
    try:
        return read(source(draft).encode()), []
    except ExamError as error:
        return None, [_trouble(problem, draft) for problem in error.problems]


def read(data: bytes) -> Exam:
    """The exam in the bytes of an exam file. Raises ExamError with every problem."""
    with NamedTemporaryFile(suffix=".yaml") as file:
        file.write(data)
        file.flush()
        return load_exam(Path(file.name))


def inputs(draft: Draft) -> Iterator[str]:
    """Ids of all inputs that a trouble may be about."""
    yield "title"
    for item in draft.items:
        for field in (*_FIELDS, "rubric"):
            yield f"item.{item.key}.{field}"
        for number in range(len(item.rubric)):
            yield f"item.{item.key}.criterion.{number}"
            yield f"item.{item.key}.marks.{number}"


def _kept(draft: Draft) -> Sequence[DraftItem]:
    return [item for item in draft.items if not item.empty]


def _criteria(item: DraftItem) -> list[tuple[int, str, str]]:
    return [(n, text, marks) for n, (text, marks) in enumerate(item.rubric) if text.strip() or marks.strip()]


def _tree(item: DraftItem) -> dict[str, Any]:
    kind = item["type"]
    tree: dict[str, Any] = {"id": item["id"].strip(), "type": kind, "max_mark": item["max_mark"].strip()}
    if item["prompt"].strip():
        tree["prompt"] = item["prompt"].strip()
    if kind in ("choice", "multi_choice"):
        tree |= {"options": item["options"].strip() or "ABCD", "answer": item["answer"].strip()}
        if kind == "multi_choice" and item["subset"].strip():
            tree["partial"] = {"subset": item["subset"].strip()}
    elif kind == "blank":
        tree["answers"] = _lines(item["answers"])
    elif kind == "numeric":
        tree["answer"] = item["answer"].strip()
        tree |= {name: item[name].strip() for name in ("unit", "tolerance") if item[name].strip()}
    elif kind == "short_answer":
        tree["reference_answers"] = _lines(item["reference_answers"])
        rubric = _criteria(item)
        if rubric:
            tree["rubric"] = [{"id": chr(97 + n), "marks": m, "criterion": t} for n, (_, t, m) in enumerate(rubric)]
    return tree


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


_PATH = re.compile(r"items\[(\d+)\](?:\.(\w+)(?:\[(\d+)\](?:\.(\w+))?|\.(\w+))?)?")


def _trouble(problem: Problem, draft: Draft) -> Trouble:
    """A problem of the file at the input that it came from."""
    match = _PATH.fullmatch(problem.field)
    if match is None:
        return Trouble("title" if problem.field == "exam.title" else "", problem.message, problem.remedy)
    item = _kept(draft)[int(match[1])]
    field = match[2] or "id"
    if field == "rubric" and match[3] is not None:
        row = _criteria(item)[int(match[3])][0]
        name = f"marks.{row}" if match[4] == "marks" else f"criterion.{row}"
    else:
        name = "subset" if field == "partial" else field
    return Trouble(f"item.{item.key}.{name}", problem.message, problem.remedy)
