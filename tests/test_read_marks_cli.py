"""`grader read-marks` through the real command line."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from drawn import draw, scan, sheet_form

FORM = sheet_form(items=10)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "grader", "read-marks", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    FORM.save(tmp_path / "form.json")
    scans = tmp_path / "scans"
    scans.mkdir()
    for number, (choice, candidate) in enumerate((("A", "20260117"), ("BC", "20260118"))):
        gray = scan(draw(FORM, {"1": choice, "candidate": candidate}), number, angle=number)
        cv2.imwrite(str(scans / f"page{number}.jpg"), np.rot90(gray, number))
    return tmp_path


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        reader = csv.DictReader(stream)
        rows = list(reader)
    assert reader.fieldnames == ["file", "page", "field", "value", "confidence", "flags"]
    return rows


def test_all_pages_read(folder: Path) -> None:
    done = run("--form", folder / "form.json", folder / "scans", "--out", folder / "marks.csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    rows = table(folder / "marks.csv")
    of = {(Path(row["file"]).name, row["field"]): row for row in rows}
    assert of["page0.jpg", "1"]["value"] == "A"
    assert of["page0.jpg", "1"]["flags"] == ""
    assert 0.5 < float(of["page0.jpg", "1"]["confidence"]) <= 1
    assert (of["page1.jpg", "1"]["value"], of["page1.jpg", "1"]["flags"]) == ("BC", "multiple_marks")
    assert of["page0.jpg", "2"]["value"] == ""
    assert of["page1.jpg", "candidate"]["value"] == "20260118"
    assert of["page1.jpg", "identity"]["value"] == "20260118"
    assert {row["page"] for row in rows} == {"1"}
    assert not list(folder.glob(".*part"))


def test_bad_pages_have_one_row_each_and_the_rest_is_read(folder: Path) -> None:
    scans = folder / "scans"
    (scans / "empty.jpg").write_bytes(b"")
    (scans / "text.jpg").write_text("this is not a picture")
    blank = np.full((1000, 700), 250, np.uint8)
    for y in range(80, 900, 60):
        cv2.putText(blank, "another paper", (60, y), cv2.FONT_HERSHEY_SIMPLEX, 1, 30, 2)
    cv2.imwrite(str(scans / "foreign.png"), blank)
    cv2.imwrite(str(scans / "other.png"), draw(sheet_form(items=10, exam="chemistry"), {}))
    done = run("--form", folder / "form.json", scans, "--out", folder / "marks.csv")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    refused = {Path(r["file"]).name: r for r in table(folder / "marks.csv") if not r["field"]}
    assert {name: row["flags"] for name, row in refused.items()} == {
        "empty.jpg": "empty_file",
        "text.jpg": "not_an_image",
        "foreign.png": "no_fiducials",
        "other.png": "wrong_form",
    }
    assert len({r["file"] for r in table(folder / "marks.csv") if r["field"]}) == 2


def test_the_roster_is_used(folder: Path) -> None:
    (folder / "roster.csv").write_text("candidate\n20260117\n", encoding="utf-8")
    arguments = ("--form", folder / "form.json", folder / "scans", "--out", folder / "marks.csv")
    assert run(*arguments, "--candidates", folder / "roster.csv").returncode == 0
    flags = {r["value"]: r["flags"] for r in table(folder / "marks.csv") if r["field"] == "identity"}
    assert flags == {"20260117": "", "20260118": "identity_unknown"}


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"schema": "grader-form/1"})])
def test_an_unusable_form_is_reported_and_nothing_written(folder: Path, text: str) -> None:
    (folder / "bad.json").write_text(text)
    done = run("--form", folder / "bad.json", folder / "scans", "--out", folder / "marks.csv")
    assert done.returncode == 2
    assert "remedy" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "marks.csv").exists()


def test_the_same_scans_give_the_same_file(folder: Path) -> None:
    for name in ("one.csv", "two.csv"):
        run("--form", folder / "form.json", folder / "scans", "--out", folder / name)
    assert (folder / "one.csv").read_bytes() == (folder / "two.csv").read_bytes()
