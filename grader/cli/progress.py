"""Progress on stderr: a bar for people, nothing where stderr is not a terminal but a line now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from grader.run.batch import Progress


@contextmanager
def batch_progress() -> Iterator[Callable[[Progress], None]]:
    """A bar with rate, time left, rejected pages and flagged answers."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[found]}"),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task("pages", total=None, rate="", found="")

        def show(progress: object) -> None:
            done, total = progress.done, progress.total  # type: ignore[attr-defined]
            rejected, flagged = progress.rejected, progress.flagged  # type: ignore[attr-defined]
            found = f"{rejected} not read, {flagged} flagged"
            bar.update(task, total=total, completed=done, found=found)
            speed = bar.tasks[0].speed
            if speed:
                bar.update(task, rate=f"{speed:.1f} pages/s")

        yield show
