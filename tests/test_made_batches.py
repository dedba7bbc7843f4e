"""The batches that throughput is measured on: what they say is on a page is what grader reads there."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

ROOT = Path(__file__).resolve().parent.parent
_MADE = """
import sys
from itertools import pairwise
from pathlib import Path
import batches
maker = batches.Maker(Path(sys.argv[1]), seed=int(sys.argv[2]), objective=True)
for script in range(3):
    truth, data = maker.page(script, 1)
    (Path(sys.argv[1]) / truth.file).write_bytes(data)
    print(truth.file, truth.candidate, "".join(truth.answers[str(n)] for n in range(1, 61)))
"""


def made(folder: Path, seed: int) -> list[list[str]]:
    """File, candidate and the sixty labels of three pages, made by the benchmarks' own module."""
    folder.mkdir()
    path = os.pathsep.join([str(ROOT / "benchmarks"), str(ROOT)])
    command = [sys.executable, "-c", _MADE, str(folder), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}, check=False)
    assert done.returncode == 0, done.stderr
    return [line.split() for line in done.stdout.splitlines()]


def test_what_is_on_the_pages_is_read_there(tmp_path: Path) -> None:
    from grader.exam.form import load_form
    from grader.intake.decode import load_page
    from grader.reading.page import read_page
    from grader.records import PageRef

    pages = made(tmp_path / "batch", 7)
    form = load_form(tmp_path / "batch" / "paper" / "form.json")
    items = {field.id: field.item for field in form.pages[0].fields}
    for file, candidate, labels in pages:
        _, readings = read_page(load_page(PageRef(str(tmp_path / "batch" / file))), form)
        marks = {r.field: r for r in readings if r.kind == "marks"}
        answers = {items[name]: reading.value for name, reading in marks.items() if items[name] is not None}
        assert [answers[str(n)] for n in range(1, 61)] == list(labels)
        assert candidate in {reading.value for reading in marks.values()}


def test_the_same_seed_makes_the_same_pages_and_no_page_is_like_another(tmp_path: Path) -> None:
    first, again, other = (made(tmp_path / name, seed) for name, seed in (("a", 7), ("b", 7), ("c", 8)))
    assert first == again != other
    pictures = [(tmp_path / "a" / file).read_bytes() for file, *_ in first]
    assert pictures == [(tmp_path / "b" / file).read_bytes() for file, *_ in again]
    assert len({candidate for _, candidate, _ in first}) == len({labels for *_, labels in first}) == len(first)
    gray = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE) for data in pictures]
    assert all(np.count_nonzero(one != two) > one.size / 4 for one, two in pairwise(gray))
