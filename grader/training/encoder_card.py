"""The model card of a bundle, written by the run that made it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from grader.training import sets
from grader.training.card import table
from grader.training.validation import EXACT_RISK, RIGHT_FLAGGED, RISK, TELLING

_BASES = {
    "minilm": "all-MiniLM-L6-v2 (6 layers, hidden 384), Apache-2.0",
    "mpnet": "all-mpnet-base-v2 (the lower 8 of 12 layers, hidden 768), Apache-2.0",
    "e5": "multilingual-e5-small (12 layers, hidden 384), MIT, expanded from 4-bit weights",
}
_TEXT = """# Short-answer scorer "{name}" ({version})

{networks} that reads reference answer (or criterion), student's answer and question together and
proposes a mark for short answers in {languages}, beside the lexical scorer. Its marks are proposals, never final.
Written by the run that made it; do not edit.

## Files
| file | MB | SHA-256 |
| --- | --- | --- |
{files}

{bases}

All arithmetic is float32 (mixed: embeddings stored as int8, matrices as fp16).

## Data
| set | language | training answers | licence |
| --- | --- | --- | --- |
{data}

Sets under CC BY-SA (SciEntsBank, Beetle, STS benchmark) ask for attribution: Dzikovska et al. 2013 (SemEval task 7);
Cer et al. 2017. No data without an open licence took part. Test parts took no part in anything here.

{recipes}{teachers}
## Export
Each graph agrees with PyTorch (same rounded weights) on every different input of the held-out rows. `parity`: the
greatest difference of a probability; `rounding moves`: how far rounding the weights for the file moves a probability,
at most and in the mean, and how many labels it changes, of so many inputs.
{export}

## Held-out questions
Predicted by networks that never saw the question; the few stacking numbers were fitted on these rows. `ece`: of the
confidence that a mark is within the tolerance, on the scale that the humans used.
{figures}

### Each set judged with numbers fitted on the others
{left_out}
{rubrics}
## Limits of flags
Measured flags stand where at most {right:.0%} of the fully right held-out answers carry each of them; the confidence
limit is the least at which at most {risk:.0%} of the accepted marks are off by more than the tolerance in each set of
{telling} answers or more ({exact:.0%} in a set graded in words, where nothing but the very mark will do).
```json
{limits}
```
Stacking: `{stacking}`

Of {turned} contradictions made by rule of right held-out answers (an opposite or a negation in one of the two texts),
the class "contradictory" passes its limit in {told:.0%}; rules and lack of confidence stop others.

## Known limits
- Trained on school science, electricity and computer networks (en); computer science, logistics and statistics,
  partly machine-translated (zh). Elsewhere it is less sure than it should be, or surer.
- No public set has human marks for single criteria: rubric marks are validated on their totals, with the points of
  reference answers standing in for criteria.
- Answers beyond {answer} tokens are read in stretches; what needs two stretches together is not understood.
"""
_RECIPE = """## Recipe: {base}
```json
{recipe}
```
"""
_TEACHER = """
Beside the humans' marks one learnt from the word of a larger network, trained on the same answers and never on the
question held out (SHA-256 {digests}):
```json
{recipe}
```
"""
_RUBRICS = """
### Under rubrics made of reference answers
`ece_borrowed`: with the confidence of holistic marks, before rubrics had their own.
{table}
"""


_EXPORTED = (
    "inputs", "parity", "rounding_moves", "rounding_moves_mean", "rounding_inputs", "labels_changed_3way",
    "labels_changed_2way",
)  # fmt: skip


def write(numbers: Mapping[str, Any], report: Mapping[str, Any]) -> str:
    """The card as Markdown."""
    fitted, members = report["stacking"], numbers["members"]
    data = [
        f"| {name} | {sets.SETS[name].language} | {count} | {sets.SETS[name].licence} |"
        for name, count in report["answers"].items()
    ]
    size = {f"{base}/{name}": mb for base, one in report["export"].items() for name, mb in one["megabytes"].items()}
    files = [f"| {name} | {size[name]} | `{digest}` |" for name, digest in numbers["sha256"].items()]
    bases = [f"- `{base}`: {_BASES[base]}; weights stored as {one['weights']}" for base, one in members.items()]
    teachers = [
        _TEACHER.format(
            digests=", ".join(f"`{one}`" for one in taught["sha256"].values()), recipe=json.dumps(taught["recipe"])
        )
        for taught in report["teachers"]
    ]
    recipes = [_RECIPE.format(base=base, recipe=json.dumps(one)) for base, one in report["recipes"].items()]
    exported = {base: {name: _told(one[name]) for name in _EXPORTED} for base, one in report["export"].items()}
    rubrics = _RUBRICS.format(table=table(report["rubrics"])) if report.get("rubrics") else ""
    left_out = table(fitted["left_out"]) if fitted["left_out"] else "There is only one set."
    return _TEXT.format(
        name=numbers["name"], version=numbers["version"], languages=" and ".join(numbers["languages"]),
        networks="A small cross-encoder" if len(members) == 1 else f"The mean of {len(members)} small cross-encoders",
        bases="\n".join(bases), files="\n".join(files), data="\n".join(data), recipes="\n".join(recipes),
        teachers="".join(teachers), export=table(exported), figures=table(fitted["figures"]), left_out=left_out,
        rubrics=rubrics, right=RIGHT_FLAGGED, risk=RISK, telling=TELLING, exact=EXACT_RISK,
        limits=json.dumps(numbers["limits"]), stacking=json.dumps(numbers["stacking"]),
        answer=max(one["lengths"]["answer"] for one in members.values()), turned=fitted["contradictions"]["n"],
        told=fitted["contradictions"]["told"],
    )  # fmt: skip


def _told(value: float) -> str:
    """Differences are tiny: in powers of ten."""
    return f"{value:.1e}" if isinstance(value, float) else str(value)
