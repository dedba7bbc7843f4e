"""grader serve: the multi-user service."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("serve")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder of everything that it keeps.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0: any free one.")
@click.option("--database", help="URL of a PostgreSQL database; SQLite in the data folder by default.")
@click.option("--name", multiple=True, help="A host name under which browsers call it; may be repeated.")
@click.option("--tls", is_flag=True, help="Browsers come by HTTPS, through a proxy on this machine.")
def command(data: Path, host: str, port: int, database: str | None, name: tuple[str, ...], tls: bool) -> int:
    """Serve the marking desk and homework to many people.

    The first start prints a link that sets up the administrator's account. Stop with Ctrl-C.
    """
    from grader.errors import ExitCode, UsageError
    from grader.service.server import serve
    from grader.service.service import Settings

    everywhere = host in {"0.0.0.0", "::"}
    if everywhere and not name:
        what = f"with --host {host} the service cannot know what it is called"
        raise UsageError(what, "add --name with the host name or address that people type")
    names = ("127.0.0.1", "localhost", *(() if everywhere else (host,)), *name)
    settings = Settings(hosts=tuple(dict.fromkeys(names)), secure=tls, proxies=("127.0.0.1",) if tls else ())

    def opened(address: str, set_up: str) -> None:
        click.echo(f"service: {address}", err=True)
        if set_up:
            click.echo(f"set up:  {address}{set_up}", err=True)
            click.echo("         This link works once: it makes the administrator's account.", err=True)
        if not tls and host not in {"127.0.0.1", "localhost", "::1"}:
            click.echo("warning: without TLS passwords cross the network in the clear; see --tls", err=True)
        click.echo("         Ctrl-C stops the service.", err=True)

    serve(data, host, port, database, settings, opened)
    return ExitCode.DONE
