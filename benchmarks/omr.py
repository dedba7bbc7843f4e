"""Mark reading on real sheets of other makers: right, silent and flagged, at all four turns, and how fast.

    python benchmarks/omr.py [--turns 0 1 2 3] [--only SET] [--omrchecker CHECKOUT] [--predictions DIR]

Every sheet goes the way a page goes in a run: quality gate, registration, marks and codes. A silent error is
a wrong value without a flag. --predictions writes what was read upright for the data set's own score.py. With
--omrchecker (a checkout of github.com/Udayraj123/OMRChecker whose
requirements are installed) the sheets that have its layouts are read by both, in turns.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np

from benchmarks.harness import DATA, need, table, write
from benchmarks.sheets import Sheet, all_sheets, compare, truth_name
from grader.errors import PageError
from grader.intake.decode import load_page
from grader.intake.quality import check_quality
from grader.reading.page import read_page
from grader.records import PageRef, Reading


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--turns", nargs="+", type=int, default=[0, 1, 2, 3], help="quarter turns to read at")
    parser.add_argument("--only", default="", help="only sheets whose name contains this")
    parser.add_argument("--omrchecker", type=Path, help="a checkout of OMRChecker to compare with")
    parser.add_argument("--predictions", type=Path, help="write predictions for the data set's score.py here")
    options = parser.parse_args()
    need(DATA / "omr")
    cv2.setNumThreads(1)
    sheets = [sheet for sheet in all_sheets() if options.only in sheet.name]
    results = [measure(sheet, options.turns) for sheet in sheets]
    show(results, options.turns)
    result: dict[str, object] = {"turns": options.turns, "sheets": results}
    if options.predictions is not None:
        for sheet in sheets:
            write_prediction(sheet, options.predictions / f"{sheet.name}.json")
    if options.omrchecker is not None:
        from benchmarks.omrchecker_runs import compare_with  # needs that project's own dependencies

        result["omrchecker"] = compare_with(options.omrchecker, [sheet for sheet in sheets if sheet.template])
    write("omr", result)


def measure(sheet: Sheet, turns: list[int]) -> dict:
    """One sheet at every turn: counts, errors, and whether the turned sheet reads the same."""
    at_turns: list[dict] = []
    upright: dict[str, Reading] = {}
    for turn in turns:
        start = time.perf_counter()
        readings, reason = read_turned(sheet, turn)
        seconds = time.perf_counter() - start
        counts, errors = compare(readings, sheet.truth) if not reason else (Counter(), [])
        values = {reading.field: reading for reading in readings}
        upright = upright or values
        differ = [f for f in upright if f not in values or values[f].value != upright[f].value]
        at_turns.append(
            {"turn": turn, "rejected": reason, **counts, "errors": errors, "differ": differ, "seconds": seconds}
        )
    return {"sheet": sheet.name, "set": sheet.set_name, "turns": at_turns}


def read_turned(sheet: Sheet, turn: int) -> tuple[list[Reading], str]:
    """Readings of the picture turned by quarter turns counterclockwise, and the reason where it is refused."""
    form, folder = sheet.form()
    try:
        page = load_page(PageRef(str(sheet.image)), form.channel)
        if turn:
            page = replace(page, picture=np.ascontiguousarray(np.rot90(page.gray, turn)))
        check_quality(page)
        return read_page(page, form, folder)[1], ""
    except PageError as error:
        return [], f"{error.reason}: {error.message}"


def write_prediction(sheet: Sheet, path: Path) -> None:
    """What was read on the upright sheet, in the form that the data set's score.py takes."""
    readings, reason = read_turned(sheet, 0)
    found: dict[str, dict] = {"answers": {}, "fields": {}}
    flagged = []
    for number, reading in enumerate(r for r in readings if r.kind == "marks"):
        name = truth_name(reading.field, number, sheet.truth)
        kind = "answers" if name in sheet.truth["answers"] else "fields"
        labels = [bubble.label for bubble in reading.bubbles if bubble.marked]
        expected = sheet.truth["answers"].get(name, sheet.truth.get("fields", {}).get(name))
        found[kind][name] = labels if isinstance(expected, list) else reading.value
        if reading.flags:
            flagged.append(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**found, "flagged": flagged, "rejected": bool(reason)}, ensure_ascii=False))


def show(results: list[dict], turns: list[int]) -> None:
    """One row a set and turn, and the errors in words."""
    rows = []
    for turn in turns:
        per_set: dict[str, Counter[str]] = defaultdict(Counter)
        for result in results:
            at = next(one for one in result["turns"] if one["turn"] == turn)
            for name in (result["set"], "all"):
                total = per_set[name]
                total["sheets"] += 1
                total["rejected"] += bool(at["rejected"])
                total["differ"] += len(at["differ"])
                total["ms"] += round(1000 * at["seconds"])
                for key in ("compared", "right", "silent", "wrong_flagged", "right_flagged", "doubtful", "unread"):
                    total[key] += at.get(key, 0)
        for name, total in sorted(per_set.items(), key=lambda item: item[0] == "all"):
            fields = max(total["compared"], 1)
            flagged = total["wrong_flagged"] + total["right_flagged"]
            rows.append(
                [
                    f"{90 * turn}°",
                    name,
                    total["sheets"],
                    total["rejected"],
                    total["compared"],
                    f"{100 * total['right'] / fields:.2f}",
                    total["silent"],
                    f"{100 * flagged / fields:.2f}",
                    total["doubtful"],
                    total["unread"],
                    total["differ"],
                    f"{1000 * total['sheets'] / total['ms']:.2f}",
                ]
            )
    header = [
        "turn",
        "set",
        "sheets",
        "rejected",
        "fields",
        "right %",
        "SILENT",
        "flagged %",
        "doubtful",
        "unread",
        "differ from 0°",
        "sheets/s",
    ]
    table("mark reading on real sheets", header, rows)
    for result in results:
        for at in result["turns"]:
            for error in [at["rejected"], *at["errors"]]:
                if error:
                    print(f"  {result['sheet']} at {90 * at['turn']}°: {error}")


if __name__ == "__main__":
    main()
