"""Checks of --out before any work is done: a person should not wait an hour to be told of a typing mistake."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from grader.errors import UsageError


def check_output_file(out: Path, inputs: Iterable[Path]) -> None:
    """Raise UsageError where the file `out` is one of the inputs, a folder, or in no folder that can be made."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}", "choose another --out") from error
    if out.is_dir():
        raise UsageError(f"{out} is a folder", "add the name of a file to --out")
    if out.exists() and any(path.exists() and out.samefile(path) for path in inputs):
        raise UsageError(f"{out} is an input", "choose another --out")
