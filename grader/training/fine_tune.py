"""The training loop of the cross-encoder: one stage of a recipe, resumable, the same weights from the same seed.

Losses: each graded answer says which of four ordinal steps its score passes (Cheng et al. 2008, as the lexical
network); each answer graded in words also its class, the rare one weighing more; of an answer graded "incorrect"
the ordinal loss uses only that it is not fully right. Soft targets of a teacher (Hinton et al. 2015) are mixed in
where given. Matrix products run in bfloat16 (autocast), sums and weights stay in float32.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from grader.errors import UsageError
from grader.training.cross_encoder import CLASSES
from grader.training.network import targets
from grader.training.recipe import Stage
from grader.training.rows import Row, source_weights

_HEAD_FASTER = 3.0  # the head starts from nothing and learns this much faster than the top layer
_PART, _FULL = 0.25, 0.999  # shares of the marks from which an answer says something right, and all
_SAVE_EVERY = 300  # steps between saved states: what an interruption costs at most

Sequence_ = tuple[list[int], list[int]]  # token ids, token types


@dataclass(frozen=True)
class Task:
    """What one stage learns from. inputs: one a row. weight: n. real: rows from here on were made by rule.
    soft: n x 7 of a teacher, rows of nan: none."""

    inputs: Sequence[Sequence_]
    rows: Sequence[Row]
    weight: np.ndarray
    real: int
    soft: np.ndarray | None = None
    alpha: float = 0.5  # share of the teacher's word where there is one


def weights(rows: Sequence[Row], real: int, stage: Stage) -> np.ndarray:
    """Weight of each row: sets balanced; rows from `real` on were made by rule and weigh `stage.made`."""
    weight = source_weights(rows, stage.balance)
    weight[real:] *= stage.made
    return weight


def fit(model: nn.Module, task: Task, stage: Stage, seed: int, state: Path) -> nn.Module:
    """Train `model` in place and return it in evaluation mode. state: file of the resumable state; a run that finds
    its own there goes on from it. Raises UsageError if the state is of another stage."""
    device = next(model.parameters()).device
    plan = [(epoch, chosen) for epoch in range(stage.epochs) for chosen in batches(task.inputs, stage, seed, epoch)]
    optimiser = torch.optim.AdamW(groups(model, stage), weight_decay=stage.weight_decay, fused=True)
    warm = max(1, round(stage.warm_up * len(plan)))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min((step + 1) / warm, max(0.0, (len(plan) - step) / (len(plan) - warm + 1)))
    )
    signature = f"{seed} {len(task.rows)} {stage.model_dump_json()}"
    first = _resume(state, model, optimiser, schedule, signature)
    known = _Targets.of(task, stage, device)
    losses = []
    model.train()
    for step, (epoch, chosen) in enumerate(plan[first:], first):
        torch.manual_seed(seed * 1_000_003 + step)  # dropout of a step is the same whether or not the run stopped
        loss = known.loss(model, padded([task.inputs[place] for place in chosen], device), chosen)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
        last = step + 1 == len(plan)
        if last or (step + 1) % _SAVE_EVERY == 0:
            saved = {"step": step + 1, "signature": signature, "model": model.state_dict()}
            _save(saved | {"optimiser": optimiser.state_dict(), "schedule": schedule.state_dict()}, state)
        if last or (step + 1) % 50 == 0:
            _say(f"  step {step + 1} of {len(plan)}, epoch {epoch + 1}: loss {np.mean(losses[-200:]):.4f}")
    return model.eval()


def groups(model: nn.Module, stage: Stage) -> list[dict[str, Any]]:
    """Slower learning the deeper a layer lies (Howard & Ruder 2018); embeddings slowest, the head fastest."""
    depths = {name: _depth(name) for name, _ in model.named_parameters()}
    top = max(depths.values()) + 1
    found: dict[int, list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        found.setdefault(top if depths[name] < 0 else depths[name], []).append(parameter)
    return [
        {"params": own, "lr": stage.rate * (_HEAD_FASTER if depth == top else stage.layer_decay ** (top - depth))}
        for depth, own in sorted(found.items())
    ]


def _depth(name: str) -> int:
    """0 for embeddings, 1 and up for layers, -1 for what lies above the base."""
    if ".layer." in name:
        return int(name.partition(".layer.")[2].partition(".")[0]) + 1
    return 0 if name.startswith("base") else -1


def batches(inputs: Sequence[Sequence_], stage: Stage, seed: int, epoch: int) -> list[list[int]]:
    """Batches of similar length in a shuffled order: padding is the real waste."""
    chance = np.random.default_rng((seed, epoch))
    order = sorted(range(len(inputs)), key=lambda place: (len(inputs[place][0]) // 8, chance.random()))
    cut = [order[start : start + stage.batch] for start in range(0, len(order), stage.batch)]
    return [cut[place] for place in chance.permutation(len(cut))]


def padded(chosen: Sequence[Sequence_], device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """(ids, mask, types), each n x the longest. What stands behind the mask is never looked at."""
    width = max(len(ids) for ids, _ in chosen)
    ids = torch.tensor([[*one, *[0] * (width - len(one))] for one, _ in chosen], device=device)
    types = torch.tensor([[*one, *[0] * (width - len(one))] for _, one in chosen], device=device)
    mask = torch.tensor([[1] * len(one) + [0] * (width - len(one)) for one, _ in chosen], device=device)
    return ids, mask, types


@dataclass(frozen=True)
class _Targets:
    passes: torch.Tensor
    seen: torch.Tensor
    place: torch.Tensor  # class, -1 where not graded in words
    weight: torch.Tensor
    rare: torch.Tensor
    soft: torch.Tensor | None
    alpha: float

    @classmethod
    def of(cls, task: Task, stage: Stage, device: torch.device) -> _Targets:
        passes, seen, _, _ = targets(task.rows)
        place = np.array([CLASSES.index(row.label) if row.label else -1 for row in task.rows])
        if stage.worded:
            place = np.array([_word(row, number >= task.real) for number, row in enumerate(task.rows)])
        rare = np.array([1.0, stage.contradiction, 1.0], np.float32)
        one, two, three, four, five = (
            torch.from_numpy(column).to(device) for column in (passes, seen, place, task.weight, rare)
        )
        soft = None if task.soft is None else torch.from_numpy(task.soft.astype(np.float32)).to(device)
        return cls(one, two, three, four, five, soft, task.alpha)

    def loss(self, model: nn.Module, inputs: tuple[torch.Tensor, ...], chosen: list[int]) -> torch.Tensor:
        with torch.autocast(inputs[0].device.type, dtype=torch.bfloat16):
            steps, classes = model(*inputs)[:2]
        steps, classes = steps.float(), classes.float()
        passes, seen, place = self.passes[chosen], self.seen[chosen], self.place[chosen]
        entropy = nn.functional.binary_cross_entropy_with_logits
        graded = (entropy(steps, passes, reduction="none") * seen).sum(1) / seen.sum(1)
        worded = (place >= 0).float()
        named = nn.functional.cross_entropy(classes, place.clamp(min=0), weight=self.rare, reduction="none")
        # An answer with a number only: the class head learns whether it is fully right.
        whole = classes[:, 0] - torch.logsumexp(classes[:, 1:], 1)
        full = entropy(whole, passes[:, 3], reduction="none")
        loss = graded + worded * named + 0.5 * (1 - worded) * full
        if self.soft is not None:
            taught = self.soft[chosen]
            there = torch.isfinite(taught[:, 0]).float()
            taught = torch.nan_to_num(taught, 0.5)
            told = entropy(steps, taught[:, :4], reduction="none").mean(1)
            told = told - (taught[:, 4:] * classes.log_softmax(1)).sum(1)
            share = self.alpha * there
            loss = (1 - share) * loss + share * told
        return (loss * self.weight[chosen]).mean()


def _word(row: Row, made: bool) -> int:
    """The class of a row; -1 where only "right or not" is known of it."""
    if row.label:
        return CLASSES.index(row.label)
    if made:
        return CLASSES.index("correct" if row.score >= _FULL else "incorrect")
    return CLASSES.index("incorrect") if _PART <= row.score < _FULL else -1


@torch.no_grad()
def predict(model: nn.Module, inputs: Sequence[Sequence_], size: int = 32) -> np.ndarray:
    """n x 7 probabilities: four steps, then correct, contradictory, incorrect. float32, sorted by length."""
    device = next(model.parameters()).device
    found = np.zeros((len(inputs), 7), np.float32)
    order = sorted(range(len(inputs)), key=lambda place: len(inputs[place][0]))
    model.eval()
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        steps, classes = model(*padded([inputs[place] for place in chosen], device))[:2]
        found[chosen] = torch.cat([steps.sigmoid(), classes.softmax(1)], 1).cpu().numpy()
    return found


def _resume(state: Path, model: nn.Module, optimiser: Any, schedule: Any, signature: str) -> int:
    if not state.is_file():
        return 0
    saved = torch.load(state, map_location="cpu", weights_only=True)
    if saved["signature"] != signature:
        raise UsageError(f"{state} belongs to another stage or data", "choose another folder, or remove it")
    model.load_state_dict(saved["model"])
    optimiser.load_state_dict(saved["optimiser"])
    schedule.load_state_dict(saved["schedule"])
    return int(saved["step"])


def _save(saved: dict[str, Any], state: Path) -> None:
    partial = state.with_name(state.name + ".partial")
    torch.save(saved, partial)
    partial.replace(state)


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
