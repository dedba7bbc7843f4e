"""Providers of ONNX Runtime: named engines, refused in words where they are missing, recorded where they are used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from lettering import empty, scanned, write

from grader import registry
from grader.errors import ModelError, UsageError
from grader.ocr.ppocr import PPOCR, VERSION
from grader.providers import check_provider, open_session
from grader.resources import model_path

THERE = {
    "cuda": "CUDAExecutionProvider" in onnxruntime.get_available_providers(),
    "openvino": "OpenVINOExecutionProvider" in onnxruntime.get_available_providers(),
}


@pytest.mark.parametrize("provider", ["cuda", "openvino"])
def test_a_missing_provider_is_refused_before_anything_is_read(provider: str) -> None:
    if THERE[provider]:
        pytest.skip(f"{provider} is installed")
    with pytest.raises(UsageError, match="no provider") as caught:
        registry.create("ocr", f"ppocr-{provider}")
    assert "pip install onnxruntime-" in caught.value.remedy
    assert "cpu" in caught.value.remedy


@pytest.mark.parametrize("provider", ["cuda", "openvino"])
def test_an_installed_provider_reads_the_same_text_under_its_own_name(provider: str) -> None:
    if not THERE[provider]:
        pytest.skip(f"{provider} is not installed")
    engine, reference = registry.create("ocr", f"ppocr-{provider}"), PPOCR()
    crop = scanned(write(empty(), "光合作用需要水"))
    assert engine.read(crop).text == reference.read(crop).text
    assert engine.models().keys() ^ reference.models().keys() == {engine.name, reference.name}


def test_an_unknown_provider_is_refused() -> None:
    with pytest.raises(UsageError, match="abacus"):
        check_provider("abacus")  # type: ignore[arg-type]


def test_the_engine_is_part_of_what_a_run_records() -> None:
    """A store of another version of the engine, with the very same weights, is known by this."""
    assert VERSION in PPOCR().models()


def test_a_damaged_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    with pytest.raises(ModelError, match=r"broken\.onnx"):
        open_session(tmp_path / "broken.onnx")


def test_arena_and_company_change_no_bit() -> None:
    """The same line, alone and after lines of other widths, with and without a memory arena."""
    path = model_path("ocr/PP-OCRv6_rec_small.onnx")
    lines = [np.random.default_rng(n).uniform(-1, 1, (1, 3, 48, 128 + 40 * n)).astype(np.float32) for n in range(3)]
    plain, kept = open_session(path, arena=False), open_session(path, arena=True)
    alone = [open_session(path, arena=False).run(None, {"x": line})[0] for line in lines]
    for session in (plain, kept):
        for line, expected in zip(reversed(lines), reversed(alone), strict=True):
            assert np.array_equal(session.run(None, {"x": line})[0], expected)
