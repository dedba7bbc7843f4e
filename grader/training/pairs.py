"""Pairs of sentences with a judged similarity: what a base learns from before it sees graded answers.

Each pair is read as a reference and an answer without a question; its similarity stands as the score. Only parts
with an open licence, and of the STS benchmarks only their training part.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from grader.errors import UsageError
from grader.training.rows import Row


@dataclass(frozen=True)
class PairSet:
    """A set of sentence pairs. read: rows below the folder of the sets."""

    name: str
    language: str
    licence: str
    read: Callable[[Path], Iterator[Row]]


def load(folder: Path, name: str) -> list[Row]:
    """All pairs of the set `name` below `folder`. Raises UsageError if it is not there."""
    try:
        return [row for row in PAIRS[name].read(folder) if row.text and row.references[0]]
    except FileNotFoundError as error:
        raise UsageError(
            f"the pairs {name} are not at {folder} ({error.filename})", "set GRADER_DATA to the folder that holds asag/"
        ) from error


def _stsb_en(folder: Path) -> Iterator[Row]:
    with gzip.open(folder / "stsb_en" / "stsbenchmark.tsv.gz", "rt", encoding="utf-8") as file:
        for number, line in enumerate(file):
            split, *_, score, one, two = line.rstrip("\n").split("\t")
            if split == "train":
                yield Row("stsb_en", "train", str(number), "", (one,), two, float(score) / 5, "en", top=5)


def _sts_zh(folder: Path) -> Iterator[Row]:
    path = folder / "zh_sas_datasets" / "stsbenchmark" / "train_zh.csv"
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines()):
        *_, score, one, two = line.split("\t")
        yield Row("sts_zh", "train", str(number), "", (one,), two, float(score) / 5, "zh", top=5)


def _paws_zh(folder: Path) -> Iterator[Row]:
    for part in ("dev_2k", "test_2k"):
        with (folder / "zh_csts" / "PAWS-X" / f"{part}.tsv").open(encoding="utf-8") as file:
            for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE):
                key = f"{part}/{row['id']}"
                same = float(row["label"])
                yield Row("paws_zh", "train", key, "", (row["sentence1"],), row["sentence2"], same, "zh")


PAIRS: dict[str, PairSet] = {
    one.name: one
    for one in (
        PairSet("stsb_en", "en", "CC BY-SA 4.0", _stsb_en),
        PairSet("sts_zh", "zh", "Apache-2.0", _sts_zh),
        PairSet("paws_zh", "zh", "free for any purpose (Google, PAWS-X)", _paws_zh),
    )
}
