"""A calibration as one file: a zip of plain arrays (numpy's .npz, never pickled) with a JSON header in it.

What is in it: hashes of the items, the name and hashes of the scorer, cross-validated figures and the risk-coverage
table, and for each item the head's weights and the hashed n-gram counts of the marked answers. No text, no candidate
and no single mark is in it. Counts of hashed n-grams still tell somebody who tries long enough which words an answer
held, so a calibration of minors' answers is kept as carefully as the answers are.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import zipfile
import zlib
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from grader.errors import ModelError, UsageError
from grader.exam.exam import Exam
from grader.scoring.calibration import SCHEMA, CalibratedScorer, Calibration, Head, Sureness
from grader.scoring.description import BUCKETS, Grams
from grader.scoring.head import Cuts
from grader.scoring.protocol import Scorer
from grader.scoring.risk import Promise

_HEADER = "header"
_ARRAYS = ("mean", "deviation", "weight", "grams_weight", "idf")
_GRAMS = ("start", "places", "counts")
_NUMBERS = ("around", "centre", "bias", "slope", "limit", "answers")
_LARGEST = 1 << 28  # bytes; a calibration of a hundred items has about 1 << 25
_DAMAGE = (ValueError, KeyError, TypeError, AttributeError, IndexError, EOFError, OSError, NotImplementedError)
_REMEDY = "give a file that grader calibrate wrote with this version, or run it again"


def write(calibration: Calibration, path: Path) -> Calibration:
    """Write the file, whole or not at all; the calibration with its hash. The same calibration gives the same bytes.
    Raises UsageError if it cannot be written."""
    arrays: dict[str, Any] = {_HEADER: np.frombuffer(_header(calibration).encode(), np.uint8)}
    for number, head in enumerate(calibration.heads.values()):
        arrays |= {f"{number}/{name}": getattr(head, name) for name in _ARRAYS}
        arrays |= {f"{number}/{name}": getattr(head.sample, name) for name in _GRAMS}
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_bytes(buffer.getvalue())
        os.replace(partial, path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}", "choose another file") from error
    return replace(calibration, sha256=hashlib.sha256(buffer.getvalue()).hexdigest())


def read(path: Path) -> Calibration:
    """Read a file that `write` wrote. Raises UsageError if there is none, ModelError if it is anything else."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}", "correct --calibration") from error
    try:
        with np.load(io.BytesIO(_checked(data)), allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
        header = json.loads(arrays[_HEADER].tobytes())
        if header["schema"] != SCHEMA:
            raise ValueError(f"its schema is {header['schema']}, not {SCHEMA}")
        heads = {name: _head(arrays, n, one) for n, (name, one) in enumerate(header["heads"].items())}
        return Calibration(
            exam=header["exam"], items=header["items"], depends=header["depends"], heads=heads,
            sureness=Sureness(**header["sureness"]), promise=Promise.read(header["promise"]),
            figures=header["figures"], sha256=hashlib.sha256(data).hexdigest(),
        )  # fmt: skip
    except (*_DAMAGE, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"{path} is not a calibration that can be used: {error}", _REMEDY) from error


def calibrated(scorer: Scorer | None, path: Path, exam: Exam, sha256: str = "") -> CalibratedScorer:
    """The scorer with the calibration at `path` over it. sha256: of the file that is meant, where that is known.
    Raises UsageError or ModelError where the file cannot be used for this exam and scorer, or is another one."""
    if scorer is None:
        raise UsageError("a calibration needs the scorer it was learned over", "name it, or leave out --calibration")
    found = read(path)
    if sha256 and found.sha256 != sha256:
        raise UsageError(f"{path} is another calibration than the one that is recorded", "restore that file")
    return CalibratedScorer(scorer, found, exam)


def _header(calibration: Calibration) -> str:
    heads = {
        name: {key: getattr(head, key) for key in _NUMBERS}
        | {"blocks": head.blocks, "cuts": asdict(head.cuts), "muted": head.muted}
        for name, head in calibration.heads.items()
    }
    header = {
        "schema": SCHEMA,
        "exam": calibration.exam,
        "items": calibration.items,
        "depends": calibration.depends,
        "sureness": asdict(calibration.sureness),
        "promise": calibration.promise.describe(),
        "figures": calibration.figures,
        "heads": heads,
    }
    return json.dumps(header, ensure_ascii=False, allow_nan=False)


def _checked(data: bytes) -> bytes:
    """The bytes, unless unpacking them would fill the memory."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(info.file_size for info in archive.infolist()) > _LARGEST:
            raise ValueError("it is too large")
    return data


def _head(arrays: dict[str, np.ndarray], number: int, data: dict[str, Any]) -> Head:
    own: dict[str, Any] = {name: arrays[f"{number}/{name}"] for name in _ARRAYS}
    start, places, counts = (arrays[f"{number}/{name}"] for name in _GRAMS)
    blocks = tuple((str(name), int(width)) for name, width in data["blocks"])
    columns = sum(width for _, width in blocks)
    sizes = {"mean": columns, "deviation": columns, "weight": columns, "grams_weight": BUCKETS, "idf": BUCKETS}
    if any(own[name].shape != (size,) or own[name].dtype != np.float64 for name, size in sizes.items()):
        raise ValueError("its arrays do not belong together")
    sound = start[0] == 0 and start[-1] == len(places) == len(counts) and (np.diff(start) > 0).all()
    if not sound or places.dtype != np.uint16 or counts.dtype != np.uint8 or places.max() >= BUCKETS:
        raise ValueError("its n-gram counts are damaged")
    cuts = Cuts(tuple(map(float, data["cuts"]["places"])), float(data["cuts"]["slope"]))
    return Head(
        **own, **{key: data[key] for key in _NUMBERS}, blocks=blocks, cuts=cuts, muted=tuple(data["muted"]),
        sample=Grams(start, places, counts),
    )  # fmt: skip
