"""The real sheets: which form reads which sheet, and how a reading compares with the truth written by eye."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.harness import DATA
from grader.exam.form import Form
from grader.reading.marks import GAP
from grader.reading.table import open_form
from grader.records import Reading

FORMS = Path(__file__).resolve().parent / "forms"
LAYOUTS = DATA / "omr" / "omrchecker" / "layouts"

# sheet → form in benchmarks/forms, or an OMRChecker layout as it came
_FORMS = {
    "amc/multiple_2": "amc/multiple_2",
    "amc/postcorrect_0": "amc/postcorrect_0",
    "amc/rotate_0": "amc/rotate_0",
    "amc/stats_3": "amc/stats_3",
    "cn_zhongkao_card/cyihui_test1": "cn_zhongkao_card/K008",
    "cn_zhongkao_card/cyihui_test5": "cn_zhongkao_card/K008",
    "cn_zhongkao_card/cyihui_test11": "cn_zhongkao_card/K008",
    "cn_zhongkao_card/sjtu_good": "cn_zhongkao_card/K008",
    "formscanner/test1": "formscanner/test",
    "formscanner/questionnaire1": "formscanner/questionnaire",
    "formscanner/questionnaire3": "formscanner/questionnaire",
    "misc/cn_webcam_1": "misc/cn_webcam",
    "misc/es_crosses_1": "misc/es_crosses",
    "misc/rbaron_moire": "misc/rbaron",
    "omrchecker/upsc_angle1": "omrchecker/upsc",
    "omrchecker/upsc_rgb": "omrchecker/upsc",
    "openmcr/core3_02": "openmcr/75",
    "openmcr/core3_03": "openmcr/75",
    "openmcr/core3_06": "openmcr/75",
    "openmcr/core3_07": "openmcr/75",
}
_TEMPLATES = {
    "omrchecker/camscanner1": "sample5",
    "omrchecker/cartao_a": "sample4",
    "omrchecker/college100": "community/dxuian",
    "omrchecker/mcq200_type1": "community/UmarFarootAPS",
    "omrchecker/mobile_sheet1": "sample1",
    "omrchecker/survey1": "community/DomBrzezinski",
}


@dataclass(frozen=True)
class Sheet:
    """A picture with its truth and the form that reads it. template: the form is an OMRChecker layout."""

    name: str
    image: Path
    form_path: Path
    template: bool
    truth: Mapping[str, Any]

    @property
    def set_name(self) -> str:
        return self.name.split("/")[0]

    def form(self) -> tuple[Form, Path]:
        """The form and the folder of its pictures (for our own forms the data set's)."""
        form, folder = _opened(self.form_path)
        return form, folder if self.template else self.image.parent.parent


@cache
def _opened(path: Path) -> tuple[Form, Path]:
    return open_form(path)


def all_sheets() -> list[Sheet]:
    """Every sheet of the data set. A sheet without a form is an error: none may be left out quietly."""
    sheets = []
    for truth in sorted((DATA / "omr").glob("*/*/truth.json")):
        name = f"{truth.parent.parent.name}/{truth.parent.name}"
        image = next(path for path in truth.parent.glob("image.*"))
        if name in _TEMPLATES:
            path, template = LAYOUTS / _TEMPLATES[name] / "template.json", True
        else:
            path, template = FORMS / f"{_FORMS[name]}.json", False
        sheets.append(Sheet(name, image, path, template, json.loads(truth.read_text(encoding="utf-8"))))
    return sheets


def truth_name(field: str, number: int, truth: Mapping[str, Any]) -> str:
    """The truth's name of a form's field: some layouts write q1 or Q1, one the whole question."""
    known = {**truth["answers"], **truth.get("fields", {})}
    for name in (field, field[1:] if field[0] in "qQ" else "", {"Roll": "roll", "Roll_no": "roll"}.get(field, "")):
        if name in known:
            return name
    return str(number + 1) if " " in field else field


def agrees(reading: Reading, truth: str | Sequence[str]) -> bool:
    """True if the value read is the truth. An empty position is written "_" or " " and left out at the end."""
    if not isinstance(truth, str):
        return {b.label for b in reading.bubbles if b.marked} == set(truth)
    plain = reading.value.replace(GAP, " ").strip()
    expected = truth.replace("_", " ").strip()
    if any(character.isdigit() or character.islower() for character in expected) or len(expected) > 5:
        return plain == expected
    return plain == expected or sorted(plain) == sorted(expected)


def compare(readings: Sequence[Reading], truth: Mapping[str, Any]) -> tuple[Counter[str], list[str]]:
    """Counts (compared, right, silent, wrong_flagged, right_flagged, doubtful, unread) and the errors in words.

    Fields that the truth holds and the form lacks are not compared, as in the data set's own score.py,
    except answers: a missing answer is an error.
    """
    known = {**truth["answers"], **truth.get("fields", {})}
    count: Counter[str] = Counter()
    errors: list[str] = []
    seen: set[str] = set()
    for number, reading in enumerate(r for r in readings if r.kind == "marks"):
        name = truth_name(reading.field, number, truth)
        if name not in known:
            continue
        seen.add(name)
        if name in (truth.get("doubtful") or {}):
            count["doubtful"] += 1
            continue
        count["compared"] += 1
        right, flagged = agrees(reading, known[name]), bool(reading.flags)
        count["right"] += right
        if not right:
            count["wrong_flagged" if flagged else "silent"] += 1
            errors.append(f"{name}: truth {known[name]!r}, read {reading.value!r} {' '.join(reading.flags)}")
        elif flagged:
            count["right_flagged"] += 1
    missing = [name for name in truth["answers"] if name not in seen]
    count["unread"] = len(missing)
    errors.extend(f"{name}: not on the form" for name in missing)
    return count, errors
