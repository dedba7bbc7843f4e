"""grader doctor: what this installation can do, and what is missing."""

from __future__ import annotations

import click


@click.command("doctor")
def command() -> int:
    """Check packages, weights, fonts, engines and the machine. Exit code 2 if marking cannot work."""
    from grader.doctor import examine
    from grader.errors import ExitCode

    findings = examine()
    for finding in findings:
        mark = "ok  " if finding.ok else ("MISS" if finding.needed else "off ")
        click.echo(f"{mark} {finding.what}: {finding.detail}")
        if not finding.ok and finding.remedy:
            click.echo(f"     {finding.remedy}")
    broken = any(finding.needed and not finding.ok for finding in findings)
    return ExitCode.UNUSABLE if broken else ExitCode.DONE
