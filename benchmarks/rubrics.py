"""How good, and how costly, is marking under a rubric? Two ASAP-SAS prompts whose rubrics are lists of points, a mark
each up to three: of what would be needed to repeat an experiment (1), of how cells move substances (6). No shipped
weight has seen their answers, and people gave the totals. Everything goes through the product, on one thread.

    python benchmarks/rubrics.py                 # 200 training answers to each prompt
    python benchmarks/rubrics.py --scorer lexical --answers 1600
"""

from __future__ import annotations

import os

os.environ["OMP_NUM_THREADS"] = "1"  # before anything reads it: the seconds are a core's

import argparse
import time
from typing import Any

import harness
import scorers

from grader.exam.exam import ShortAnswerItem
from grader.records import Response
from grader.scoring import choose
from grader.scoring.encoder import EncoderScorer
from grader.scoring.protocol import Scorer
from grader.training import evaluation, sets
from grader.training.rows import Row

PROMPTS = ("1", "6")  # rubrics of the others count no points, or not one mark each
COLUMNS = (
    "n", "criteria", "mean_human", "mean_mark", "qwk", "qwk_surest_half", "within_tolerance", "mean_confidence", "ece",
    "coverage", "error_unflagged", "readings_an_answer", "seconds_an_answer",
)  # fmt: skip


def item_of(row: Row) -> ShortAnswerItem:
    """The prompt's last sentences with a criterion for each of its points."""
    points = [line for line in row.references[0].split("\n") if not line.endswith(":") and "acceptable" not in line]
    return ShortAnswerItem.model_validate({
        "id": row.item, "type": "short_answer", "max_mark": row.top, "cap": True,
        "prompt": row.question.split("Scoring Rubric")[0].strip().split("\n")[-1],
        "rubric": [{"id": str(n), "marks": 1, "criterion": point} for n, point in enumerate(points, 1)],
    })  # fmt: skip


def judged(scorer: Scorer, rows: list[Row]) -> dict[str, Any]:
    """Figures of the answers to one prompt."""
    item, before, start = item_of(rows[0]), _readings(scorer), time.perf_counter()
    responses = [Response(str(n), item.id, row.text) for n, row in enumerate(rows)]
    marks = scorer.score(item, "en", responses)
    seconds = time.perf_counter() - start
    readings = [after - was for after, was in zip(_readings(scorer), before, strict=True)]
    return {
        "criteria": len(item.rubric),
        "mean_human": sum(row.score * row.top for row in rows) / len(rows),
        "mean_mark": sum(mark.mark or 0 for mark in marks) / len(rows),
        **evaluation.figures(rows, marks, [item.mark_tolerance] * len(rows)),
        "readings_an_answer": [round(count / len(rows), 1) for count in readings],
        "seconds_an_answer": seconds / len(rows),
    }


def _readings(scorer: Scorer) -> list[int]:
    """How often each network has read so far."""
    readers = scorer.readers if isinstance(scorer, EncoderScorer) else []
    return [reader.network.read.cache_info().misses for reader in readers]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scorer", default=choose.AUTO, help="name in the registry; by default the one exams use")
    parser.add_argument("--prompts", nargs="*", default=PROMPTS, choices=PROMPTS)
    parser.add_argument("--answers", type=int, default=200, help="to each prompt, drawn by chance")
    options = parser.parse_args()
    scorer = choose.create(options.scorer, "en")
    rows = [row for row in sets.load(harness.need(harness.DATA / "asag"), "asap_sas") if row.split == "train"]
    found = {
        name: judged(scorer, scorers.sample([row for row in rows if row.item == name], options.answers))
        for name in options.prompts
    }
    cells = [[f"prompt {name}", *(one[column] for column in COLUMNS)] for name, one in found.items()]
    harness.table(f"{scorer.name}, ASAP-SAS under rubrics", ["set", *COLUMNS], cells)
    harness.write("rubrics", {"scorer": scorer.name, "models": scorer.models(), "prompts": found})


if __name__ == "__main__":
    main()
