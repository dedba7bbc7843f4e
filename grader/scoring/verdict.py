"""What a rule says about one response, before policy turns it into a mark."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Verdict:
    """mark: None where the rule could not understand the response. marker: the rule's versioned name."""

    mark: float | None
    marker: str
    flags: tuple[str, ...] = ()
