"""grader desk: clear a run's review queue in the browser."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("desk")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--port", default=8765, show_default=True, type=click.IntRange(0, 65535), help="0: any free one.")
@click.option("--marker", help="Your name in the store; that of your account by default.")
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open it in the browser.")
def command(run: Path, port: int, marker: str | None, browser: bool) -> int:
    """Mark what the run folder RUN left for people, in the browser of this machine.

    Every saved mark is kept at once. Stop with Ctrl-C: results.csv is then written again.
    """
    import getpass
    import webbrowser

    from grader.desk.server import serve
    from grader.errors import ExitCode, UsageError

    name = (marker if marker is not None else getpass.getuser()).strip()
    if not 0 < len(name) <= 64 or not name.isprintable():
        raise UsageError("a marker's name has 1 to 64 letters", "give another --marker")

    def opened(address: str) -> None:
        click.echo(f"desk:  {address}", err=True)
        click.echo("       The address works once, on this machine. Ctrl-C stops the desk.", err=True)
        if browser:
            webbrowser.open(address)

    serve(run, port, name, opened)
    click.echo(f"saved: {run / 'results.csv'}", err=True)
    return ExitCode.DONE
