"""The encoder scorer: small cross-encoders read reference, answer and question together; the lexical scorer
judges beside them, and plain numbers make one mark and one confidence of all.

Every different (question, reference, answer) is read once and alone, so a mark depends on nothing else in a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path

import numpy as np

from grader.errors import ModelError
from grader.exam.exam import ShortAnswerItem
from grader.records import Mark, Response
from grader.scoring import confidence as odds
from grader.scoring import triage
from grader.scoring.bundle import Bundle, folder_for
from grader.scoring.encoding import nearest
from grader.scoring.evidence import Met, Reading, conflict, meets
from grader.scoring.lexical import LexicalScorer
from grader.scoring.network import Provider
from grader.scoring.reader import Reader, together
from grader.scoring.reversal import reversal
from grader.scoring.stacking import Signals, signals
from grader.scoring.task import ITEMS, Criterion, Judgement, Task, addressed
from grader.scoring.text import View, look

MARKER = "model:encoder/3"  # rises when other marks are made of the same readings
_ONE_CLAUSE = 0.5  # likeness from which a clause turns a criterion, which is often a single clause: alike by chance


class EncoderScorer:
    """Marks short answers in the languages of its bundle.

    Raises ModelError if there is no bundle for the language, or one that is damaged or of another version.
    """

    def __init__(self, language: str = "en", folder: Path | None = None, provider: Provider = "cpu") -> None:
        """language: of the exam; chooses the shipped bundle unless a folder is given."""
        where = folder or folder_for(language)
        if where is None:
            raise ModelError(f"there is no encoder for exams in {language!r}", "use --scorer lexical")
        self.bundle = Bundle.open(where)
        self.name = MARKER if provider == "cpu" else f"{MARKER}+{provider}"
        self.readers = [Reader(member, provider) for member in self.bundle.members]
        self.lightest = min(self.readers, key=lambda one: one.network.path.stat().st_size)
        self.lexical = LexicalScorer()
        self._task = lru_cache(maxsize=ITEMS)(lambda item, language: _EncoderTask(item, language, self))

    def models(self) -> dict[str, str]:
        """Name of each weight file → its SHA-256."""
        return {**self.bundle.models(), **self.lexical.models()}

    def score(self, item: ShortAnswerItem, language: str, responses: Sequence[Response]) -> list[Mark]:
        """One mark a response, in order; the same text is weighed once, whichever page it is on."""
        task = self._task(item, language)
        return [addressed(task.mark(response.text, response.confidence), response) for response in responses]

    def weighed(self, item: ShortAnswerItem, language: str, text: str) -> tuple[list[Reading], Signals]:
        """For fitting what rubrics are marked by: what was read for each criterion, and the signals but for agreement,
        of a text that has tokens."""
        task, answer = self._task(item, language), look(text)
        sight = self.lexical.extractor.sight
        judged, _ = task.judge(answer, sight(item.prompt), [sight(one) for one in task.whole])
        found = [one.reading for one in judged if isinstance(one, _Judged) and one.reading is not None]
        return found, task.signals(judged, 0.5)

    def reading(
        self, question: str, references: Sequence[str], answer: View, criterion: bool = False, light: bool = False
    ) -> tuple[Reading, np.ndarray, bool]:
        """(both judges on an answer that has tokens, the lexical features, whether all of it was read). criterion:
        the references say one of a rubric; light: only the lightest network is asked."""
        readers = [self.lightest] if light else self.readers
        outs, whole = zip(*(one.output(question, references, answer) for one in readers), strict=True)
        out = together(outs)
        features, lexical = self.lexical.probabilities(question, references, answer)
        steps = self.bundle.stack.steps(out.steps, lexical[:4], criterion)
        return Reading(steps, out, lexical), features, all(whole)


@dataclass(frozen=True)
class _Judged(Judgement):
    """A judgement with what its confidence is judged by."""

    reading: Reading | None = None


class _EncoderTask(Task):
    def __init__(self, item: ShortAnswerItem, language: str, scorer: EncoderScorer) -> None:
        super().__init__(item, language, scorer.lexical.extractor, scorer.bundle.limits)
        self.scorer, self.stack = scorer, scorer.bundle.stack
        self.marker = scorer.name

    def judge(self, answer: View, question: View, references: Sequence[View]) -> tuple[list[Judgement], list[str]]:
        reading, features, whole = self.scorer.reading(self.item.prompt, self.whole, answer)
        opposed = float(self.stack.classes(reading.output.classes)[1])
        measures = triage.measure(answer, question, references, features.tolist(), opposed, self.extractor.weights)
        raised = triage.model_flags(measures, self.limits)
        if not whole:
            raised.append("too_long")
        judged = [self._meets(one, answer) for one in self.criteria] or [self._whole(reading, answer, measures)]
        if any(one.conflict for one in judged) and "negated_reference" not in raised:
            raised.append("contradiction")
        found = [self._judgement(one, marks) for one, marks in zip(judged, self._marks(), strict=True)]
        apart = self.signals(found, 0.5)
        if max(apart.apart, apart.inner) >= self.stack.apart:
            raised.append("heads_disagree")
        return list(found), raised

    def _marks(self) -> list[float]:
        return [one.marks for one in self.criteria] or [self.item.max_mark]

    def _judgement(self, met: Met, marks: float) -> Judgement:
        steps = met.reading.steps if met.reading else np.zeros(4)
        left = np.array(odds.STEPS) < met.most  # more than what was not taken back cannot be earned
        masses = odds.distribution(steps * (1 - met.conflict) * left, marks, self.step)
        place = odds.median(masses)
        return _Judged(masses, place, met.span if place or met.conflict else None, met.reading)

    def _whole(self, reading: Reading, answer: View, measures: triage.Measures) -> Met:
        """The whole answer beside the reference answers; evidence is its stretch that carries most."""
        span = self.extractor.best_clause(self.extractor.sight(nearest(self.whole, answer)[0]), answer)[1]
        turned = self._conflict(self.whole, reading, answer) if measures.both or measures.polarity else 0.0
        limits = self.limits
        for share, limit in ((measures.both, limits.both), (measures.polarity, limits.polarity)):
            turned = max(turned, _taken_back(share, limit))
        most = 1 - measures.unsaid if measures.unsaid >= limits.reversed else 1.0
        return Met(reading, answer.span(*span) if span else None, turned, most)

    def _meets(self, criterion: Criterion, answer: View) -> Met:
        def read(part: View, light: bool = False) -> Reading:
            return self.scorer.reading(self.item.prompt, criterion.texts, part, criterion=True, light=light)[0]

        texts = [self.extractor.sight(text) for text in criterion.texts]
        found = meets(partial(read, light=True), read, texts, answer, self.extractor, self.stack)
        said = reversal(answer, texts, self.extractor.weights)
        turned = _taken_back(said.unsaid, max(self.limits.reversed, _ONE_CLAUSE))
        return replace(found, conflict=max(found.conflict, turned))

    def _conflict(self, texts: Sequence[str], reading: Reading, answer: View) -> float:
        def read(part: View) -> Reading:
            return self.scorer.reading(self.item.prompt, texts, part)[0]

        return conflict(read, reading, answer, self.stack)

    def confidence(self, judged: Sequence[Judgement], reach: int, agreement: float) -> float:
        path, strict = "rubric" if self.criteria else "holistic", "tolerant" if reach else "exact"
        return self.stack.sure(f"{path}/{strict}", self.signals(judged, agreement))

    def signals(self, judged: Sequence[Judgement], agreement: float) -> Signals:
        """The mean signals of the criteria."""
        known = [one.reading for one in judged if isinstance(one, _Judged) and one.reading is not None]
        there = [signals(one.output.steps, one.output.classes, one.lexical[:4], agreement) for one in known]
        if not there:
            return Signals(agreement, 0.0, 0.0, 0.0)
        apart, inner, doubt = (
            float(np.mean([getattr(s, name) for s in there])) for name in ("apart", "inner", "doubt")
        )
        return Signals(agreement, apart, inner, doubt)


def _taken_back(share: float, limit: float) -> float:
    """Probability that what was said is unsaid, from a measure of contradiction: more likely than not from the limit
    on, nothing below it."""
    return 0.5 + share / 2 if share >= limit else 0.0
