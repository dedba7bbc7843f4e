"""What an installation can do: each part is tried for real, not only looked for."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from grader import __version__, registry, resources


@dataclass(frozen=True)
class Finding:
    """One thing that was examined. needed: marking cannot work without it."""

    what: str
    ok: bool
    detail: str
    needed: bool = True
    remedy: str = ""


def examine() -> list[Finding]:
    """Everything that marking needs and what is optional, in that order."""
    findings = [
        Finding("grader", True, f"{__version__}, Python {platform.python_version()}, {os.cpu_count()} cores"),
        *(_package(name) for name in ("numpy", "opencv-python-headless", "onnxruntime", "pypdfium2", "zxing-cpp")),
        _tried("handwriting (ppocr)", lambda: _engine("ocr", "ppocr")),
        _tried("short answers (lexical)", lambda: _engine("scorer", "lexical")),
        _tried("short answers (encoder)", _encoders),
        _tried("example exams", _exams),
        _tried("print font", _font),
        _disk(),
        _package("paddleocr", needed=False, remedy="pip install 'grader[paddle]'"),
        _package("s3fs", needed=False, remedy="scans in S3-compatible storage: pip install 'grader[remote]'"),
        _package("psycopg", needed=False, remedy="PostgreSQL: pip install 'grader[postgres]'"),
        _package("ray", needed=False, remedy="several machines: pip install 'grader[ray]'"),
        _package("torch", needed=False, remedy="only for training: pip install 'grader[train]'"),
        _providers(),
    ]
    return findings


def _package(name: str, needed: bool = True, remedy: str = "reinstall grader") -> Finding:
    try:
        return Finding(name, True, version(name), needed)
    except PackageNotFoundError:
        return Finding(name, False, "not installed", needed, remedy)


def _tried(what: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, attempt())
    except Exception as error:  # whatever is wrong, the report must go on
        return Finding(what, False, f"{type(error).__name__}: {error}", remedy="reinstall grader")


def _engine(kind: registry.Kind, name: str) -> str:
    models: dict[str, str] = registry.create(kind, name).models()
    return ", ".join(f"{model} {digest[:12]}" for model, digest in models.items())


def _encoders() -> str:
    from grader.scoring import choose

    found = [one for one in ("zh", "en") if choose.resolve(choose.AUTO, one) == "encoder"]
    read = [f"{one}: {len(choose.create('encoder', one).models())} files" for one in found]
    return ", ".join(read) or "none: short answers are marked by the lexical scorer"


def _exams() -> str:
    from grader.exam.load import load_exam

    paths = sorted(resources.rubrics_dir().glob("*.yaml"))
    return ", ".join(load_exam(path).exam.id for path in paths)


def _font() -> str:
    from grader.resources import font_path

    return str(font_path("NotoSansSC-Regular.ttf"))


def _disk() -> Finding:
    free = shutil.disk_usage(".").free
    return Finding("disk", free > 1 << 30, f"{free / (1 << 30):.1f} GiB free here", remedy="make room for run folders")


def _providers() -> Finding:
    import onnxruntime

    names = ", ".join(onnxruntime.get_available_providers())
    return Finding("onnxruntime providers", True, names, needed=False)
