"""One page's result in the form in which the journal takes it.

Workers make it from the result, so that the one process that collects has little to do for each page: JSON
and hashes are made where there are many processes, and what travels is text and pictures.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from grader.records import Outcome, PageRef, PageResult
from grader.store import records


@dataclass(frozen=True, eq=False)
class Entry:
    """body: the page's record (`grader.store.records`). pictures: SHA-256 → PNG of the crops that it names.

    review: how many of its answers wait for a person. seconds: stage → time spent. flags: code → how many of its
    answers carry it.
    """

    ref: PageRef
    outcome: Outcome
    reason: str
    review: int
    seconds: dict[str, float]
    body: str
    pictures: dict[str, bytes]
    flags: dict[str, int] = field(default_factory=dict)


def entry_of(result: PageResult) -> Entry:
    """The journal's entry for a result; for one that cannot be written as it is, a rejected page that says so."""
    try:
        return _entry(result)
    except ValueError as error:  # a mistake of ours costs this page, not the batch
        detail = f"{result.ref.file} page {result.ref.page}: what was read cannot be stored: {error}"
        return _entry(PageResult(result.ref, "rejected", "internal_error", detail, result.sha256))


def _entry(result: PageResult) -> Entry:
    hashes = {name: hashlib.sha256(png).hexdigest() for name, png in result.crops.items()}
    return Entry(
        result.ref,
        result.outcome,
        result.reason,
        sum(mark.status == "review" for mark in result.marks),
        result.seconds,
        records.to_json(result, hashes),
        {hashes[name]: png for name, png in result.crops.items()},
        dict(Counter(flag for mark in result.marks for flag in mark.flags)),
    )
