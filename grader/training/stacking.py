"""Fits the plain numbers of a bundle: how two judges are summed, how sure that makes, where flags stand.

Everything is fitted on questions that neither judge had seen, sets balanced, with few parameters drawn
towards doing nothing: a map that is to hold on new questions and new subjects must not follow the sets closely.
What it is worth is measured on sets that took no part in the fit (leave one set out).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import onnx
import onnxruntime

from grader.resources import model_path
from grader.scoring import triage
from grader.scoring.features import Extractor
from grader.scoring.stacking import KINDS, SIGNALS, UNFITTED, Signals, Stack, logit, sigmoid, signals
from grader.scoring.text import look
from grader.training import metrics, validation
from grader.training.network import Recipe, targets
from grader.training.rows import Row, balanced_folds, source_weights
from grader.training.validation import Decision

CLASSES = ("correct", "contradictory", "incorrect")
_PULL = {"steps": 30.0, "confidence": 60.0}  # strength of the pull towards doing nothing, in answers
_BALANCE = 0.5  # of the sets, in the sum of the judges: small ones are too noisy to weigh alike
_RIGHT_APART = 0.03  # at most this share of the right marks is flagged because the judges disagree
_CLAUSE_LEAST = 0.6
_NEVER = 2.0  # beyond any probability
_WORTH = 0.01  # of macro-F1: what a shift of the rare class must gain on the held-out questions
_TELLS = 0.5  # share of made contradictions that a class nobody graded must find to be heard


@dataclass(frozen=True, eq=False)
class Held:
    """What was said of rows whose questions were held out. encoder: n x 7 (steps, classes); lexical: n x 5;
    features: n x F of the lexical scorer. turned: m x 7 of the encoder, of contradictions made by rule of right answers
    among the rows."""

    rows: Sequence[Row]
    encoder: np.ndarray
    lexical: np.ndarray
    features: np.ndarray
    turned: np.ndarray = field(default_factory=lambda: np.zeros((0, 7)))

    def part(self, chosen: Iterable[int]) -> Held:
        """Some of the rows."""
        places = list(chosen)
        rows = [self.rows[place] for place in places]
        return Held(rows, self.encoder[places], self.lexical[places], self.features[places])


@dataclass(frozen=True)
class Judged:
    """A decision beside a human's, with the signals of its confidence; kind: of grader.scoring.stacking."""

    decision: Decision
    found: Signals
    source: str

    @property
    def kind(self) -> str:
        """Without the language, which the bundle fixes."""
        path, _, strict = self.decision.kind.split("/")
        return f"{path}/{strict}"


def held_out(rows: Sequence[Row], places: Sequence[int], encoder: np.ndarray, extractor: Extractor) -> Held:
    """rows: the whole training part of every set, because folds are dealt set by set. places: of those that were
    held out; encoder: n x 7 by networks that never saw their questions."""
    own = [rows[place] for place in places]
    features = np.stack([extractor.holistic(row.question, row.references, look(row.text)) for row in own])
    recipe = Recipe()
    folds = np.array(balanced_folds(rows, recipe.folds, recipe.seed))[list(places)]
    return Held(own, encoder, _lexical_out_of_fold(features, folds.tolist()), features)


def _lexical_out_of_fold(features: np.ndarray, folds: Sequence[int]) -> np.ndarray:
    """n x 5 by those members of the shipped lexical ensemble that were trained without each row's fold."""
    recipe = Recipe()
    graph = onnx.load(str(model_path("scorer/lexical.onnx")))
    count = recipe.folds * recipe.repeats
    for member in range(count):
        graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(f"m{member}.probabilities"))
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [f"m{member}.probabilities" for member in range(count)]
    found = np.zeros((len(folds), 5), np.float32)
    for place, fold in enumerate(folds):
        outs = session.run(names, {"features": features[place][None]})
        found[place] = np.mean(outs[fold * recipe.repeats : (fold + 1) * recipe.repeats], axis=0)[0]
    return found


def fit(held: Held, extractor: Extractor) -> tuple[dict[str, Any], dict[str, float], dict[str, Any]]:
    """(stacking numbers, limits, report) of a bundle, holistic marks only; see grader.training.rubric_confidence."""
    numbers = fit_steps(held)
    judged = decisions(held, Stack.read(numbers))
    numbers["confidence"] = fit_confidence(judged)
    natural = decisions(held, Stack.read(numbers), natural=True)
    stack = Stack.read(numbers)
    sure = np.array([stack.sure(one.kind, one.found) for one in natural])
    limits, numbers["apart"], numbers["clause"] = _limits(held, stack, natural, sure, extractor)
    opposed = stack.classes(held.turned[:, 4:])[:, 1]
    report = {
        "answers": len(held.rows),
        "contradictions": {"n": len(opposed), "told": _told(opposed, limits.contradiction)},
        "figures": figures(held, Stack.read(numbers), natural, sure),
        "left_out": left_out(held),
    }
    return numbers, asdict(limits), report


def fit_steps(held: Held) -> dict[str, Any]:
    """Weights of the judges' step logits (logistic regression over all steps known), and of the rare class. Steps get
    no bias: how easily the network of a fold says "fully right" is its own, and not that of the one that ships."""
    passes, known, _, _ = targets(held.rows)
    weight = source_weights(held.rows, _BALANCE)[:, None] * known
    judges = [logit(held.encoder[:, :4]).ravel(), logit(held.lexical[:, :4]).ravel()]
    for heard in ((0, 1), (0,)):  # a judge that would count against itself is noise: then the encoder alone
        design = np.column_stack([judges[one] for one in heard])
        start = np.eye(len(heard))[0]
        found = logistic(design, passes.ravel(), weight.ravel(), start, _PULL["steps"])
        if found.min() >= 0:
            break
    encoder, lexical = found[0], found[1] if len(heard) == 2 else 0.0
    numbers = {**UNFITTED, "encoder": plain(encoder), "lexical": plain(lexical)}
    return {**numbers, "contradictory": _rare(held, Stack.read(numbers))}


def _rare(held: Held, stack: Stack) -> float:
    """What to add to the log probability of "contradictory" for the best 3-way macro-F1 in the mean of the sets graded
    in words: the least that is as good as the best but for what chance alone would give; 0 where there is no set."""
    worded = [place for place, row in enumerate(held.rows) if row.label]
    parts = [
        [place for place in worded if held.rows[place].source == source]
        for source in dict.fromkeys(held.rows[place].source for place in worded)
    ]

    def score(shift: float) -> float:
        shifted = replace(stack, contradictory=shift)
        return float(np.mean([_macro_f1(held, shifted, part) for part in parts]))

    shifts = [round(shift, 2) + 0.0 for shift in np.arange(-1.0, 1.55, 0.1).tolist()]
    scores = {shift: score(shift) for shift in shifts} if parts else {0.0: 0.0}
    good = max(scores.values()) - _WORTH
    return min((shift for shift, one in scores.items() if one >= good), key=lambda shift: (abs(shift), shift))


def _macro_f1(held: Held, stack: Stack, places: Sequence[int]) -> float:
    """Of three classes."""
    full = stack.steps(held.encoder[places, :4], held.lexical[places, :4])[:, 3]
    given = np.array(CLASSES)[stack.named(held.encoder[places, 4:], full).argmax(1)].tolist()
    return metrics.f1_scores([held.rows[place].label for place in places], given)[0]


def logistic(
    design: np.ndarray, right: np.ndarray, weight: np.ndarray, start: np.ndarray, pull: float, rounds: int = 60
) -> np.ndarray:
    """Weights of a logistic regression by Newton's method, drawn towards `start` with the strength of `pull` rows.

    A step that would raise the penalised loss is halved until it lowers it: far from the optimum the bend is flat
    and a full step overshoots."""

    def loss(weights: np.ndarray) -> float:
        score = design @ weights
        entropy = np.logaddexp(0.0, score) - right * score
        return float((weight * entropy).sum() + pull / 2 * ((weights - start) ** 2).sum())

    found: np.ndarray = start.astype(np.float64).copy()
    before = loss(found)
    for _ in range(rounds):
        given = sigmoid(design @ found)
        slope = design.T @ (weight * (given - right)) + pull * (found - start)
        bend = (design * (weight * given * (1 - given))[:, None]).T @ design + pull * np.eye(len(found))
        change = np.linalg.solve(bend, slope)
        while loss(found - change) > before and np.abs(change).max() >= 1e-9:
            change = change / 2
        found = found - change
        before = loss(found)
        if np.abs(change).max() < 1e-9:
            break
    return found


def decisions(held: Held, stack: Stack, natural: bool = False) -> list[Judged]:
    """Each row on its own scale, and unless `natural` on every one that an item might have."""
    steps = stack.steps(held.encoder[:, :4], held.lexical[:, :4])
    made = validation.natural if natural else validation.rescaled
    return [_judged(held, one) for one in made(held.rows, steps)]


def _judged(held: Held, one: Decision) -> Judged:
    encoder, lexical = held.encoder[one.row], held.lexical[one.row]
    return Judged(one, signals(encoder[:4], encoder[4:], lexical[:4], one.raw), held.rows[one.row].source)


def fit_confidence(judged: Sequence[Judged]) -> dict[str, list[float]]:
    """Weights of the signals for each kind of decision; rubrics are as holistic marks until they
    have their own (grader.training.rubric_confidence)."""
    found = {}
    for kind in KINDS:
        chosen = [one for one in judged if one.kind.split("/")[1] == kind.split("/")[1]]
        found[kind] = [plain(one) for one in sure_weights(chosen)] if chosen else list(UNFITTED["confidence"][kind])
    return found


def sure_weights(judged: Sequence[Judged]) -> np.ndarray:
    """The weights of SIGNALS and the bias, sets weighing alike, drawn towards the plain agreement."""
    design = np.column_stack([np.stack([one.found.vector() for one in judged]), np.ones(len(judged))])
    right = np.array([one.decision.right for one in judged], float)
    sources = [one.source for one in judged]
    counts = {source: sources.count(source) for source in set(sources)}
    weight = np.array([len(judged) / len(counts) / counts[source] for source in sources])
    start = np.zeros(len(SIGNALS) + 1)
    start[0] = 1.0
    return logistic(design, right, weight, start, _PULL["confidence"])


def left_out(held: Held) -> dict[str, Any]:
    """Each set judged with numbers fitted on the other sets: what confidence is worth on another subject."""
    found = {}
    sources = list(dict.fromkeys(row.source for row in held.rows))
    for source in sources if len(sources) > 1 else []:
        others = held.part(place for place, row in enumerate(held.rows) if row.source != source)
        own = held.part(place for place, row in enumerate(held.rows) if row.source == source)
        numbers = fit_steps(others)
        numbers["confidence"] = fit_confidence(decisions(others, Stack.read(numbers)))
        stack = Stack.read(numbers)
        judged = decisions(own, stack, natural=True)
        sure = np.array([stack.sure(one.kind, one.found) for one in judged])
        right = np.array([one.decision.right for one in judged], float)
        found[source] = {
            "n": len(judged), "ece": metrics.expected_calibration_error(sure, right),
            "mean_confidence": float(sure.mean()), "right": float(right.mean()),
        }  # fmt: skip
    return found


def figures(held: Held, stack: Stack, natural: Sequence[Judged], sure: np.ndarray) -> dict[str, Any]:
    """Agreement and calibration of each set on held-out questions (the few stacking numbers saw them)."""
    found: dict[str, Any] = {}
    for source in dict.fromkeys(row.source for row in held.rows):
        places = [place for place, row in enumerate(held.rows) if row.source == source]
        mine = [place for place, one in enumerate(natural) if one.source == source]
        right = np.array([natural[place].decision.right for place in mine], float)
        one: dict[str, Any] = {"n": len(places), "within_tolerance": float(right.mean())}
        one["ece"] = metrics.expected_calibration_error(sure[mine], right)
        if held.rows[places[0]].label:
            one["macro_f1_3way"] = _macro_f1(held, stack, places)
        else:
            own = [natural[place].decision for place in mine]
            top = max(decision.top for decision in own)
            one["qwk"] = metrics.qwk([d.human for d in own], [d.place for d in own], top)
            half = np.argsort(-sure[mine], kind="stable")[: len(own) // 2]
            one["qwk_surest_half"] = metrics.qwk([own[n].human for n in half], [own[n].place for n in half], top)
        found[source] = one
    return found


def _limits(
    held: Held, stack: Stack, natural: Sequence[Judged], sure: np.ndarray, extractor: Extractor
) -> tuple[triage.Limits, float, float]:
    opposed = stack.classes(held.encoder[:, 4:])[:, 1]
    measures = [
        triage.measure(
            look(row.text), extractor.sight(row.question), [extractor.sight(text) for text in row.references],
            held.features[place].tolist(), float(opposed[place]), extractor.weights,
        )
        for place, row in enumerate(held.rows)
    ]  # fmt: skip
    limits = validation.choose_limits(held.rows, measures, [one.decision for one in natural], sure, each_set=True)
    apart = np.array([max(one.found.apart, one.found.inner) for one in natural if one.decision.right])
    if not any(row.label for row in held.rows):
        # No person ever told contradictory from otherwise wrong here: what the class head says of a clause was never
        # judged, and costs nothing. It raises a flag where it tells contradictions made by rule from right answers.
        told = _told(stack.classes(held.turned[:, 4:])[:, 1], limits.contradiction)
        kept = limits if told >= _TELLS else replace(limits, contradiction=_NEVER)
        return kept, plain(np.quantile(apart, 1 - _RIGHT_APART)), _NEVER
    clause = max(_CLAUSE_LEAST, limits.contradiction)
    return limits, plain(np.quantile(apart, 1 - _RIGHT_APART)), plain(clause)


def _told(opposed: np.ndarray, limit: float) -> float:
    """The share of contradictions that the limit finds."""
    return float((opposed >= limit).mean()) if len(opposed) else 0.0


def plain(value: float | np.floating[Any]) -> float:
    """As it stands in the bundle."""
    return round(float(value), 5)
