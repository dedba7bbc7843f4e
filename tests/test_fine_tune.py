"""Training: the same weights from the same seed, interrupted or not; recipes; varied answers; pairs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grader.errors import UsageError
from grader.training.recipe import Recipe, Stage
from grader.training.rows import Row
from grader.training.variants import beside_peers, misread

ROWS = [
    Row("set", "train", str(n % 4), f"why {n % 4}?", ("it melts in the sun",), text, score, "en", label)
    for n, (text, score, label) in enumerate(
        (
            ("the ice melts in the sun", 1.0, "correct"),
            ("it does not melt", 0.0, "contradictory"),
            ("because of the wind", 0.0, "incorrect"),
            ("melting by the warm sun", 1.0, "correct"),
        )
        * 6
    )
]
STAGE = Stage(sets=("set",), epochs=2, rate=1e-3, batch=4)


def network():
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from grader.training.cross_encoder import CrossEncoder

    torch.manual_seed(5)
    torch.set_num_threads(1)
    config = transformers.BertConfig(
        vocab_size=60, hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64
    )
    return CrossEncoder(transformers.BertModel(config, add_pooling_layer=False))


def task():
    from grader.training import fine_tune

    words = sorted({word for row in ROWS for word in f"{row.text} {row.references[0]}".split()})
    inputs = []
    for row in ROWS:
        first = [1, *(3 + words.index(word) for word in row.references[0].split()), 2]
        second = [*(3 + words.index(word) for word in row.text.split()), 2]
        inputs.append((first + second, [0] * len(first) + [1] * len(second)))
    return fine_tune.Task(inputs, ROWS, fine_tune.weights(ROWS, len(ROWS), STAGE), len(ROWS))


def weights_of(model) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in model.state_dict().items()}


def test_an_interrupted_stage_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = network()
    from grader.training import fine_tune

    whole = weights_of(fine_tune.fit(model, task(), STAGE, 7, tmp_path / "whole.pt"))

    monkeypatch.setattr(fine_tune, "_SAVE_EVERY", 5)
    real, saved = fine_tune._save, []

    def save_then_stop(*given) -> None:
        real(*given)
        saved.append(given)
        if len(saved) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(fine_tune, "_save", save_then_stop)
    with pytest.raises(KeyboardInterrupt):
        fine_tune.fit(network(), task(), STAGE, 7, tmp_path / "part.pt")
    resumed = weights_of(fine_tune.fit(network(), task(), STAGE, 7, tmp_path / "part.pt"))

    assert all(np.array_equal(whole[name], resumed[name]) for name in whole)


def test_training_learns_what_it_is_shown(tmp_path: Path) -> None:
    model = network()
    from grader.training import fine_tune

    stage = STAGE.model_copy(update={"epochs": 60, "rate": 3e-3})
    learnt = fine_tune.predict(fine_tune.fit(model, task(), stage, 7, tmp_path / "state.pt"), task().inputs)
    human = [("correct", "contradictory", "incorrect").index(row.label) for row in ROWS]
    assert (learnt[:, 4:].argmax(1) == human).all()
    assert (np.diff(learnt[:, :4]) <= 0).all()


def test_predictions_do_not_depend_on_the_others_by_more_than_rounding() -> None:
    model = network().eval()
    from grader.training import fine_tune

    inputs = task().inputs
    alone = np.concatenate([fine_tune.predict(model, [one]) for one in inputs])
    assert np.allclose(fine_tune.predict(model, inputs), alone, atol=1e-5)


def test_a_state_of_another_stage_is_refused(tmp_path: Path) -> None:
    model = network()
    from grader.training import fine_tune

    fine_tune.fit(model, task(), STAGE, 7, tmp_path / "state.pt")
    with pytest.raises(UsageError, match="another stage"):
        fine_tune.fit(network(), task(), STAGE, 8, tmp_path / "state.pt")


@pytest.mark.parametrize("name", ["en", "zh"])
def test_shipped_recipes_learn_only_from_sets_that_may_ship(name: str) -> None:
    from grader.training.pairs import PAIRS
    from grader.training.sets import SETS

    recipe = Recipe.load(name)
    used = {one for stage in (*recipe.stages, recipe.finish) for one in stage.sets}
    assert used <= set(PAIRS) | {key for key, one in SETS.items() if one.ships}


def test_a_recipe_is_refused_with_every_problem(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("name: x\nbase: gpt\nlanguages: [en]\nstages: []\nspeed: 3\n", encoding="utf-8")
    with pytest.raises(UsageError) as caught:
        Recipe.load(path)
    assert all(field in str(caught.value) for field in ("base", "finish", "speed"))
    with pytest.raises(UsageError, match="no recipe called"):
        Recipe.load("fr")


def test_a_folder_keeps_to_one_recipe(tmp_path: Path) -> None:
    Recipe.load("en").claim(tmp_path)
    Recipe.load("en").claim(tmp_path)
    with pytest.raises(UsageError, match="another recipe"):
        Recipe.load("zh").claim(tmp_path)


def test_peers_stand_beside_right_answers_of_others() -> None:
    rows = [replace(row, item="1", text=f"{row.text} number {n}") for n, row in enumerate(ROWS)]
    right = {row.text for row in rows if row.score == 1.0}
    found = beside_peers(rows, 0.5, 3)
    assert len(found) == len(rows) // 2
    assert all(row.references[0] in right and row.references[0] != row.text for row in found)
    assert found == beside_peers(rows, 0.5, 3)


def test_misreading_changes_some_answers_and_no_judgement() -> None:
    rows = [replace(row, text=row.text * 5) for row in ROWS]
    read = misread(rows, 0.5, 3)
    assert 0 < sum(a.text != b.text for a, b in zip(rows, read, strict=True)) < len(rows)
    assert [replace(row, text="") for row in rows] == [replace(row, text="") for row in read]
    assert misread(rows, 0.0, 3) == rows


@pytest.mark.data
def test_pairs_have_judged_similarities(data: Path) -> None:
    from grader.training import pairs

    for name in pairs.PAIRS:
        rows = pairs.load(data / "asag", name)
        assert len(rows) > 3000
        assert {row.split for row in rows} == {"train"}
        assert min(row.score for row in rows) >= 0
        assert max(row.score for row in rows) == 1


def test_a_stage_reads_a_share_and_the_finish_every_question_held_out() -> None:
    pytest.importorskip("torch")
    from grader.training.train import _drawn

    rows = [replace(ROWS[0], text=str(number)) for number in range(400)]
    held = np.arange(400) % 5 == 0
    chosen = {row.text for row in _drawn(rows, 0.3, 7, held)}
    assert {str(number) for number in range(0, 400, 5)} <= chosen
    assert 0.2 < (len(chosen) - 80) / 320 < 0.4
    assert len(_drawn(rows, 1.0, 7, np.zeros(400, bool))) == 400


def test_a_stage_may_read_less_of_each_text_than_the_finished_network(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from bundles import tokenizer

    from grader.training.train import Bench, lesson

    tokenizer(tmp_path / "tokenizer.json")
    long = [replace(row, text=f"{row.text} wind sun", source="set") for row in ROWS]
    recipe = Recipe.load("en").model_copy(update={"question": 8, "reference": 30, "answer": 40})
    bench = Bench(recipe, tmp_path, tmp_path, long, np.zeros(len(long)), tmp_path / "tokenizer.json", np.arange(3))
    stages = [STAGE.model_copy(update={"lengths": lengths}) for lengths in (None, (1, 2, 3))]
    whole, short = (lesson(bench, stage, long, 1, {}).inputs for stage in stages)
    assert all(len(ids) == 4 + 1 + 2 + 3 for ids, _ in short)
    assert min(len(ids) for ids, _ in whole) > 10
    assert max(len(ids) for ids, _ in whole) <= 4 + 8 + 30 + 40
