"""From a training run to a bundle that marks exams: `grader export RUN --out FOLDER`.

Weights are rounded for the file (int8 in blocks by default) and the very same rounded weights are given to
PyTorch: the graph must agree with it on every row of the check, or nothing is written. How far rounding itself
moves the network is reported beside that.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch

from grader.errors import ModelError, UsageError
from grader.resources import sha256
from grader.scoring.bundle import NETWORK, NUMBERS, TOKENIZER, VERSION, files_of, read_numbers
from grader.scoring.encoding import Encoded, Encoding, Lengths
from grader.scoring.network import Network
from grader.scoring.stacking import UNFITTED
from grader.scoring.weights import unpacked
from grader.training import bases, cross_encoder, fine_tune, mpnet, onnx_graph, stored, vocabulary
from grader.training.rows import Row
from grader.training.stored import WORDS

GRAPH = "encoder/1"
PARITY = 1e-4  # greatest difference of a probability from PyTorch's
_ROUNDED = 300  # inputs on which the effect of rounding is measured
_FLOATS = {"DefaultTensorType": onnx.TensorProto.FLOAT}  # of values whose type cannot be inferred
SHAPE = {
    "minilm": (12, 1e-12),
    "e5": (12, 1e-12),
    "mpnet": (mpnet.HEADS, mpnet.EPSILON),
}  # attention heads, epsilon of layer norm
# Where nothing was fitted, no mark is sure enough and no measured flag is raised.
_UNLIMITED = {
    "confidence": 1.0, "boundary": 0.0, "copied": 2.0, "off_topic": -1.0, "unknown": 2.0, "polarity": 2.0,
    "both": 2.0, "contradiction": 2.0, "reversed": 2.0, "scrambled": 2.0, "silent": 2.0,
}  # fmt: skip


@dataclass(frozen=True)
class Trained:
    """A trained network and what it reads. tokenizer: its vocabulary is that of the state's embeddings."""

    name: str
    base: bases.Name
    languages: tuple[str, ...]
    state: Path
    tokenizer: Path
    pooling: cross_encoder.Pooling
    lengths: Lengths
    weights: stored.Weights = "int8"  # how they are stored


def export(
    members: Sequence[Trained], rows: Sequence[Row], out: Path, say: Callable[[str], None]
) -> dict[str, dict[str, Any]]:
    """Write a folder for each member and an unfitted encoder.json into `out`; returns what was measured of each.

    rows: every one is read by PyTorch and by the graph. Raises ModelError if they differ by more than PARITY (and
    writes nothing), UsageError if a state and its tokenizer, or the members, do not belong together."""
    first = members[0]
    if len({one.base for one in members}) < len(members) or len({(one.name, one.languages) for one in members}) > 1:
        raise UsageError("the runs do not belong together", "give runs of one recipe's name, each of another base")
    with tempfile.TemporaryDirectory() as scratch:
        made: dict[str, dict[str, Any]] = {
            one.base: _member(one, rows, Path(scratch) / one.base, say) for one in members
        }
        files = [Path(base) / name for base in made for name in (NETWORK, TOKENIZER)]
        numbers = {
            "version": VERSION, "name": first.name, "languages": list(first.languages),
            "members": {
                one.base: {"pooling": one.pooling, "lengths": asdict(one.lengths), "weights": one.weights}
                for one in members
            },
            "sha256": {file.as_posix(): sha256(Path(scratch) / file) for file in files},
            "stacking": UNFITTED, "limits": _UNLIMITED,
        }  # fmt: skip
        _clear(out)
        for base in made:
            shutil.copytree(Path(scratch) / base, out / base, dirs_exist_ok=True)
    write_numbers(numbers, out)
    return made


def _member(trained: Trained, rows: Sequence[Row], folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Write the network and its tokenizer into `folder`, if the graph says what PyTorch says."""
    folder.mkdir()
    heads, epsilon = SHAPE[trained.base]
    model = cross_encoder.load(trained.state, heads, epsilon, trained.pooling)
    state, dropped = _trim(trained, model, folder / TOKENIZER)
    lengths, kind = trained.lengths, trained.weights
    positions = lengths.question + lengths.reference + lengths.answer + 4
    # the format of the graph, which the bundle's version does not tell
    notes = {"version": GRAPH, "name": trained.name, "base": trained.base, "weights": kind}
    graph = onnx_graph.build(state, heads, epsilon, trained.pooling, positions, kind, notes)
    onnx.checker.check_model(graph)
    (folder / NETWORK).write_bytes(graph.SerializeToString(deterministic=True))
    encoding = Encoding.load(folder / TOKENIZER, lengths)
    inputs = list(dict.fromkeys(cross_encoder.encode(encoding, row) for row in rows))
    say(f"{trained.base}: checking {len(inputs)} different inputs of {len(rows)} rows")
    found = _compare(model, state, Network(folder / NETWORK), inputs, kind)
    if found["parity"] > PARITY:
        what = f"the graph differs from PyTorch by {found['parity']:.1e} in a probability"
        raise ModelError(what, "export with the versions of torch and onnxruntime that the train extra names")
    megabytes = {name: round((folder / name).stat().st_size / 1e6, 2) for name in (NETWORK, TOKENIZER)}
    return {"weights": kind, "pieces_dropped": dropped, "rows": len(rows), **found, "megabytes": megabytes}


def _clear(out: Path) -> None:
    """Remove the networks of an earlier bundle in `out`: one without a place in the new one would lie there unused."""
    names: list[str] = []
    with suppress(ModelError):  # none is there, or one of another version
        names = files_of(read_numbers(out))
    for name in names:
        (out / name).unlink(missing_ok=True)
        with suppress(OSError):  # something else lies there
            (out / name).parent.rmdir()


def write_numbers(numbers: dict[str, Any], out: Path) -> None:
    """encoder.json, readable and in a fixed order."""
    text = json.dumps(numbers, ensure_ascii=False, indent=1) + "\n"
    (out / NUMBERS).write_text(text, encoding="utf-8")
    sha256.cache_clear()


def _trim(trained: Trained, model: cross_encoder.CrossEncoder, to: Path) -> tuple[dict[str, np.ndarray], int]:
    """Write the tokenizer with the pieces of the languages only; returns the state with their embeddings."""
    whole = vocabulary.read(trained.tokenizer)
    state = {name: value.numpy() for name, value in model.state_dict().items()}
    have, names = len(state[WORDS]), vocabulary.pieces(whole)
    if have < len(names):
        what = f"the state has {have} embeddings, its tokenizer {len(names)} pieces"
        raise UsageError(what, "give the tokenizer.json that the network was trained with (--tokenizer)")
    kept = vocabulary.of_languages(whole, trained.languages)
    vocabulary.write(vocabulary.trimmed(whole, kept), to)
    words = model.base.get_input_embeddings()  # type: ignore[operator]
    words.weight = torch.nn.Parameter(words.weight.detach()[torch.from_numpy(kept)].clone())
    return {**state, WORDS: state[WORDS][kept]}, len(names) - len(kept)


def _compare(
    model: cross_encoder.CrossEncoder,
    state: dict[str, np.ndarray],
    network: Network,
    inputs: Sequence[Encoded],
    kind: stored.Weights,
) -> dict[str, Any]:
    """The graph beside PyTorch, with the rounded weights and with those that were trained."""
    plain = [(list(one.ids), list(one.types)) for one in inputs]
    some = inputs[:: max(1, len(inputs) // _ROUNDED)][:_ROUNDED]
    before = fine_tune.predict(model, [(list(one.ids), list(one.types)) for one in some])
    same = {
        name: torch.from_numpy(stored.expanded(*stored.rounded(name, value, kind))) for name, value in state.items()
    }
    model.load_state_dict(same)
    expected = fine_tune.predict(model, plain)
    outs = [network.read(one) for one in inputs]
    given = np.array([[*out.steps, *out.classes] for out in outs])
    after = np.array([[*out.steps, *out.classes] for out in map(network.read, some)])
    full = (after[:, 3] > 0.5) != (before[:, 3] > 0.5)
    named = after[:, 4:].argmax(1) != before[:, 4:].argmax(1)
    return {
        "inputs": len(inputs),
        "parity": float(np.abs(given - expected).max()),
        "rounding_inputs": len(some),
        "rounding_moves": float(np.abs(after - before).max()),
        "rounding_moves_mean": float(np.abs(after - before).mean()),
        "labels_changed_2way": int(full.sum()),
        "labels_changed_3way": int(named.sum()),
    }


def dynamic_int8(member: Path, to: Path) -> None:
    """Write the network in the folder `member` with products in int8 (activations quantised as they come, per tensor;
    weights per channel): faster, but its results change with the batch and the processor, so it never gives the mark of
    record."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / NETWORK
        without, matrices = unpacked(member / NETWORK)
        model = onnx.load_from_string(without)
        for tensor in model.graph.initializer:
            if tensor.name in matrices:
                tensor.CopyFrom(onnx.numpy_helper.from_array(matrices[tensor.name], tensor.name))
        onnx.save(model, str(plain))
        quantize_dynamic(
            str(plain), str(to), weight_type=QuantType.QInt8, per_channel=True,
            op_types_to_quantize=["MatMul", "Attention"], extra_options=_FLOATS,
        )  # fmt: skip
