"""What can be refused while marking. All are usage errors: a message says what happened and what to do next."""

from __future__ import annotations

from grader.errors import UsageError


class NotFound(UsageError):
    """The exam has no such item, answer, sample, release or appeal."""


class Taken(UsageError):
    """The answer is not, or no longer, the marker's: his lease ran out and another has it, or it is settled."""


class NotAllowed(UsageError):
    """The rules of marking forbid it to this person: a stopped marker, an appeal on one's own mark, one's own lift."""


class Destroys(UsageError):
    """A change of settings or of the exam that would orphan or falsify marks that were given."""
