"""The cross-encoder as an ONNX graph, built node by node with ONNX Runtime's fused attention and GELU.

Weights are stored small, as int8 with an fp16 scale for each 32 of them, and expanded when the file is loaded (casts
and products of constants, which the runtime folds); embeddings only for the pieces of the text. One scale an output
channel would save 4% of the file and move probabilities several times as far. All arithmetic is float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Weights = Literal["int8", "mixed", "fp16", "fp32"]  # mixed: embeddings as int8, matrices as fp16
BLOCK = 32  # weights that share a scale
_CONTRIB = "com.microsoft"
_WORDS = "base.embeddings.word_embeddings.weight"


def rounded(name: str, weight: np.ndarray, kind: Weights) -> tuple[np.ndarray, np.ndarray | None]:
    """A tensor of the state as it is stored (rows x columns; dense layers as output x input), and its scales: with
    int8, one fp16 number for each BLOCK neighbours of a row, rows x blocks; else None."""
    if weight.ndim != 2 or not (name == _WORDS or ".layer." in name or name.startswith("dense")) or kind == "fp32":
        return weight.astype(np.float32), None  # small, or counts much
    if kind == "fp16" or (kind == "mixed" and name != _WORDS):
        return weight.astype(np.float16), None
    blocks = weight.reshape(len(weight), -1, _block(weight.shape[1]))
    scale = np.maximum(np.abs(blocks).max(2) / 127, 1e-6).astype(np.float16)
    whole = np.rint(blocks / scale.astype(np.float32)[..., None])
    return np.clip(whole, -127, 127).astype(np.int8).reshape(weight.shape), scale


def expanded(stored: np.ndarray, scale: np.ndarray | None) -> np.ndarray:
    """What the graph computes with: float32, the very products that the graph makes."""
    whole = stored.astype(np.float32)
    if scale is None:
        return whole
    blocks = whole.reshape(*scale.shape, -1) * scale.astype(np.float32)[..., None]
    return blocks.reshape(stored.shape)


def _block(width: int) -> int:
    return BLOCK if width % BLOCK == 0 else width


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
        """Dense matrices side by side, as input x output channels. All of it is constant: the runtime folds it."""
        parts = [rounded(name, self.state[name], self.kind) for name in names]
        stored = np.concatenate([part for part, _ in parts]).T
        scales = [scale for _, scale in parts if scale is not None]
        if self.kind == "fp32":
            return self.hold(f"{output}.stored", stored)
        if not scales:
            return self.node("Cast", [self.hold(f"{output}.stored", stored)], f"{output}.cast", to=TensorProto.FLOAT)
        scale = np.concatenate(scales).T[:, None]  # blocks x 1 x output
        blocks = self.hold(f"{output}.stored", stored.reshape(len(scale), -1, stored.shape[1]))
        product = self._product(blocks, self.hold(f"{output}.scale", scale), output)
        shape = self.hold(f"{output}.shape", np.array(stored.shape, np.int64))
        return self.node("Reshape", [product, shape], f"{output}.matrix")

    def words(self) -> str:
        """The embeddings of the pieces of the text, n x T x h."""
        stored, scale = rounded(_WORDS, self.state[_WORDS], self.kind)
        if scale is None:
            rows = self.node("Gather", [self.hold("words.stored", stored), "ids"], "words.rows")
            return self.node("Cast", [rows], "words.cast", to=TensorProto.FLOAT)
        blocks = self.hold("words.stored", stored.reshape(*scale.shape, -1))
        rows = self.node("Gather", [blocks, "ids"], "words.rows")
        scales = self.node("Gather", [self.hold("words.scale", scale[..., None]), "ids"], "words.scales")
        shape = self.hold("words.shape", np.array([0, 0, stored.shape[1]], np.int64))
        return self.node("Reshape", [self._product(rows, scales, "words"), shape], "words.vectors")

    def _product(self, stored: str, scale: str, output: str) -> str:
        cast = self.node("Cast", [stored], f"{output}.cast", to=TensorProto.FLOAT)
        wide = self.node("Cast", [scale], f"{output}.scale.cast", to=TensorProto.FLOAT)
        return self.node("Mul", [cast, wide], f"{output}.product")


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
    biased = made.node("Add", [out, made.whole(f"{name}.dense.bias")], f"{name}.biased")
    total = made.node("Add", [biased, before], f"{name}.sum")
    # the runtime's kernel that does all three at once takes five times as long as these (grader.scoring.network)
    return made.node("LayerNormalization", [total, *norm], f"{name}.normed", axis=-1, epsilon=epsilon)


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
