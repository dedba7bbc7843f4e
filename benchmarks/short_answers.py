"""How well does the shipped scorer mark short answers, and does its confidence hold?

Every figure goes through the scorer as exams use it: one mark a response, on the scale that the humans used.
The test parts were not looked at while the scorer was made; published figures stand beside ours with their source.

    python benchmarks/short_answers.py            # test parts of every set
    python benchmarks/short_answers.py le ads     # some sets
"""

from __future__ import annotations

import statistics
import sys
import time
from dataclasses import asdict
from typing import Any

import harness

from grader.exam.exam import ShortAnswerItem
from grader.records import Response
from grader.scoring.lexical import LexicalScorer
from grader.training import evaluation, sets

PUBLISHED = {
    "scientsbank UA": "3-way macro-F1 0.783, RoBERTa-large+MNLI (Camus & Filighera 2020); best of SemEval 0.643",
    "scientsbank UQ": "3-way macro-F1 0.657 (same); best of SemEval 0.469",
    "scientsbank UD": "3-way macro-F1 0.708 (same); best of SemEval 0.487",
    "saf UA": "accuracy 0.750, T5-base (Filighera et al. 2022), classes correct/partial/incorrect",
    "saf UQ": "accuracy 0.674 (same)",
    "ads test": "QWK 0.68, character n-grams + reference overlap + forest",
    "le test": "QWK 0.898 BERT-base, 0.926 ERNIE 3.0 base, 0.895 Qwen3-32B zero-shot",
    "asap_sas test": "mean QWK 0.79 AutoSAS, 0.74 BERT-base, both trained on each prompt; ours saw none of it",
}


def splits(names: list[str]) -> dict[str, list[Any]]:
    """Test rows by "set split"."""
    found: dict[str, list[Any]] = {}
    for name in names:
        for row in sets.load(harness.need(harness.DATA / "asag"), name):
            if row.split != "train":
                found.setdefault(f"{name} {row.split}", []).append(row)
    return found


def speed(scorer: LexicalScorer, rows: list[Any]) -> float:
    """Median milliseconds an answer, each scored alone, over up to 200 rows of one split."""
    taken = []
    for row in rows[:200]:
        item = ShortAnswerItem(
            id="1", type="short_answer", max_mark=row.top, prompt=row.question, reference_answers=row.references
        )
        start = time.perf_counter()
        scorer.score(item, row.language, [Response("1", "1", row.text)])
        taken.append(time.perf_counter() - start)
    return 1000 * statistics.median(taken)


def main() -> None:
    scorer = LexicalScorer()
    result: dict[str, Any] = {"scorer": scorer.name, "models": scorer.models(), "limits": asdict(scorer.limits)}
    result["splits"] = {}
    for name, rows in splits(sys.argv[1:] or list(sets.SETS)).items():
        figures = evaluation.split_figures(scorer, rows, scorer.three_way)
        result["splits"][name] = figures | {
            "milliseconds": speed(scorer, rows),
            "published": PUBLISHED.get(name, ""),
        }
    columns = (
        "n", "scale", "qwk", "accuracy_3way", "macro_f1_3way", "weighted_f1_3way", "accuracy_2way", "macro_f1_2way",
        "within_tolerance", "ece", "coverage", "error_unflagged", "within_tolerance_surest_half", "milliseconds",
    )  # fmt: skip
    rows_out = [[name, *(_cell(one.get(column)) for column in columns)] for name, one in result["splits"].items()]
    harness.table(f"{scorer.name}, marks on test parts", ["set", *columns], rows_out)
    known = [[name, PUBLISHED[name]] for name in result["splits"] if name in PUBLISHED]
    harness.table("published", ["set", "figure"], known)
    for name, digest in scorer.models().items():
        print(f"{name}  sha256 {digest}")
    harness.write("short_answers", result)


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value if value is not None else "")


if __name__ == "__main__":
    main()
