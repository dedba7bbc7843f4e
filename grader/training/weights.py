"""Word weights (inverse document frequency) from openly licensed text: sentences are the documents.

en: STS benchmark sentences (CC BY-SA) and the questions and references of the shipped training sets.
zh: Gaokao-Bench questions and answers, the Chinese STS benchmark (both Apache-2.0), questions and references.
"""

from __future__ import annotations

import gzip
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from grader.scoring.text import look
from grader.training.rows import Row

LEAST = {"en": 2, "zh": 4}  # documents that must hold a unit before it is listed
_SENTENCE = re.compile(r"[。！？!?\n]|\.\s")


def build(folder: Path, rows: Iterable[Row]) -> dict[str, dict[str, int]]:
    """The table of `grader.scoring.features.Weights`: idf in hundredths, units in sorted order."""
    own: dict[str, set[str]] = {"en": set(), "zh": set()}
    for row in rows:
        own[row.language] |= {row.question, *row.references}
    texts = {"en": [*_english(folder), *sorted(own["en"])], "zh": [*_chinese(folder), *sorted(own["zh"])]}
    return {language: _table(texts[language], LEAST[language], language == "zh") for language in ("en", "zh")}


def _table(texts: Iterable[str], least: int, chinese: bool) -> dict[str, int]:
    count: Counter[str] = Counter()
    documents = 0
    for text in texts:
        for sentence in _SENTENCE.split(text):
            view = look(sentence)
            units = view.small | {pair for pair in view.large if " " not in pair}
            units = frozenset(unit for unit in units if (ord(unit[0]) >= 0x3400) == chinese and not unit[0].isdigit())
            documents += bool(units)
            count.update(units)
    kept = sorted(unit for unit, n in count.items() if n >= least)
    return {unit: round(100 * math.log((documents + 1) / (count[unit] + 0.5))) for unit in kept}


def _english(folder: Path) -> Iterator[str]:
    with gzip.open(folder / "stsb_en" / "stsbenchmark.tsv.gz", "rt", encoding="utf-8") as file:
        for line in file:
            if line.startswith("train"):
                yield from line.rstrip("\n").split("\t")[-2:]


def _chinese(folder: Path) -> Iterator[str]:
    path = folder / "zh_sas_datasets" / "stsbenchmark" / "train_zh.csv"
    for line in path.read_text(encoding="utf-8-sig").splitlines():
        yield from line.split("\t")
    for path in sorted((folder / "zh_gaokao_bench" / "Data" / "Subjective_Questions").glob("*.json")):
        for example in json.loads(path.read_text(encoding="utf-8-sig"))["example"]:
            yield from (str(example.get(key, "")) for key in ("question", "answer", "analysis"))
