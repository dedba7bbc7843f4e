"""ONNX Runtime sessions for OCR: one thread, the same bits every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from grader.errors import ModelError


class Session:
    """One network with one image input "x" and one output, on the CPU.

    One thread inside a session: work is spread over pages by worker processes, and a single thread sums in
    a fixed order. No memory arena: lines come in many widths and an arena would keep the largest of each.
    """

    def __init__(self, path: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        try:
            self._session: Any = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises its own untyped errors
            raise ModelError(
                f"{path} cannot be loaded: {error}", "reinstall grader, or restore models/ in the checkout"
            ) from error

    def metadata(self, key: str) -> str:
        """Custom metadata of the model. Raises ModelError if it has no such key."""
        try:
            return str(self._session.get_modelmeta().custom_metadata_map[key])
        except KeyError:
            raise ModelError(f"the model has no metadata {key!r}", "use the shipped weights") from None

    def run(self, x: np.ndarray) -> np.ndarray:
        """Output for `x`: float32, N x 3 x H x W."""
        return np.asarray(self._session.run(None, {"x": x})[0])
