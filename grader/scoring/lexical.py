"""The lexical scorer: overlap measurements, a small ordinal network on ONNX Runtime, calibrated confidence.

One answer at a time through a graph of fixed shape: a mark cannot depend on what else is in the batch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from grader.errors import ModelError
from grader.exam.exam import ShortAnswerItem
from grader.records import Mark, Response
from grader.resources import model_path, sha256
from grader.scoring import confidence as odds
from grader.scoring import triage
from grader.scoring.features import NAMES, Extractor, Weights
from grader.scoring.task import ITEMS, Criterion, Judgement, Task, addressed
from grader.scoring.text import View

VERSION = "lexical/1"
_FILES = {"graph": "scorer/lexical.onnx", "words": "scorer/lexical-words.json", "numbers": "scorer/lexical.json"}


class LexicalScorer:
    """Marks short answers in Chinese and English by what they share with the references or criteria.

    Raises ModelError if a weight file is missing, damaged or of another version.
    """

    name = f"model:{VERSION}"

    def __init__(self, folder: Path | None = None) -> None:
        """folder: where the three weight files lie; the shipped ones by default."""
        self._paths = {key: folder / Path(name).name if folder else model_path(name) for key, name in _FILES.items()}
        numbers = _read_numbers(self._paths["numbers"])
        self._check_version(numbers)
        self.limits = triage.Limits(**numbers["limits"])
        self.three_way = float(numbers["three_way"])  # limit of the class "contradictory" in 3-way labels
        self.calibration = odds.Calibration({key: (x, y) for key, (x, y) in numbers["calibration"].items()})
        self.extractor = Extractor(Weights.load(self._paths["words"]))
        self._session = _session(self._paths["graph"])
        self._task = lru_cache(maxsize=ITEMS)(lambda item, language: _LexicalTask(item, language, self))

    def _check_version(self, numbers: dict[str, Any]) -> None:
        wrong = [
            str(self._paths[key])
            for key in ("graph", "words")
            if not self._paths[key].is_file() or sha256(self._paths[key]) != numbers["sha256"][key]
        ]
        if numbers["version"] != VERSION or numbers["features"] != list(NAMES) or wrong:
            where = ", ".join(wrong) or str(self._paths["numbers"])
            message = f"the scorer's weights do not belong together or to this version: {where}"
            raise ModelError(message, "reinstall grader")

    def models(self) -> dict[str, str]:
        """Name of each weight file → its SHA-256."""
        return {path.name: sha256(path) for path in self._paths.values()}

    def score(self, item: ShortAnswerItem, language: str, responses: Sequence[Response]) -> list[Mark]:
        """One mark a response, in order; the same text is weighed once, whichever page it is on."""
        task = self._task(item, language)
        return [addressed(task.mark(response.text, response.confidence), response) for response in responses]

    def probabilities(self, question: str, references: Sequence[str], answer: View) -> tuple[np.ndarray, np.ndarray]:
        """(features, 5 probabilities: four steps passed, then contradiction) of an answer that has tokens."""
        features = self.extractor.holistic(question, references, answer)
        return features, self._session.run(None, {"features": features[None, :]})[0][0]


class _LexicalTask(Task):
    marker = LexicalScorer.name

    def __init__(self, item: ShortAnswerItem, language: str, scorer: LexicalScorer) -> None:
        super().__init__(item, language, scorer.extractor, scorer.limits)
        self.scorer = scorer

    def judge(self, answer: View, question: View, references: Sequence[View]) -> tuple[list[Judgement], list[str]]:
        features, passes = self.scorer.probabilities(self.item.prompt, self.whole, answer)
        opposed = float(passes[4] * (1 - passes[3]))
        measures = triage.measure(answer, question, references, features.tolist(), opposed, self.extractor.weights)
        raised = triage.model_flags(measures, self.limits)
        if self.criteria:
            return [self._meets(one, answer) for one in self.criteria], raised
        span = self.extractor.best_clause(self.extractor.sight(self.whole[0]), answer)[1]
        masses = odds.distribution(passes[:4], self.item.max_mark, self.step)
        return [Judgement(masses, odds.median(masses), answer.span(*span) if span else None)], raised

    def _meets(self, criterion: Criterion, answer: View) -> Judgement:
        """One criterion, judged on the stretch of the answer that is closest to it."""
        span = self.extractor.closest([self.extractor.sight(text) for text in criterion.texts], answer)
        if span is None:
            return Judgement(odds.distribution(np.zeros(4), criterion.marks, self.step), 0, None)
        _, passes = self.scorer.probabilities(self.item.prompt, criterion.texts, answer.part(*span))
        masses = odds.distribution(passes[:4], criterion.marks, self.step)
        return Judgement(masses, odds.median(masses), answer.span(*span))

    def confidence(self, judged: Sequence[Judgement], reach: int, agreement: float) -> float:
        kind = odds.Calibration.key(bool(self.criteria), self.language, reach)
        return self.scorer.calibration.apply(kind, agreement)


def _read_numbers(path: Path) -> dict[str, Any]:
    try:
        numbers = json.loads(path.read_text(encoding="utf-8"))
        missing = {"version", "features", "sha256", "limits", "calibration", "three_way"} - set(numbers)
        if missing:
            raise ValueError(f"without {', '.join(sorted(missing))}")
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be used: {error}", "reinstall grader") from error
    return dict(numbers)


def _session(path: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises its own unrelated classes
        raise ModelError(f"{path} cannot be loaded: {error}", "reinstall grader") from error
