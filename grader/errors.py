"""Every error a person can meet, drawn as a tree, and the exit codes of the command line.

    GraderError                 exit 2: nothing was marked
    ├── UsageError              options that do not go together, a missing extra
    ├── ExamError               the exam file (carries every problem at once)
    ├── FormError               a form.json or template.json that cannot be used
    ├── RosterError             the list of candidates
    ├── ModelError              a weight file that is missing, damaged or of another version
    ├── StoreError              a run folder that is something else's, in use, damaged or full
    │   └── StoreFullError      no room on its disk: worth waiting for
    ├── StorageError            a shared storage of scans that does not answer or does not let us in
    └── PageError               one page: costs one ledger row, never the batch

A message says what happened; `remedy` says what to do next.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of every command."""

    DONE = 0
    DONE_WITH_REJECTS = 1
    UNUSABLE = 2
    INTERRUPTED = 130


class GraderError(Exception):
    """What happened, and what to do next."""

    exit_code = ExitCode.UNUSABLE

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  remedy: {self.remedy}" if self.remedy else self.message


class UsageError(GraderError):
    """Options that do not go together, or an extra that is not installed."""


class ProblemsError(GraderError):
    """A file with several problems, all reported at once."""

    def __init__(self, where: str, problems: Sequence[Problem]) -> None:
        self.where = where
        self.problems = tuple(problems)
        count = len(self.problems)
        lines = [f"{where}: {count} problem{'s' if count != 1 else ''}", *(f"  {p}" for p in self.problems)]
        super().__init__("\n".join(lines))


class Problem:
    """One thing wrong in a text file: line (1-based, None if unknown), field path, what, remedy."""

    def __init__(self, field: str, message: str, remedy: str, line: int | None = None) -> None:
        self.field, self.message, self.remedy, self.line = field, message, remedy, line

    def __str__(self) -> str:
        place = f"line {self.line}, " if self.line is not None else ""
        return f"{place}{self.field}: {self.message} (remedy: {self.remedy})"


class ExamError(ProblemsError):
    """The exam file."""


class FormError(ProblemsError):
    """A form.json or an OMRChecker template."""


class RosterError(ProblemsError):
    """The list of candidates."""


class ModelError(GraderError):
    """A weight file that is missing, damaged or of another version."""


class StoreError(GraderError):
    """A run folder that is not a run, belongs to another exam, is in use, is damaged or cannot be written."""


class StoreFullError(StoreError):
    """The disk of a run folder has no room, or says that it cannot be written: someone may make room."""


class StorageError(GraderError):
    """A shared storage of scans that does not answer, does not let us in, or has nothing there."""


class PageError(GraderError):
    """One page that cannot be used. `reason` is a code of grader.flags that goes to the ledger."""

    def __init__(self, reason: str, message: str, remedy: str = "") -> None:
        super().__init__(message, remedy)
        self.reason = reason
