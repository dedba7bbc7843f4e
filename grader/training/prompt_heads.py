"""One small encoder with an ordinal head for every question, for exams whose questions have marked answers but
no reference answer worth reading: only the answer is read, the head knows what its question wants.

Resumable: the whole state is written every few hundred steps, and a run that finds its own state goes on from
there with the same batches. Weights made from a set that may not ship stay outside the project.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import nn

from grader.errors import UsageError

SAVED_EVERY = 200  # steps


@dataclass(frozen=True)
class Plan:
    """Everything that decides the weights, beside the data and the base."""

    seed: int = 20240501
    epochs: int = 3
    batch: int = 16
    rate: float = 1.5e-4
    layer_decay: float = 0.9  # each layer below the top learns this much slower
    head: float = 5.0  # the heads learn this much faster than the top layer
    decay: float = 0.01
    warm_up: float = 0.06
    dropout: float = 0.1
    length: int = 128  # tokens of the answer that are read


@dataclass(frozen=True)
class Answer:
    """One marked answer. prompt: number of its head. steps: for each step of the scale from 1 up, how much of
    the raters says that it is reached (0 to 1); shorter than the longest scale where the scale is."""

    prompt: int
    text: str
    steps: tuple[float, ...]


class PromptHeads(nn.Module):
    """A BertModel, its mean over the answer's tokens, and falling logits of "step k is reached" for each prompt."""

    def __init__(self, base: nn.Module, hidden: int, prompts: int, steps: int, dropout: float) -> None:
        super().__init__()
        self.base, self.prompts, self.steps = base, prompts, steps
        for parameter in base.embeddings.parameters():  # type: ignore[union-attr]
            parameter.requires_grad_(False)  # half of the weights; a few thousand answers teach words little
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(hidden, prompts * steps)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor, prompt: torch.Tensor) -> torch.Tensor:
        """ids, mask: n x T; prompt: n. Logits n x steps."""
        seen = self.base(input_ids=ids, attention_mask=mask).last_hidden_state
        mean = (seen * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        out = self.head(self.dropout(mean)).float().view(-1, self.prompts, self.steps)
        own = out[torch.arange(len(prompt)), prompt]
        gaps = nn.functional.softplus(own[:, 1:])
        return torch.cat([own[:, :1], own[:, :1] - torch.cumsum(gaps, 1)], 1)


class Reader:
    """Answers to token ids. A special token typed by a candidate is text and is split like any other."""

    def __init__(self, tokenizer: Tokenizer, length: int) -> None:
        tokenizer.no_padding()
        tokenizer.no_truncation()
        tokenizer.encode_special_tokens = True
        self._tokenizer, self._length = tokenizer, length
        self._start, self._end = (tokenizer.get_vocab()[name] for name in ("[CLS]", "[SEP]"))

    def ids(self, text: str) -> list[int]:
        """Start, the first tokens of the answer, end."""
        middle = self._tokenizer.encode(text, add_special_tokens=False).ids[: self._length - 2]
        return [self._start, *middle, self._end]


def tune(model: PromptHeads, reader: Reader, answers: Sequence[Answer], plan: Plan, state: Path) -> PromptHeads:
    """Train on `answers` in bfloat16 where the processor has it. state: file of the resumable state.

    Raises UsageError if the state belongs to a run with other settings.
    """
    optimiser = torch.optim.AdamW(_groups(model, plan), weight_decay=plan.decay)
    steps = plan.epochs * -(-len(answers) // plan.batch)
    warm = max(1, round(plan.warm_up * steps))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm, (steps - step) / (steps - warm + 1))
    )
    done = _resume(state, model, optimiser, schedule, plan)
    ids = [reader.ids(answer.text) for answer in answers]
    wanted, seen = _targets(answers, model.steps)
    model.train()
    losses: list[float] = []
    for step, chosen in enumerate(_all_batches(ids, plan)):
        if step < done:
            continue
        torch.manual_seed(plan.seed + step)
        loss = _loss(model, [ids[n] for n in chosen], [answers[n].prompt for n in chosen], wanted[chosen], seen[chosen])
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if (step + 1) % SAVED_EVERY == 0 or step + 1 == steps:
            _save(state, {"step": step + 1, "plan": asdict(plan), "model": model.state_dict(),
                          "optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()})  # fmt: skip
            print(f"step {step + 1} of {steps}: loss {np.mean(losses):.4f}", file=sys.stderr, flush=True)
            losses.clear()
    return model.eval()


@torch.no_grad()
def predict(model: PromptHeads, reader: Reader, answers: Sequence[Answer]) -> np.ndarray:
    """n x steps probabilities that each step is reached, in float32, one answer at a time."""
    model.eval()
    rows = []
    for answer in answers:
        ids = torch.tensor([reader.ids(answer.text)])
        rows.append(model(ids, torch.ones_like(ids), torch.tensor([answer.prompt])).sigmoid()[0].numpy())
    return np.stack(rows)


def _loss(
    model: PromptHeads, ids: Sequence[Sequence[int]], prompts: Sequence[int], wanted: torch.Tensor, seen: torch.Tensor
) -> torch.Tensor:
    width = max(map(len, ids))
    table = torch.tensor([[*one, *[0] * (width - len(one))] for one in ids])
    mask = torch.tensor([[1] * len(one) + [0] * (width - len(one)) for one in ids])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(table, mask, torch.tensor(prompts))
    each = nn.functional.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    return (each * seen).sum() / seen.sum()


def _targets(answers: Sequence[Answer], steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    wanted, seen = torch.zeros(len(answers), steps), torch.zeros(len(answers), steps)
    for place, answer in enumerate(answers):
        wanted[place, : len(answer.steps)] = torch.tensor(answer.steps)
        seen[place, : len(answer.steps)] = 1.0
    return wanted, seen


def _all_batches(ids: Sequence[Sequence[int]], plan: Plan) -> list[list[int]]:
    """Every batch of the run: answers of similar length together (padding is the real waste), shuffled."""
    found: list[list[int]] = []
    for epoch in range(plan.epochs):
        chance = np.random.default_rng((plan.seed, epoch))
        order = sorted(range(len(ids)), key=lambda place: (len(ids[place]) // 8, chance.random()))
        cut = [order[start : start + plan.batch] for start in range(0, len(order), plan.batch)]
        found += [cut[place] for place in chance.permutation(len(cut))]
    return found


def _groups(model: PromptHeads, plan: Plan) -> list[dict[str, Any]]:
    """Slower learning the deeper a layer lies; the heads fastest."""
    layers = len(model.base.encoder.layer)  # type: ignore[union-attr, arg-type]
    groups: dict[int, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        depth = layers + 1 if name.startswith("head") else 0
        if ".layer." in name:
            depth = int(name.split(".layer.")[1].split(".")[0]) + 1
        groups.setdefault(depth, []).append(parameter)
    return [
        {"params": own, "lr": plan.rate * (plan.head if depth > layers else plan.layer_decay ** (layers - depth))}
        for depth, own in sorted(groups.items())
    ]


def _save(path: Path, state: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    torch.save(state, part)
    part.replace(path)


def _resume(state: Path, model: PromptHeads, optimiser: Any, schedule: Any, plan: Plan) -> int:
    if not state.is_file():
        return 0
    saved = torch.load(state, map_location="cpu", weights_only=True)
    if saved["plan"] != asdict(plan):
        raise UsageError(f"{state} belongs to a run with other settings", "choose another folder, or remove it")
    model.load_state_dict(saved["model"])
    optimiser.load_state_dict(saved["optimiser"])
    schedule.load_state_dict(saved["schedule"])
    return int(saved["step"])
