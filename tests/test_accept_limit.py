"""The confidence from which a mark is proposed without a flag: an easy subject does not pay for a hard one."""

from __future__ import annotations

import numpy as np

from grader.training import validation
from grader.training.rows import Row
from grader.training.validation import Decision

COUNT = 300


def judged(*subjects: tuple[str, int, float]) -> tuple[list[Row], list[Decision], np.ndarray, np.ndarray]:
    """(set, answers, confidence from which all marks are right; below it none is) for each."""
    rows, decisions, sure, right = [], [], [], []
    for source, count, limit in subjects:
        for number, confidence in enumerate(np.linspace(0.3, 1.0, count)):
            rows.append(Row(source, "train", str(number), "why?", ("so",), "so", 1.0, "en", "correct"))
            good = bool(confidence >= limit)
            decisions.append(Decision(len(rows) - 1, "holistic/en/exact", confidence, int(good), 1, 1, 0, 0.5))
            sure.append(confidence)
            right.append(float(good))
    return rows, decisions, np.array(sure), np.array(right)


def limit(*subjects: tuple[str, int, float], each_set: bool) -> float:
    return validation._confidence(*judged(*subjects), each_set)


def test_the_hardest_subject_sets_the_limit() -> None:
    easy, hard = ("easy", COUNT, 0.35), ("hard", COUNT, 0.85)
    mean, worst = (limit(easy, hard, each_set=one) for one in (False, True))
    assert mean < worst
    rows, _, sure, right = judged(easy, hard)
    own = np.array([row.source == "hard" for row in rows])
    assert right[own & (sure >= worst)].mean() >= 1 - validation.EXACT_RISK
    assert right[own & (sure >= mean)].mean() < 1 - validation.EXACT_RISK
    assert worst == limit(hard, each_set=True)


def test_a_set_of_few_answers_does_not_tell() -> None:
    easy, few = ("easy", COUNT, 0.4), ("few", validation.TELLING - 1, 0.9)
    assert limit(easy, few, each_set=True) == limit(easy, each_set=True)
    assert limit(few, each_set=True) > 0.8  # alone it is all there is


def test_a_subject_that_is_never_right_enough_is_never_accepted() -> None:
    assert limit(("easy", COUNT, 0.4), ("hopeless", COUNT, 2.0), each_set=True) == 1.0
