"""Seeds, practice and qualification: whether a marker may mark, as pure rules.

A seed is an answer with an agreed definitive mark. Before live marking a marker practises (the definitive mark is
shown afterwards) and qualifies (it is not). While marking live, seeds come among the other answers at a set rate
and look like any of them. A marker whose agreement with the last seeds falls below the limit is stopped; only a
leader, and never the marker himself, lets him go on.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from grader.errors import UsageError

Phase = Literal["practice", "qualification", "live", "failed", "stopped"]
Trial = Literal["practice", "qualification", "seed"]
LIFTERS = frozenset(("leader", "administrator"))  # roles that may let a stopped marker go on


@dataclass(frozen=True)
class SeedPolicy:
    """rate: share of the answers served that are seeds. practice, qualification: answers to be marked in each
    before live marking, 0 for none. pass_share: share of the qualification within the tolerance that passes.
    window, limit: a marker is stopped when fewer than `limit` of his last `window` seeds are within the tolerance.
    """

    rate: float = 0.0
    practice: int = 0
    qualification: int = 0
    pass_share: float = 0.8
    window: int = 10
    limit: float = 0.7


@dataclass(frozen=True)
class Outcome:
    """How a marker's mark for a seed compares with the definitive one. exact: the same; within: within T."""

    trial: Trial
    exact: bool
    within: bool


@dataclass(frozen=True)
class Lift:
    """A leader let the marker try again (failed: what he tried before no longer counts) or go on (stopped: the
    seeds before no longer count)."""

    phase: Literal["failed", "stopped"]


def check(policy: SeedPolicy) -> None:
    """Raises UsageError for a policy that cannot be carried out."""
    shares = {"rate": policy.rate, "pass_share": policy.pass_share, "limit": policy.limit}
    for name, value in shares.items():
        if not 0 <= value <= 1:
            raise UsageError(f"{name} {value:g} is no share", "give a number from 0 to 1")
    if policy.rate > 0.5:
        raise UsageError(f"a rate of {policy.rate:g} marks more seeds than answers", "give a rate of at most 0.5")
    if min(policy.practice, policy.qualification) < 0 or policy.window < 1:
        raise UsageError("practice, qualification and window count answers", "give whole numbers, window at least 1")


def serves_seed(secret: bytes, marker: str, item: str, number: int, rate: float) -> bool:
    """Whether the number-th answer (from 0) served to this marker is a seed.

    The stream is HMAC-SHA256 of the place, read as a number in [0, 1): the same after any restart, of no pattern
    that a marker could learn, and independent between markers.
    """
    message = json.dumps([marker, item, number], ensure_ascii=False).encode()
    return int.from_bytes(hmac.digest(secret, message, "sha256")[:8], "big") < rate * 2**64


def phase(policy: SeedPolicy, history: Sequence[Outcome | Lift]) -> Phase:
    """Where a marker is, by all that happened in its order."""
    practised, tried, seeds = 0, list[Outcome](), list[Outcome]()
    for one in history:
        if isinstance(one, Lift):
            (tried if one.phase == "failed" else seeds).clear()
        elif one.trial == "practice":
            practised += 1
        else:
            (tried if one.trial == "qualification" else seeds).append(one)
    if practised < policy.practice:
        return "practice"
    if len(tried) < policy.qualification:
        return "qualification"
    if policy.qualification and not qualifies(policy, tried):
        return "failed"
    return "stopped" if drifts(policy, seeds) else "live"


def qualifies(policy: SeedPolicy, tried: Sequence[Outcome]) -> bool:
    """Whether enough were marked and the share within the tolerance reaches the pass share."""
    if len(tried) < policy.qualification:
        return False
    return sum(one.within for one in tried) >= policy.pass_share * len(tried) - 1e-9


def drifts(policy: SeedPolicy, seeds: Sequence[Outcome]) -> bool:
    """Whether the rolling agreement of the last `window` seeds lies below the limit; never before the window is
    full, unless what is already missed cannot be made good within it."""
    last = seeds[-policy.window :]
    missed = sum(not one.within for one in last)
    return missed > (1 - policy.limit) * policy.window + 1e-9


def may_lift(role: str, actor: str, marker: str) -> bool:
    """Whether the actor may let the stopped or failed marker go on."""
    return role in LIFTERS and actor != marker
