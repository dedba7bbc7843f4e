"""Who may do what: one table, and the person who asks.

An account has one role of its own, which says what it may do outside of exams, and any number of roles in exams
(memberships). An administrator runs the service: he sees every exam, yet marks none unless he is made a member,
which the audit log shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

Role = Literal["administrator", "leader", "marker", "teacher", "viewer"]
ROLES: tuple[Role, ...] = get_args(Role)
MEMBER_ROLES: tuple[Role, ...] = ("leader", "marker", "teacher", "viewer")

# Outside of exams the account's own role counts; in an exam (below the line) the roles of its memberships, and
# that of an administrator.
_TABLE = """
action         administrator leader teacher marker viewer
accounts       yes           .      .       .      .
audit          yes           .      .       .      .
create_exam    yes           yes    yes     .      .
enter          yes           yes    yes     yes    yes
----
see_exam       yes           yes    yes     yes    yes
mark           .             yes    yes     yes    .
lead           .             yes    yes     .      .
release        .             yes    yes     .      .
see_results    yes           yes    yes     .      yes
export         yes           yes    yes     .      .
see_names      yes           .      yes     .      .
upload         yes           yes    yes     .      .
edit_exam      yes           yes    yes     .      .
members        yes           yes    yes     .      .
erase          yes           .      yes     .      .
"""
# anyone: no sign-in is needed (signing in, the set-up link, an invitation, the language).
ANYONE = "anyone"


def _read(lines: list[str]) -> dict[str, frozenset[str]]:
    return {action: frozenset(r for r, may in zip(_ORDER, row, strict=True) if may == "yes") for action, *row in
            (line.split() for line in lines)}  # fmt: skip


_header, *_rows = _TABLE.strip().splitlines()
_ORDER = _header.split()[1:]
ABROAD = _read(_rows[: _rows.index("----")])
IN_EXAM = _read(_rows[_rows.index("----") + 1 :])


@dataclass(frozen=True)
class Actor:
    """Who asks. account: opaque id; name: as others see it; roles: exam id → the account's roles there."""

    account: str
    login: str
    name: str
    role: Role
    language: str = ""  # "zh", "en", or "" where none was chosen yet
    roles: dict[str, frozenset[Role]] = field(default_factory=dict)

    def may(self, action: str, exam: str | None = None) -> bool:
        """Whether the table allows it; exam: the id of the exam, for an action in one. KeyError for no action."""
        if exam is None:
            return self.role in ABROAD[action]
        return not IN_EXAM[action].isdisjoint(self.roles_in(exam))

    def roles_in(self, exam: str) -> frozenset[Role]:
        """What the account is in an exam."""
        everywhere: frozenset[Role] = frozenset({"administrator"} if self.role == "administrator" else ())
        return self.roles.get(exam, frozenset()) | everywhere

    def exams_where(self, action: str) -> frozenset[str] | None:
        """The exams in which it may; None for every one."""
        if self.role == "administrator" and "administrator" in IN_EXAM[action]:
            return None
        return frozenset(exam for exam in self.roles if self.may(action, exam))
