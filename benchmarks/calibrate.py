"""How much do 10, 30, 100 or 300 marked answers an item teach? The learning curve of `grader calibrate`.

ASAP-SAS: ten prompts that no shipped weight has seen, several of them without a usable reference. Samples are drawn
from the training part; the answers marked with them are others of the training part, or with --test the public test
part, which is for the end. Everything goes through the product: sample, calibration, marks.

    python benchmarks/calibrate.py                      # others of the training part
    python benchmarks/calibrate.py --test               # the test part
    python benchmarks/calibrate.py --scorer lexical --prompts 1 6 10 --counts 0 100 --held 100
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import harness
import numpy as np

from grader.exam.exam import Exam, ShortAnswerItem
from grader.records import Mark, Response
from grader.scoring import choose, rows
from grader.scoring.calibration import CalibratedScorer, Calibration
from grader.scoring.learn import learn
from grader.scoring.marked import check_sample
from grader.scoring.protocol import Scorer
from grader.training import metrics, sets
from grader.training.rows import Row

SEED = 20261122
COUNTS = (0, 10, 30, 100, 300)


def exam_of(questions: dict[str, list[Row]]) -> Exam:
    """The prompts as an exam."""
    items = [
        {
            "id": name,
            "type": "short_answer",
            "max_mark": answers[0].top,
            "prompt": answers[0].question,
            "reference_answers": answers[0].references,
        }
        for name, answers in questions.items()
    ]
    return Exam.model_validate({"exam": {"id": "asap", "title": "ASAP-SAS", "language": "en"}, "items": items})


def calibrated(scorer: Scorer, exam: Exam, drawn: dict[str, list[Row]], risk: float) -> CalibratedScorer | None:
    """The scorer with what the drawn answers teach; None where they are too few to teach anything."""
    given = [
        {"candidate": f"{name}-{n}", "item": name, "text": row.text, "mark": round(row.score * row.top)}
        for name, answers in drawn.items()
        for n, row in enumerate(answers)
    ]
    read = [
        rows.Row(n, data, Response(data["candidate"], data["item"], data["text"])) for n, data in enumerate(given, 1)
    ]
    sample = check_sample(exam, read)
    return CalibratedScorer(scorer, learn(exam, scorer, sample, risk), exam) if sample.answers else None


def marks_of(scorer: Scorer, exam: Exam, held: dict[str, list[Row]]) -> dict[str, list[Mark]]:
    """The marks of the held answers, item by item."""
    marks = {}
    for name, answers in held.items():
        item = exam.item(name)
        assert isinstance(item, ShortAnswerItem)
        marks[name] = scorer.score(item, "en", [Response(str(n), name, row.text) for n, row in enumerate(answers)])
    return marks


def figures(exam: Exam, held: dict[str, list[Row]], marks: dict[str, list[Mark]]) -> dict[str, Any]:
    """Mean QWK over items, QWK of the surest half minus all, calibration, and what would be accepted."""
    per_item: dict[str, dict[str, float]] = {}
    sures, rights, accepted = [], [], []
    for name, answers in held.items():
        item = exam.item(name)
        human = np.array([round(row.score * row.top) for row in answers])
        given = np.array([round(mark.mark or 0) for mark in marks[name]])
        sure = np.array([mark.confidence for mark in marks[name]])
        right = np.abs(human - given) <= item.mark_tolerance + 1e-6
        half = np.argsort(-sure, kind="stable")[: len(sure) // 2]
        top = round(item.max_mark)
        whole, surest = metrics.qwk(human, given, top), metrics.qwk(human[half], given[half], top)
        per_item[name] = {
            "n": len(answers), "qwk": whole, "surest_half_gain": surest - whole,
            "within_tolerance": float(right.mean()), "within_tolerance_surest_half": float(right[half].mean()),
        }  # fmt: skip
        sures.append(sure)
        rights.append(right)
        accepted.append(np.array([mark.status == "proposed" for mark in marks[name]]))
    sure, right, proposed = np.concatenate(sures), np.concatenate(rights), np.concatenate(accepted)
    mean = {key: float(np.mean([one[key] for one in per_item.values()])) for key in next(iter(per_item.values()))}
    return {
        **mean,
        "n": len(sure),
        "ece": metrics.expected_calibration_error(sure, right.astype(float)),
        "coverage": float(proposed.mean()),
        "accepted_wrong": float(1 - right[proposed].mean()) if proposed.any() else None,
        "items": per_item,
    }


def curve(
    scorer: Scorer, questions: dict[str, list[Row]], tested: dict[str, list[Row]], wanted: argparse.Namespace
) -> Any:
    """Figures for each count of marked answers, on the same held answers."""
    exam = exam_of(questions)
    drawn: dict[str, list[Row]] = {}
    held: dict[str, list[Row]] = {}
    for name, answers in questions.items():
        order = np.random.default_rng([SEED, int(name)]).permutation(len(answers))
        drawn[name] = [answers[n] for n in order[: max(wanted.counts)]]
        others = tested.get(name) or [answers[n] for n in order[max(wanted.counts) :]]
        held[name] = others[: wanted.held] if wanted.held else others
    for count in wanted.counts:
        start = time.perf_counter()
        taught = calibrated(scorer, exam, {name: one[:count] for name, one in drawn.items()}, wanted.risk)
        seconds = time.perf_counter() - start
        found = figures(exam, held, marks_of(taught or scorer, exam, held))
        learned: Calibration | None = taught.calibration if taught else None
        yield (
            count,
            {
                **found,
                "learned": taught is not None,
                "seconds_to_learn": seconds,
                "promise": learned.promise.describe() if learned else None,
            },
        )


def picture(points: dict[int, dict[str, Any]], name: str) -> None:
    """The curve, as an SVG of its own."""
    width, height, margin = 560, 320, 46
    counts = sorted(points)
    step = (width - 2 * margin) / max(1, len(counts) - 1)

    def place(index: int, value: float) -> str:
        return f"{margin + index * step:.1f},{height - margin - value * (height - 2 * margin):.1f}"

    shapes = []
    for key, colour, label in (("qwk", "#1f5fa8", "QWK"), ("within_tolerance", "#b4541a", "within tolerance")):
        path = " ".join(place(n, points[count][key]) for n, count in enumerate(counts))
        shapes.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        x, y = place(len(counts) - 1, points[counts[-1]][key]).split(",")
        shapes.append(f'<text x="{x}" y="{float(y) - 6}" text-anchor="end" fill="{colour}">{label}</text>')
    for n, count in enumerate(counts):
        shapes.append(f'<text x="{margin + n * step:.1f}" y="{height - 18}" text-anchor="middle">{count}</text>')
    for value in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = place(0, value).split(",")[1]
        shapes.append(f'<line x1="{margin}" x2="{width - margin}" y1="{y}" y2="{y}" stroke="#ddd"/>')
        shapes.append(f'<text x="{margin - 6}" y="{y}" text-anchor="end">{value:g}</text>')
    body = "".join(shapes)
    title = f'<text x="{width / 2}" y="20" text-anchor="middle">marked answers an item, ASAP-SAS mean</text>'
    harness.OUT.mkdir(parents=True, exist_ok=True)
    path = harness.OUT / f"{name}.svg"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif"'
    path.write_text(f'{head} font-size="12">{title}{body}</svg>\n', encoding="utf-8")
    print(f"written: {path}")


def options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Learning curve of grader calibrate on ASAP-SAS.")
    parser.add_argument("--scorer", default="auto")
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--prompts", nargs="+", help="some of the ten prompts")
    parser.add_argument("--held", type=int, default=200, help="answers a prompt that are marked; 0: all")
    parser.add_argument("--risk", type=float, default=0.10)
    parser.add_argument("--test", action="store_true", help="mark the public test part: for the end")
    return parser.parse_args(arguments)


def main() -> None:
    wanted = options()
    parts: dict[str, dict[str, list[Row]]] = {"train": defaultdict(list), "test": defaultdict(list)}
    for row in sets.load(harness.need(harness.DATA / "asag"), "asap_sas"):
        if row.text and (not wanted.prompts or row.item in wanted.prompts):
            parts[row.split][row.item].append(row)
    scorer = choose.create(wanted.scorer, "en")
    points: dict[int, dict[str, Any]] = dict(
        curve(scorer, parts["train"], parts["test"] if wanted.test else {}, wanted)
    )
    keys = (
        "n", "learned", "qwk", "surest_half_gain", "within_tolerance", "within_tolerance_surest_half", "ece",
        "coverage", "accepted_wrong", "seconds_to_learn",
    )  # fmt: skip
    shown = [[count, *("-" if one[key] is None else one[key] for key in keys)] for count, one in points.items()]
    what = "test part" if wanted.test else "training part, answers not drawn"
    harness.table(f"{scorer.name} calibrated, ASAP-SAS ({what}), risk {wanted.risk:g}", ["marked", *keys], shown)
    names = list(points[min(points)]["items"])
    harness.table(
        "QWK of each prompt",
        ["marked", *names],
        [[count, *(one["items"][name]["qwk"] for name in names)] for count, one in points.items()],
    )
    name = "calibrate-test" if wanted.test else "calibrate"
    picture(points, name)
    harness.write(name, {"scorer": scorer.name, "seed": SEED, "risk": wanted.risk, "points": points})


if __name__ == "__main__":
    main()
