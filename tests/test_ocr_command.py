"""`grader ocr` through the real command line, and PaddleOCR where it is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from lettering import HAND_ZH, empty, scanned, write
from PIL import Image


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "grader", "ocr", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def rows(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    scans = tmp_path / "scans"
    scans.mkdir()
    first, second = (scanned(write(empty(), t, font=HAND_ZH)) for t in ("光合作用", "水"))
    cv2.imwrite(str(scans / "1.png"), first)
    frames = [Image.fromarray(first), Image.fromarray(second)]
    frames[0].save(scans / "2.tif", save_all=True, append_images=frames[1:])
    (scans / "3.jpg").write_text("no picture")
    (scans / "4.jpg").write_bytes(b"")
    return scans


def test_every_page_has_a_row_and_a_bad_file_its_reason(folder: Path, tmp_path: Path):
    done = run(folder, "--out", tmp_path / "out.jsonl", "--line")
    read = rows(tmp_path / "out.jsonl")
    assert done.returncode == 1
    assert done.stdout == ""
    assert [(Path(r["file"]).name, r["page"], r["text"]) for r in read] == [
        ("1.png", 1, "光合作用"), ("2.tif", 1, "光合作用"), ("2.tif", 2, "水"), ("3.jpg", 1, ""), ("4.jpg", 1, ""),
    ]  # fmt: skip
    assert [r.get("error", {}).get("reason") for r in read] == [None, None, None, "not_an_image", "empty_file"]
    assert "3.jpg" in done.stderr
    assert {"text", "confidence", "box"} <= set(read[0]["lines"][0])


def test_good_files_alone_exit_zero(folder: Path, tmp_path: Path):
    done = run(folder / "1.png", "--out", tmp_path / "new" / "out.jsonl")
    assert done.returncode == 0
    (row,) = rows(tmp_path / "new" / "out.jsonl")
    assert row["text"] == "光合作用"
    assert 0.8 < row["confidence"] <= 1


@pytest.mark.parametrize(("option", "value"), [("--alphabet", "roman"), ("--engine", "nobody")])
def test_a_wrong_option_is_refused_before_anything_is_written(folder: Path, tmp_path: Path, option: str, value: str):
    done = run(folder, "--out", tmp_path / "out.jsonl", option, value)
    assert done.returncode == 2
    assert "remedy" in done.stderr
    assert not (tmp_path / "out.jsonl").exists()


@pytest.mark.paddle
def test_paddleocr_reads_offline(tmp_path: Path):
    pytest.importorskip("paddleocr", reason="the paddle extra is not installed")
    from grader.ocr.paddle import PaddleOCREngine

    engine = PaddleOCREngine(cache=tmp_path)
    one = scanned(write(empty(), "光合作用", font=HAND_ZH))
    assert engine.read(one).text == "光合作用"
    assert engine.read(empty()).flags == ("blank",)
    two = write(write(empty(220, 700), "光合作用", font=HAND_ZH), "water and light", (24, 120))
    assert engine.read(scanned(two), lines=2).text.split("\n") == ["光合作用", "water and light"]
    assert "out_of_alphabet" in engine.read(one, alphabet="digits").flags
    assert engine.name.startswith("paddleocr-3.7")
