"""Readers of the public sets of graded answers, each in the form its authors published it.

`SETS` names every set, its licence and whether weights trained on it may ship. All paths are below
the folder of the sets (`asag` in the data folder); a set that is absent raises UsageError.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from xml.etree import ElementTree

from grader.errors import UsageError
from grader.training.rows import Label, Row, Split

_SPACES = re.compile(r"[ \t\xa0]+")
_BREAK = re.compile(r"<br\s*/?>", re.IGNORECASE)


@dataclass(frozen=True)
class GradedSet:
    """A set of graded answers. ships: weights trained on its training part may ship."""

    name: str
    language: str
    licence: str
    ships: bool
    read: Callable[[Path], Iterator[Row]]


def load(folder: Path, name: str) -> list[Row]:
    """All rows of the set `name` below `folder`. Raises UsageError if it is unknown or not there."""
    if name not in SETS:
        raise UsageError(f"there is no set called {name!r}", f"choose from: {', '.join(SETS)}")
    try:
        return list(SETS[name].read(folder))
    except FileNotFoundError as error:
        raise UsageError(
            f"the set {name} is not at {folder} ({error.filename})",
            "set GRADER_DATA to the folder that holds asag/",
        ) from error


def training_rows(folder: Path) -> list[Row]:
    """The training parts of every set whose weights may ship. Test parts are never returned here."""
    names = [name for name, one in SETS.items() if one.ships]
    return [row for name in names for row in load(folder, name) if row.split == "train" and row.text]


def _clean(text: str | None) -> str:
    lines = _BREAK.sub("\n", text or "").replace("\r", "\n").split("\n")
    return "\n".join(line for line in (_SPACES.sub(" ", raw).strip() for raw in lines) if line)


# SemEval 2013 task 7: SciEntsBank and Beetle

_SEMEVAL_SPLITS: dict[str, Split] = {
    "training/3way": "train",
    "test-unseen-answers": "UA",
    "test-unseen-questions": "UQ",
    "test-unseen-domains": "UD",
}


def _semeval(folder: Path, name: str, directory: str) -> Iterator[Row]:
    with zipfile.ZipFile(folder / "semeval2013_3way" / "s3.zip") as archive:
        for member in sorted(archive.namelist()):
            if "3way" not in member or f"/{directory}/" not in member or not member.endswith(".xml"):
                continue
            split = next(split for part, split in _SEMEVAL_SPLITS.items() if part in member)
            yield from _semeval_question(archive.read(member), name, split)


def _semeval_question(xml: bytes, name: str, split: Split) -> Iterator[Row]:
    root = ElementTree.fromstring(xml)
    references = tuple(_clean(node.text) for node in root.iter("referenceAnswer"))
    for answer in root.iter("studentAnswer"):
        label = answer.attrib["accuracy"]
        yield Row(
            name, split, root.attrib["id"], _clean(root.findtext("questionText")), references,
            _clean(answer.text), float(label == "correct"), "en", cast(Label, label),
        )  # fmt: skip


# SAF (Filighera et al., 2022), the English part

_SAF_SPLITS: dict[str, Split] = {"training": "train", "unseen_answers": "UA", "unseen_questions": "UQ"}


def _saf(folder: Path) -> Iterator[Row]:
    for directory, split in _SAF_SPLITS.items():
        english = folder / "saf" / "data" / directory / "english"
        for path in sorted(english.iterdir()):
            root = ElementTree.fromstring(path.read_bytes())
            question = _clean(root.findtext("questionText"))
            references = tuple(_clean("".join(node.itertext())) for node in root.iter("referenceAnswer"))
            for answer in root.iter("studentAnswer"):
                text, score = _clean(answer.findtext("response")), float(answer.findtext("score") or 0)
                yield Row("saf", split, path.stem, question, references, text, score, "en", top=8)


# Chinese sets of SAS-Datasets (Lai et al.)

_ZH = "zh_sas_datasets"
_PARTS: tuple[Split, Split] = ("train", "test")


def _table(path: Path) -> list[list[str]]:
    text = path.read_text(encoding="utf-8-sig")
    return [row for row in csv.reader(io.StringIO(text), delimiter="\t", quoting=csv.QUOTE_NONE) if row]


def _ads(folder: Path) -> Iterator[Row]:
    for split in _PARTS:
        lines = (folder / _ZH / "ADS" / f"{split}.jsonl").read_text(encoding="utf-8-sig").splitlines()
        for data in map(json.loads, filter(None, lines)):
            references = tuple(filter(None, (_clean(data[f"reference{n}"]) for n in (1, 2, 3))))
            yield Row(
                "ads", split, data["q_id"], _clean(data["question"]), references,
                _clean(data["answer"]), float(data["score"]) / 10, "zh", top=10,
            )  # fmt: skip


_ZH_SPLITS: dict[str, Split] = {"s_train_zh.csv": "train", "s_eval_zh.csv": "test"}


def _le(folder: Path) -> Iterator[Row]:
    questions = {row[0]: row[1] for row in _table(folder / _ZH / "LE" / "qa.csv")}
    for name, split in _ZH_SPLITS.items():
        for item, reference, text, score, *_ in _table(folder / _ZH / "LE" / name):
            question = _clean(questions.get(item, ""))
            yield Row("le", split, item, question, (_clean(reference),), _clean(text), float(score), "zh", top=10)


def _mohler_zh(folder: Path) -> Iterator[Row]:
    asked = {row[0]: (row[1], row[2]) for row in _table(folder / _ZH / "ASAG" / "qa_zh.csv")}
    for name, split in _ZH_SPLITS.items():
        for item, score, _, text, *_ in _table(folder / _ZH / "ASAG" / name):
            question, reference = map(_clean, asked[item])
            yield Row("mohler_zh", split, item, question, (reference,), _clean(text), float(score) / 5, "zh", top=5)


def _sr(folder: Path) -> Iterator[Row]:
    for name, split in _ZH_SPLITS.items():
        for _, text, _, score, *_, item, reference in _table(folder / _ZH / "SR" / name):
            yield Row("sr", split, item, "", (_clean(reference),), _clean(text), float(score), "zh", top=10)


# ASAP-SAS (Hewlett Foundation, 2012): evaluation only

_ASAP_TOP = {1: 3, 2: 3, 3: 2, 4: 2, 5: 3, 6: 3, 7: 2, 8: 2, 9: 2, 10: 2}


def _asap_sas(folder: Path) -> Iterator[Row]:
    root = folder / "asap_sas"
    with (root / "public_leaderboard_solution.csv").open(encoding="utf-8-sig") as file:
        solution = {row["id"]: float(row["essay_score"]) for row in csv.DictReader(file)}
    public: dict[int, list[list[str]]] = {}
    for row in _table(root / "public_leaderboard_rel_2.tsv")[1:]:
        public.setdefault(int(row[1]), []).append(row)
    for prompt, top in _ASAP_TOP.items():
        question, reference = _asap_prompt(root / "prompts" / f"Data_Set_#{prompt}--ReadMeFirst.txt")
        train = [(row[5], float(row[2])) for row in _table(root / f"train_{prompt}.tsv")]
        test = [(row[2], solution[row[0]]) for row in public[prompt]]
        for split, pairs in zip(_PARTS, (train, test), strict=True):
            for text, mark in pairs:
                shared = (str(prompt), question, (reference,), _clean(text))
                yield Row("asap_sas", split, *shared, mark / top, "en", top=top)


def _asap_prompt(path: Path) -> tuple[str, str]:
    """(prompt, what the rubric says of a full answer). Some of the rubrics name no content at all."""
    text = re.sub(r"\r\n?", "\n", path.read_text(encoding="cp1252", errors="replace"))
    start = text.rfind("Rubric for")
    if start < 0:
        start = max(text.find("Score Point 2"), 0)
    body = text[start:].split("\n", 1)[-1]
    body = re.split(r"\n(?:Rubric:|\d-Point Rubric|1 points?|Score Point 1)", body)[0]
    prompt = text[text.find("Prompt") : start]
    return _clean(prompt)[:2000], _clean(re.sub(r"[•�*]|--AND--", "", body))


_SHARE_ALIKE = "CC BY-SA 3.0"
SETS: dict[str, GradedSet] = {
    one.name: one
    for one in (
        GradedSet("scientsbank", "en", _SHARE_ALIKE, True, lambda f: _semeval(f, "scientsbank", "sciEntsBank")),
        GradedSet("beetle", "en", _SHARE_ALIKE, True, lambda f: _semeval(f, "beetle", "beetle")),
        GradedSet("saf", "en", "MIT", True, _saf),
        GradedSet("ads", "zh", "Apache-2.0", True, _ads),
        GradedSet("le", "zh", "Apache-2.0", True, _le),
        GradedSet("mohler_zh", "zh", "Apache-2.0", True, _mohler_zh),
        GradedSet("sr", "zh", "Apache-2.0", True, _sr),
        GradedSet("asap_sas", "en", "no open licence: evaluation in place only", False, _asap_sas),
    )
}
