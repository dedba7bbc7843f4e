"""Releasing marks: the gate, the canonical rows with their hash, what differs between two releases; pure rules."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from grader.errors import UsageError

Check = Literal["ledger", "unwritten", "queue", "appeals", "agreement"]


@dataclass(frozen=True)
class GateSettings:
    """agreement: least share of pairs of people's marks within T; pairs: how many pairs at least it must be measured
    on where items are marked twice. 0 and 0 set no limit."""

    agreement: float = 0.0
    pairs: int = 0


@dataclass(frozen=True)
class State:
    """What the gate looks at. pages: that came in; accounted: read, rejected, duplicate or unmatched with a reason;
    unmatched: pages of nobody; set_aside: a reason is given to leave these out. open: answers that wait; excused:
    answers without a mark, each with its reason. unwritten: final marks that the run lacks; appeals: open ones.
    agreement, pairs: of people with people, None and 0 where nothing was marked twice."""

    pages: int
    accounted: int
    unmatched: int
    set_aside: bool
    open: int
    excused: int
    unwritten: int
    appeals: int
    agreement: float | None
    pairs: int


@dataclass(frozen=True)
class Finding:
    """One check of the gate. en, zh: what was found, for people."""

    check: Check
    passed: bool
    en: str
    zh: str


@dataclass(frozen=True)
class Row:
    """The released mark of one answer. place: of the item in the exam. mark: None where it is excused. how: see
    grader.marking.scheme, or "rule", "revision", "excused: REASON"."""

    candidate: str
    item: str
    place: int
    mark: float | None
    max_mark: float
    how: str
    criteria: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Change:
    """An answer whose mark another release has otherwise; before or after is None where one of them lacks it."""

    candidate: str
    item: str
    before: Row | None
    after: Row | None


def check(settings: GateSettings) -> None:
    """Raises UsageError for limits that cannot be met."""
    if not 0 <= settings.agreement <= 1 or settings.pairs < 0:
        raise UsageError("the limits of the gate cannot be met", "give an agreement from 0 to 1, and pairs from 0")


def gate(state: State, settings: GateSettings) -> tuple[Finding, ...]:
    """Every check, passed or not. Marks are released only if all pass."""
    lost = state.pages - state.accounted
    return (
        Finding(
            "ledger",
            lost == 0 and (state.unmatched == 0 or state.set_aside),
            f"{state.pages} pages came in, {state.accounted} are accounted for, {state.unmatched} belong to nobody",
            f"收到 {state.pages} 页，已登记 {state.accounted} 页，{state.unmatched} 页无归属",
        ),
        Finding(
            "queue",
            state.open == 0,
            f"{state.open} answers wait for a mark; {state.excused} are excused with a reason",
            f"{state.open} 份作答待评，{state.excused} 份已说明理由免评",
        ),
        Finding(
            "unwritten",
            state.unwritten == 0,
            f"{state.unwritten} final marks are not in the run's results yet",
            f"{state.unwritten} 个定分尚未写入结果",
        ),
        Finding("appeals", state.appeals == 0, f"{state.appeals} appeals are open", f"{state.appeals} 个复核申请未结"),
        _agreement(state, settings),
    )


def passes(findings: Iterable[Finding]) -> bool:
    """Whether marks may be released."""
    return all(finding.passed for finding in findings)


def canonical(rows: Iterable[Row]) -> str:
    """The rows as JSON lines by candidate and item, of one spelling: what the hash is over."""
    ordered = sorted(rows, key=lambda row: (row.candidate, row.item))
    return "".join(json.dumps(_fields(row), ensure_ascii=False, separators=(",", ":")) + "\n" for row in ordered)


def digest(rows: Iterable[Row]) -> str:
    """Hex SHA-256 of the canonical rows."""
    return hashlib.sha256(canonical(rows).encode()).hexdigest()


def difference(before: Sequence[Row], after: Sequence[Row]) -> list[Change]:
    """The answers that have another mark, another way of coming to it or other criteria, by candidate and place."""
    old = {(row.candidate, row.item): row for row in before}
    new = {(row.candidate, row.item): row for row in after}
    found = [
        Change(*key, old.get(key), new.get(key)) for key in old.keys() | new.keys() if old.get(key) != new.get(key)
    ]
    return sorted(found, key=lambda change: (change.candidate, _place(change), change.item))


def totals(rows: Iterable[Row]) -> dict[str, float]:
    """candidate → sum of the marks there are."""
    found: dict[str, float] = {}
    for row in rows:
        found[row.candidate] = found.get(row.candidate, 0.0) + (row.mark or 0.0)
    return found


def _agreement(state: State, settings: GateSettings) -> Finding:
    enough = state.pairs >= settings.pairs
    close = state.agreement is None or state.agreement >= settings.agreement - 1e-9
    wanted = settings.agreement > 0 or settings.pairs > 0
    passed = not wanted or (enough and close and state.agreement is not None)
    share = "–" if state.agreement is None else f"{state.agreement:.1%}"
    en = f"people agree within the tolerance in {share} of {state.pairs} pairs; the limit is {settings.agreement:.1%}"
    zh = f"人工评分一致率 {share}（{state.pairs} 对），下限 {settings.agreement:.1%}"
    if settings.pairs:
        en, zh = f"{en} of at least {settings.pairs} pairs", f"{zh}，至少 {settings.pairs} 对"
    return Finding("agreement", passed, en, zh)


def _fields(row: Row) -> list[object]:
    mark = None if row.mark is None else float(row.mark)
    return [row.candidate, row.item, mark, float(row.max_mark), row.how, [list(one) for one in row.criteria]]


def _place(change: Change) -> int:
    row = change.after or change.before
    return row.place if row else 0
