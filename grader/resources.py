"""Where the shipped weights, example exams and fonts are, in a checkout and in an installed wheel alike."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from grader.errors import ModelError

_PACKAGE = Path(__file__).resolve().parent


def _root(name: str) -> Path:
    inside = _PACKAGE / name
    return inside if inside.is_dir() else _PACKAGE.parent / name


def rubrics_dir() -> Path:
    """The folder of example exams."""
    return _root("rubrics")


def models_dir() -> Path:
    """The folder of shipped weights."""
    return _root("models")


def model_path(name: str) -> Path:
    """Path of a shipped weight file, e.g. "ocr/PP-OCRv6_rec_small.onnx". Raises ModelError if it is absent."""
    path = _root("models") / name
    if not path.is_file():
        raise ModelError(f"the model file {path} is missing", "reinstall grader, or restore models/ in the checkout")
    return path


def font_path(name: str) -> Path:
    """Path of a shipped font, e.g. "NotoSansSC-Regular.ttf"."""
    path = _PACKAGE / "paper" / "fonts" / name
    if not path.is_file():
        raise ModelError(f"the font {path} is missing", "reinstall grader")
    return path


@lru_cache(maxsize=32)
def sha256(path: Path) -> str:
    """Hex SHA-256 of a file; read once per process."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
