"""Progress of a batch on stderr: a bar for people, a line now and then where stderr is no terminal, or JSON lines.

`--json-progress` writes one object a line, at most once a second and one at the end; lines that do not begin with {
are words for people:

    schema           "grader-progress/1"
    done, total      pages; those that an earlier call read are among them
    rate, mean_rate  pages a second lately, and since this call began; pages of earlier calls never count as speed
    eta_seconds      time left at the recent rate, null while it is not known
    elapsed_seconds  since this call began
    rejected         pages of this call that were not read
    flagged          answers of this call that wait for a person
    outcomes         pages of this call by outcome: read, rejected, duplicate, unmatched
    seconds          time by stage, of all processes
    bottleneck       stage, share, workers_busy, parent_busy, waited_for (as in run.json); null before the first page
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from grader.run.progress import Progress

Show = Callable[["Progress"], None]
_LINE_SECONDS = 30.0  # between two plain lines
_JSON_SECONDS = 1.0  # between two JSON lines


@contextmanager
def watching(as_json: bool, metrics_host: str, metrics_port: int | None) -> Iterator[Show]:
    """Shows where a batch stands on stderr, and as Prometheus metrics where a port is given for them."""
    with ExitStack() as stack:
        shows = [stack.enter_context(batch_progress(as_json))]
        if metrics_port is not None:
            from grader.run.metrics import serving

            metrics, address = stack.enter_context(serving(metrics_host, metrics_port))
            print(f"metrics: {address}", file=sys.stderr, flush=True)
            shows.append(metrics.show)

        def show(at: Progress) -> None:
            for one in shows:
                one(at)

        yield show


@contextmanager
def batch_progress(as_json: bool = False) -> Iterator[Show]:
    """Shows where a batch stands: as JSON lines where they are asked for, as a bar on a terminal, else as lines."""
    if as_json:
        with _now_and_then(_JSON_SECONDS, json_line, sys.stderr) as show:
            yield show
    elif sys.stderr.isatty():
        with _bar() as show:
            yield show
    else:
        with _now_and_then(_LINE_SECONDS, plain_line, sys.stderr) as show:
            yield show


def json_line(at: Progress) -> str:
    """One line of `--json-progress`."""
    rounded = {key: round(value, 3) for key, value in at.seconds.items()}
    told = {
        "schema": "grader-progress/1",
        "done": at.done,
        "total": at.total,
        "rate": round(at.rate, 3),
        "mean_rate": round(at.mean_rate, 3),
        "eta_seconds": None if at.eta_seconds is None else round(at.eta_seconds, 1),
        "elapsed_seconds": round(at.elapsed_seconds, 1),
        "rejected": at.rejected,
        "flagged": at.flagged,
        "outcomes": dict(at.outcomes),
        "seconds": rounded,
        "bottleneck": asdict(at.bottleneck) if at.bottleneck else None,
    }
    return json.dumps(told)


def plain_line(at: Progress) -> str:
    """The same for people who read a log."""
    left = "" if at.eta_seconds is None or at.done == at.total else f", {duration(at.eta_seconds)} left"
    speed = f", {at.rate:.1f} pages/s lately, {at.mean_rate:.1f} on average" if at.rate else ""
    return f"{at.done:,} of {at.total:,} pages{speed}{left}; {found(at)}"


def found(at: Progress) -> str:
    """Rejects and flags so far."""
    return f"{at.rejected:,} not read, {at.flagged:,} answers for review"


def duration(seconds: float) -> str:
    """Seconds for people: "40 s", "12 min", "3 h 05 min"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


@contextmanager
def _now_and_then(seconds: float, line: Callable[[Progress], str], stream: TextIO) -> Iterator[Show]:
    """A line at once when reading begins, then every so many seconds, and the last word."""
    written = -seconds
    last: Progress | None = None
    pending = False

    def show(at: Progress) -> None:
        nonlocal written, last, pending
        now = time.monotonic()
        last, pending = at, True
        if now - written >= seconds:
            stream.write(line(at) + "\n")
            stream.flush()
            written, pending = now, False

    try:
        yield show
    finally:
        if last is not None and pending:
            stream.write(line(last) + "\n")
            stream.flush()


@contextmanager
def _bar() -> Iterator[Show]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TextColumn("{task.fields[found]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("pages", total=None, speed="", found="")

        def show(at: object) -> None:
            rate, mean, left = at.rate, at.mean_rate, at.eta_seconds  # type: ignore[attr-defined]
            speed = f"{rate:.1f} pages/s (mean {mean:.1f})" if rate else ""
            if left is not None:
                speed += f", {duration(left)} left"
            done, total = at.done, at.total  # type: ignore[attr-defined]
            bar.update(task, total=total, completed=done, speed=speed, found=found(at))  # type: ignore[arg-type]

        yield show
