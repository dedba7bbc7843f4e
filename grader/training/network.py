"""The small network of the lexical scorer: ordinal outputs, trained with torch, averaged and written as ONNX.

The graph takes raw features (1 x F) and holds the standardisation, every member of the ensemble and their
average, so that run time applies nothing but the graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from grader.scoring.confidence import STEPS
from grader.training.rows import Row, source_weights

CLIP = 6.0  # standard deviations beyond which a feature says no more


@dataclass(frozen=True)
class Recipe:
    """Everything that decides the weights, beside the data."""

    seed: int = 20240501
    folds: int = 5
    repeats: int = 2
    hidden: int = 48
    second: int = 24
    dropout: float = 0.2
    epochs: int = 60
    batch: int = 256
    rate: float = 2e-3
    decay: float = 3e-3
    balance: float = 0.5  # a set of n rows weighs n ** (1 - balance)
    made: float = 0.3  # weight of an answer made by rule beside a human-graded one
    contradiction: float = 0.5  # weight of the contradiction loss


class Network(nn.Module):
    """Features → 4 falling logits of "the score passes step k", and 1 logit of "contradicts"."""

    mean: torch.Tensor
    scale: torch.Tensor

    def __init__(self, features: np.ndarray, recipe: Recipe) -> None:
        super().__init__()
        mean, deviation = features.mean(0), features.std(0)
        deviation[deviation < 1e-6] = 1.0
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(1 / deviation, dtype=torch.float32))
        self.first = nn.Linear(features.shape[1], recipe.hidden)
        self.second = nn.Linear(recipe.hidden, recipe.second)
        self.last = nn.Linear(recipe.second, len(STEPS) + 1)
        self.dropout = nn.Dropout(recipe.dropout)

    def forward(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        standard = ((features - self.mean) * self.scale).clamp(-CLIP, CLIP)
        hidden = self.dropout(torch.relu(self.first(standard)))
        out = self.last(self.dropout(torch.relu(self.second(hidden))))
        # the first logit is free; each later one lies below the one before: probabilities can only fall
        gaps = nn.functional.softplus(out[:, 1:4])
        steps = torch.cat([out[:, :1], out[:, :1] - torch.cumsum(gaps, 1)], 1)
        return steps, out[:, 4]


def targets(rows: Sequence[Row]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(passes n x 4, known n x 4, contradicts n, known n). An answer graded only "incorrect" may be partly
    right: of it nothing is known but that it does not pass the last step."""
    score = np.array([row.score for row in rows])
    passes = (score[:, None] > np.array(STEPS)).astype(np.float32)
    known = np.ones_like(passes)
    known[[row.label == "incorrect" for row in rows], :3] = 0.0
    contradicts = np.array([row.label == "contradictory" for row in rows], np.float32)
    judged = np.array([row.label in ("contradictory", "incorrect") for row in rows], np.float32)
    return passes, known, contradicts, judged


def fit(features: np.ndarray, rows: Sequence[Row], real: int, recipe: Recipe, seed: int) -> Network:
    """Train one member. The first `real` rows were graded by people, the others are made by rule.
    Same inputs and seed, same weights (one thread)."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    network = Network(features, recipe)
    weight = source_weights(rows, recipe.balance)
    weight[real:] *= recipe.made
    columns = (features, *targets(rows), weight)
    data = [torch.from_numpy(np.ascontiguousarray(column)) for column in columns]
    optimiser = torch.optim.AdamW(network.parameters(), lr=recipe.rate, weight_decay=recipe.decay)
    batches = -(-len(rows) // recipe.batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.rate, total_steps=recipe.epochs * batches)
    for _ in range(recipe.epochs):
        for chosen in torch.randperm(len(rows)).split(recipe.batch):
            loss = _loss(network, [column[chosen] for column in data], recipe)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return network.eval()


def _loss(network: Network, columns: Sequence[torch.Tensor], recipe: Recipe) -> torch.Tensor:
    features, passes, known, contradicts, judged, weight = columns
    steps, opposed = network(features)
    entropy = nn.functional.binary_cross_entropy_with_logits
    graded = (entropy(steps, passes, reduction="none") * known).sum(1) / known.sum(1)
    spoken = entropy(opposed, contradicts, reduction="none") * judged
    return ((graded + recipe.contradiction * spoken) * weight).mean()


@torch.no_grad()
def predict(members: Sequence[Network], features: np.ndarray) -> np.ndarray:
    """n x 5 probabilities, averaged over the members: four steps, then contradiction."""
    outs = []
    for member in members:
        steps, opposed = member(torch.from_numpy(features))
        outs.append(torch.cat([steps, opposed[:, None]], 1).sigmoid())
    mean: np.ndarray = torch.stack(outs).mean(0).numpy()
    return mean


def export(members: Sequence[Network], path: Path, metadata: dict[str, str]) -> None:
    """Write one ONNX graph: features (1 x F float32) → probabilities (1 x 5)."""
    tensors: list[onnx.TensorProto] = []
    nodes: list[onnx.NodeProto] = []

    def hold(name: str, value: np.ndarray) -> str:
        tensors.append(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), name))
        return name

    def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    low, high = hold("low", np.array(-CLIP)), hold("high", np.array(CLIP))
    falling = hold("falling", -np.triu(np.ones((3, 3))))
    for name, cut in (("zero", [0]), ("one", [1]), ("four", [4]), ("five", [5])):
        tensors.append(numpy_helper.from_array(np.array(cut, np.int64), name))
    for number, member in enumerate(members):
        state = {key: value.numpy() for key, value in member.state_dict().items()}

        def at(name: str, number: int = number) -> str:
            return f"m{number}.{name}"

        centred = node("Sub", ["features", hold(at("mean"), state["mean"])], at("centred"))
        scaled = node("Mul", [centred, hold(at("scale"), state["scale"])], at("scaled"))
        value = node("Clip", [scaled, low, high], at("standard"))
        for layer in ("first", "second", "last"):
            weight = hold(at(f"{layer}.weight"), state[f"{layer}.weight"])
            bias = hold(at(f"{layer}.bias"), state[f"{layer}.bias"])
            value = node("Gemm", [value, weight, bias], at(layer), transB=1)
            if layer != "last":
                value = node("Relu", [value], at(f"{layer}.relu"))
        top = node("Slice", [value, "zero", "one", "one"], at("top"))
        gaps = node("Softplus", [node("Slice", [value, "one", "four", "one"], at("raw"))], at("gaps"))
        below = node("Add", [node("MatMul", [gaps, falling], at("sum")), top], at("below"))
        opposed = node("Slice", [value, "four", "five", "one"], at("opposed"))
        logits = node("Concat", [top, below, opposed], at("logits"), axis=1)
        node("Sigmoid", [logits], at("probabilities"))
    node("Mean", [f"m{number}.probabilities" for number in range(len(members))], "probabilities")
    width = members[0].first.in_features
    graph = helper.make_graph(
        nodes, "lexical",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, [1, width])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [1, len(STEPS) + 1])],
        tensors,
    )  # fmt: skip
    # Slice takes starts, ends, axes: axis 1 is the constant "one"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString(deterministic=True))
