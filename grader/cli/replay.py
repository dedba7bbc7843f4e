"""grader replay: derive a run's marks again and compare."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("replay")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--candidate", help="Only this candidate's marks.")
@click.option("--item", help="Only marks of this item.")
def command(run: Path, candidate: str | None, item: str | None) -> int:
    """Derive the marks of RUN again from its stored inputs and compare them bit for bit.

    Prints every mark that differs on stdout as CSV; exit code 1 if there is one.
    """
    import csv
    import sys

    from grader.errors import ExitCode, StoreError
    from grader.run.replay import replay
    from grader.store.store import RunStore

    counts = {"scan": 0, "crops": 0}
    differing = 0
    writer = csv.writer(sys.stdout)
    with RunStore.open(run) as store:
        for replayed in replay(store, candidate, item):
            counts[replayed.source] += 1
            if not replayed.same:
                if not differing:
                    writer.writerow(("file", "page", "candidate", "item", "stored", "derived"))
                differing += 1
                derived = replayed.derived.mark if replayed.derived else ""
                stored = replayed.stored
                writer.writerow(
                    (
                        replayed.ref.file,
                        replayed.ref.page,
                        stored.candidate,
                        stored.item,
                        stored.mark,
                        derived,
                    )
                )
    total = sum(counts.values())
    if not total:
        raise StoreError("no mark fits that choice", "leave out --candidate or --item, or look in results.csv")
    click.echo(
        f"{total} marks derived again ({counts['scan']} from scans, {counts['crops']} from stored crops): "
        f"{total - differing} the same, {differing} differ",
        err=True,
    )
    return ExitCode.DONE_WITH_REJECTS if differing else ExitCode.DONE
