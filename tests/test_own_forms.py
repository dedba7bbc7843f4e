"""Print, fill, scan roughly and read: nothing lost, nothing silently wrong. The benchmark itself, on few scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module", params=["rough", "phone"])
def result(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    out = tmp_path_factory.mktemp("bench")
    command = [sys.executable, str(ROOT / "benchmarks" / "own_forms.py"), "--scripts", "8", "--seed", "41"]
    environment = {**os.environ, "GRADER_BENCH_OUT": str(out)}
    done = subprocess.run(
        [*command, "--profile", request.param],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    loaded: dict[str, Any] = json.loads((out / "own_forms.json").read_text(encoding="utf-8"))
    return loaded


def test_every_page_is_accounted_for(result: dict[str, Any]) -> None:
    assert result["pages"] > 8
    assert result["pages"] == result["read"] + sum(result["rejected"].values())
    assert result["wrong_page"] == 0


def test_no_clear_mark_is_silently_wrong(result: dict[str, Any]) -> None:
    clear = result["fields"]["clear"]
    assert clear["right"] > 100
    assert clear.get("silent", 0) == 0
    assert clear.get("flagged", 0) <= 0.03 * clear["right"]
    assert result["fields"]["double"].get("right", 0) == 0


def test_no_identity_is_silently_wrong(result: dict[str, Any]) -> None:
    assert sum(row.get("right", 0) for row in result["identity"].values()) > 0
    assert sum(row.get("silent", 0) for row in result["identity"].values()) == 0


def test_registration_is_within_a_quarter_of_a_millimetre(result: dict[str, Any]) -> None:
    assert result["registration_mm"]["1.0"] < 0.25
