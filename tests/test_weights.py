"""Weights from their file into memory: the same bits as the runtime's own unpacking, in a part of its memory."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from bundles import ROWS, trained

from grader.errors import ModelError
from grader.resources import models_dir
from grader.scoring.bundle import NETWORK
from grader.scoring.encoding import Encoded
from grader.scoring.network import Network
from grader.scoring.weights import unpacked

SHIPPED = sorted(models_dir().glob(f"scorer/*/*/{NETWORK}"))
MEGABYTES = 1000  # a process that reads with the largest network peaks at 600; left to the runtime, at 1,600
PEAK = (
    "import sys; from pathlib import Path; from grader.scoring.encoding import Encoded; "
    "from grader.scoring.network import Network; Network(Path(sys.argv[1])).read(Encoded((1, 2, 3), (0, 0, 0))); "
    "print(next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM')))"
)


def sequences(*lengths: int) -> list[Encoded]:
    draw = np.random.default_rng(7)
    return [Encoded(tuple(draw.integers(5, 40, length).tolist()), (0,) * length) for length in lengths]


def assert_same_bits(path: Path) -> None:
    """As the runtime reads the file alone, with the optimisations of `Network`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    plain = onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=["SkipLayerNormFusion"]
    )
    network = Network(path)
    for one in sequences(3, 17, 48):
        ids = np.array([one.ids], np.int64)
        inputs = {"ids": ids, "mask": np.ones_like(ids), "types": np.array([one.types], np.int64)}
        found = network.read(one)
        expected = plain.run(["steps", "classes", "state"], inputs)
        for mine, theirs in zip((found.steps, found.classes, found.state), expected, strict=True):
            assert mine.tobytes() == theirs[0].tobytes()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.parent.name)
def test_a_shipped_network_says_the_same_bits(path: Path) -> None:
    assert_same_bits(path)


@pytest.mark.parametrize("kind", ["int4", "int8", "mixed", "fp16", "fp32"])
def test_every_kind_of_weights_is_unpacked_to_the_same_bits(tmp_path: Path, kind: Any) -> None:
    pytest.importorskip("torch")
    export = pytest.importorskip("grader.training.export")
    made = replace(trained(tmp_path / "run"), weights=kind)
    export.export([made], ROWS[:1], tmp_path / "out", lambda _: None)
    path = tmp_path / "out" / made.base / NETWORK
    assert_same_bits(path)
    model, tensors = unpacked(path)
    assert bool(tensors) == (kind != "fp32")
    assert b".stored" not in model.replace(b"words.stored", b"") or kind == "fp32"


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of a process is read from /proc")
def test_loading_the_largest_network_keeps_within_its_memory() -> None:
    largest = max(SHIPPED, key=lambda path: path.stat().st_size)
    done = subprocess.run([sys.executable, "-c", PEAK, str(largest)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < MEGABYTES * 1024


@pytest.mark.parametrize("cut", [0, 100, 5_000_000])
def test_a_file_that_is_no_network_is_refused_by_name(tmp_path: Path, cut: int) -> None:
    path = tmp_path / NETWORK
    path.write_bytes(SHIPPED[0].read_bytes()[:cut])
    with pytest.raises(ModelError, match=r"encoder\.onnx cannot be loaded"):
        Network(path).read(sequences(3)[0])
    with pytest.raises(ModelError, match=r"missing\.onnx cannot be loaded"):
        Network(tmp_path / "missing.onnx").read(sequences(3)[0])
