"""Runs that make one scorer together: the mean of what they said of the same held-out answers, or a refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from bundles import ROWS
from click.testing import CliRunner

from grader.errors import UsageError

pytest.importorskip("torch")
pytest.importorskip("onnx")

from grader.cli.export import command
from grader.training import shipping
from grader.training.recipe import Recipe


def run(folder: Path, base: str, places: list[int], value: float) -> shipping.Run:
    """A finished run of which only the held-out predictions count."""
    folder.mkdir()
    recipe = Recipe.load("en").model_copy(update={"base": base})
    recipe.claim(folder)
    said = np.full((len(places), 7), value, np.float32)
    np.savez(folder / "held.npz", place=places, probabilities=said, contradictions=said[:1])
    return shipping.Run.open(folder)


@pytest.fixture(autouse=True)
def few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping.Run, "rows", lambda self, folder: ROWS)


def test_runs_are_heard_in_the_mean(tmp_path: Path) -> None:
    runs = [run(tmp_path / "a", "minilm", [0, 2], 0.25), run(tmp_path / "b", "mpnet", [0, 2], 0.75)]
    places, said, turned = shipping.held_by(runs, tmp_path)
    assert places == [0, 2]
    assert (said == 0.5).all()
    assert said.shape == (2, 7)
    assert turned.shape == (1, 7)
    assert (shipping.held_by(runs[:1], tmp_path)[1] == 0.25).all()


def test_runs_that_held_out_other_answers_are_refused(tmp_path: Path) -> None:
    runs = [run(tmp_path / "a", "minilm", [0, 2], 0.25), run(tmp_path / "b", "mpnet", [0, 3], 0.75)]
    with pytest.raises(UsageError, match="other questions"):
        shipping.held_by(runs, tmp_path)
    with pytest.raises(UsageError, match=r"held\.npz"):
        shipping.held_by([run(tmp_path / "c", "mpnet", [0, len(ROWS)], 0.5)], tmp_path)


def test_a_run_knows_its_networks(tmp_path: Path) -> None:
    one = run(tmp_path / "a", "mpnet", [0], 0.5)
    trained = one.trained("fold-0")
    assert trained.state == tmp_path / "a" / "fold-0" / "model.pt"
    assert (trained.base, trained.weights, one.trained().state.parent.name) == ("mpnet", "int8", "final")
    with pytest.raises(UsageError, match="not a finished training run"):
        shipping.Run.open(tmp_path)


def test_weights_are_given_once_or_for_each_run(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        run(tmp_path / name, "mpnet", [0], 0.5)
    options = ["--out", str(tmp_path / "out"), "--weights", "int8", "--weights", "int4"]
    result = CliRunner().invoke(command, [*(str(tmp_path / name) for name in ("a", "b", "c")), *options])
    assert isinstance(result.exception, UsageError)
    assert "3 runs, 2 --weights" in str(result.exception)
