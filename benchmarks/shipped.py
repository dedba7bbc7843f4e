"""The networks of a shipped bundle, in PyTorch: the weights of their graphs under the names that training gives them.

What is compared with the marks of record then computes with the very weights of these marks.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch

from grader.scoring.bundle import NETWORK, read_numbers
from grader.scoring.weights import unpacked
from grader.training import cross_encoder, mpnet, stored
from grader.training.export import SHAPE
from grader.training.onnx_graph import OF_BERT, PADDING

_EMBEDDINGS = "base.embeddings"
_MPNET = {ours: theirs for theirs, ours in OF_BERT.items()}


def networks(bundle: Path) -> dict[str, torch.nn.Module]:
    """The members of a bundle by name."""
    found: dict[str, torch.nn.Module] = {}
    for name, member in read_numbers(bundle)["members"].items():
        state = state_of(bundle / name / NETWORK)
        with tempfile.NamedTemporaryFile(suffix=".pt") as file:
            torch.save(state, file.name)
            found[name] = cross_encoder.load(Path(file.name), *SHAPE[name], member["pooling"])
    return found


def state_of(path: Path) -> dict[str, torch.Tensor]:
    """The state dict of a graph that grader.training.onnx_graph built: its inverse."""
    graph = onnx.load(str(path)).graph
    held = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer}
    state = {name: value for name, value in held.items() if name.endswith((".weight", ".bias"))}
    held |= unpacked(path)[1]
    state[f"{_EMBEDDINGS}.word_embeddings.weight"] = _words(held["words.stored"], held["words.scale"])
    state[f"{_EMBEDDINGS}.position_embeddings.weight"] = held["positions.table"]
    if "types.table" in held:
        state[f"{_EMBEDDINGS}.token_type_embeddings.weight"] = held["types.table"]
    for name, value in held.items():
        if name.endswith(".qkv.matrix"):
            self = f"{name.removesuffix('.qkv.matrix')}.attention.self"
            biases = state.pop(name.replace(".matrix", ".bias"))
            for part, weight, bias in zip(
                ("query", "key", "value"), np.split(value, 3, 1), np.split(biases, 3), strict=True
            ):
                state[f"{self}.{part}.weight"], state[f"{self}.{part}.bias"] = weight.T, bias
        elif name.endswith(".wide.matrix"):
            state[name.replace(".wide.matrix", ".intermediate.dense.weight")] = value.T
        elif name.endswith(".narrow.matrix"):
            state[name.replace(".narrow.matrix", ".dense.weight")] = value.T
    state |= {"dense.weight": held["dense.matrix"].T, "head.weight": held["head"].T, "head.bias": held["head.b"]}
    if "distance.table" in held:
        state = _as_mpnet(state) | {"base.encoder.relative_attention_bias.weight": held["distance.table"]}
    return {name: torch.from_numpy(np.array(value, np.float32)) for name, value in state.items()}


def _words(whole: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Embeddings of the pieces, n x h, of whole numbers in blocks; bytes hold two of them."""
    if whole.dtype == np.uint8:
        whole = np.concatenate([whole & 15, whole >> 4], 2).astype(np.int8) - 8
    return stored.expanded(whole.reshape(len(whole), -1), scale[..., 0])


def _as_mpnet(state: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Under the names of an MPNetModel, which counts positions from PADDING."""
    found = {}
    for name, value in state.items():
        part = next((ours for ours in _MPNET if f".{ours}." in name), "")
        found[name.replace(part, _MPNET[part]) if part else name] = value
    places = f"{_EMBEDDINGS}.position_embeddings.weight"
    missing = mpnet.POSITIONS - PADDING - len(found[places])  # those that no text is long enough for
    found[places] = np.pad(found[places], ((PADDING, missing), (0, 0)))
    return found
