"""Waiting for room: a disk that fills up in the night should cost the time until someone makes room, not the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from grader.errors import StoreFullError

_PAUSE = 2.0  # s between tries

T = TypeVar("T")


def _silent(_: str) -> None:
    pass


@dataclass(frozen=True)
class Patience:
    """How long a full disk is waited for, in seconds, and who is told so. Called with work that can be repeated."""

    seconds: float = 0.0
    say: Callable[[str], None] = _silent

    def __call__(self, work: Callable[[], T]) -> T:
        """What `work` gives. Raises its StoreFullError when there was no room for too long, anything else at once."""
        try:
            return work()
        except StoreFullError as error:
            if not self.seconds:
                raise
            self.say(
                f"{error.message}\n  waiting up to {self.seconds / 60:.3g} minutes for room; "
                "what is stored is kept, Ctrl-C stops"
            )
        done = self._again(work, time.monotonic() + self.seconds)
        self.say("there is room again: going on")
        return done

    def _again(self, work: Callable[[], T], deadline: float) -> T:
        while True:
            time.sleep(max(0.0, min(_PAUSE, deadline - time.monotonic())))
            try:
                return work()
            except StoreFullError:
                if time.monotonic() >= deadline:
                    raise


AT_ONCE = Patience()  # a full disk ends the work
