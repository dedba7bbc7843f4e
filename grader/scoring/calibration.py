"""A scorer that has learned how one exam is marked, from a sample that people marked.

The shipped scorer stays as it is and proposes; a head per item turns its proposal and the answer's description into
this exam's mark. Marks stay `proposed` or `review`: without a promise about accepted marks, everything is review.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from grader import flags
from grader.errors import UsageError
from grader.exam.exam import Exam, ShortAnswerItem
from grader.records import CriterionMark, Mark, Response, Status
from grader.scoring import confidence as odds
from grader.scoring import triage
from grader.scoring.description import BUCKETS, Description, Grams, dependencies, describe
from grader.scoring.head import Cuts, Prepared, Solved, gram_vector, scaled
from grader.scoring.marked import step_of
from grader.scoring.protocol import Scorer
from grader.scoring.risk import Promise
from grader.scoring.text import look

SCHEMA = "grader-calibration/1"
REPLACED = frozenset(("low_confidence", "near_boundary", "heads_disagree", "no_scorer"))  # the sample answers these
COMPARING = frozenset(("off_topic", "negated_reference", "contradiction", "keyword_list", "copied_question"))
_AGAIN = "run grader calibrate again for this exam"
_STRANGE = 0.02  # share of the sample itself that is farther from the rest than the limit of unlike_sample
_ROUNDING = 1e-5  # of cosines in float32: a repeated answer is never unlike itself


@dataclass(frozen=True, eq=False)
class Head:
    """One item's head, ready to mark. Blocks are joined in the order of their names.

    mean, deviation, weight: of each column; a deviation of 0 drops it. grams_weight, idf: of each bucket.
    sample: hashed n-gram counts of the marked answers, for `nearness`. muted: flags that so many marked answers
    carry that they say nothing about this item.
    """

    blocks: tuple[tuple[str, int], ...]
    mean: np.ndarray
    deviation: np.ndarray
    weight: np.ndarray
    grams_weight: np.ndarray
    idf: np.ndarray
    around: float
    centre: float
    bias: float
    slope: float
    cuts: Cuts
    sample: Grams
    limit: float
    muted: tuple[str, ...]
    answers: int

    @classmethod
    def of(cls, sample: Prepared, solved: Solved, cuts: Cuts, muted: tuple[str, ...]) -> Head:
        """From a process fitted to the whole of a sample: its weights in place of its answers."""
        weights, alpha = solved.setting.weights(), solved.alpha
        names = sorted(sample.description.blocks)
        mean, deviation, weight = [], [], []
        for name in names:
            columns = sample.columns[name]
            unit = scaled(sample.description.blocks[name], columns)
            mean.append(columns[0])
            deviation.append(columns[1])
            weight.append(weights[name] * columns[2] * (unit.T @ alpha))
        grams = np.zeros(BUCKETS)
        for row, factor in enumerate(alpha.tolist()):
            places, counts = sample.description.grams.row(row)
            grams[places] += weights["grams"] * factor * gram_vector(places, counts, sample.idf)
        return cls(
            blocks=tuple((name, sample.description.blocks[name].shape[1]) for name in names),
            mean=np.concatenate(mean), deviation=np.concatenate(deviation), weight=np.concatenate(weight),
            grams_weight=grams, idf=sample.idf, around=solved.setting.around, centre=solved.centre,
            bias=float(alpha.sum()), slope=float((alpha * (2 * sample.description.prior - 1)).sum()),
            cuts=cuts, sample=sample.description.grams, limit=strangeness_limit(sample), muted=muted,
            answers=len(sample),
        )  # fmt: skip

    def value(self, description: Description, row: int = 0) -> float:
        """Where an answer stands between nothing (0) and the full mark (1)."""
        joined = np.concatenate([description.blocks[name][row] for name, _ in self.blocks])
        unit = scaled(joined, (self.mean, self.deviation, 1.0))
        places, counts = description.grams.row(row)
        prior = float(description.prior[row])
        return (
            self.around * prior
            + (1 - self.around) * self.centre
            + self.bias
            + self.slope * (2 * prior - 1)
            + float((unit * self.weight).sum())
            + float((self.grams_weight[places] * gram_vector(places, counts, self.idf)).sum())
        )

    def nearness(self, description: Description, row: int = 0) -> float:
        """Cosine of an answer's n-grams with those of the closest marked answer, 0..1."""
        places, counts = description.grams.row(row)
        mine = np.zeros(BUCKETS)
        mine[places] = gram_vector(places, counts, self.idf)
        return float(np.add.reduceat(mine[self.sample.places] * self._vectors, self.sample.start[:-1]).max())

    @property
    def _vectors(self) -> np.ndarray:
        return _sample_vectors(self)


@lru_cache(maxsize=64)
def _sample_vectors(head: Head) -> np.ndarray:
    return np.concatenate([gram_vector(*head.sample.row(i), head.idf) for i in range(len(head.sample))])


def strangeness_limit(sample: Prepared) -> float:
    """The nearness below which an answer is unlike the sample: a low quantile of the sample's own, each answer
    beside the others; at most one answer in n + 1 of a small sample is below it by chance."""
    nearest = np.sort((sample.kernels["grams"] - 2 * np.eye(len(sample))).max(1))
    return float(nearest[max(1, int(_STRANGE * (len(sample) + 1))) - 1]) - _ROUNDING


@dataclass(frozen=True)
class Sureness:
    """Platt's map from the head's own probability of agreeing to the rate seen in cross-validation."""

    offset: float = 0.0
    slope: float = 1.0

    def apply(self, raw: float) -> float:
        """The calibrated probability."""
        logit = self.offset + self.slope * logit_of(raw)
        return 1 / (1 + math.exp(-max(-40.0, min(40.0, logit))))


def logit_of(probability: float) -> float:
    """Log odds, of a probability kept off 0 and 1."""
    kept = min(1 - 1e-4, max(1e-4, probability))
    return math.log(kept / (1 - kept))


@dataclass(frozen=True, eq=False)
class Calibration:
    """What was learned of an exam. items: item → hash of what was asked when the sample was marked. depends: the
    scorer and its weights. figures: how it did in cross-validation. sha256: of the file, "" before it is written."""

    exam: str
    items: dict[str, str]
    depends: dict[str, Any]
    heads: dict[str, Head]
    sureness: Sureness
    promise: Promise
    figures: dict[str, Any]
    sha256: str = ""

    def check(self, exam: Exam, scorer: Scorer) -> None:
        """Raise UsageError unless this was learned of this exam, as it is asked now, with this scorer."""
        if self.exam != exam.exam.id:
            what = f"the calibration was made for the exam {self.exam!r}, not for {exam.exam.id!r}"
            raise UsageError(what, "give the calibration of this exam, or leave it out")
        now = {item.id: item_hash(exam, item) for item in exam.items if isinstance(item, ShortAnswerItem)}
        gone = sorted(name for name in self.items if name not in now)
        changed = sorted(name for name, digest in self.items.items() if now.get(name, digest) != digest)
        said = [f"item {name} is gone" for name in gone] + [f"item {name} changed" for name in changed]
        if said:
            what = f"the exam is not as it was when its sample was marked: {', '.join(said)}"
            raise UsageError(what, f"undo the change, or {_AGAIN} with marks given under the new version")
        if dependencies(scorer) != self.depends:
            what = f"the calibration was made with {self.depends['scorer']}, or with other weights of it"
            raise UsageError(what, f"name that scorer, or {_AGAIN}")


def item_hash(exam: Exam, item: ShortAnswerItem) -> str:
    """Hex SHA-256 of an item as it is asked and marked."""
    data = {"language": exam.exam.language, "item": item.model_dump(mode="json")}
    return hashlib.sha256(json.dumps(data, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


class CalibratedScorer:
    """A scorer with a calibration over it. Items that were not learned are marked as without one.

    Raises UsageError where the calibration does not belong to the exam or the scorer.
    """

    def __init__(self, scorer: Scorer, calibration: Calibration, exam: Exam) -> None:
        calibration.check(exam, scorer)
        self.scorer, self.calibration = scorer, calibration
        self.name = f"{scorer.name}+calibration/1"

    def models(self) -> dict[str, str]:
        """Name of each weight file → its SHA-256; the calibration is one of them."""
        return {**self.scorer.models(), "calibration": self.calibration.sha256}

    def score(self, item: ShortAnswerItem, language: str, responses: Sequence[Response]) -> list[Mark]:
        """One mark a response, in order; the same text with the same reading confidence is scored once."""
        head = self.calibration.heads.get(item.id)
        if head is None:
            return self.scorer.score(item, language, responses)
        task = _Task(self, item, language, head)
        cached = lru_cache(maxsize=None)(task.mark)
        return [replace(cached(one.text, one.confidence), candidate=one.candidate) for one in responses]


class _Task:
    """One learned item."""

    def __init__(self, scorer: CalibratedScorer, item: ShortAnswerItem, language: str, head: Head) -> None:
        self.owner, self.item, self.language, self.head = scorer, item, language, head
        self.step = step_of(item)
        self.reach = int(item.mark_tolerance / self.step + 1e-9)

    def mark(self, text: str, reading: float) -> Mark:
        """The mark of one text, for nobody yet. reading: confidence of the transcription."""
        if not look(text).tokens:
            return self.owner.scorer.score(self.item, self.language, [Response("", self.item.id, text, reading)])[0]
        described = describe(self.owner.scorer, self.item, self.language, [text])
        calibration, proposal = self.owner.calibration, described.marks[0]
        place, agreement = decide(self.head.cuts, self.head.value(described), self.reach)
        sure = round(reading * calibration.sureness.apply(agreement), 4)
        found = kept_flags(proposal.flags, self.head.muted)
        if reading < triage.OCR_DOUBT:
            found.append("ocr_doubtful")
        if self.head.nearness(described) < self.head.limit:
            found.append("unlike_sample")
        if not calibration.promise.holds(sure):
            found.append("low_confidence")
        codes = flags.check(tuple(found))
        status: Status = "review" if flags.blocking(codes) else "proposed"
        value = min(round(place * self.step, 6), self.item.max_mark)
        criteria = reconcile(proposal.criteria, self.item, value)
        return replace(
            proposal, mark=value, confidence=sure, status=status, flags=codes, marker=self.owner.name,
            criteria=criteria,
        )  # fmt: skip


def decide(cuts: Cuts, value: float, reach: int) -> tuple[int, float]:
    """(mark in steps, the head's own probability that a human's is within `reach` steps of it)."""
    place = cuts.place(value)
    return place, odds.agreement(cuts.masses(value), place, reach)


def kept_flags(found: Sequence[str], muted: Sequence[str]) -> list[str]:
    """The scorer's flags that still hold: its own doubts are replaced by the calibration's."""
    return [code for code in found if code not in REPLACED and code not in muted]


def reconcile(criteria: Sequence[CriterionMark], item: ShortAnswerItem, mark: float) -> tuple[CriterionMark, ...]:
    """The criteria, changed until they add up to the calibrated mark: the least sure ones first, whose confidence
    is then a toss-up at best. The sample says how the whole answer is marked; evidence stays where it was found."""
    points = {one.id: one.marks for one in item.rubric}
    found = {one.id: one for one in criteria}
    change = mark - min(sum(one.mark for one in criteria), item.max_mark)
    if change < 0:  # where the rubric is capped, criteria above the cap are not what was counted
        change = mark - sum(one.mark for one in criteria)
    for one in sorted(criteria, key=lambda one: (one.confidence, one.id)):
        room = points[one.id] - one.mark if change > 0 else -one.mark
        moved = min(change, room) if change > 0 else max(change, room)
        if abs(moved) > 1e-9:
            found[one.id] = replace(one, mark=round(one.mark + moved, 6), confidence=min(one.confidence, 0.5))
            change -= moved
    return tuple(found[one.id] for one in criteria)
