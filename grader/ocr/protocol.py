"""What every OCR engine offers. Engines are named in grader.registry under "ocr"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from grader.records import Transcription

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True, eq=False)
class Crop:
    """What is to be read: picture (gray or BGR uint8) and the arguments of `OCREngine.read`."""

    picture: np.ndarray
    lines: int | None = 1
    alphabet: str = "any"


class OCREngine(Protocol):
    """Reads crops. An engine holds its sessions and is used by one thread at a time."""

    name: str  # versioned, e.g. "ppocr-v6-small/2"

    @property
    def remark(self) -> str:
        """A sentence that whoever uses its readings has to know, recorded with them; "" for none."""
        ...

    def models(self) -> dict[str, str]:
        """Name of each weight file → its SHA-256."""
        ...

    def read(self, crop: np.ndarray, *, lines: int | None = 1, alphabet: str = "any") -> Transcription:
        """Read a gray or BGR uint8 crop.

        lines: 1 = the crop is one line (no detection); more, or None for unknown = detect lines first.
        alphabet: see `TextField.alphabet`. A blank crop gives text "" with flag "blank".
        """
        ...

    def read_many(self, crops: Sequence[Crop]) -> list[Transcription]:
        """Read the crops of one page, in their order. An engine may compute them together; the same crops in the same
        order then give the same readings, but alone a crop may have other last digits."""
        ...
