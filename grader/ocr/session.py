"""ONNX Runtime sessions for OCR: one thread, the same bits every time on the processor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from grader.errors import ModelError
from grader.providers import Provider, open_session


class Session:
    """One network with one image input "x" and one output, on the processor unless another provider is named.

    One thread inside a session: work is spread over pages by worker processes, and a single thread sums in
    a fixed order. No memory arena: lines come in many widths and an arena would keep the largest of each.
    """

    def __init__(self, path: Path, provider: Provider = "cpu") -> None:
        self._session: Any = open_session(path, provider, arena=False)

    def metadata(self, key: str) -> str:
        """Custom metadata of the model. Raises ModelError if it has no such key."""
        try:
            return str(self._session.get_modelmeta().custom_metadata_map[key])
        except KeyError:
            raise ModelError(f"the model has no metadata {key!r}", "use the shipped weights") from None

    def run(self, x: np.ndarray) -> np.ndarray:
        """Output for `x`: float32, N x 3 x H x W."""
        return np.asarray(self._session.run(None, {"x": x})[0])
