"""Training beside a teacher, and what the class head learns of answers that people graded with numbers only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from test_fine_tune import ROWS, STAGE, network, task

from grader.errors import UsageError
from grader.training.recipe import Recipe
from grader.training.rows import balanced_folds

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


def test_answers_without_a_word_get_the_class_that_is_known_of_them() -> None:
    from grader.training import fine_tune

    graded = [replace(ROWS[0], label="", score=score) for score in (1.0, 0.5, 0.0)]
    made = [replace(ROWS[0], label="", score=0.0), replace(ROWS[0], label="", score=1.0), ROWS[1]]
    rows = [ROWS[2], *graded, *made]
    lesson = fine_tune.Task([([1], [0])] * len(rows), rows, np.ones(len(rows), np.float32), 4)
    known = fine_tune._Targets.of(lesson, STAGE.model_copy(update={"worded": True}), torch.device("cpu"))
    correct, contradictory, incorrect, unsaid = 0, 1, 2, -1
    assert known.place.tolist() == [incorrect, unsaid, incorrect, unsaid, incorrect, correct, contradictory]
    assert known.seen[0].tolist() == [0, 0, 0, 1]  # of a human's "incorrect" only the last step is known
    assert (known.seen[4:] == 1).all()  # of what a rule made, the whole score
    plain = fine_tune._Targets.of(lesson, STAGE, torch.device("cpu"))
    assert plain.place.tolist() == [incorrect, unsaid, unsaid, unsaid, unsaid, unsaid, contradictory]


def test_a_student_comes_nearer_to_its_teacher(tmp_path: Path) -> None:
    from grader.training import fine_tune

    wanted = np.tile(np.array([0.9, 0.6, 0.4, 0.2, 0.2, 0.3, 0.5], np.float32), (len(ROWS), 1))
    plain = task()
    stage = STAGE.model_copy(update={"epochs": 30, "rate": 3e-3})
    taught = replace(plain, soft=wanted, alpha=1.0)
    found = fine_tune.predict(fine_tune.fit(network(), taught, stage, 7, tmp_path / "taught.pt"), plain.inputs)
    assert np.abs(found - wanted).max() < 0.1
    silent = replace(plain, soft=np.full_like(wanted, np.nan), alpha=1.0)
    alone = fine_tune.predict(fine_tune.fit(network(), plain, stage, 7, tmp_path / "plain.pt"), plain.inputs)
    unheard = fine_tune.predict(fine_tune.fit(network(), silent, stage, 7, tmp_path / "silent.pt"), plain.inputs)
    assert np.array_equal(alone, unheard)  # of answers the teacher says nothing about, the human's word counts whole


def test_the_teachers_word_goes_to_the_answer_it_was_said_of() -> None:
    from grader.training.teacher import soft

    words = {ROWS[0]: np.arange(7, dtype=np.float32)}
    found = soft([ROWS[1], ROWS[0]], words)
    assert np.isnan(found[0]).all()
    assert found[1].tolist() == list(range(7))


def test_a_teacher_that_held_out_other_questions_is_refused(tmp_path: Path) -> None:
    from grader.training.teacher import Teacher

    recipe = Recipe.load("en-mpnet")
    with pytest.raises(UsageError, match="not a training run"):
        Teacher.open(tmp_path)
    recipe.claim(tmp_path)
    teacher = Teacher(tmp_path, recipe)
    own = balanced_folds(ROWS, recipe.folds, recipe.seed)
    with pytest.raises(UsageError, match="holds out other questions"):
        teacher.words(ROWS, [(fold + 1) % recipe.folds for fold in own], 0)
    with pytest.raises(UsageError, match="is missing"):
        teacher.words(ROWS, own, 0)


def test_a_recipe_with_a_teacher_is_refused_without_one(tmp_path: Path) -> None:
    from grader.training.train import open_bench

    with pytest.raises(UsageError, match="learns from a teacher"):
        open_bench(Recipe.load("en"), tmp_path, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_what_ships_is_the_mean_with_the_weights_before_the_last_stage(tmp_path: Path) -> None:
    from grader.training import train

    model, recipe = network(), Recipe.load("en")
    own = {name: value.clone() for name, value in model.state_dict().items()}
    train._keep({name: value + value.is_floating_point() for name, value in own.items()}, tmp_path / train.ANCHOR)
    mean = train._anchored(SimpleNamespace(recipe=recipe), model, tmp_path)
    for name, value in own.items():
        assert torch.allclose(mean[name], value + recipe.anchor * value.is_floating_point(), atol=1e-6)
    plain = train._anchored(SimpleNamespace(recipe=Recipe.load("zh")), model, tmp_path)
    assert all(torch.equal(plain[name], value) for name, value in own.items())
