"""The lexical scorer: overlap measurements, a small ordinal network on ONNX Runtime, calibrated confidence.

One answer at a time through a graph of fixed shape: a mark cannot depend on what else is in the batch.
An item without a rubric is marked as one criterion whose references are the reference answers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from grader import flags
from grader.errors import ModelError
from grader.exam.exam import ShortAnswerItem
from grader.records import CriterionMark, Mark, Response, Status
from grader.resources import model_path, sha256
from grader.scoring import confidence as odds
from grader.scoring import triage
from grader.scoring.features import NAMES, Extractor, Weights
from grader.scoring.text import View, look

VERSION = "lexical/1"
_FILES = {"graph": "scorer/lexical.onnx", "words": "scorer/lexical-words.json", "numbers": "scorer/lexical.json"}
_SIMILAR = 0.3  # least F1 for a clause of a reference answer to stand beside a criterion


_ASKS_ZH = r"(?:能|要|应|需|须|学生)*(?:说[明出]|指出|写出|答[出到]|提到|点[明出]|明确)[了出]?[:：，,]?"
_ASKS_EN = (
    r"(?:(?:the )?(?:answer|student|response) )?"
    r"(?:states?|mentions?|says?|explains?|notes?|identifies|identify|points? out|recogni[sz]es?)"
    r"\s+(?:that|how|why)?\s*"
)
_INSTRUCTION = re.compile(rf"^\s*(?:{_ASKS_ZH}|{_ASKS_EN})", re.IGNORECASE)


def statement(criterion: str) -> str:
    """What a criterion wants said, without the words that ask for it ("States that ...", "说明……")."""
    return _INSTRUCTION.sub("", criterion, count=1).strip() or criterion


@dataclass(frozen=True)
class Judgement:
    """One criterion of one answer. span: [start, end) in the raw text of the clause it was judged on."""

    masses: np.ndarray
    place: int
    span: tuple[int, int] | None


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
        """One mark a response, in order; the same text with the same reading confidence is scored once."""
        task = _Task(item, language, self)
        cached = lru_cache(maxsize=None)(task.mark)
        return [_addressed(cached(response.text, response.confidence), response) for response in responses]

    def probabilities(self, question: str, references: Sequence[str], answer: View) -> tuple[np.ndarray, np.ndarray]:
        """(features, 5 probabilities: four steps passed, then contradiction) of an answer that has tokens."""
        features = self.extractor.holistic(question, references, answer)
        return features, self._session.run(None, {"features": features[None, :]})[0][0]


class _Task:
    """One item, ready to mark answers to it."""

    def __init__(self, item: ShortAnswerItem, language: str, scorer: LexicalScorer) -> None:
        self.item, self.language, self.scorer = item, language, scorer
        self.references = tuple(text for text in item.reference_answers if look(text).tokens)
        self.criteria = [(c.id, c.marks, self._beside(statement(c.criterion))) for c in item.rubric]
        self.step = odds.mark_step([item.max_mark, *(c.marks for c in item.rubric)])
        self.whole = self.references or tuple(text for _, _, texts in self.criteria for text in texts[:1])

    def _beside(self, criterion: str) -> tuple[str, ...]:
        """The criterion and, of each reference answer, the clauses that say it, where some do."""
        sight, texts = self.scorer.extractor.sight, [criterion]
        for reference in self.references:
            score, span = self.scorer.extractor.stretch(sight(criterion), sight(reference))
            if span and score >= _SIMILAR:
                texts.append(sight(reference).text[slice(*span)])
        return tuple(texts)

    def mark(self, raw: str, reading: float) -> Mark:
        """The mark of one text, for nobody yet. reading: confidence of the transcription."""
        answer = look(raw)
        doubt = ["ocr_doubtful"] if reading < triage.OCR_DOUBT else []
        if not raw.strip():
            return self._nothing(reading, ["blank", *doubt])
        sight = self.scorer.extractor.sight
        question, references = sight(self.item.prompt), [sight(text) for text in self.whole]
        found = [*doubt, *triage.text_flags(raw, answer, question, references, self.language)]
        if not answer.tokens or not any(reference.tokens for reference in references):
            return self._nothing(reading, [*found, "low_confidence"] if references else [*found, "no_scorer"])
        features, passes = self.scorer.probabilities(self.item.prompt, self.whole, answer)
        opposed = float(passes[4] * (1 - passes[3]))
        weights = self.scorer.extractor.weights
        measures = triage.measure(answer, question, references, features.tolist(), opposed, weights)
        found += triage.model_flags(measures, self.scorer.limits)
        return self._decide(answer, passes, reading, found)

    def _decide(self, answer: View, passes: np.ndarray, reading: float, found: list[str]) -> Mark:
        if self.criteria:
            judged = [self._judge(texts, marks, answer) for _, marks, texts in self.criteria]
        else:
            span = self.scorer.extractor.best_clause(self.scorer.extractor.sight(self.whole[0]), answer)[1]
            masses = odds.distribution(passes[:4], self.item.max_mark, self.step)
            judged = [Judgement(masses, odds.median(masses), answer.span(*span) if span else None)]
        masses = odds.total([one.masses for one in judged])
        most = round(self.item.max_mark / self.step)
        place = min(sum(one.place for one in judged), most)
        reach = int(self.item.mark_tolerance / self.step + 1e-9)
        kind = odds.Calibration.key(bool(self.criteria), self.language, reach)
        sure = reading * self.scorer.calibration.apply(kind, odds.agreement(masses, place, reach))
        if sure < self.scorer.limits.confidence:
            found.append("low_confidence")
        if not reach and odds.boundary_gap(masses, place) < self.scorer.limits.boundary:
            found.append("near_boundary")
        criteria = tuple(self._criterion(name, one) for (name, _, _), one in zip(self.criteria, judged, strict=False))
        return self._propose(place * self.step, sure, found, criteria)

    def _judge(self, texts: tuple[str, ...], marks: float, answer: View) -> Judgement:
        """One criterion, judged on the stretch of the answer that is closest to it."""
        extractor = self.scorer.extractor
        span = extractor.closest([extractor.sight(text) for text in texts], answer)
        if span is None:
            return Judgement(odds.distribution(np.zeros(4), marks, self.step), 0, None)
        _, passes = self.scorer.probabilities(self.item.prompt, texts, answer.part(*span))
        masses = odds.distribution(passes[:4], marks, self.step)
        return Judgement(masses, odds.median(masses), answer.span(*span))

    def _criterion(self, name: str, one: Judgement) -> CriterionMark:
        kind = odds.Calibration.key(True, self.language, 0)
        sure = self.scorer.calibration.apply(kind, odds.agreement(one.masses, one.place, 0))
        return CriterionMark(name, round(one.place * self.step, 6), round(sure, 4), one.span)

    def _nothing(self, reading: float, found: list[str]) -> Mark:
        """No text to mark: nothing earns nothing, and that is as sure as the reading."""
        criteria = tuple(CriterionMark(name, 0.0, reading, None) for name, _, _ in self.criteria)
        return self._propose(0.0, reading if found[0] == "blank" else 0.0, found, criteria)

    def _propose(self, mark: float, sure: float, found: list[str], criteria: tuple[CriterionMark, ...]) -> Mark:
        codes = flags.check(("model_proposal", *found))
        status: Status = "review" if flags.blocking(codes) else "proposed"
        value, most = round(mark, 6), self.item.max_mark
        marker = LexicalScorer.name
        return Mark("", self.item.id, min(value, most), most, round(sure, 4), status, codes, marker, criteria)


def _addressed(mark: Mark, response: Response) -> Mark:
    return replace(mark, candidate=response.candidate)


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
