"""One short-answer item, ready to mark answers to it: the path that every scorer shares.

    text → view → flags of the text → judgements (a criterion each, or one for the whole) → mark, confidence, flags

How an answer is judged and how sure that is, subclasses say. An item without a rubric is marked as one criterion
whose references are the reference answers.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from grader import flags
from grader.exam.exam import ShortAnswerItem
from grader.records import CriterionMark, Mark, Response, Status
from grader.scoring import confidence as odds
from grader.scoring import triage
from grader.scoring.features import Extractor
from grader.scoring.text import View, look

ITEMS = 64  # of an exam, made ready once and kept
_KEPT = 1024  # answers to an item that are remembered, of a few KB each
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


def addressed(mark: Mark, response: Response) -> Mark:
    """The mark of a text as this response's."""
    return replace(mark, candidate=response.candidate)


@dataclass(frozen=True)
class Judgement:
    """One criterion of one answer. masses: probability of each mark; place: the mark, in steps; span: [start, end)
    in the raw text of what it was judged on."""

    masses: np.ndarray
    place: int
    span: tuple[int, int] | None


@dataclass(frozen=True)
class Criterion:
    """One criterion of a rubric. texts: what it wants said, then the clauses of reference answers that say it."""

    id: str
    marks: float
    texts: tuple[str, ...]


class Task(ABC):
    """Marks answers to one item. limits: of the flags."""

    marker = ""

    def __init__(self, item: ShortAnswerItem, language: str, extractor: Extractor, limits: triage.Limits) -> None:
        self.item, self.language, self.extractor, self.limits = item, language, extractor, limits
        self.references = tuple(text for text in item.reference_answers if look(text).tokens)
        self.criteria = [Criterion(c.id, c.marks, self._beside(statement(c.criterion))) for c in item.rubric]
        self.step = odds.mark_step([item.max_mark, *(c.marks for c in item.rubric)])
        self.whole = self.references or tuple(text for one in self.criteria for text in one.texts[:1])
        self.reach = int(item.mark_tolerance / self.step + 1e-9)
        # the same answer comes again on other pages: it is weighed once, and only the reading's confidence differs
        self._weighed = lru_cache(maxsize=_KEPT)(self._weigh)

    @abstractmethod
    def judge(self, answer: View, question: View, references: Sequence[View]) -> tuple[list[Judgement], list[str]]:
        """The judgement of each criterion (of the whole answer, without a rubric), and the flags that came up."""

    @abstractmethod
    def confidence(self, judged: Sequence[Judgement], reach: int, agreement: float) -> float:
        """The calibrated probability of agreeing with a human. agreement: the model's own; reach: steps by which
        the mark may differ and still agree."""

    def _beside(self, criterion: str) -> tuple[str, ...]:
        sight, texts = self.extractor.sight, [criterion]
        for reference in self.references:
            score, span = self.extractor.stretch(sight(criterion), sight(reference))
            if span and score >= _SIMILAR:
                texts.append(sight(reference).text[slice(*span)])
        return tuple(texts)

    def mark(self, raw: str, reading: float) -> Mark:
        """The mark of one text, for nobody yet. reading: confidence of the transcription."""
        doubt = ["ocr_doubtful"] if reading < triage.OCR_DOUBT else []
        if not raw.strip():
            return self._nothing(reading, ["blank", *doubt])
        judged, raised = self._weighed(raw)
        found = [*doubt, *raised]
        return self._decide(judged, reading, found) if judged else self._nothing(reading, found)

    def _weigh(self, raw: str) -> tuple[list[Judgement], list[str]]:
        """What depends on the text alone: its judgements (none where there is nothing to judge) and its flags."""
        answer = look(raw)
        question, references = self.extractor.sight(self.item.prompt), [self.extractor.sight(t) for t in self.whole]
        found = triage.text_flags(raw, answer, question, references, self.language)
        if not answer.tokens or not any(reference.tokens for reference in references):
            return [], [*found, "low_confidence"] if references else [*found, "no_scorer"]
        judged, raised = self.judge(answer, question, references)
        return judged, [*found, *raised]

    def _decide(self, judged: Sequence[Judgement], reading: float, found: list[str]) -> Mark:
        masses = odds.total([one.masses for one in judged])
        most = round(self.item.max_mark / self.step)
        place = min(sum(one.place for one in judged), most)
        sure = reading * self.confidence(judged, self.reach, odds.agreement(masses, place, self.reach))
        if sure < self.limits.confidence:
            found.append("low_confidence")
        if not self.reach and odds.boundary_gap(masses, place) < self.limits.boundary:
            found.append("near_boundary")
        criteria = tuple(self._criterion(of.id, one) for of, one in zip(self.criteria, judged, strict=False))
        return self._propose(place * self.step, sure, found, criteria)

    def _criterion(self, name: str, one: Judgement) -> CriterionMark:
        sure = self.confidence([one], 0, odds.agreement(one.masses, one.place, 0))
        return CriterionMark(name, round(one.place * self.step, 6), round(sure, 4), one.span)

    def _nothing(self, reading: float, found: list[str]) -> Mark:
        """No text to mark: nothing earns nothing, and that is as sure as the reading."""
        criteria = tuple(CriterionMark(one.id, 0.0, reading, None) for one in self.criteria)
        return self._propose(0.0, reading if found[0] == "blank" else 0.0, found, criteria)

    def _propose(self, mark: float, sure: float, found: list[str], criteria: tuple[CriterionMark, ...]) -> Mark:
        codes = flags.check(("model_proposal", *found))
        status: Status = "review" if flags.blocking(codes) else "proposed"
        value, most = round(mark, 6), self.item.max_mark
        return Mark("", self.item.id, min(value, most), most, round(sure, 4), status, codes, self.marker, criteria)
