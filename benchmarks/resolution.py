"""How few pixels reading bears: own sheets at falling resolutions, and where marks and handwriting begin to fail.

    python benchmarks/resolution.py [--scripts 12] [--dpi 300,200,150,...]      (about ten minutes)

The same filled sheets are scanned at each resolution, evenly and roughly. A choice is right, flagged for a person,
or wrong without a flag. Handwriting is that of data/ocr (125 crops), put into the boxes of sheets; its error rate
counts characters. grader.run.admission takes its limits from this table.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from harness import table, write
from ocr import error_rate, samples
from ocr_sheets import BOXES, CHOICES, SEED, fill
from own_forms import Tally, _Batch, _run, exam

from grader.demo.scan import PROFILES, Profile
from grader.errors import PageError
from grader.exam.form import TextField
from grader.ocr.ppocr import PPOCR
from grader.reading.crops import cut
from grader.reading.page import read_page

DPI = (300, 200, 150, 125, 100, 85, 75, 60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scripts", type=int, default=12)
    parser.add_argument("--dpi", default=",".join(map(str, DPI)))
    parser.add_argument("--no-writing", action="store_true", help="marks only")
    options = parser.parse_args()
    wanted = [int(dpi) for dpi in options.dpi.split(",")]
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        for dpi in wanted:
            for name in ("office", "rough"):
                folder = Path(scratch) / f"{name}-{dpi}"
                profile = replace(PROFILES[name], dpi=(dpi,))
                row = {"scans": name, "dpi": dpi, **marks(folder, profile, options.scripts)}
                if not options.no_writing:
                    row |= writing(folder / "writing", profile)
                rows.append(row)
                print(row, flush=True)
    table("Resolution", list(rows[0]), [list(row.values()) for row in rows])
    write("resolution", {"scripts": options.scripts, "seed": SEED, "rows": rows})


def marks(folder: Path, profile: Profile, scripts: int) -> dict[str, Any]:
    """Choices and candidate numbers of sheets that careless candidates filled in."""
    candidates = tuple(str(n) for n in np.random.default_rng(5).choice(90_000_000, scripts, replace=False) + 10_000_000)
    tally = Tally()
    _run(_Batch("zh", exam("zh", 30, 8, 0, 0), "A4", candidates, False), folder, SEED, profile, tally)
    clear = tally.fields.get("clear", {})
    count = sum(clear.values())
    return {
        "pages": tally.pages,
        "read": tally.read,
        "refused": dict(tally.rejected),
        "clear fields": count,
        "right %": round(100 * clear.get("right", 0) / max(1, count), 1),
        "flagged %": round(100 * clear.get("flagged", 0) / max(1, count), 1),
        "silently wrong": sum(verdicts["silent"] for verdicts in tally.fields.values()) + tally.wrong_page,
    }


def writing(folder: Path, profile: Profile) -> dict[str, Any]:
    """Real handwriting in boxes: error rate in percent, by the kind of writing, a page unread counting as 100%."""
    work = [sample for sample in samples() if np.median(sample.crop) >= 60]
    order = np.random.default_rng(SEED).permutation(len(work))
    sheets = [[work[i] for i in order[n : n + BOXES]] for n in range(0, len(order), BOXES)]
    form, pages = fill(sheets, folder, profile)
    fields = {f.item: f for f in form.pages[0].fields if isinstance(f, TextField) and f.role == "item"}
    engine = PPOCR()
    texts: list[str] = []
    for page, sheet in zip(pages, sheets, strict=True):
        try:
            registration, _ = read_page(page, form)
        except PageError:
            texts += [""] * len(sheet)
            continue
        boxes = [fields[str(CHOICES + 1 + n)] for n in range(len(sheet))]
        texts += [engine.read(cut(page, registration, field)).text for field in boxes]
    rate, _ = error_rate([sample.truth for sheet in sheets for sample in sheet], texts)
    return {"crops": len(texts), "character errors %": round(rate, 1)}


if __name__ == "__main__":
    main()
