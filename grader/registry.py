"""One registry for everything that can be chosen by name: OCR engines, scorers, executors.

An entry is a dotted "module:attribute" that is imported only when it is asked for, so that naming an
engine costs nothing and a missing extra is reported in words.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal

from grader.errors import UsageError

Kind = Literal["ocr", "scorer", "executor"]

ENGINES: dict[Kind, dict[str, str]] = {
    "ocr": {
        "ppocr": "grader.ocr.ppocr:PPOCR",
        "ppocr-cuda": "grader.ocr.ppocr:on_cuda",
        "ppocr-openvino": "grader.ocr.ppocr:on_openvino",
        "paddleocr": "grader.ocr.paddle:PaddleOCREngine",
    },
    "scorer": {
        "encoder": "grader.scoring.encoder:EncoderScorer",
        "lexical": "grader.scoring.lexical:LexicalScorer",
    },
    "executor": {
        "serial": "grader.run.executor:SerialExecutor",
        "local": "grader.run.executor:LocalExecutor",
        "ray": "grader.run.ray_executor:RayExecutor",
    },
}

_EXTRA_OF = {"paddleocr": "paddle", "ray": "ray"}


def create(kind: Kind, name: str, **options: Any) -> Any:
    """Build the engine `name` of `kind` with its own keyword options.

    Raises UsageError for a name that is not registered or whose extra is not installed.
    """
    try:
        target = ENGINES[kind][name]
    except KeyError:
        known = ", ".join(sorted(ENGINES[kind]))
        raise UsageError(f"there is no {kind} called {name!r}", f"choose one of: {known}") from None
    module, attribute = target.split(":")
    try:
        factory = getattr(import_module(module), attribute)
        return factory(**options)
    except ModuleNotFoundError as error:
        extra = _EXTRA_OF.get(name)
        if extra is None or (error.name or "").startswith("grader"):
            raise
        remedy = f"pip install 'grader[{extra}]'"
        raise UsageError(f"the {kind} {name!r} needs the package {error.name!r}", remedy) from error
