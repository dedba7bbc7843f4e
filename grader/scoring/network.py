"""The cross-encoder on ONNX Runtime: one sequence at a time, each different one once.

One sequence at a time keeps the promise that a mark never depends on what else is marked with it: matrix kernels round
differently for another number of rows. Batches of equal lengths were 5 to 40% faster a core (24 to 96 tokens), but the
last bits of 1 to 5 in 16 results changed with them; padded ones waste far more than that.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from grader.providers import Provider, check_provider, open_session
from grader.scoring.encoding import Encoded
from grader.scoring.weights import unpacked

_SLOWER = ["SkipLayerNormFusion"]  # its kernel is not vectorised: the network took up to a tenth longer
_OUTPUTS = ["steps", "classes", "state"]
_KEPT = 2048  # results kept, of about 8 KB each with the ids they are known by


@dataclass(frozen=True, eq=False)
class Output:
    """steps: 4 falling probabilities that the score passes step k; classes: correct, contradictory, incorrect;
    state: the pooled hidden vector. float32; read-only, because results are shared."""

    steps: np.ndarray
    classes: np.ndarray
    state: np.ndarray


class Network:
    """Reads encoded sequences. The file is loaded when the first is read: who only asks for its name and hash, as the
    process that hands out pages does, need not hold 180 MB. Raises UsageError for a provider that this installation
    of ONNX Runtime does not have, and ModelError, at the first reading, if the file cannot be loaded."""

    def __init__(self, path: Path, provider: Provider = "cpu") -> None:
        check_provider(provider)
        self.path, self._provider = path, provider
        self.read = lru_cache(maxsize=_KEPT)(self._read)

    @cached_property
    def _session(self) -> Any:
        # another provider may want to read the file itself
        ready = unpacked(self.path) if self._provider == "cpu" else None
        session = open_session(self.path, self._provider, without=_SLOWER, unpacked=ready)
        _give_back()
        return session

    def _read(self, one: Encoded) -> Output:
        ids, types = (np.array([values], np.int64) for values in (one.ids, one.types))
        found = self._session.run(_OUTPUTS, {"ids": ids, "mask": np.ones_like(ids), "types": types})
        for values in found:
            values.flags.writeable = False
        return Output(*(values[0] for values in found))


def _give_back() -> None:
    """Loading leaves as much freed memory as the weights take, which the C library (glibc) would keep."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
