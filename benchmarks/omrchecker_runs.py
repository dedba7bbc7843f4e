"""OMRChecker itself on the sheets that come with its layouts: the same pictures, decoding included, in turns."""

from __future__ import annotations

import contextlib
import io
import logging
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np

from benchmarks.harness import interleaved, median_ratio, need, table
from benchmarks.sheets import Sheet, truth_name
from grader.errors import PageError
from grader.intake.decode import load_page
from grader.intake.quality import check_quality
from grader.reading.page import read_page
from grader.records import PageRef


def compare_with(checkout: Path, sheets: list[Sheet], repeats: int = 3) -> list[dict]:
    """Fields right by both, and seconds of each sheet taken in turns. Turned sheets are given to both too."""
    need(checkout / "src" / "template.py")
    sys.path.insert(0, str(checkout))
    logging.disable(logging.INFO)
    results = []
    for sheet in sheets:
        readers: dict[str, Callable[[int], dict[str, str]]] = {"grader": _ours(sheet), "omrchecker": _theirs(sheet)}
        row: dict[str, Any] = {"sheet": sheet.name}
        for name, read in readers.items():
            row[name] = [_wrong(read(turn), sheet) for turn in range(4)]
        seconds = interleaved({name: _again(read) for name, read in readers.items()}, repeats)
        row["ms"] = {name: 1000 * statistics.median(times) for name, times in seconds.items()}
        row["times_faster"] = median_ratio(seconds["omrchecker"], seconds["grader"])
        results.append(row)
    rows = [
        [
            r["sheet"],
            r["grader"][0]["fields"],
            *(" ".join(str(at["wrong"]) for at in r[name]) for name in ("grader", "omrchecker")),
            *(f"{r['ms'][name]:.0f}" for name in ("grader", "omrchecker")),
            f"{r['times_faster']:.2f}",
        ]
        for r in results
    ]
    header = [
        "sheet",
        "fields",
        "grader wrong at 0 90 180 270°",
        "OMRChecker wrong",
        "grader ms",
        "OMRChecker ms",
        "times faster",
    ]
    table("beside OMRChecker, on its own layouts (a refused sheet counts all its fields)", header, rows)
    return results


def _again(read: Callable[[int], dict[str, str]]) -> Callable[[], object]:
    return lambda: read(0)


def _wrong(values: dict[str, str], sheet: Sheet) -> dict[str, int]:
    """How many fields are compared, and how many of these have another value than the truth."""
    known = {**sheet.truth["answers"], **sheet.truth.get("fields", {})}
    doubtful = sheet.truth.get("doubtful") or {}
    form, _ = sheet.form()
    wrong = fields = 0
    for number, field in enumerate(form.pages[0].fields):
        name = truth_name(field.id, number, sheet.truth)
        if name in known and name not in doubtful:
            fields += 1
            got, expected = (str(text).replace("_", " ").strip() for text in (values.get(field.id, "?"), known[name]))
            wrong += got != expected and sorted(got) != sorted(expected)
    return {"fields": fields, "wrong": wrong}


def _ours(sheet: Sheet) -> Callable[[int], dict[str, str]]:
    form, folder = sheet.form()

    def read(turn: int) -> dict[str, str]:
        page = load_page(PageRef(str(sheet.image)), form.channel)
        if turn:
            page = type(page)(page.ref, np.ascontiguousarray(np.rot90(page.gray, turn)), page.dpi, page.sha256)
        try:
            check_quality(page)
            return {reading.field: reading.value for reading in read_page(page, form, folder)[1]}
        except PageError:
            return {}

    return read


def _theirs(sheet: Sheet) -> Callable[[int], dict[str, str]]:
    import screeninfo

    screen = SimpleNamespace(width=1920, height=1080)
    screeninfo.get_monitors = lambda: [screen]  # it asks for a screen on import, also where there is none
    from src.defaults import CONFIG_DEFAULTS
    from src.template import Template
    from src.utils.parsing import get_concatenated_response, open_config_with_defaults

    places = [sheet.form_path.parent, sheet.form_path.parent.parent]
    config = next((place / "config.json" for place in places if (place / "config.json").is_file()), None)
    tuning = open_config_with_defaults(config) if config else CONFIG_DEFAULTS
    tuning.outputs.show_image_level = 0
    tuning.outputs.save_image_level = 0
    template = Template(sheet.form_path, tuning)

    def read(turn: int) -> dict[str, str]:
        gray = cv2.imread(str(sheet.image), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
        gray = np.ascontiguousarray(np.rot90(gray, turn)) if turn else gray
        with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(Exception):
            flat = template.image_instance_ops.apply_preprocessors(sheet.image, gray, template)
            if flat is not None:
                response = template.image_instance_ops.read_omr_response(template, image=flat, name=sheet.name)[0]
                return dict(get_concatenated_response(response, template))
        return {}

    return read
