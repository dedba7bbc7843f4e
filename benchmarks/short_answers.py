"""How well does the scorer mark short answers? Every figure goes through the path that marks exams: one mark a
response, on the scale that the humans used. Published figures stand beside ours with their source.

    python benchmarks/short_answers.py --run RUN_EN --run RUN_ZH    # held-out questions of the training parts
    python benchmarks/short_answers.py --test                       # the test parts: once, when all is settled
    python benchmarks/short_answers.py --test le ads
"""

from __future__ import annotations

from typing import Any

import harness
import scorers

from grader.training import evaluation, sets
from grader.training.rows import Row

# Figures that others report on the same test rows, and where they come from.
CAMUS = "Camus & Filighera 2020"
SEMEVAL = "best of SemEval-2013 task 7 (Dzikovska et al. 2013)"
PUBLISHED: dict[str, str] = {
    "scientsbank UA": f"3-way macro-F1 0.783 RoBERTa-large+MNLI ({CAMUS}), 0.72 BERT-base, 0.643 {SEMEVAL}",
    "scientsbank UQ": f"3-way macro-F1 0.657 RoBERTa-large+MNLI ({CAMUS}), 0.58 BERT-base, 0.469 {SEMEVAL}",
    "scientsbank UD": f"3-way macro-F1 0.708 RoBERTa-large+MNLI ({CAMUS}), 0.58 BERT-base, 0.487 {SEMEVAL}",
    "saf UA": "accuracy of correct/partial/incorrect 0.750, T5-base (Filighera et al. 2022)",
    "saf UQ": "accuracy of correct/partial/incorrect 0.674, T5-base (Filighera et al. 2022)",
    "ads test": "QWK 0.68, character n-grams, reference overlap and a forest (a baseline made for this comparison)",
    "le test": "QWK 0.898 BERT-base 110M, 0.926 ERNIE 3.0 base, 0.895 Qwen3-32B zero-shot (SAS-Datasets)",
}
# (set and split, figure) → what the project set out to reach: at least, hoped for
WANTED: dict[tuple[str, str], tuple[float, float]] = {
    ("scientsbank UA", "macro_f1_3way"): (0.70, 0.78),
    ("scientsbank UQ", "macro_f1_3way"): (0.57, 0.66),
    ("scientsbank UD", "macro_f1_3way"): (0.54, 0.71),
    ("le test", "qwk"): (0.85, 0.92),
    ("ads test", "qwk"): (0.75, 0.85),
    ("saf UA", "accuracy_named"): (0.72, 0.76),
    ("saf UQ", "accuracy_named"): (0.64, 0.70),
}
IN_WORDS = (
    "n", "accuracy_3way", "macro_f1_3way", "weighted_f1_3way", "accuracy_2way", "macro_f1_2way", "weighted_f1_2way",
    "ece", "coverage", "error_unflagged",
)  # fmt: skip
IN_MARKS = (
    "n", "scale", "qwk", "qwk_surest_half", "accuracy_parts", "accuracy_named", "mean_absolute_error",
    "within_tolerance", "ece", "coverage", "error_unflagged",
)  # fmt: skip


def splits(rows: list[Row], test: bool) -> dict[str, list[Row]]:
    """Rows by "set split"."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(f"{row.source} {row.split if test else 'held-out questions'}", []).append(row)
    return found


def main() -> None:
    names = [name for name, one in sets.SETS.items() if one.ships]
    parser = scorers.arguments(__doc__)
    parser.add_argument("sets", nargs="*", default=names, help=f"some of {', '.join(names)}")
    parser.add_argument("--test", action="store_true", help="the test parts instead of held-out questions")
    options = parser.parse_args()
    rows = scorers.test_rows(options.sets) if options.test else scorers.validation_rows()
    result: dict[str, Any] = {"test": options.test, "scorers": {}, "splits": {}}
    judged = {}
    for name, own in splits([row for row in rows if row.source in options.sets], options.test).items():
        language = own[0].language
        if language not in judged:
            judged[language] = scorers.judged(options, language, options.test)
            one = judged[language]
            names_of = {"name": one.scorer.name, "questions_unseen": one.unseen, "models": one.scorer.models()}
            result["scorers"][language] = names_of
        found = evaluation.split_figures(judged[language].scorer, own)
        result["splits"][name] = found | {"published": PUBLISHED.get(name, "")}
    title = "; ".join(f"{language}: {one.title}" for language, one in judged.items())
    show(title, result["splits"])
    harness.write("short_answers_test" if options.test else "short_answers", result)


def show(title: str, found: dict[str, dict[str, Any]]) -> None:
    for columns, words in ((IN_WORDS, True), (IN_MARKS, False)):
        chosen = {name: one for name, one in found.items() if ("macro_f1_3way" in one) == words}
        if chosen:
            cells = [[name, *(_cell(one.get(column)) for column in columns)] for name, one in chosen.items()]
            harness.table(title, ["set", *columns], cells)
    reached = [
        [name, figure, _cell(found[name][figure]), least, hoped, "yes" if found[name][figure] >= least else "NO"]
        for (name, figure), (least, hoped) in WANTED.items()
        if name in found
    ]
    if reached:
        harness.table("wanted", ["set", "figure", "ours", "at least", "hoped for", "reached"], reached)
        known = [[name, PUBLISHED[name]] for name in found if name in PUBLISHED]
        harness.table("published on the same rows", ["set", "figure"], known)


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value if value is not None else "")


if __name__ == "__main__":
    main()
