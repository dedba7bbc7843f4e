"""The memory of a GPU, asked of stand-ins for the driver, CUDA's runtime and nvidia-smi."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lettering import HAND_ZH, empty, scanned, write

from grader import gpu, providers, registry
from grader.errors import UsageError
from grader.ocr.batches import BATCHED, BYTES_PER_COLUMN
from grader.ocr.ppocr import PPOCR, VERSION
from grader.ocr.protocol import Crop

MIB = 2**20
RUNTIME = """
#include <stddef.h>
#include <stdlib.h>
int cudaMemGetInfo(size_t *free, size_t *total) {
    const char *said = getenv("STAND_IN_FREE");
    if (!said) return 100; /* cudaErrorNoDevice */
    *free = strtoull(said, 0, 10);
    *total = 2 * *free;
    return 0;
}
"""
DRIVER = """
#include <stdlib.h>
int cuInit(unsigned flags) { return 0; }
int cuDeviceGetCount(int *count) { *count = atoi(getenv("STAND_IN_GPUS")); return 0; }
"""


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gpu")
    for name, source in (("libcudart.so.12", RUNTIME), ("libcuda.so.1", DRIVER)):
        (folder / "source.c").write_text(source)
        try:
            subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / name, folder / "source.c"], check=True)
        except FileNotFoundError:
            pytest.skip("no C compiler")
    return folder


def said(expression: str, folder: Path, **environment: str) -> str:
    """What an expression about `gpu` gives in a process that finds the stand-ins of a folder."""
    kept = {name: value for name, value in os.environ.items() if name not in (gpu.VARIABLE, "CUDA_VISIBLE_DEVICES")}
    environment = {**kept, "LD_LIBRARY_PATH": str(folder), **environment}
    command = [sys.executable, "-c", f"from grader import gpu; print({expression})"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    return done.stdout.strip() or done.stderr.strip().splitlines()[-2]


def smi(folder: Path, answer: str) -> str:
    """A PATH with a stand-in for nvidia-smi."""
    program = folder / "nvidia-smi"
    program.write_text(f'#!/bin/sh\necho "$@" > {folder}/asked\n{answer}\n')
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def test_the_runtime_tells_what_is_free(stand_ins: Path) -> None:
    assert said("gpu.room()", stand_ins, STAND_IN_FREE=str(70 * 2**30)) == str(70 * 2**30)


def test_a_limit_that_was_set_is_kept(stand_ins: Path) -> None:
    free = {"STAND_IN_FREE": str(900 * MIB)}
    assert said("gpu.room()", stand_ins, GRADER_GPU_MEMORY="512", **free) == str(512 * MIB)
    assert said("gpu.room()", stand_ins, GRADER_GPU_MEMORY="2048", **free) == str(900 * MIB)


def test_where_the_runtime_is_silent_nvidia_smi_is_asked(tmp_path: Path) -> None:
    path = smi(tmp_path, "echo 8123")
    assert said("gpu.room()", tmp_path, PATH=path) == str(8123 * MIB)
    assert (tmp_path / "asked").read_text().startswith("-i 0 ")
    assert said("gpu.room()", tmp_path, PATH=path, CUDA_VISIBLE_DEVICES="3,1") == str(8123 * MIB)
    assert (tmp_path / "asked").read_text().startswith("-i 3 ")


@pytest.mark.parametrize("answer", ["exit 9", "echo", "echo '[N/A]'", "echo No devices were found; exit 6"])
def test_where_nothing_tells_little_is_taken_to_be_free(tmp_path: Path, answer: str) -> None:
    path = smi(tmp_path, answer)
    assert said("gpu.room()", tmp_path, PATH=path) == str(512 * MIB)
    assert said("gpu.room()", tmp_path, PATH=path, GRADER_GPU_MEMORY="2048") == str(2048 * MIB)


@pytest.mark.parametrize("memory", ["lots", "-1", "0", "1.5", "４"])
def test_a_limit_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch, memory: str) -> None:
    monkeypatch.setenv(gpu.VARIABLE, memory)
    with pytest.raises(UsageError, match="GRADER_GPU_MEMORY") as caught:
        gpu.limit()
    assert "MiB" in caught.value.remedy


def test_a_machine_without_a_gpu_is_refused_before_anything_is_read(stand_ins: Path, tmp_path: Path) -> None:
    assert said("gpu.check()", stand_ins, STAND_IN_GPUS="1") == "None"
    assert "no NVIDIA GPU" in said("gpu.check()", stand_ins, STAND_IN_GPUS="0")
    assert "no NVIDIA GPU" in said("gpu.check()", tmp_path)


@pytest.fixture
def imitated(monkeypatch: pytest.MonkeyPatch) -> None:
    """The provider "cuda" computes on the processor; everything around it is as on a GPU."""
    monkeypatch.setitem(providers._PROVIDERS, "cuda", ("CPUExecutionProvider", {}))
    monkeypatch.setattr(gpu, "check", lambda: None)


@pytest.mark.filterwarnings("ignore:Duplicate provider")
def test_the_engine_for_a_gpu_sizes_its_batches_by_what_is_free(
    imitated: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "room", lambda: 2 * 4 * 128 * BYTES_PER_COLUMN)
    engine = registry.create("ocr", "ppocr-cuda")
    assert engine.name == f"{VERSION}+cuda+batch{BATCHED.most}x{BATCHED.step}"
    assert "cuda" in engine.remark
    given: list[tuple[int, ...]] = []
    session = engine._recogniser._session
    run = session.run
    session.run = lambda x: (given.append(x.shape), run(x))[1]
    letters = [Crop(scanned(write(empty(80, 90), letter, (28, 15))), 1, "=ABCD") for letter in "ABCDABCDAB"]
    crops = [*letters, Crop(scanned(write(empty(), "光合作用需要水", font=HAND_ZH)))]
    assert [one.text for one in engine.read_many(crops)] == [*"ABCDABCDAB", "光合作用需要水"]
    assert [shape[0] for shape in given] == [4, 4, 2, 1]
    reference = PPOCR()
    assert [one.text for one in engine.read_many(crops)] == [one.text for one in reference.read_many(crops)]


def test_the_limit_is_handed_to_onnx_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(gpu.VARIABLE, "3000")
    assert providers._with_limit("cuda")[1]["gpu_mem_limit"] == str(3000 * MIB)
    assert providers._with_limit("cpu") == ("CPUExecutionProvider", {})
    monkeypatch.delenv(gpu.VARIABLE)
    assert "gpu_mem_limit" not in providers._with_limit("cuda")[1]
