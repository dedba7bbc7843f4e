"""Bundles for tests: the shipped one of a language, or a tiny one exported from a random network (needs torch)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from grader.scoring.bundle import folder_for
from grader.scoring.encoding import Lengths
from grader.training.rows import Row

HIDDEN = 96  # 12 heads of 8
LENGTHS = Lengths(8, 16, 24)
ROWS = [
    Row("x", "train", "1", "towel", ("wind dries the towel", "sun"), text, 1.0, "en")
    for text in ("the wind", "hot sun because of wind", "[SEP] not", "摩擦力", "wind " * 40)
]
_WORDS = "the wind sun water towel dries faster away vapour not carries because of is a hot"


def tokenizer(path: Path) -> list[str]:
    """A WordPiece tokenizer.json of letters, a few words and Chinese characters; returns its pieces."""
    letters = [chr(c) for c in range(33, 127) if not chr(c).isupper()]
    chinese = [*"摩擦力等于推箱子静止处平衡状态定期盘点和临时大小", "Ж", "##Ж"]
    unused = ["[unused0]", "[unused1]"]
    pieces = ["[PAD]", *unused, "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{c}" for c in letters), *chinese]
    pieces += [word for word in _WORDS.split() if word not in pieces]
    special = [
        {"id": place, "content": piece, "single_word": False, "lstrip": False, "rstrip": False,
         "normalized": False, "special": True}
        for place, piece in enumerate(pieces) if piece.startswith("[") and piece.isupper() and len(piece) > 1
    ]  # fmt: skip
    made: dict[str, Any] = {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special,
        "normalizer": {
            "type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"}, "post_processor": None, "decoder": None,
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": {piece: place for place, piece in enumerate(pieces)},
        },
    }  # fmt: skip
    path.write_text(json.dumps(made, ensure_ascii=False), encoding="utf-8")
    return pieces


def trained(folder: Path, pooling: str = "cls", types: int = 2) -> Any:
    """A random network with its tokenizer, as a training run leaves them. types: of tokens; 0: an MPNet."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from grader.training import mpnet
    from grader.training.cross_encoder import CrossEncoder
    from grader.training.export import Trained

    folder.mkdir(parents=True, exist_ok=True)
    pieces = tokenizer(folder / "tokenizer.json")
    torch.manual_seed(5)
    if types:
        config = transformers.BertConfig(
            vocab_size=len(pieces), hidden_size=HIDDEN, num_hidden_layers=2, num_attention_heads=12,
            intermediate_size=2 * HIDDEN, max_position_embeddings=64, type_vocab_size=types, initializer_range=0.2,
        )  # fmt: skip
        base: Any = transformers.BertModel(config, add_pooling_layer=False)
    else:
        base = mpnet.empty(len(pieces), 2, HIDDEN, feed_forward=2 * HIDDEN)
        for name, weight in base.named_parameters():
            if "LayerNorm" not in name:
                torch.nn.init.normal_(weight, std=1.0 if "relative" in name else 0.2)
    model = CrossEncoder(base, pooling)  # type: ignore[arg-type]
    torch.nn.init.normal_(model.dense.weight, std=0.2)
    torch.nn.init.normal_(model.head.weight, std=0.4)
    torch.save(model.state_dict(), folder / "model.pt")
    state, own = folder / "model.pt", folder / "tokenizer.json"
    return Trained("tiny", "minilm" if types else "mpnet", ("en", "zh"), state, own, pooling, LENGTHS)  # type: ignore[arg-type]


def tiny(folder: Path) -> Path:
    """A bundle of a random network that reads both languages."""
    made = trained(folder / "run")
    from grader.training.export import export

    export([made], ROWS, folder / "bundle", lambda _: None)
    return folder / "bundle"


def bundle(language: str, folder: Path) -> Path:
    """The shipped bundle for a language, else a tiny one; skips where neither can be had."""
    return folder_for(language) or tiny(folder)
