"""How models/ocr/ was made: PP-OCRv6 small, detector and recogniser, from the rapidocr wheel.

    pip install rapidocr==3.10.0 onnx==1.* && python scripts/ocr_models.py

The recogniser is copied as it is. In the detector, weights that are subnormal float32 numbers
(|w| < 1.18e-38) are set to zero: they change no output bit, but many CPUs handle them in microcode, which
makes the detector up to three times slower. ONNX Runtime could flush them instead
(session.set_denormal_as_zero), but that option changes the floating-point mode of the calling thread, and
with it the arithmetic of the whole process.

Checked before anything is written: the SHA-256 of both sources, and that the changed detector gives the
same output, bit for bit, on fixed pictures. Not needed at run time.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

TARGET = Path(__file__).resolve().parent.parent / "models" / "ocr"
SOURCES = {
    "PP-OCRv6_det_small.onnx": "090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
    "PP-OCRv6_rec_small.onnx": "6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
}


def zero_subnormals(model: onnx.ModelProto) -> int:
    """Set subnormal float32 weights of `model` to zero, in place; returns how many there were."""
    smallest, count = np.finfo(np.float32).tiny, 0
    constants = [a.t for node in model.graph.node for a in node.attribute if a.type == onnx.AttributeProto.TENSOR]
    for tensor in [*model.graph.initializer, *constants]:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        weights = numpy_helper.to_array(tensor)
        tiny = (weights != 0) & (np.abs(weights) < smallest)
        if tiny.any():
            tensor.CopyFrom(numpy_helper.from_array(np.where(tiny, np.float32(0), weights), tensor.name))
            count += int(tiny.sum())
    return count


def same_output(before: bytes, after: bytes) -> bool:
    """True if two detectors agree bit for bit on noise, white and stripes of several sizes."""
    sessions = [onnxruntime.InferenceSession(m, providers=["CPUExecutionProvider"]) for m in (before, after)]
    random = np.random.default_rng(20240601)
    for height, width in ((64, 64), (160, 640), (320, 320)):
        noise = random.uniform(-1, 1, (1, 3, height, width)).astype(np.float32)
        stripes = np.where(np.arange(width) // 8 % 2, 1, -1) * np.ones((1, 3, height, 1))
        for picture in (noise, np.ones_like(noise), stripes.astype(np.float32)):
            first, second = (s.run(None, {"x": picture})[0] for s in sessions)
            if not np.array_equal(first, second):
                return False
    return True


def main() -> None:
    TARGET.mkdir(parents=True, exist_ok=True)
    for name, expected in SOURCES.items():
        source = (files("rapidocr") / "models" / name).read_bytes()
        if hashlib.sha256(source).hexdigest() != expected:
            raise SystemExit(f"{name}: not the file of rapidocr 3.10.0")
        result = source
        if "_det_" in name:
            model = onnx.load_from_string(source)
            count = zero_subnormals(model)
            result = model.SerializeToString(deterministic=True)
            print(f"{name}: {count} subnormal weights set to zero")
            if not same_output(source, result):
                raise SystemExit(f"{name}: zeroing subnormal weights changed the output")
        (TARGET / name).write_bytes(result)
        print(f"{hashlib.sha256(result).hexdigest()}  {len(result):>9}  {name}")


if __name__ == "__main__":
    main()
