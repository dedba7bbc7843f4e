"""Own answer sheets, printed, filled, degraded and read: is every page accounted for, is anything silently wrong?

    python benchmarks/own_forms.py [--scripts 200] [--seed 2026] [--profile rough] [--keep DIR]

Four sheets (zh A4, en A4, zh A3, a quiz of three items) are printed; half of the candidates get sheets with
their number in the page code, half get blank ones, so that only bubbles say who they are. Candidates mark
carelessly: pale and overshooting fills, dashes, ticks, crosses; erasures, cancelled and faint marks and dots
are counted apart, because a flag is the right answer to them. Scans: skew to 5 degrees, perspective to 8 %,
blur, noise, shadow, JPEG quality 40 to 90, 150 to 300 dpi, turned pages.

A silent error is a field or an identity that is wrong without a blocking flag. Limits and thresholds are
developed on other seeds than the default one.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from harness import table, write

from grader.demo.simulate import CARELESS, FieldTruth, PageTruth, simulate_batch
from grader.errors import PageError
from grader.exam.exam import Exam
from grader.exam.form import Form, MarksField, load_form
from grader.flags import blocking
from grader.intake.plan import list_pages
from grader.intake.quality import check_quality
from grader.paper.sheets import print_sheets
from grader.reading.identity import identify
from grader.reading.page import open_page, read_page
from grader.reading.roster import Entry, Roster
from grader.records import PageRef, Reading


def exam(language: str, choices: int, multiple: int, written: int, short: int) -> Exam:
    """An exam of so many items of each kind."""
    zh = language == "zh"
    items: list[dict[str, Any]] = [
        {"type": "choice", "options": "ABCD", "answer": "ABCD"[i % 4], "max_mark": 2} for i in range(choices)
    ]
    items += [
        {"type": "multi_choice", "options": "ABCDE", "answer": ["ACD", "BE", "ABC"][i % 3], "max_mark": 4}
        for i in range(multiple)
    ]
    words = ["光合作用", "叶绿体", "蒸发"] if zh else ["photosynthesis", "chloroplast", "evaporation"]
    items += [{"type": "blank", "answers": [words[i % 3]], "max_mark": 2} for i in range(written // 2)]
    items += [
        {"type": "numeric", "answer": 3.2, "unit": "m/s", "tolerance": "1%", "max_mark": 3}
        for _ in range(written - written // 2)
    ]
    reference = (
        "植物在光照下把二氧化碳和水合成有机物。同时放出氧气。有机物储存能量。"
        if zh
        else "Plants turn carbon dioxide and water into sugar. They give off oxygen. Sugar stores energy."
    )
    items += [
        {"type": "short_answer", "max_mark": 4, "prompt": "?", "reference_answers": [reference]} for _ in range(short)
    ]
    for number, item in enumerate(items, start=1):
        item["id"] = str(number)
    title = "七年级生物 期中检测" if zh else "Biology: mid-term test"
    header = {"id": f"bio-{language}-{len(items)}", "title": title, "language": language}
    return Exam.model_validate({"exam": header, "items": items})


@dataclass
class Tally:
    """Counts of one benchmark run."""

    pages: int = 0
    read: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    wrong_page: int = 0
    fields: dict[str, Counter[str]] = field(default_factory=dict)
    identity: dict[str, Counter[str]] = field(default_factory=dict)
    offsets: list[float] = field(default_factory=list)
    silent: list[str] = field(default_factory=list)
    flagged: list[str] = field(default_factory=list)  # clear marks that a person must look at
    flags: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def count(self, group: dict[str, Counter[str]], name: str, verdict: str) -> None:
        group.setdefault(name, Counter())[verdict] += 1


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scripts", type=int, default=200)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--profile", default="rough")
    parser.add_argument("--keep", type=Path, help="folder to keep sheets, scans and truth in")
    options = parser.parse_args(arguments)
    tally = Tally()
    with tempfile.TemporaryDirectory() as scratch:
        for number, batch in enumerate(_batches(options.scripts)):
            folder = (options.keep or Path(scratch)) / batch.name
            _run(batch, folder, 10 * options.seed + number, options.profile, tally)
    return _report(tally, options)


@dataclass(frozen=True)
class _Batch:
    """Candidates who write the same exam on the same kind of sheet."""

    name: str
    exam: Exam
    size: str
    candidates: tuple[str, ...]
    printed: bool  # the candidate's number is in the page code


def _batches(scripts: int) -> Iterator[_Batch]:
    """The scripts over sheets: half on zh A4, the rest on en A4, zh A3 and a quiz of three items, whose candidates
    have shorter numbers than the grid; half of each with printed candidates."""
    sheets = (
        ("zh", exam("zh", 30, 8, 8, 2), "A4", 0.5, 8),
        ("en", exam("en", 20, 4, 6, 3), "A4", 0.2, 8),
        ("a3", exam("zh", 60, 10, 8, 4), "A3", 0.15, 8),
        ("quiz", exam("zh", 2, 1, 0, 0), "A4", 0.15, 5),
    )
    numbers = np.random.default_rng(5)
    for name, paper, size, share, digits in sheets:
        half = max(1, round(scripts * share / 2))
        for printed in (True, False):
            drawn = numbers.choice(9 * 10 ** (digits - 1), half, replace=False) + 10 ** (digits - 1)
            candidates = tuple(str(number) for number in drawn)
            yield _Batch(f"{name}-{'code' if printed else 'bubbles'}", paper, size, candidates, printed)


def _run(batch: _Batch, folder: Path, seed: int, profile: str, tally: Tally) -> None:
    roster = Roster([Entry(candidate) for candidate in batch.candidates])
    form = print_sheets(batch.exam, folder, roster=roster if batch.printed else None, size=batch.size, digits=8)
    truths = simulate_batch(
        batch.exam, form, folder / "paper.pdf", folder / "scans", batch.candidates,
        seed=seed, profile=profile, habits=CARELESS,
    )  # fmt: skip
    form = load_form(folder / "form.json")
    references = list_pages([folder / "scans"])
    assert len(references) == len(truths)
    for reference, truth in zip(references, truths, strict=True):
        assert Path(reference.file).name == truth.file
        _judge_page(reference, truth, form, folder, roster, batch, tally)


def _judge_page(
    reference: PageRef,
    truth: PageTruth,
    form: Form,
    folder: Path,
    roster: Roster,
    batch: _Batch,
    tally: Tally,
) -> None:
    tally.pages += 1
    start = time.perf_counter()
    try:
        page = open_page(reference, form)
        check_quality(page)
        registration, readings = read_page(page, form, folder)
        page_form = form.page(registration.page_number)
        identity = identify(registration, readings, roster, page_form)
    except PageError as error:
        tally.rejected[error.reason] += 1
        if tally.rejected[error.reason] <= 5:
            print(f"rejected: {reference.file}: {error.message} {truth.scan} dpi {truth.dpi} turn {truth.turn}")
        return
    finally:
        tally.seconds += time.perf_counter() - start
    tally.read += 1
    tally.offsets.append(_offset(registration.to_pixels, np.array(truth.to_pixels), form, truth))
    if registration.page_number != truth.page:
        tally.wrong_page += 1
        tally.silent.append(f"{reference.file}: read as page {registration.page_number}, is {truth.page}")
        return
    source = "printed in the code" if batch.printed else "bubbles only"
    verdict = _verdict(identity.candidate == truth.candidate, identity.flags)
    number = next(t for t in truth.fields if t.role == "candidate" and t.kind == "marks")
    source += "" if number.value == truth.candidate else ", bubbled wrongly"
    if source == "bubbles only, bubbled wrongly" and verdict == "silent":
        # nobody can know better than the bubbles where they are clear; it must not be another real candidate
        verdict = "as bubbled" if identity.candidate == number.value else "silent"
    tally.count(tally.identity, source, verdict)
    if verdict == "silent":
        tally.silent.append(f"{reference.file}: candidate {identity.candidate!r}, is {truth.candidate!r}")
    _judge_fields(reference, truth, {r.field: r for r in readings}, tally)


def _judge_fields(reference: PageRef, truth: PageTruth, readings: dict[str, Reading], tally: Tally) -> None:
    for meant in truth.fields:
        if meant.kind != "marks" or meant.role != "item":
            continue
        reading = readings[meant.field]
        verdict = _verdict(reading.value == meant.value, reading.flags)
        if verdict == "flagged":
            tally.flags.update(reading.flags)
        for kind in _kinds(meant):
            tally.count(tally.fields, kind, verdict)
        told = ", ".join(f"{label} {kind}" for _, label, kind in meant.marks) or "nothing marked"
        if verdict == "flagged" and not meant.doubtful and not meant.double:
            tally.flagged.append(f"{reference.file}: {meant.field} {', '.join(reading.flags)} ({told})")
        if verdict == "silent":
            tally.silent.append(
                f"{reference.file}: {meant.field} read {reading.value!r}, is {meant.value!r} ({told})"
                f" darkness {[round(float(b.darkness), 2) for b in reading.bubbles]}"
            )


def _kinds(meant: FieldTruth) -> list[str]:
    """The rows of the table that a field counts in: clear or one of the doubtful ones, and its kinds of marks."""
    kinds = {kind for _, _, kind in meant.marks}
    doubtful = sorted(kinds & {"erased", "cancelled", "faint", "dot"})
    if doubtful:
        return ["doubtful", *(f"  {kind}" for kind in doubtful)]
    if meant.double:
        return ["double"]
    return ["clear", *(f"  {kind}" for kind in sorted(kinds or {"blank"}))]


def _verdict(right: bool, flags: tuple[str, ...]) -> str:
    if blocking(flags):
        return "flagged"
    return "right" if right else "silent"


def _offset(found: np.ndarray, true: np.ndarray, form: Form, truth: PageTruth) -> float:
    """Greatest distance in millimetres between where bubbles are and where they were found."""
    page_form = form.page(truth.page)
    marks = [f for f in page_form.fields if isinstance(f, MarksField)]
    points = np.array([(b.x + b.w / 2, b.y + b.h / 2, 1.0) for f in marks for b in f.bubbles]).T
    a, b = found @ points, true @ points
    distance = np.linalg.norm(a[:2] / a[2] - b[:2] / b[2], axis=0)
    return float(distance.max() / truth.dpi * 25.4)


def _report(tally: Tally, options: argparse.Namespace) -> dict[str, Any]:
    rejected = sum(tally.rejected.values())
    table(
        f"Own forms: {options.scripts} scripts, profile {options.profile}, seed {options.seed}",
        ["pages", "read", "rejected", "reasons", "wrong page", "unaccounted", "pages/s incl. decoding"],
        [[tally.pages, tally.read, rejected, dict(tally.rejected) or "-", tally.wrong_page,
          tally.pages - tally.read - rejected, tally.pages / tally.seconds]],
    )  # fmt: skip
    _table("Choice items", tally.fields)
    _table("Identity", tally.identity)
    offsets = np.array(tally.offsets)
    quantiles = {q: round(float(np.quantile(offsets, q)), 3) for q in (0.5, 0.95, 1.0)}
    print(f"\nregistration error (worst bubble of a page), mm: {quantiles}")
    print(f"flags: {dict(tally.flags)}")
    for line in tally.silent[:20]:
        print(f"SILENT {line}")
    result = {
        "scripts": options.scripts, "seed": options.seed, "profile": options.profile,
        "pages": tally.pages, "read": tally.read, "rejected": dict(tally.rejected),
        "wrong_page": tally.wrong_page, "fields": {k: dict(v) for k, v in tally.fields.items()},
        "identity": {k: dict(v) for k, v in tally.identity.items()}, "registration_mm": quantiles,
        "silent_errors": len(tally.silent), "silent": tally.silent, "flagged_clear": tally.flagged,
        "seconds": tally.seconds,
    }  # fmt: skip
    write("own_forms", result)
    return result


_ORDER = (
    "clear", "  fill", "  overshoot", "  pale", "  dash", "  tick", "  cross", "  blank",
    "double", "doubtful", "  erased", "  cancelled", "  faint", "  dot",
)  # fmt: skip


def _table(title: str, group: dict[str, Counter[str]]) -> None:
    rows = []
    for name in _ORDER if title == "Choice items" else sorted(group):
        if name not in group:
            continue
        count = group[name]
        total = sum(count.values())
        rows.append([name, total, f"{count['right'] / total:.2%}", f"{count['flagged'] / total:.2%}",
                     count["silent"], count["as bubbled"]])  # fmt: skip
    table(title, ["", "n", "right", "flagged", "silent errors", "as bubbled"], rows)


if __name__ == "__main__":
    main()
