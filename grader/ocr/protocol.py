"""What every OCR engine offers. Engines are named in grader.registry under "ocr"."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from grader.records import Transcription

if TYPE_CHECKING:
    import numpy as np


class OCREngine(Protocol):
    """Reads crops. An engine holds its sessions and is used by one thread at a time."""

    name: str  # versioned, e.g. "ppocr-v6-small/2"

    def models(self) -> dict[str, str]:
        """Name of each weight file → its SHA-256."""
        ...

    def read(self, crop: np.ndarray, *, lines: int | None = 1, alphabet: str = "any") -> Transcription:
        """Read a gray or BGR uint8 crop.

        lines: 1 = the crop is one line (no detection); more, or None for unknown = detect lines first.
        alphabet: see `TextField.alphabet`. A blank crop gives text "" with flag "blank".
        """
        ...
