"""The cross-encoder as an ONNX graph, built node by node with ONNX Runtime's fused attention, GELU and layer norm.

Weights are stored small and expanded when the file is loaded (a cast and a product of constants, which the runtime
folds): matrices as int8 with one scale an output channel, embeddings as int8 with one scale a piece and expanded
only for the pieces of the text. All arithmetic is float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Weights = Literal["int8", "fp16", "fp32"]
_CONTRIB = "com.microsoft"
_WORDS = "base.embeddings.word_embeddings.weight"


def rounded(weight: np.ndarray, kind: Weights) -> tuple[np.ndarray, np.ndarray | None]:
    """A matrix as it is stored, and the scale of each of its rows (None where it has none). For dense layers, rows
    are output channels; for embeddings, pieces."""
    if kind == "int8":
        scale = np.maximum(np.abs(weight).max(1), 1e-8).astype(np.float32) / np.float32(127)
        return np.clip(np.rint(weight / scale[:, None]), -127, 127).astype(np.int8), scale
    return weight.astype(np.float16 if kind == "fp16" else np.float32), None


def expanded(stored: np.ndarray, scale: np.ndarray | None) -> np.ndarray:
    """What the graph computes with: float32, the very product that the graph makes."""
    whole = stored.astype(np.float32)
    return whole if scale is None else whole * scale[:, None]


def is_rounded(name: str, value: np.ndarray) -> bool:
    """Whether a tensor is stored small: dense matrices and word embeddings, which are nearly all of the file."""
    return value.ndim == 2 and (name == _WORDS or ".layer." in name or name.startswith("dense"))


@dataclass
class _Builder:
    kind: Weights
    state: Mapping[str, np.ndarray]
    tensors: list[onnx.TensorProto] = field(default_factory=list)
    nodes: list[onnx.NodeProto] = field(default_factory=list)

    def hold(self, name: str, value: np.ndarray) -> str:
        self.tensors.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def node(self, op: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], domain=domain, **attributes))
        return output

    def whole(self, name: str) -> str:
        """A tensor that is stored in float32."""
        return self.hold(name, self.state[name].astype(np.float32))

    def matrix(self, names: list[str], output: str) -> str:
        """Dense matrices side by side, as input x output channels."""
        parts = [rounded(self.state[name], self.kind) for name in names]
        stored = self.hold(f"{output}.stored", np.concatenate([part for part, _ in parts]).T)
        if self.kind == "fp32":
            return stored
        cast = self.node("Cast", [stored], f"{output}.cast", to=TensorProto.FLOAT)
        scales = [scale for _, scale in parts if scale is not None]
        if not scales:
            return cast
        return self.node("Mul", [cast, self.hold(f"{output}.scale", np.concatenate(scales))], f"{output}.matrix")

    def words(self) -> str:
        """The embeddings of the pieces of the text, n x T x h."""
        stored, scale = rounded(self.state[_WORDS], self.kind)
        rows = self.node("Gather", [self.hold("words.stored", stored), "ids"], "words.rows")
        cast = self.node("Cast", [rows], "words.cast", to=TensorProto.FLOAT)
        if scale is None:
            return cast
        scales = self.node("Gather", [self.hold("words.scale", scale[:, None]), "ids"], "words.scales")
        return self.node("Mul", [cast, scales], "words.vectors")


def build(
    state: Mapping[str, np.ndarray],
    heads: int,
    epsilon: float,
    pooling: str,
    positions: int,
    kind: Weights,
    metadata: Mapping[str, str],
) -> onnx.ModelProto:
    """int64 ids, mask, types (n x T) → float32 steps (n x 4), classes (n x 3) and state (n x h).

    positions: the longest sequence that will be read; the others are left out."""
    made = _Builder(kind, state)
    hidden = state[_WORDS].shape[1]
    value = _embedded(made, epsilon, positions)
    mask = made.node("Cast", ["mask"], "mask.small", to=TensorProto.INT32)
    layers = sum(name.endswith("attention.self.query.weight") for name in state)
    for layer in range(layers):
        value = _layer(made, f"base.encoder.layer.{layer}", value, mask, heads, epsilon)
    _heads(made, _pooled(made, value, pooling))
    outputs = (("steps", 4), ("classes", 3), ("state", hidden))
    graph = helper.make_graph(
        made.nodes,
        "cross_encoder",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in ("ids", "mask", "types")],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width]) for name, width in outputs],
        made.tensors,
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid(_CONTRIB, 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    helper.set_model_props(model, dict(metadata))
    return model


def _embedded(made: _Builder, epsilon: float, positions: int) -> str:
    names = {part: f"base.embeddings.{part}_embeddings.weight" for part in ("position", "token_type")}
    places, types = (made.state[name].astype(np.float32) for name in names.values())
    places = places[:positions]
    value = made.words()
    if len(types) == 1:
        places = places + types  # every token has the one type
    else:
        kinds = made.node("Gather", [made.hold("types.table", types), "types"], "types.vectors")
        value = made.node("Add", [value, kinds], "words.typed")
    length = made.node("Shape", ["ids"], "length", start=1, end=2)
    zero = made.hold("zero", np.array([0], np.int64))
    here = made.node("Slice", [made.hold("positions.table", places), zero, length, zero], "positions")
    summed = made.node("Add", [value, here], "embedded")
    norm = [made.whole(f"base.embeddings.LayerNorm.{part}") for part in ("weight", "bias")]
    return made.node("LayerNormalization", [summed, *norm], "embeddings", axis=-1, epsilon=epsilon)


def _layer(made: _Builder, name: str, value: str, mask: str, heads: int, epsilon: float) -> str:
    inner = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
    weight = made.matrix([f"{one}.weight" for one in inner], f"{name}.qkv")
    bias = made.hold(f"{name}.qkv.bias", np.concatenate([made.state[f"{one}.bias"] for one in inner]).astype("<f4"))
    seen = made.node("Attention", [value, weight, bias, mask], f"{name}.seen", _CONTRIB, num_heads=heads)
    value = _added(made, f"{name}.attention.output", seen, value, epsilon)
    wide = made.node("MatMul", [value, made.matrix([f"{name}.intermediate.dense.weight"], f"{name}.wide")], f"{name}.w")
    active = made.node("BiasGelu", [wide, made.whole(f"{name}.intermediate.dense.bias")], f"{name}.active", _CONTRIB)
    return _added(made, f"{name}.output", active, value, epsilon)


def _added(made: _Builder, name: str, value: str, before: str, epsilon: float) -> str:
    """A dense layer, the layer's input added, and layer norm."""
    out = made.node("MatMul", [value, made.matrix([f"{name}.dense.weight"], f"{name}.narrow")], f"{name}.out")
    norm = [made.whole(f"{name}.LayerNorm.{part}") for part in ("weight", "bias")]
    bias = made.whole(f"{name}.dense.bias")
    return made.node("SkipLayerNormalization", [out, before, *norm, bias], f"{name}.normed", _CONTRIB, epsilon=epsilon)


def _pooled(made: _Builder, value: str, pooling: str) -> str:
    if pooling == "cls":
        return made.node("Gather", [value, made.hold("first", np.array(0, np.int64))], "state", axis=1)
    one, last = (made.hold(name, np.array([place], np.int64)) for name, place in (("axis", 1), ("behind", 2)))
    there = made.node("Cast", ["mask"], "mask.float", to=TensorProto.FLOAT)
    column = made.node("Unsqueeze", [there, last], "mask.column")
    kept = made.node("Mul", [value, column], "kept")
    total = made.node("ReduceSum", [kept, one], "total", keepdims=0)
    count = made.node("ReduceSum", [there, one], "count", keepdims=1)
    return made.node("Div", [total, count], "state")


def _heads(made: _Builder, state: str) -> None:
    hidden = made.node("Gemm", [state, made.matrix(["dense.weight"], "dense"), made.whole("dense.bias")], "dense.out")
    weight, bias = made.state["head.weight"].astype("<f4"), made.state["head.bias"].astype("<f4")
    out = made.node(
        "Gemm",
        [made.node("Tanh", [hidden], "dense.tanh"), made.hold("head", weight.T), made.hold("head.b", bias)],
        "logits",
    )
    cuts = {place: made.hold(f"cut{place}", np.array([place], np.int64)) for place in (0, 1, 4, 7)}
    top, raw, kinds = (
        made.node("Slice", [out, cuts[start], cuts[end], cuts[1]], name)
        for start, end, name in ((0, 1, "top"), (1, 4, "gaps.raw"), (4, 7, "kinds"))
    )
    falling = made.hold("falling", -np.triu(np.ones((3, 3), np.float32)))
    sums = made.node("MatMul", [made.node("Softplus", [raw], "gaps"), falling], "gaps.sum")
    below = made.node("Add", [sums, top], "below")
    made.node("Sigmoid", [made.node("Concat", [top, below], "step.logits", axis=1)], "steps")
    made.node("Softmax", [kinds], "classes", axis=1)
