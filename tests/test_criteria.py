"""How the judges of a criterion are summed: numbers of the bundle, learnt from totals that people gave."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bundles import ROWS, bundle, trained

from grader.exam.exam import ShortAnswerItem
from grader.records import Response
from grader.scoring.encoder import EncoderScorer
from grader.scoring.evidence import Reading
from grader.scoring.lexical import LexicalScorer
from grader.scoring.network import Output
from grader.scoring.reader import Reader
from grader.scoring.stacking import UNFITTED, Signals, Stack
from grader.scoring.text import View, look
from grader.training.rows import Row

pytest.importorskip("onnx")

from grader.training import rubric_confidence
from grader.training.rubric_confidence import Weighed

ITEM = ShortAnswerItem.model_validate({
    "id": "2", "type": "short_answer", "max_mark": 2, "prompt": "Why does a wet towel dry faster on a windy day?",
    "rubric": [
        {"id": "a", "marks": 1, "criterion": "wind carries away the water vapour"},
        {"id": "b", "marks": 1, "criterion": "the water evaporates faster"},
    ],
})  # fmt: skip
YES, NO = np.array([0.98, 0.95, 0.9, 0.8]), np.array([0.4, 0.3, 0.2, 0.1])
OWN = Stack.read({**UNFITTED, "encoder": 0.5, "lexical": 0.3})


def weighed(score: float, judges: list[tuple[np.ndarray, np.ndarray]]) -> Weighed:
    """judges: (encoder, lexical) of each criterion."""
    row = Row("x", "train", "1", "q", ("a. b",), "wind", score, "en", top=len(judges))
    readings = [
        Reading(np.zeros(4), Output(first, np.full(3, 1 / 3), np.zeros(4)), np.append(second, 0.0))
        for first, second in judges
    ]
    return Weighed(row, readings, Signals(0.5, 0.1, 0.1, 0.1))


def test_a_bundle_without_numbers_of_its_own_sums_criteria_as_whole_answers() -> None:
    assert OWN.criterion == (0.5, 0.3)
    assert (OWN.steps(NO, YES, criterion=True) == OWN.steps(NO, YES)).all()
    other = Stack.read({**UNFITTED, "criterion": [0.0, 1.0]})
    assert other.steps(NO, YES, criterion=True) == pytest.approx(YES)
    assert (other.steps(NO, YES) == replace(other, criterion=(1.0, 1.0)).steps(NO, YES)).all()


@pytest.mark.parametrize("lexical_knows", [True, False])
def test_the_judge_that_is_right_about_points_gets_the_weight(lexical_knows: bool) -> None:
    """One judge knows what people gave, the other says the opposite."""
    points = [[(YES, NO), (YES, NO)], [(YES, NO), (NO, YES)], [(NO, YES), (NO, YES)]]
    scores = (0.0, 0.5, 1.0) if lexical_knows else (1.0, 0.5, 0.0)
    sample = [weighed(score, judges) for score, judges in zip(scores, points, strict=True) for _ in range(70)]
    encoder, lexical = rubric_confidence.best_weights(sample, OWN)
    assert (lexical > encoder) == lexical_knows
    chosen = replace(OWN, criterion=rubric_confidence.best_weights(sample, OWN))
    assert rubric_confidence.surprise(sample, chosen) <= rubric_confidence.surprise(sample, OWN)
    assert rubric_confidence.best_weights(sample[:150], OWN) == OWN.criterion  # too few to tell


def test_the_encoder_keeps_what_weight_costs_nothing() -> None:
    sample = [weighed(score, [(one, one)]) for score, one in ((1.0, YES), (0.0, NO)) for _ in range(110)]
    assert rubric_confidence.best_weights(sample, OWN)[0] == max(one[0] for one in rubric_confidence.GRID)


def test_only_answers_graded_in_marks_with_one_reference_of_several_points_tell(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    scorer = EncoderScorer(folder=bundle("en", tmp_path_factory.mktemp("bundle")))
    fit = Row("a", "train", "1", "q", ("wind dries the towel. the sun is hot.",), "wind. sun", 0.5, "en", top=2)
    unfit = [
        replace(fit, label="correct"), replace(fit, references=(*fit.references, "sun")), replace(fit, text=" "),
        replace(fit, references=("wind",)),
    ]  # fmt: skip
    found = rubric_confidence.weigh(scorer, [*unfit, fit, fit, fit, replace(fit, source="b")], 4)
    assert [(one.row.source, len(one.readings)) for one in found] == [("a", 2), ("a", 2), ("b", 2)]


def test_weights_and_confidence_are_fitted_together() -> None:
    sample = [weighed(0.5, [(YES, NO), (NO, YES)]) for _ in range(250)]
    numbers = {**UNFITTED, "encoder": 0.5, "lexical": 0.3, "confidence": dict(UNFITTED["confidence"])}
    report = rubric_confidence.add(numbers, sample)
    assert report["rubric/exact"]["n"] + report.get("rubric/tolerant", {"n": 0})["n"] == 2 * 250
    assert report["rubric/exact"]["ece"] <= report["rubric/exact"]["ece_borrowed"]
    assert numbers["confidence"]["holistic/exact"] == UNFITTED["confidence"]["holistic/exact"]
    assert Stack.read(numbers).criterion == tuple(numbers["criterion"])


def test_the_lightest_network_looks_for_evidence_and_all_judge_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export = pytest.importorskip("grader.training.export").export
    both = [trained(tmp_path / str(types), types=types) for types in (2, 0)]
    export(both, ROWS, tmp_path / "both", lambda _: None)
    scorer = EncoderScorer(folder=tmp_path / "both")
    heavy = next(one for one in scorer.readers if one is not scorer.lightest)
    assert scorer.lightest.network.path.stat().st_size < heavy.network.path.stat().st_size
    answer = "The wind takes the vapour away. It is hot. The sun is not wind. Water dries faster because of wind."
    read: dict[Reader, list[str]] = {one: [] for one in scorer.readers}
    output = Reader.output

    def counted(self: Reader, question: str, references: tuple[str, ...], part: View) -> tuple[Output, bool]:
        read[self].append(part.written)
        return output(self, question, references, part)

    monkeypatch.setattr(Reader, "output", counted)
    (mark,) = scorer.score(ITEM, "en", [Response("0", ITEM.id, answer)])
    assert [one.id for one in mark.criteria] == ["a", "b"]
    assert len(read[heavy]) == 1 + len(ITEM.rubric)  # the whole answer once, and what was found for each criterion
    assert len(read[scorer.lightest]) > 3 * len(read[heavy])
    readings, _ = scorer.weighed(ITEM, "en", answer)
    for found, criterion in zip(readings, ITEM.rubric, strict=True):
        assert any(
            found.output.state.tobytes()
            == scorer.reading(ITEM.prompt, [criterion.criterion], look(part))[0].output.state.tobytes()
            for part in read[heavy]
        )


def test_an_exam_is_marked_by_the_weights_of_its_bundle(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = Output(NO.astype(np.float32), np.array([0.2, 0.0, 0.8], np.float32), np.zeros(4, np.float32))
    monkeypatch.setattr(Reader, "read", lambda *_: said)
    features = np.zeros(len(LexicalScorer().probabilities("q", ["wind"], rubric_confidence.look("wind"))[0]))
    monkeypatch.setattr(LexicalScorer, "probabilities", lambda *_: (features, np.append(YES, 0.0)))
    folder, marks = bundle("en", tmp_path_factory.mktemp("bundle")), {}
    for weights in ((1.0, 0.0), (0.0, 1.0)):
        scorer = EncoderScorer(folder=folder)
        stack = Stack.read({**UNFITTED, "criterion": weights})
        monkeypatch.setattr(scorer, "bundle", replace(scorer.bundle, stack=stack))
        (mark,) = scorer.score(ITEM, "en", [Response("0", ITEM.id, "Wind takes it away. It dries.")])
        marks[weights] = mark.mark
        readings, _ = scorer.weighed(ITEM, "en", "Wind takes it away. It dries.")
        assert len(readings) == len(ITEM.rubric)
    assert marks == {(1.0, 0.0): 0.0, (0.0, 1.0): 2.0}
