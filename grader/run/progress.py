"""What is known of a batch while it runs: how far, how fast, how long still, and what holds it up."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from grader.store.entry import Entry

_LATELY = 30.0  # seconds that the recent rate looks back
_SHOWN_APART = 0.1  # seconds between two shows: each costs the parent as much as a page does
_APART = 0.5  # seconds between two moments that are remembered for it
_BUSY = 0.9  # share of their time from which workers were not kept waiting
_MUCH = 0.2  # share of the workers' time from which the scans' disk or network was waited for
_PARENT_BUSY = 0.8  # share of one processor from which the parent cannot keep up

Waited = Literal["", "input", "disk", "parent", "start"]


@dataclass(frozen=True)
class Bottleneck:
    """What took longest. stage: of grader.stages; share: of the time of all stages.

    workers_busy: share of the workers' time that they spent on pages. parent_busy: share of a processor that the
    process used that hands out pages and stores results. waited_for: what kept workers from being busy: the "input"
    (the scans' disk or network), the run's "disk", the "parent", their own "start" (a batch too small to matter), or
    "" for nothing.
    """

    stage: str
    share: float
    workers_busy: float
    parent_busy: float
    waited_for: Waited


@dataclass(frozen=True)
class Progress:
    """Where a batch stands, for whoever shows it.

    done, total: pages, those of earlier calls on the same run among them. All else is of this call: rejected: pages
    not read; flagged: answers for a person; outcomes, flags: how many pages and answers of each; seconds: stage →
    time; rate: pages a second lately, mean_rate: from the beginning; eta_seconds: time left at the recent rate, None
    while nothing is known.
    """

    done: int
    total: int
    rejected: int
    flagged: int
    outcomes: Mapping[str, int] = field(default_factory=dict)
    flags: Mapping[str, int] = field(default_factory=dict)
    seconds: Mapping[str, float] = field(default_factory=dict)
    elapsed_seconds: float = 0.0
    rate: float = 0.0
    mean_rate: float = 0.0
    eta_seconds: float | None = None
    bottleneck: Bottleneck | None = None


class Tracker:
    """Counts the pages of one call as they come back. done: pages that an earlier call read; they count as done and
    never as speed. workers: how many read
    pages at a time, or what tells it where nodes come and go. storing: stage → seconds of this process, filled in by
    whoever stores (`grader.stages.watched`)."""

    def __init__(
        self,
        done: int,
        total: int,
        workers: int | Callable[[], int],
        storing: Mapping[str, float],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._earlier, self._total, self._workers = done, total, workers
        self._storing, self._clock = storing, clock
        self._came = self._rejected = self._flagged = 0
        self._outcomes: Counter[str] = Counter()
        self._flags: Counter[str] = Counter()
        self._seconds: Counter[str] = Counter()
        self._start = self._last = clock()
        self._processor = time.process_time()
        self._first: float | None = None
        self._moments: deque[tuple[float, int]] = deque([(self._start, 0)])

    def shown(self, entries: Iterable[Entry], show: Callable[[Progress], None]) -> Iterator[Entry]:
        """The entries as they come, each counted; shown a few times a second, and with the last page."""
        show(self.progress())
        shown = self._last
        for entry in entries:
            self.page(entry)
            yield entry
            if self._last - shown >= _SHOWN_APART or self._earlier + self._came >= self._total:
                show(self.progress())
                shown = self._last

    def page(self, entry: Entry) -> None:
        """One page came back."""
        now = self._clock()
        self._first = now if self._first is None else self._first
        self._last = now
        self._came += 1
        self._rejected += entry.outcome != "read"
        self._flagged += entry.review
        self._outcomes[entry.outcome] += 1
        self._flags.update(entry.flags)
        self._seconds.update(entry.seconds)
        if now - self._moments[-1][0] >= _APART:
            self._moments.append((now, self._came))
        while len(self._moments) > 1 and now - self._moments[1][0] >= _LATELY:
            self._moments.popleft()

    def progress(self) -> Progress:
        """Where it stands now."""
        elapsed = self._last - self._start
        since, before = self._moments[0]
        rate = (self._came - before) / (self._last - since) if self._last > since else 0.0
        left = self._total - self._earlier - self._came
        return Progress(
            self._earlier + self._came,
            self._total,
            self._rejected,
            self._flagged,
            dict(self._outcomes),
            dict(self._flags),
            self.seconds(),
            elapsed,
            rate,
            self._came / elapsed if elapsed else 0.0,
            left / rate if rate else None,
            self.bottleneck(),
        )

    def seconds(self) -> dict[str, float]:
        """stage → seconds of all processes."""
        return dict(self._seconds + Counter(self._storing))

    def bottleneck(self) -> Bottleneck | None:
        """What takes longest so far; None before the first page."""
        seconds, elapsed = self.seconds(), self._last - self._start
        total = sum(seconds.values())
        if self._first is None or not elapsed or not total:
            return None
        stage = max(seconds, key=seconds.__getitem__)
        spent = sum(self._seconds.values())
        workers = self._workers() if callable(self._workers) else self._workers
        busy = min(1.0, spent / (max(1, workers) * elapsed))
        parent = min(1.0, (time.process_time() - self._processor) / elapsed)
        waited = self._waited_for(busy, parent, elapsed)
        return Bottleneck(stage, round(seconds[stage] / total, 3), round(busy, 3), round(parent, 3), waited)

    def _waited_for(self, busy: float, parent: float, elapsed: float) -> Waited:
        spent = sum(self._seconds.values())
        if self._seconds["input"] > _MUCH * spent:
            return "input"
        if busy >= _BUSY:
            return ""
        if parent >= _PARENT_BUSY:
            return "parent"
        if sum(self._storing.values()) > (1 - busy) / 2 * elapsed:
            return "disk"
        return "start"
