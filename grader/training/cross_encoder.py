"""The network that ships: a BERT-like encoder reads reference, answer and question together.

Over its pooled last layer: a dense layer, then four ordinal logits ("the score passes step k": the first free, each
later one lower by a softplus gap, so that probabilities can only fall) and three class logits. What it reads is
made by grader.scoring.encoding, which marks exams too.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from grader.errors import UsageError
from grader.scoring.confidence import STEPS
from grader.scoring.encoding import Encoded, Encoding, nearest
from grader.scoring.text import look
from grader.training import mpnet
from grader.training.rows import Row

CLASSES = ("correct", "contradictory", "incorrect")
OUTPUTS = len(STEPS) + len(CLASSES) + 1  # the last is spare: rounded up so that weights stay aligned
Pooling = Literal["cls", "mean"]


class CrossEncoder(nn.Module):
    """base: a BertModel without a pooler. pooling: its first token, or the mean of all tokens."""

    def __init__(self, base: nn.Module, pooling: Pooling = "cls", dropout: float = 0.1) -> None:
        super().__init__()
        hidden = int(base.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.base, self.pooling = base, pooling
        self.typed = int(getattr(base.config, "type_vocab_size", 0)) > 1
        self.drop = nn.Dropout(dropout)
        self.dense = nn.Linear(hidden, hidden)
        self.head = nn.Linear(hidden, OUTPUTS)
        nn.init.normal_(self.dense.weight, std=0.02)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(
        self, ids: torch.Tensor, mask: torch.Tensor, types: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """(4 step logits, 3 class logits, pooled state), each n x that; ids, mask, types are n x T."""
        kinds = {"token_type_ids": types} if self.typed else {}
        last = self.base(input_ids=ids, attention_mask=mask, **kinds).last_hidden_state
        state = last[:, 0] if self.pooling == "cls" else (last * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        out = self.head(self.drop(torch.tanh(self.dense(self.drop(state)))).float()).float()
        gaps = nn.functional.softplus(out[:, 1:4])
        steps = torch.cat([out[:, :1], out[:, :1] - torch.cumsum(gaps, 1)], 1)
        return steps, out[:, 4:7], state.float()


def load(path: Path, heads: int, epsilon: float, pooling: Pooling) -> CrossEncoder:
    """The network of a state dict (`base.*`, `dense`, `head`); every size but the number of heads is in its shapes.
    Raises UsageError for another file."""
    try:
        state: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
        model = CrossEncoder(_empty(state, heads, epsilon), pooling)
        kept = {name: value.float() for name, value in state.items() if not name.startswith("base.pooler.")}
        missing, unexpected = model.load_state_dict(kept, strict=False)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise UsageError(f"{path} is no cross-encoder: {error}", "give the state dict of a training run") from error
    if unexpected or [name for name in missing if "position_ids" not in name]:
        raise UsageError(f"{path} does not fit: {[*missing, *unexpected][:3]}", "give the state dict of a training run")
    return model.eval()


def _empty(state: dict[str, torch.Tensor], heads: int, epsilon: float) -> nn.Module:
    """The base that the state belongs to, with weights by chance."""
    from transformers import BertConfig, BertModel

    words = state["base.embeddings.word_embeddings.weight"]
    layers = 1 + max(int(name.split(".")[3]) for name in state if name.startswith("base.encoder.layer."))
    feed_forward = state["base.encoder.layer.0.intermediate.dense.weight"].shape[0]
    if "base.encoder.relative_attention_bias.weight" in state:
        base: nn.Module = mpnet.empty(words.shape[0], layers, words.shape[1], heads, feed_forward)
        return base
    config = BertConfig(
        vocab_size=words.shape[0], hidden_size=words.shape[1], num_attention_heads=heads, hidden_act="gelu",
        num_hidden_layers=layers, intermediate_size=feed_forward,
        max_position_embeddings=state["base.embeddings.position_embeddings.weight"].shape[0],
        type_vocab_size=state["base.embeddings.token_type_embeddings.weight"].shape[0], layer_norm_eps=epsilon,
    )  # fmt: skip
    return BertModel(config, add_pooling_layer=False)


def encode(encoding: Encoding, row: Row) -> Encoded:
    """A graded answer beside the reference nearest to it."""
    return encoding.triple(row.question, nearest(row.references, look(row.text))[0], row.text)


@torch.no_grad()
def predict(model: CrossEncoder, inputs: Sequence[Encoded]) -> tuple[np.ndarray, np.ndarray]:
    """(n x 7 probabilities: four steps, then the classes; n x h states), one sequence at a time."""
    outs: list[Any] = []
    for one in inputs:
        ids = torch.tensor([one.ids])
        steps, classes, state = model(ids, torch.ones_like(ids), torch.tensor([one.types]))
        outs.append((torch.cat([steps.sigmoid(), classes.softmax(1)], 1)[0].numpy(), state[0].numpy()))
    return np.stack([out for out, _ in outs]), np.stack([state for _, state in outs])
