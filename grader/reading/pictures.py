"""Pictures that lie beside a form file: reference pictures and marker pictures, as stored."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from grader.errors import FormError, Problem


@lru_cache(maxsize=8)
def form_picture(path: Path, purpose: str) -> np.ndarray:
    """The gray picture (height x width uint8). Raises FormError where it cannot be read."""
    data = np.fromfile(path, np.uint8) if path.is_file() else np.empty(0, np.uint8)
    flags = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
    picture = cv2.imdecode(data, flags) if data.size else None
    if picture is None:
        raise FormError(str(path), [Problem(purpose, "the picture cannot be read", "put it beside the form file")])
    return picture
