"""The command line: one thin module a command over an importable function. Commands load on use."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module

import click

from grader import __version__
from grader.errors import ExitCode, GraderError

# command → (module, one line of help). The help stands here so that `grader --help` imports nothing.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("grader.cli.demo", "Print, fill, scan, read, mark and report a shipped exam."),
    "exam": ("grader.cli.exam", "Check an exam file; export its JSON Schema."),
    "paper": ("grader.cli.paper", "Print an exam's answer sheets."),
    "form": ("grader.cli.form", "Draft or check the form of a paper printed elsewhere."),
    "run": ("grader.cli.run", "Mark a batch of scans."),
    "read-marks": ("grader.cli.read_marks", "Read marks, bubbles and codes only."),
    "ocr": ("grader.cli.ocr", "Read the text of images."),
    "score": ("grader.cli.score", "Score responses that are already text."),
    "calibrate": ("grader.cli.calibrate", "Learn from a marked sample how an exam is marked."),
    "replay": ("grader.cli.replay", "Derive a run's marks again and compare."),
    "desk": ("grader.cli.desk", "Mark what a run left for people, in the browser."),
    "serve": ("grader.cli.serve", "The multi-user service: marking and homework for many people."),
    "train": ("grader.cli.train", "Fine-tune a scorer of short answers."),
    "report": ("grader.cli.report", "Results, annotated scans and statistics of a run."),
    "export": ("grader.cli.export", "Make a scorer of a training run."),
    "doctor": ("grader.cli.doctor", "What this installation can do, and what is missing."),
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are run or asked for help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command = import_module(COMMANDS[cmd_name][0]).command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="grader")
def cli() -> None:
    """Paper in, trustworthy marks out, offline."""


def main() -> None:
    """Entry point: turns the error tree into messages and exit codes."""
    try:
        code = cli(standalone_mode=False)
    except GraderError as error:
        _say(f"error: {error}")
        code = error.exit_code
    except click.ClickException as error:
        error.show()
        code = ExitCode.UNUSABLE
    except (click.Abort, KeyboardInterrupt):
        _say("interrupted; run the same command again to resume")
        code = ExitCode.INTERRUPTED
    except OSError as error:  # a full disk, a folder that cannot be written, wherever it showed
        where = f"{error.filename}: " if error.filename else ""
        remedy = "look at the path, its permissions and the room on the disk"
        _say(f"error: {where}{error.strerror or error}\n  remedy: {remedy}")
        code = ExitCode.UNUSABLE
    except Exception as error:  # a mistake of ours must not end with 1, which means that the job was done
        if sys.flags.dev_mode:
            raise
        _say(f"error: {_mistake(error)}")
        code = ExitCode.UNUSABLE
    sys.exit(int(code or 0))


def _say(message: str) -> None:
    with suppress(OSError):  # where messages go to a disk that is full, the exit code must still tell the truth
        click.echo(message, err=True)


def _mistake(error: Exception) -> str:
    """An error that nobody foresaw, with the place where it was raised."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({trace.tb_frame.f_globals.get('__name__')} line {trace.tb_lineno})" if trace else ""
    remedy = "report this as a mistake in grader; python -X dev -m grader ... shows where it comes from"
    return f"{type(error).__name__}: {error}{place}\n  remedy: {remedy}"
