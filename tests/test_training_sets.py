"""The readers of the public sets, on the sets themselves, and how questions are held out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from grader.errors import UsageError
from grader.training import augment, sets
from grader.training.rows import Row, balanced_folds, shared_answers

COUNTS = {
    "scientsbank": {"train": 4969, "UA": 540, "UQ": 733, "UD": 4562},
    "beetle": {"train": 3941, "UA": 439, "UQ": 819},
    "saf": {"train": 1476, "UA": 252, "UQ": 384},
    "ads": {"train": 1107, "test": 475},
    "le": {"train": 409, "test": 176},
    "mohler_zh": {"train": 440, "test": 189},
    "sr": {"train": 231, "test": 100},
    "asap_sas": {"train": 17026, "test": 5224},
}


@pytest.mark.data
@pytest.mark.parametrize("name", sets.SETS)
def test_every_row_of_a_set_is_read(data: Path, name: str) -> None:
    rows = sets.load(data / "asag", name)
    assert dict(Counter(row.split for row in rows)) == COUNTS[name]
    for row in rows:
        assert 0 <= row.score <= 1
        assert row.references
        assert all(reference.strip() for reference in row.references)
        assert row.language == sets.SETS[name].language
        assert row.top == 1 or name == "saf" or abs(row.score * row.top * 2 - round(row.score * row.top * 2)) < 1e-6
        assert "\t" not in row.text
        assert "<br" not in row.text.lower()
        assert bool(row.label) == (name in ("scientsbank", "beetle"))
        assert row.label in ("", "correct") or row.score == 0


@pytest.mark.data
def test_only_training_parts_of_open_sets_train(data: Path) -> None:
    rows = sets.training_rows(data / "asag")
    assert {row.split for row in rows} == {"train"}
    assert "asap_sas" not in {row.source for row in rows}
    assert all(row.text for row in rows)


@pytest.mark.data
def test_unseen_questions_are_unseen(data: Path) -> None:
    for name in ("scientsbank", "beetle", "saf"):
        rows = sets.load(data / "asag", name)
        asked = {row.item for row in rows if row.split == "train"}
        assert not asked & {row.item for row in rows if row.split in ("UQ", "UD")}


@pytest.mark.data
def test_made_rows_stay_within_their_questions_and_language(data: Path) -> None:
    rows = [row for row in sets.load(data / "asag", "le") if row.split == "train"]
    made = augment.made_rows(rows, seed=1)
    assert made == augment.made_rows(rows, seed=1)
    assert {row.group for row in made} <= {row.group for row in rows}
    assert {row.score for row in made} >= {0.0, 1.0}
    own = {(row.group, text) for row in rows for text in row.references}
    assert all((row.group, row.text) in own for row in made if row.score == 1.0)


def test_a_missing_set_is_named_with_a_remedy(tmp_path: Path) -> None:
    for name in sets.SETS:
        with pytest.raises(UsageError, match="GRADER_DATA"):
            sets.load(tmp_path, name)
    with pytest.raises(UsageError, match="choose from"):
        sets.load(tmp_path, "none")


def row(source: str, item: str, text: str = "a") -> Row:
    return Row(source, "train", item, "q", ("r",), text, 1.0, "en")


def test_folds_hold_whole_questions_and_share_out_every_set() -> None:
    rows = [row(source, str(item), str(n)) for source in "ab" for item in range(12) for n in range(3)]
    folds = balanced_folds(rows, 4, seed=7)
    by_group: dict[str, set[int]] = {}
    for one, fold in zip(rows, folds, strict=True):
        by_group.setdefault(one.group, set()).add(fold)
    assert all(len(own) == 1 for own in by_group.values())
    shares = Counter((one.source, fold) for one, fold in zip(rows, folds, strict=True))
    assert shares == {(source, fold): 9 for source in "ab" for fold in range(4)}
    assert folds == balanced_folds(rows, 4, seed=7)
    assert folds != balanced_folds(rows, 4, seed=8)


def test_shared_answers_are_counted() -> None:
    assert shared_answers([row("a", "1", "x ")], [row("a", "1", "x"), row("a", "2", "x"), row("a", "1", "y")]) == 1


def test_a_negation_turns_a_statement_once() -> None:
    assert augment.negations("Water is a liquid.", "en") == ["Water is not a liquid."]
    assert augment.negations("箱子受到平衡力，会静止", "zh") == ["箱子受到平衡力，不会静止"]
    assert augment.negations("Water is not solid.", "en") == []
