"""Does the scorer's confidence mean something on questions it never saw?

Confidence is the probability that the mark lies within the item's tolerance of a human's. Reported over each
language and over all: expected calibration error (10 bins), Brier score, the area under the risk-coverage curve,
and what quality the surest half has; drawn as a reliability diagram beside the risk-coverage curve (PNG). A set
weighs as it has answers.

    python benchmarks/scorer_calibration.py --run RUN_EN --run RUN_ZH    # held-out questions of the training parts
    python benchmarks/scorer_calibration.py --test                       # unseen questions and domains of the tests
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import harness
import numpy as np
import scorers
from PIL import Image, ImageDraw

from grader.records import Mark
from grader.training import evaluation, metrics, sets
from grader.training.rows import Row
from grader.training.validation import tolerance_of

UNSEEN = ("UQ", "UD")  # splits of the test parts that hold new questions
COMMON = 10  # scale on which the marks of all sets are laid for one kappa
INK, LINE, SOFT, BAR, ALERT = "#22252b", "#8b909c", "#e4e2dc", "#3f7d80", "#b3372f"


def measured(rows: Sequence[Row], marks: Sequence[Mark]) -> dict[str, Any]:
    """All figures of some rows of any scale."""
    sure = np.array([mark.confidence for mark in marks])
    right = evaluation.agreement(rows, marks, [tolerance_of(row.top) for row in rows])
    accepted = np.array([mark.status == "proposed" for mark in marks])
    coverage, risk, area = metrics.risk_coverage(sure, right)
    half = np.argsort(-sure, kind="stable")[: len(rows) // 2]
    everything, surest = _kappa(rows, marks, range(len(rows))), _kappa(rows, marks, half.tolist())
    return {
        "n": len(rows),
        "questions": len({row.group for row in rows}),
        "within_tolerance": float(right.mean()),
        "mean_confidence": float(sure.mean()),
        "ece": metrics.expected_calibration_error(sure, right),
        "brier": metrics.brier(sure, right),
        "area_risk_coverage": area,
        "area_by_chance": float(1 - right.mean()),
        "qwk": everything,
        "qwk_surest_half": surest,
        "qwk_gain": surest - everything,
        "coverage": float(accepted.mean()),
        "error_unflagged": float(1 - right[accepted].mean()) if accepted.any() else None,
        "bins": metrics.reliability(sure, right),
        "curve": [[float(c), float(r)] for c, r in zip(coverage, risk, strict=True)],
    }


def _kappa(rows: Sequence[Row], marks: Sequence[Mark], places: Sequence[int] | range) -> float:
    human = [int(COMMON * rows[n].score + 0.5) for n in places]
    given = [int(COMMON * (marks[n].mark or 0.0) / marks[n].max_mark + 0.5) for n in places]
    return metrics.qwk(human, given, COMMON)


def drawn(found: dict[str, Any], title: str) -> Image.Image:
    """The reliability diagram (left, dots as large as their share) and the risk-coverage curve (right)."""
    side, gap, top = 420, 70, 60
    image = Image.new("RGB", (2 * side + 3 * gap, side + top + gap), "white")
    draw = ImageDraw.Draw(image)
    draw.text((gap, 14), title, INK)
    for number, (across, up) in enumerate((("confidence", "within tolerance"), ("coverage", "risk"))):
        left = gap + number * (side + gap)
        for tick in range(0, 11, 2):
            x, y = left + side * tick / 10, top + side * (1 - tick / 10)
            draw.line((left, y, left + side, y), SOFT)
            draw.line((x, top, x, top + side), SOFT)
            draw.text((x - 8, top + side + 6), f"{tick / 10:.1f}", LINE)
            draw.text((left - 24, y - 6), f"{tick / 10:.1f}", LINE)
        draw.rectangle((left, top, left + side, top + side), outline=LINE)
        draw.text((left + side / 2 - 30, top + side + 26), across, INK)
        draw.text((left, top - 16), up, INK)
    draw.line((gap, top + side, gap + side, top), LINE)
    for sure, right, count in found["bins"]:
        x, y = gap + side * sure, top + side * (1 - right)
        radius = 3 + 22 * (count / found["n"]) ** 0.5
        draw.line((x, y, x, top + side * (1 - sure)), ALERT, 2)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=BAR)
    left = 2 * gap + side
    points = [(left + side * coverage, top + side * (1 - risk)) for coverage, risk in found["curve"]]
    if len(points) > 1:
        draw.line(points, BAR, 3, joint="curve")
    level = top + side * (1 - found["area_by_chance"])
    draw.line((left, level, left + side, level), ALERT)
    return image


def main() -> None:
    parser = scorers.arguments(__doc__)
    parser.add_argument("--test", action="store_true", help="the unseen questions and domains of the test parts")
    options = parser.parse_args()
    names = [name for name, one in sets.SETS.items() if one.ships]
    every = scorers.test_rows(names) if options.test else scorers.validation_rows()
    rows = [row for row in every if not options.test or row.split in UNSEEN]
    kind = "test" if options.test else "held-out"
    result: dict[str, Any] = {"test": options.test, "of": {}}
    all_rows: list[Row] = []
    all_marks: list[Mark] = []
    for language in sorted({row.language for row in rows}):
        one = scorers.judged(options, language, options.test)
        own = [row for row in rows if row.language == language]
        marks = evaluation.mark_rows(one.scorer, own)
        all_rows += own
        all_marks += marks
        result["of"][language] = {"scorer": one.scorer.name, "questions_unseen": one.unseen, **measured(own, marks)}
        for name in dict.fromkeys(row.source for row in own):
            places = [place for place, row in enumerate(own) if row.source == name]
            result["of"][name] = measured([own[n] for n in places], [marks[n] for n in places])
        _save(drawn(result["of"][language], f"{one.title}, {language}, {kind} questions, n {len(own)}"), language, kind)
    if len({row.language for row in all_rows}) > 1:
        result["of"]["all"] = measured(all_rows, all_marks)
    columns = (
        "n", "questions", "within_tolerance", "mean_confidence", "ece", "brier", "area_risk_coverage",
        "area_by_chance", "qwk", "qwk_surest_half", "qwk_gain", "coverage", "error_unflagged",
    )  # fmt: skip
    cells = [[name, *(_cell(one[column]) for column in columns)] for name, one in result["of"].items()]
    harness.table(f"confidence on {kind} questions (wanted: ece at most 0.05, qwk_gain at least 0.10)",
                  ["of", *columns], cells)  # fmt: skip
    harness.write(f"scorer_calibration_{kind}", result)


def _save(image: Image.Image, language: str, kind: str) -> None:
    harness.OUT.mkdir(parents=True, exist_ok=True)
    path: Path = harness.OUT / f"reliability_{language}_{kind}.png"
    image.save(path)
    print(f"drawn: {path}")


def _cell(value: object) -> str:
    return f"{value:.3f}" if isinstance(value, float) else str(value if value is not None else "")


if __name__ == "__main__":
    main()
