"""Can the scorer be fooled? Wrong answers to held-out questions, attacked by rule (grader/training/attacks.py).

An attack passes when it is marked at the pass level (60% of the maximum); it gets through when nothing sends it to
a person. Beside it stand the same wrong answers as they were written, and what the flags cost honest candidates.
Only the held-out questions of the training parts are used, never a test part.

    python benchmarks/attacks.py --run RUN_EN --run RUN_ZH       # networks that never saw these questions
    python benchmarks/attacks.py --scorer lexical --answers 60
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import harness
import scorers

from grader.flags import FLAGS
from grader.records import Mark
from grader.scoring.protocol import Scorer
from grader.training import attacks, evaluation
from grader.training.rows import Row

OWN_DOUBT = {"low_confidence", "near_boundary", "heads_disagree"}  # flags that say nothing of the text
COLUMNS = ("n", "passed", "through", "to_a_person")


def passed(mark: Mark) -> bool:
    return (mark.mark or 0.0) >= attacks.PASS * mark.max_mark


def attacked(scorer: Scorer, rows: Sequence[Row]) -> dict[str, Any]:
    """n, share at pass level, share at pass level and not sent to a person, share sent to a person."""
    marks = evaluation.mark_rows(scorer, rows)
    return {
        "n": len(rows),
        "passed": sum(map(passed, marks)) / len(rows),
        "through": sum(passed(mark) and mark.status == "proposed" for mark in marks) / len(rows),
        "to_a_person": sum(mark.status == "review" for mark in marks) / len(rows),
    }


def honest(scorer: Scorer, rows: Sequence[Row]) -> dict[str, Any]:
    """What flags cost fully right answers: the share sent to a person, and the share that carries each flag.
    accused: by a flag that speaks of the text, not of the scorer's own doubt."""
    marks = evaluation.mark_rows(scorer, rows)
    count = Counter(code for mark in marks for code in mark.flags if FLAGS[code].blocks)
    accused = sum(bool((set(mark.flags) & set(count)) - OWN_DOUBT) for mark in marks)
    return {
        "n": len(rows),
        "to_a_person": sum(mark.status == "review" for mark in marks) / len(rows),
        "accused": accused / len(rows),
        "flags": {code: number / len(rows) for code, number in count.most_common()},
    }


def of_language(scorer: Scorer, rows: Sequence[Row], answers: int) -> dict[str, Any]:
    wrong = scorers.sample(attacks.wrong_answers(rows), answers)
    by_attack: dict[str, list[Row]] = {}
    for one in attacks.attacked(wrong, scorers.SEED):
        by_attack.setdefault(one.attack, []).append(scorers.saying(one.row, one.text))
    found = {name: attacked(scorer, by_attack[name]) for name in attacks.ATTACKS if name in by_attack}
    total = sum(one["n"] for one in found.values())
    shares = {key: sum(one["n"] * one[key] for one in found.values()) / total for key in COLUMNS[1:]}
    return {
        "as_written": attacked(scorer, wrong),
        "attacks": found,
        "all": {"n": total, **shares},
        "honest": honest(scorer, scorers.sample([row for row in rows if row.score >= 0.999], 2 * answers)),
    }


def main() -> None:
    parser = scorers.arguments(__doc__)
    parser.add_argument("--answers", type=int, default=150, help="wrong answers of each language")
    options = parser.parse_args()
    held = scorers.validation_rows()
    result: dict[str, Any] = {"pass_level": attacks.PASS, "seed": scorers.SEED}
    for language in ("en", "zh"):
        chosen = scorers.judged(options, language)
        found = of_language(chosen.scorer, [row for row in held if row.language == language], options.answers)
        names = {"scorer": chosen.scorer.name, "questions_unseen": chosen.unseen, "models": chosen.scorer.models()}
        result[language] = {**names, **found}
        show(f"{chosen.title}, {language}", found)
    harness.write("attacks", result)


def show(title: str, found: dict[str, Any]) -> None:
    lines = {"(as written)": found["as_written"], **found["attacks"], "all attacks": found["all"]}
    rows = [[attack, *(one[column] for column in COLUMNS)] for attack, one in lines.items()]
    harness.table(f"{title}: wrong answers, attacked", ["attack", *COLUMNS], rows)
    fair = found["honest"]
    cost = f"{fair['to_a_person']:.1%} to a person, {fair['accused']:.1%} accused by a flag of the text"
    rows = [[code, share] for code, share in fair["flags"].items()]
    harness.table(f"fully right answers (n {fair['n']}): {cost}", ["flag", "share"], rows)


if __name__ == "__main__":
    main()
