"""The model card, written by the run that made the model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from grader.training import sets
from grader.training.validation import RIGHT_FLAGGED, RISK

_HEAD = """# Lexical short-answer scorer ({version})

Proposes marks for short answers in Chinese and English from what an answer shares with reference answers or
criteria. It knows words, not meaning: a right answer in other words scores low, a wrong one in the right words
scores high. It is a baseline that says how unsure it is; its marks are proposals, never final.

Written by the training run; do not edit.

## Files
| file | what | SHA-256 |
| --- | --- | --- |
| lexical.onnx | {members} small networks, averaged; {features} features, standardised in the graph; fp32 | `{graph}` |
| lexical-words.json | word and character weights (inverse document frequency) | `{words}` |
| lexical.json | calibration knots and limits of flags, plain numbers | |

## Data
| set | language | training answers | licence |
| --- | --- | --- | --- |
{data}

Word weights also from STS benchmark sentences (en, CC BY-SA), Gaokao-Bench (zh, Apache-2.0) and the Chinese STS
benchmark of SAS-Datasets (Apache-2.0). No data without an open licence took part. Sets under CC BY-SA
(SciEntsBank, Beetle, STS benchmark) ask for attribution: Dzikovska et al. 2013 (SemEval task 7); Cer et al. 2017.

## Recipe
```json
{recipe}
```
Questions are dealt into {folds} folds (keyed hash of the question, fixed seed). Each fold is predicted by members
trained on the others; calibration, limits and the validation figures come from these predictions alone. What ships
is the average of all members. ONNX Runtime differs from torch by at most {parity:.1e} over all training rows.

Beside the human-graded answers, {made} answers made by rule take part in training (never in validation): answers
to another question, copied questions, references, references without some points, with one negation or with their
words jumbled, and single points of references beside fully right and worthless answers.

An answer graded only "incorrect" may be partly right: of it the loss uses only that it is not fully right.

## Limits of flags
Measured flags stand where at most {right:.0%} of the fully right validation answers carry each of them; the confidence
limit is the least at which at most {risk:.0%} of the accepted validation marks are off by more than the tolerance,
every set weighing alike.
```json
{limits}
```

Share of fully right training answers that carry each flag:
```json
{rates}
```

## Validation (held-out questions; calibration fitted without the fold that it is judged on)
{validation}
"""

_TEST = """
## Test
Measured once, after everything above was settled, through the scorer as it ships. `coverage`: share proposed without
a blocking flag; `error_unflagged`: share of those off by more than the tolerance. UA unseen answers, UQ unseen
questions, UD unseen domains. asap_sas took no part in training in any way and most of its rubrics are holistic.
{test}
"""

_LIMITS = """
## Known limits
- Chinese training answers come from computer science, logistics and statistics, partly machine-translated;
  English ones from school science, electricity and computer networks. Elsewhere confidence may be too high.
- No public set has human marks for single criteria: rubric marks are validated on their totals, with the clauses of
  reference answers standing in for criteria.
- A criterion that describes ("explains why ...") instead of saying what the answer should say is matched poorly.
- A rubric path counts each criterion on the clause nearest to it; a contradiction elsewhere is only flagged.
"""


def write(numbers: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    recipe = report["recipe"]
    data = [
        f"| {name} | {sets.SETS[name].language} | {count} | {sets.SETS[name].licence} |"
        for name, count in report["rows"].items()
    ]
    text = _HEAD.format(
        version=numbers["version"], members=recipe["folds"] * recipe["repeats"], features=len(numbers["features"]),
        graph=numbers["sha256"]["graph"], words=numbers["sha256"]["words"], data="\n".join(data),
        recipe=json.dumps(recipe),
        folds=recipe["folds"], made=report["made"], parity=report["parity"], right=RIGHT_FLAGGED, risk=RISK,
        limits=json.dumps(numbers["limits"] | {"three_way": numbers["three_way"]}),
        rates=json.dumps({code: round(rate, 4) for code, rate in numbers["right_answers_flagged"].items()}),
        validation=table(report["validation"]),
    )  # fmt: skip
    if "test" in report:
        text += _TEST.format(test=table(report["test"]))
    return text + _LIMITS


def table(figures: Mapping[str, Mapping[str, Any]]) -> str:
    """A Markdown table of the figures of each set; columns are the union of their keys."""
    cells = [(key, value) for row in figures.values() for key, value in row.items()]
    columns = list(dict.fromkeys(key for key, value in cells if not isinstance(value, dict)))
    lines = ["| set | " + " | ".join(columns) + " |", "| --- |" + " --- |" * len(columns)]
    for name, row in figures.items():
        lines.append(f"| {name} | " + " | ".join(_cell(row.get(column)) for column in columns) + " |")
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None or isinstance(value, dict) else str(value)
