"""From a state dict to a bundle: the graph says what PyTorch says, vocabularies shrink without changing a text."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import ROWS, tokenizer, trained
from hypothesis import given
from hypothesis import strategies as st

from grader.errors import ModelError, UsageError
from grader.scoring.bundle import NETWORK, Bundle
from grader.scoring.encoder import EncoderScorer
from grader.scoring.encoding import Encoding, Lengths
from grader.scoring.lexical import LexicalScorer
from grader.training.rows import Row

pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from grader.training import export, onnx_graph, stacking, stored, vocabulary  # noqa: E402  (need torch and onnx)


def quiet(_: str) -> None:
    pass


@pytest.mark.parametrize(
    ("pooling", "types", "kind"),
    [("cls", 2, "int8"), ("mean", 1, "mixed"), ("mean", 2, "fp32"), ("mean", 0, "fp32"), ("cls", 0, "int4")],
)
def test_the_graph_says_what_pytorch_says(tmp_path: Path, pooling: str, types: int, kind: Any) -> None:
    made = replace(trained(tmp_path / "run", pooling, types), weights=kind)
    report = export.export([made], ROWS, tmp_path / "out", quiet)[made.base]
    assert report["inputs"] == len(ROWS)
    assert report["parity"] < 1e-5
    if kind != "int4":  # which is too coarse for a network by chance
        assert report["rounding_moves"] < (1e-5 if kind == "fp32" else 0.05)
    assert report["pieces_dropped"] > 0
    assert Bundle.open(tmp_path / "out").languages == ("en", "zh")
    (reader,) = EncoderScorer(folder=tmp_path / "out").readers
    one, other = (reader.read("towel", "wind", text) for text in ("the hot sun", "not the wind"))
    assert not np.allclose(one.steps, other.steps, atol=1e-3)  # the network reads its input


def test_small_files_hold_small_weights(tmp_path: Path) -> None:
    made = trained(tmp_path / "run")
    sizes = {}
    for kind in ("int4", "int8", "mixed", "fp16", "fp32"):
        export.export([replace(made, weights=kind)], ROWS[:1], tmp_path / kind, quiet)  # type: ignore[arg-type]
        sizes[kind] = (tmp_path / kind / made.base / NETWORK).stat().st_size
    assert sizes["int4"] < sizes["int8"] < sizes["mixed"] < sizes["fp16"] < sizes["fp32"]


def test_a_graph_that_says_something_else_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = onnx_graph.build

    def wrong(state: Any, *rest: Any) -> Any:
        bias = state["head.bias"].copy()
        bias[0] += 0.01
        return build({**state, "head.bias": bias}, *rest)

    monkeypatch.setattr(onnx_graph, "build", wrong)
    with pytest.raises(ModelError, match="differs from PyTorch"):
        export.export([trained(tmp_path / "run")], ROWS, tmp_path / "out", quiet)
    assert not (tmp_path / "out").exists()


def test_a_state_with_another_vocabulary_is_refused(tmp_path: Path) -> None:
    made = trained(tmp_path / "run")
    whole = vocabulary.read(made.tokenizer)
    whole["model"]["vocab"]["more"] = len(whole["model"]["vocab"])
    vocabulary.write(whole, made.tokenizer)
    with pytest.raises(UsageError, match="pieces"):
        export.export([made], ROWS, tmp_path / "out", quiet)


@given(st.lists(st.floats(-3, 3, width=32), min_size=64, max_size=64))
def test_rounding_stays_within_half_a_step(values: list[float]) -> None:
    weight = np.array(values, np.float32).reshape(2, 32)
    numbers, scale = stored.rounded("dense.weight", weight, "int8")
    assert numbers.dtype == np.int8
    assert scale is not None
    whole = stored.expanded(numbers, scale)
    step = scale.astype(np.float32)
    assert (np.abs(whole - weight) <= 0.5 * step + 0.13 * step + 1e-6).all()  # the scale itself is rounded to fp16


def test_four_bits_keep_most_of_a_weight() -> None:
    weight = np.random.default_rng(3).normal(size=(16, 128)).astype(np.float32)
    numbers, scale = stored.rounded("dense.weight", weight, "int4")
    assert scale is not None
    assert scale.shape == (16, 2)
    assert (numbers.min(), numbers.max()) == (-8, 7)
    assert np.square(stored.expanded(numbers, scale) - weight).mean() < 0.012  # rounding by the greatest alone: 0.0147
    both = stored.packed(numbers, 1).astype(int)
    assert (np.concatenate([both & 15, both >> 4], 1) - 8 == numbers).all()


def test_buckets_of_distances_are_those_of_the_base() -> None:
    torch = pytest.importorskip("torch")
    encoder = pytest.importorskip("transformers.models.mpnet.modeling_mpnet").MPNetEncoder
    apart = torch.arange(400)[None, :] - torch.arange(400)[:, None]
    assert (onnx_graph.bucket_of(400, 32) == encoder.relative_position_bucket(apart, 32).numpy()).all()


def test_the_comparison_of_int8_arithmetic_runs(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    export.export([trained(tmp_path / "run")], ROWS, tmp_path / "out", quiet)
    export.dynamic_int8(tmp_path / "out" / "minilm", tmp_path / "dynamic.onnx")
    kinds = {node.op_type for node in onnx.load(str(tmp_path / "dynamic.onnx")).graph.node}
    assert any("Integer" in kind or "QAttention" in kind for kind in kinds)
    ids = np.array([[5, 30, 6, 31, 6, 32, 6]])
    inputs = {"ids": ids, "mask": np.ones_like(ids), "types": np.zeros_like(ids)}
    outs = [
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(["steps"], inputs)[0]
        for path in (tmp_path / "dynamic.onnx", tmp_path / "out" / "minilm" / NETWORK)
    ]
    assert np.abs(outs[0] - outs[1]).max() < 0.2


def test_dropped_pieces_change_no_text_that_uses_kept_ones(tmp_path: Path) -> None:
    names = tokenizer(tmp_path / "whole.json")
    whole = vocabulary.read(tmp_path / "whole.json")
    kept = vocabulary.of_languages(whole, ["en"])
    left = [names[place] for place in kept]
    assert "Ж" not in left
    assert "[unused0]" not in left
    assert {"[CLS]", "[SEP]", "[PAD]", "[UNK]", "the", "##a"} <= set(left)
    assert "推" not in left
    vocabulary.write(vocabulary.trimmed(whole, kept), tmp_path / "less.json")
    one, two = (Encoding.load(tmp_path / f"{name}.json", Lengths()) for name in ("whole", "less"))
    for text in ("the wind dries", "hot, away? 3.5", "[SEP] the"):
        ids = two.triple("", "", text).ids
        assert [int(kept[place]) for place in ids] == list(one.triple("", "", text).ids)
    assert two.triple("", "", "Ж").ids == (*two.triple("", "", "").ids[:2], 1, *two.triple("", "", "").ids[2:])


def unigram() -> dict[str, Any]:
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", "a", "b", "ab", "我", "们", "我们", "Ж", "<mask>"]
    special = [
        {"id": place, "content": piece, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
         "special": True} for place, piece in enumerate(pieces) if piece.startswith("<")
    ]  # fmt: skip
    meta = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
        "pre_tokenizer": meta, "post_processor": None, "decoder": None,
        "model": {
            "type": "Unigram", "unk_id": 3,
            "vocab": [[piece, 0.0 if piece.startswith("<") else -float(place)] for place, piece in enumerate(pieces)],
        },
    }  # fmt: skip


def test_a_special_piece_of_a_unigram_vocabulary_cannot_be_typed(tmp_path: Path) -> None:
    vocabulary.write(unigram(), tmp_path / "unigram.json")
    encoding = Encoding.load(tmp_path / "unigram.json", Lengths())
    assert encoding.triple("", "", "a</s>b<s><mask>").ids.count(2) == 3
    assert encoding.triple("", "", "</s><s>").ids.count(0) == 1


def test_a_unigram_vocabulary_is_renumbered(tmp_path: Path) -> None:
    whole = unigram()
    kept = vocabulary.of_texts(whole, ["zh", "en"], ["a b 我"])
    names = [vocabulary.pieces(whole)[place] for place in kept]
    assert names == ["<s>", "<pad>", "</s>", "<unk>", "▁", "a", "b", "我", "们", "我们"]
    vocabulary.write(vocabulary.trimmed(whole, kept), tmp_path / "less.json")
    encoding = Encoding.load(tmp_path / "less.json", Lengths())
    assert encoding.triple("", "", "我们").ids == (0, 2, 4, 9, 2, 2)
    with pytest.raises(UsageError, match="unknown"):
        vocabulary.trimmed(whole, [0, 1, 2])


def test_only_known_kinds_of_tokenizer_are_trimmed(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"model": {"type": "BPE"}}))
    with pytest.raises(UsageError, match="BPE"):
        vocabulary.read(tmp_path / "x.json")
    with pytest.raises(UsageError, match=r"no tokenizer\.json"):
        vocabulary.read(tmp_path / "y.json")


def held(seed: int, good: float) -> stacking.Held:
    """Answers to two sets, judged by an encoder that knows `good` of the truth and a lexical judge that guesses."""
    chance = np.random.default_rng(seed)
    scores = chance.integers(0, 5, 600) / 4
    rows = [
        Row(("one", "two")[place % 2], "train", str(place % 40), "q", ("r",), "a", float(score), "en", top=4)
        for place, score in enumerate(scores)
    ]
    steps = np.array([0.125, 0.375, 0.625, 0.875])

    def judge(known: float) -> np.ndarray:
        seen = known * scores + (1 - known) * chance.uniform(0, 1, len(scores))
        return 1 / (1 + np.exp(-8 * (seen[:, None] - steps)))

    encoder, lexical = judge(good), judge(0.1)
    classes = np.column_stack([encoder[:, 3], 0.3 * (1 - encoder[:, 3]), 0.7 * (1 - encoder[:, 3])])
    five = np.column_stack([lexical, np.full(len(rows), 0.1)])
    return stacking.Held(rows, np.column_stack([encoder, classes]), five, np.zeros((len(rows), 41)))


def test_the_better_judge_weighs_more_and_confidence_is_calibrated() -> None:
    learnt, fresh = held(1, 0.8), held(2, 0.8)
    numbers = stacking.fit_steps(learnt)
    assert numbers["encoder"] > 3 * abs(numbers["lexical"])
    numbers["confidence"] = stacking.fit_confidence(stacking.decisions(learnt, stacking.Stack.read(numbers)))
    stack = stacking.Stack.read(numbers)
    judged = stacking.decisions(fresh, stack, natural=True)
    sure = np.array([stack.sure(one.kind, one.found) for one in judged])
    right = np.array([one.decision.right for one in judged], float)
    assert abs(sure.mean() - right.mean()) < 0.08
    assert stacking.left_out(learnt)["one"]["n"] == 300


def test_a_class_that_nobody_judged_costs_no_mark() -> None:
    numbers_only = held(3, 0.8)
    words = ("correct", "contradictory", "incorrect")
    rows = [replace(row, label=words[place % 3]) for place, row in enumerate(numbers_only.rows)]
    in_words = stacking.Held(rows, numbers_only.encoder, numbers_only.lexical, numbers_only.features)
    found = {}
    for name, one in (("numbers", numbers_only), ("words", in_words)):
        numbers, limits, _ = stacking.fit(one, LexicalScorer().extractor)
        found[name] = (limits["contradiction"] <= 1.0, numbers["clause"] <= 1.0)
    assert found == {"numbers": (False, False), "words": (True, True)}


def test_logistic_regression_finds_the_weights_and_stays_where_nothing_speaks() -> None:
    chance = np.random.default_rng(3)
    design = np.column_stack([chance.normal(size=4000), np.ones(4000)])
    right = (chance.uniform(size=4000) < 1 / (1 + np.exp(-(2 * design[:, 0] - 1)))).astype(float)
    found = stacking.logistic(design, right, np.ones(4000), np.zeros(2), 1e-6)
    assert found == pytest.approx([2, -1], abs=0.25)
    assert stacking.logistic(design, right, np.zeros(4000), np.array([7.0, 8.0]), 1.0).tolist() == [7, 8]
