"""Where the time of a page goes: `stage` charges it to one stage, `watched` collects what was charged.

A stage entered inside another takes the clock from it, so the seconds of all stages add up to the time spent and
none is counted twice. Any module may say `with stage("detection"):`; where nobody watches that costs a
microsecond, and nothing needs to be passed along.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, get_args

Stage = Literal[
    "input",  # the file's bytes, from a disk or over a network
    "decode",  # bytes to gray pixels
    "quality",  # the quality gate
    "registration",  # where the form lies
    "marks",  # bubbles, codes, whose page it is
    "detection",  # where lines of writing are
    "recognition",  # lines of writing to text, the cutting out of boxes included
    "scoring",  # text to marks
    "storing",  # pictures encoded, journal, settling, result files
]
STAGES: tuple[Stage, ...] = get_args(Stage)


class _Clock:
    """Charges the time between two changes of stage to the stage that was entered last."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._entered: list[str] = []
        self._since = 0.0

    def enter(self, name: str) -> None:
        self._charge()
        self._entered.append(name)

    def leave(self) -> None:
        self._charge()
        self._entered.pop()

    def _charge(self) -> None:
        now = time.perf_counter()
        if self._entered:
            name = self._entered[-1]
            self.seconds[name] = self.seconds.get(name, 0.0) + now - self._since
        self._since = now


_clock: ContextVar[_Clock | None] = ContextVar("clock", default=None)


@contextmanager
def watched() -> Iterator[dict[str, float]]:
    """The seconds of each stage entered within; complete when the block ends."""
    clock = _Clock()
    token = _clock.set(clock)
    try:
        yield clock.seconds
    finally:
        _clock.reset(token)


@contextmanager
def stage(name: Stage) -> Iterator[None]:
    """Charge the time of the block to a stage, less what stages within it take."""
    clock = _clock.get()
    if clock is None:
        yield
        return
    clock.enter(name)
    try:
        yield
    finally:
        clock.leave()
