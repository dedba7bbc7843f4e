"""What the lexical scorer measures of an answer beside a reference and a question. Pure Python and numpy.

Overlap measures follow the short-answer literature (Mohler et al. 2011; Sultan et al. 2016: what the question
already gave away counts apart); LCS is bit-parallel (Hyyrö 2004). All are shares in 0..1 unless named log.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from grader.errors import ModelError
from grader.scoring.lexicon import cues, opposed, verdict
from grader.scoring.text import Token, View, look, word_grams

NAMES = (
    "recall", "precision", "f1", "pair_recall", "pair_precision", "gram_recall", "gram_dice",
    "new_recall", "new_precision", "new_share_of_reference", "new_share_of_answer", "fuzzy_recall",
    "lcs_recall", "lcs_precision", "order", "rarest_covered", "heaviest_missing", "points_covered",
    "points_covered_well", "points_log", "clause_f1", "log_length_ratio", "log_answer", "log_reference",
    "question_share", "number_recall", "number_extra", "reference_has_numbers", "negation_difference",
    "negation_answer", "negation_reference", "polarity_mismatch", "both_polarities", "opposites",
    "verdict_same", "verdict_opposite", "variety", "references_log", "mean_recall", "question_log", "chinese",
)  # fmt: skip
COUNT = len(NAMES)
_FUZZY = 0.5  # least trigram Dice for two words to count as one misspelt
_UNSEEN = 1.15  # a unit absent from the table weighs this times the heaviest one in it


class Weights:
    """Inverse document frequencies. The file: {"en": {unit: idf}, "zh": {unit: idf}} in hundredths."""

    def __init__(self, table: dict[str, dict[str, int]]) -> None:
        self._table = {language: {unit: idf / 100 for unit, idf in units.items()} for language, units in table.items()}
        self._unseen = {language: _UNSEEN * max(units.values()) for language, units in self._table.items()}

    @classmethod
    def load(cls, path: Path) -> Weights:
        """Raises ModelError if the file cannot be read."""
        try:
            return cls(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, AttributeError) as error:
            raise ModelError(f"{path} is not a table of word weights: {error}", "reinstall grader") from error

    def of(self, unit: str) -> float:
        """Weight of a token, a Chinese bigram or a word pair (the mean of its words)."""
        if " " in unit:
            one, two = unit.split(" ", 1)
            return (self.of(one) + self.of(two)) / 2
        language = "zh" if ord(unit[0]) >= 0x3400 else "en"
        return self._table[language].get(unit, self._unseen[language])

    def lists(self, unit: str) -> bool:
        """Whether the table holds a word or a Chinese bigram."""
        return unit in self._table["zh" if ord(unit[0]) >= 0x3400 else "en"]

    def sum(self, units: frozenset[str] | set[str]) -> float:
        # fsum is exact, so the order of the set, which changes from process to process, cannot show
        return math.fsum(map(self.of, units)) if units else 0.0


class Extractor:
    """Turns (question, references, answer) into a vector of `COUNT` float32."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights
        self.sight = lru_cache(maxsize=1024)(look)  # references and questions come again with every answer

    def holistic(self, question: str, references: Sequence[str], answer: View) -> np.ndarray:
        """Features beside the reference that the answer is closest to."""
        asked = self.sight(question)
        seen = [self.sight(reference) for reference in references]
        recalls = [self._overlap(answer, reference) for reference in seen]
        best = max(range(len(seen)), key=lambda place: (_f1(*recalls[place]), -place))
        mean_recall = math.fsum(recall for recall, _ in recalls) / len(recalls)
        return self._pair(asked, seen[best], answer, math.log(len(seen)), mean_recall)

    def _overlap(self, answer: View, reference: View) -> tuple[float, float]:
        shared = self.weights.sum(answer.small & reference.small)
        return _share(shared, self.weights.sum(reference.small)), _share(shared, self.weights.sum(answer.small))

    def _pair(self, question: View, reference: View, answer: View, log_count: float, mean_recall: float) -> np.ndarray:
        total = self.weights.sum
        recall, precision = self._overlap(answer, reference)
        shared_pairs = total(answer.large & reference.large)
        shared_grams = len(answer.grams & reference.grams)
        new_reference, new_answer = reference.small - question.small, answer.small - question.small
        new_shared = total(new_reference & new_answer)
        heavy = sorted(new_reference or reference.small, key=lambda unit: (-self.weights.of(unit), unit))
        missing = [unit for unit in heavy if unit not in answer.small]
        common = lcs([t.text for t in reference.tokens], [t.text for t in answer.tokens])
        matched = sum(token.text in answer.small for token in reference.tokens)
        points = self.points(reference, answer)
        mismatch, both = self._polarity(reference, answer)
        said, expected = verdict(answer), verdict(reference)
        reference_cues, answer_cues = cues(reference), cues(answer)
        values = (
            recall,
            precision,
            _f1(recall, precision),
            _share(shared_pairs, total(reference.large)),
            _share(shared_pairs, total(answer.large)),
            _share(shared_grams, len(reference.grams)),
            _share(2 * shared_grams, len(reference.grams) + len(answer.grams)),
            _share(new_shared, total(new_reference)),
            _share(new_shared, total(new_answer)),
            _share(total(new_reference), total(reference.small)),
            _share(total(new_answer), total(answer.small)),
            self._fuzzy(reference, answer, recall),
            _share(common, len(reference.tokens)),
            _share(common, len(answer.tokens)),
            _share(common, matched),
            _share(sum(unit in answer.small for unit in heavy[:3]), len(heavy[:3])),
            self.weights.of(missing[0]) / 8 if missing else 0.0,
            _share(sum(point >= 0.5 for point in points), len(points)),
            _share(sum(point >= 0.8 for point in points), len(points)),
            math.log(max(1, len(points))),
            self.best_clause(reference, answer)[0],
            max(-3.0, min(3.0, math.log((len(answer.tokens) + 1) / (len(reference.tokens) + 1)))),
            math.log(len(answer.tokens) + 1),
            math.log(len(reference.tokens) + 1),
            _share(total(answer.small & question.small), total(answer.small)),
            _share(len(reference.numbers & answer.numbers), len(reference.numbers)),
            _share(len(answer.numbers - reference.numbers - question.numbers), len(answer.numbers)),
            float(bool(reference.numbers)),
            min(3, abs(reference.negations - answer.negations)) / 3,
            min(3, answer.negations) / 3,
            min(3, reference.negations) / 3,
            mismatch,
            both,
            min(3, opposed(answer_cues, reference_cues)) / 3,
            float(said * expected > 0),
            float(said * expected < 0),
            _share(len(answer.small), len(answer.tokens)),
            log_count,
            mean_recall,
            math.log(len(question.tokens) + 1),
            answer.cjk_share if answer.tokens else reference.cjk_share,
        )
        return np.array(values, np.float32)

    def points(self, reference: View, answer: View) -> list[float]:
        """The recall of each clause of the reference."""
        total = self.weights.sum
        return [_share(total(units & answer.small), total(units)) for units in reference.clause_units]

    def best_clause(self, reference: View, answer: View) -> tuple[float, tuple[int, int] | None]:
        """(F1, [start, end) in the normalised answer) of the clause closest to the reference."""
        best: tuple[float, tuple[int, int] | None] = (0.0, None)
        whole = self.weights.sum(reference.small)
        for span, units in zip(answer.clauses, answer.clause_units, strict=True):
            shared = self.weights.sum(units & reference.small)
            score = _f1(_share(shared, whole), _share(shared, self.weights.sum(units)))
            if score > best[0]:
                best = (score, span)
        return best

    def closest(self, criterion: Sequence[View], answer: View) -> tuple[int, int] | None:
        """[start, end) in the normalised answer of the run of clauses closest to any text of a criterion: from
        the best clause, neighbours are taken in while the F1 grows. None where nothing is shared."""
        best: tuple[float, tuple[int, int] | None] = (0.0, None)
        for view in criterion:
            best = max(best, self.stretch(view, answer), key=lambda found: found[0])
        return best[1]

    def stretch(self, reference: View, answer: View) -> tuple[float, tuple[int, int] | None]:
        """(F1, [start, end)) of the run of clauses of the answer closest to one text."""
        score, span = self.best_clause(reference, answer)
        if span is None:
            return score, None
        whole = self.weights.sum(reference.small)
        first = last = answer.clauses.index(span)
        units = answer.clause_units[first]
        while True:
            grown = []
            for start, end, new in ((first - 1, last, first - 1), (first, last + 1, last + 1)):
                if 0 <= new < len(answer.clauses):
                    wider = units | answer.clause_units[new]
                    shared = self.weights.sum(wider & reference.small)
                    f1 = _f1(_share(shared, whole), _share(shared, self.weights.sum(wider)))
                    grown.append((f1, start, end, wider))
            better = max(grown, key=lambda one: one[0], default=(0.0, first, last, units))
            if better[0] <= score:
                return score, (answer.clauses[first][0], answer.clauses[last][1])
            score, first, last, units = better

    def _fuzzy(self, reference: View, answer: View, recall: float) -> float:
        """Recall that also counts misspelt Latin words by their trigram Dice."""
        lost = sorted(u for u in reference.small - answer.small if len(u) > 3)[:60]
        words = sorted(u for u in answer.small - reference.small if len(u) > 3)[:200]
        if not lost or not words:
            return recall
        found = 0.0
        for unit in lost:
            grams = word_grams(unit)
            best = max(2 * len(grams & (other := word_grams(word))) / (len(grams) + len(other)) for word in words)
            found += self.weights.of(unit) * best if best >= _FUZZY else 0.0
        return min(1.0, recall + _share(found, self.weights.sum(reference.small)))

    def _polarity(self, reference: View, answer: View) -> tuple[float, float]:
        """Shares of the matched weight: negated in one only; both affirmed and negated within the answer."""
        ours, theirs = _polarities(answer.tokens), _polarities(reference.tokens)
        common = sorted(ours.keys() & theirs.keys())
        weight = math.fsum(self.weights.of(unit) for unit in common)
        turned = math.fsum(self.weights.of(unit) for unit in common if not ours[unit] & theirs[unit])
        both = math.fsum(self.weights.of(unit) for unit in common if len(ours[unit]) > len(theirs[unit]))
        return _share(turned, weight), _share(both, weight)


def _polarities(tokens: Sequence[Token]) -> dict[str, set[bool]]:
    table: dict[str, set[bool]] = {}
    for token in tokens:
        table.setdefault(token.text, set()).add(token.negated)
    return table


def _share(part: float, whole: float) -> float:
    return part / whole if whole else 0.0


def _f1(recall: float, precision: float) -> float:
    return _share(2 * recall * precision, recall + precision)


def lcs(one: Sequence[Hashable], two: Sequence[Hashable]) -> int:
    """Length of the longest common subsequence, bit-parallel."""
    places: dict[Hashable, int] = {}
    for place, element in enumerate(one):
        places[element] = places.get(element, 0) | 1 << place
    full = (1 << len(one)) - 1
    row = full
    for element in two:
        hit = row & places.get(element, 0)
        row = ((row + hit) | (row - hit)) & full
    return len(one) - row.bit_count()
