"""The cross-encoder as an ONNX graph, built node by node with ONNX Runtime's fused attention and GELU.

Weights are stored small (grader.training.stored) and expanded when the file is loaded, by casts and products of
constants (grader.scoring.weights does it; any other runtime folds them too); embeddings only for the pieces of the
text. All arithmetic is float32. A base is a BERT, or an MPNet: the same layers with a bias of attention for each
distance of two tokens (Song et al. 2020).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from grader.training.stored import WORDS, Weights, packed, rounded

_CONTRIB = "com.microsoft"
_WORDS = WORDS
_BIAS = "base.encoder.relative_attention_bias.weight"
PADDING = 2  # MPNet's position of the first token
OF_BERT = {  # MPNet's name of a part → that of a BertModel
    "attention.attn.q": "attention.self.query", "attention.attn.k": "attention.self.key",
    "attention.attn.v": "attention.self.value", "attention.attn.o": "attention.output.dense",
    "attention.LayerNorm": "attention.output.LayerNorm",
}  # fmt: skip


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
        """Dense matrices side by side, as input x output channels. All of it is constant."""
        parts = [rounded(name, self.state[name], self.kind) for name in names]
        stored = np.concatenate([part for part, _ in parts]).T
        scales = [scale for _, scale in parts if scale is not None]
        if self.kind == "fp32":
            return self.hold(f"{output}.stored", stored)
        if not scales:
            return self.node("Cast", [self.hold(f"{output}.stored", stored)], f"{output}.cast", to=TensorProto.FLOAT)
        scale = np.concatenate(scales).T[:, None]  # blocks x 1 x output
        blocks = self._held(stored.reshape(len(scale), -1, stored.shape[1]), 1, f"{output}.stored")
        product = self._product(blocks, self.hold(f"{output}.scale", scale), 1, output)
        shape = self.hold(f"{output}.shape", np.array(stored.shape, np.int64))
        return self.node("Reshape", [product, shape], f"{output}.matrix")

    def words(self) -> str:
        """The embeddings of the pieces of the text, n x T x h."""
        stored, scale = rounded(_WORDS, self.state[_WORDS], self.kind)
        if scale is None:
            rows = self.node("Gather", [self.hold("words.stored", stored), "ids"], "words.rows")
            return self.node("Cast", [rows], "words.cast", to=TensorProto.FLOAT)
        blocks = self._held(stored.reshape(*scale.shape, -1), 2, "words.stored")
        rows = self.node("Gather", [blocks, "ids"], "words.rows")
        scales = self.node("Gather", [self.hold("words.scale", scale[..., None]), "ids"], "words.scales")
        shape = self.hold("words.shape", np.array([0, 0, stored.shape[1]], np.int64))
        return self.node("Reshape", [self._product(rows, scales, -1, "words"), shape], "words.vectors")

    def _held(self, whole: np.ndarray, axis: int, name: str) -> str:
        return self.hold(name, packed(whole, axis) if self.kind == "int4" else whole)

    def _product(self, stored: str, scale: str, axis: int, output: str) -> str:
        """Whole numbers times their scales; axis: along which two lie in a byte."""
        value = self.node("Cast", [stored], f"{output}.cast", to=TensorProto.FLOAT)
        if self.kind == "int4":  # arithmetic of small whole numbers is exact in float32
            sixteen, eight = self._number(16.0), self._number(8.0)
            high = self.node("Floor", [self.node("Div", [value, sixteen], f"{output}.shifted")], f"{output}.high")
            low = self.node("Sub", [value, self.node("Mul", [high, sixteen], f"{output}.up")], f"{output}.low")
            both = self.node("Concat", [low, high], f"{output}.both", axis=axis)
            value = self.node("Sub", [both, eight], f"{output}.whole")
        wide = self.node("Cast", [scale], f"{output}.scale.cast", to=TensorProto.FLOAT)
        return self.node("Mul", [value, wide], f"{output}.product")

    def _number(self, value: float) -> str:
        name = f"number.{value:g}"
        if all(tensor.name != name for tensor in self.tensors):
            self.hold(name, np.array(value, np.float32))
        return name


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
    made = _Builder(kind, _as_bert(state))
    hidden = state[_WORDS].shape[1]
    value = _embedded(made, epsilon, positions)
    mask = made.node("Cast", ["mask"], "mask.small", to=TensorProto.INT32)
    seen = [mask, "", _distances(made, positions)] if _BIAS in state else [mask]
    layers = sum(name.endswith("attention.self.query.weight") for name in made.state)
    for layer in range(layers):
        value = _layer(made, f"base.encoder.layer.{layer}", value, seen, heads, epsilon)
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


def _as_bert(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The state under the names of a BertModel: MPNet calls the same parts otherwise, counts positions from
    PADDING and knows no token types."""
    if _BIAS not in state:
        return dict(state)
    found = {}
    for name, value in state.items():
        part = next((theirs for theirs in OF_BERT if f".{theirs}." in name), "")
        found[name.replace(part, OF_BERT[part]) if part else name] = value
    places = "base.embeddings.position_embeddings.weight"
    found[places] = found[places][PADDING:]
    found["base.embeddings.token_type_embeddings.weight"] = np.zeros((1, found[places].shape[1]), np.float32)
    return found


def _distances(made: _Builder, positions: int) -> str:
    """The bias of attention, 1 x heads x T x T: a number for each head and bucket of distances (Raffel et al. 2020:
    near distances one by one, far ones in logarithmic buckets, before and behind apart)."""
    table = made.state[_BIAS].astype(np.float32)  # buckets x heads
    buckets = made.hold("distance.buckets", bucket_of(positions, len(table)).astype(np.uint8))
    length = made.node("Shape", ["ids"], "distance.length", start=1, end=2)
    twice = made.node("Concat", [length, length], "distance.ends", axis=0)
    starts = made.hold("distance.starts", np.array([0, 0], np.int64))
    here = made.node("Slice", [buckets, starts, twice], "distance.here")
    places = made.node("Cast", [here], "distance.places", to=TensorProto.INT64)
    rows = made.node("Gather", [made.hold("distance.table", table), places], "distance.rows")
    heads_first = made.node("Transpose", [rows], "distance.heads", perm=[2, 0, 1])
    first = made.hold("distance.first", np.array([0], np.int64))
    return made.node("Unsqueeze", [heads_first, first], "distance.bias")


def bucket_of(positions: int, buckets: int, farthest: int = 128) -> np.ndarray:
    """positions x positions: the bucket of the distance from a token (row) to another (column)."""
    distance = np.arange(positions)[None, :] - np.arange(positions)[:, None]
    half = buckets // 2
    exact, apart = half // 2, np.abs(distance)
    # float32, as the network was trained: at the edges of buckets the last bit decides
    ratio = np.log(np.maximum(apart, 1).astype(np.float32) / np.float32(exact)) / np.float32(np.log(farthest / exact))
    far = np.minimum(exact + (ratio * (half - exact)).astype(int), half - 1)
    found: np.ndarray = np.where(apart < exact, apart, far) + np.where(distance > 0, half, 0)
    return found


def _layer(made: _Builder, name: str, value: str, attended: list[str], heads: int, epsilon: float) -> str:
    inner = [f"{name}.attention.self.{part}" for part in ("query", "key", "value")]
    weight = made.matrix([f"{one}.weight" for one in inner], f"{name}.qkv")
    bias = made.hold(f"{name}.qkv.bias", np.concatenate([made.state[f"{one}.bias"] for one in inner]).astype("<f4"))
    seen = made.node("Attention", [value, weight, bias, *attended], f"{name}.seen", _CONTRIB, num_heads=heads)
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
