"""Appeals on single answers, as pure rules: who may re-mark, which step follows which, what came of it.

An appeal is opened for one answer, taken by somebody who has not marked it, and ends with his mark, which stands from
then on and comes out with the next release. It can be withdrawn before.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from grader.marking.errors import NotAllowed

State = Literal["open", "taken", "raised", "lowered", "unchanged", "withdrawn"]
Step = Literal["opened", "taken", "handed_back", "marked", "withdrawn"]
CLOSED: frozenset[State] = frozenset(("raised", "lowered", "unchanged", "withdrawn"))

_STEPS: dict[tuple[State, Step], State] = {
    ("open", "taken"): "taken",
    ("open", "withdrawn"): "withdrawn",
    ("taken", "handed_back"): "open",
    ("taken", "withdrawn"): "withdrawn",
}


def after(state: State, step: Step) -> State:
    """The state that a step leads to; "marked" goes by `outcome`. Raises NotAllowed for a step that does not follow."""
    try:
        return _STEPS[state, step]
    except KeyError:
        raise NotAllowed(f"an appeal that is {state} cannot be {step}", "load the page again") from None


def outcome(before: float | None, mark: float) -> State:
    """What a re-mark comes to; an answer that had no mark had 0."""
    held = before or 0.0
    return "raised" if mark > held else "lowered" if mark < held else "unchanged"


def check_may_take(actor: str, earlier: Iterable[str]) -> None:
    """Raises NotAllowed where the actor has marked the answer before, in any role, also if it was withdrawn."""
    if actor in set(earlier):
        raise NotAllowed("you have marked this answer before", "somebody else must look at it")
