"""Publishing at the end of `grader run`: what fails there is said, and costs the run nothing."""

from __future__ import annotations

from pathlib import Path

import click

from grader.errors import ExitCode


class Publishing:
    """Where `--database` says, or nowhere. A database that is away at the start may be back at the end."""

    def __init__(self, url: str | None) -> None:
        """Raises UsageError for a URL that can never work; of a server that does not answer it warns."""
        self._database = None
        if url is None:
            return
        from grader.run.publish import DatabaseError, ResultsDatabase

        self._database = ResultsDatabase(url)
        try:
            self._database.check()
        except DatabaseError as error:
            click.echo(f"warning: {error}\n  the run goes on, and publishes its results at its end", err=True)

    def publish(self, out: Path) -> ExitCode:
        """Publish the run at `out`; DONE_WITH_REJECTS where the database does not take it."""
        if self._database is None:
            return ExitCode.DONE
        from grader.run.publish import DatabaseError
        from grader.store.store import RunStore

        try:
            with RunStore.open(out) as store:
                self._database.publish(store)
        except DatabaseError as error:
            click.echo(f"the results were not published: {error}", err=True)
            return ExitCode.DONE_WITH_REJECTS
        click.echo(f"published: {self._database.name}", err=True)
        return ExitCode.DONE
