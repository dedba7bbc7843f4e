"""Settling a run: from the journal of pages to the ledger and the answers.

Pages come back in any order; settling goes through them in the order of the plan, so the result does not
depend on who read what when. It decides what one page alone cannot know: duplicates, second scans that
differ, missing pages. It is a pure function of the journal and can be repeated at will; what people decided
is part of the journal and has the last word.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from grader.flags import check
from grader.reading.kept import by_identity
from grader.records import Identity, Mark, Outcome, PageRef, PageResult
from grader.run.job import Job
from grader.run.plain_rows import Script, decision_for, plain_rows
from grader.run.rows import row_of, to_json
from grader.store.decisions import AnswerKey, Decision, answer_key, attributions, decided, decisions
from grader.store.store import RunStore


@dataclass(frozen=True)
class Settled:
    """What became of one page. differs: items whose answer is another one on a second scan."""

    ordinal: int
    ref: PageRef
    event_id: int
    outcome: Outcome
    reason: str
    detail: str
    candidate: str
    sheet_page: int | None


@dataclass
class Census:
    """What the whole batch holds, page by page."""

    pages: list[Settled] = field(default_factory=list)
    first: dict[tuple[str, int], PageRef] = field(default_factory=dict)  # (candidate, sheet page) → its scan
    differs: dict[PageRef, set[str]] = field(default_factory=dict)  # first scan → items that a second one disputes
    missing: list[tuple[str, int]] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)


def settle(store: RunStore, job: Job, order: Sequence[PageRef]) -> dict[str, Any]:
    """Derive the projections of the pages in `order`; returns counts, seconds, missing and absent."""
    census = take_census(store, job, order)
    counts = {"pages": len(census.pages), "read": 0, "rejected": 0, "duplicate": 0, "unmatched": 0}
    for page in census.pages:
        counts[page.outcome] += 1
    answers = _plain_answer_rows(store, job, census) if job.form.plain else _answer_rows(store, job, census)
    store.project(_page_rows(census), answers)
    statuses = store.count(answer="status")
    counts["responses"] = sum(statuses.values())
    counts |= {status: statuses.get(status, 0) for status in ("final", "proposed", "review")}
    counts["missing"] = len(census.missing)
    return {"counts": counts, "seconds": census.seconds, "absent": census.absent}


def take_census(store: RunStore, job: Job, order: Sequence[PageRef]) -> Census:
    """Go through the journal in the order of the plan, without looking at what was read but on duplicates."""
    census = Census()
    pictures: dict[str, PageRef] = {}
    whose = attributions(store)
    for ordinal, (event_id, outline) in enumerate(store.page_outlines(order)):
        result = _attributed(outline, whose)
        if job.form.plain and result.outcome == "read" and result.identity is not None:
            result = replace(result, sheet_page=1 + sum(c == result.identity.candidate for c, _ in census.first))
        for stage, seconds in result.seconds.items():
            census.seconds[stage] = census.seconds.get(stage, 0.0) + seconds
        outcome, reason, detail = _outcome(store, census, pictures, result)
        candidate = result.identity.candidate if result.identity else ""
        census.pages.append(
            Settled(ordinal, result.ref, event_id, outcome, reason, detail, candidate, result.sheet_page)
        )
    seen = sorted({candidate for candidate, _ in census.first})
    wanted = [page.number for page in job.form.pages if any(f.role == "item" for f in page.fields)]
    wanted = [] if job.form.plain else wanted  # on plain paper items are missing, not pages
    census.missing = [(c, number) for c in seen for number in wanted if (c, number) not in census.first]
    if job.roster is not None:
        census.absent = sorted(set(job.roster.candidates) - set(seen))
    return census


def _attributed(result: PageResult, whose: Mapping[PageRef, str]) -> PageResult:
    """The page as it is once a person has said whose it is."""
    candidate = whose.get(result.ref)
    if candidate is None or result.registration is None:
        return result
    return replace(
        result,
        outcome="read",
        reason="",
        identity=Identity(candidate, 1.0, (), (("person", candidate),)),
        responses=tuple(replace(response, candidate=candidate) for response in result.responses),
        marks=tuple(replace(mark, candidate=candidate) for mark in result.marks),
    )


def _outcome(
    store: RunStore, census: Census, pictures: dict[str, PageRef], result: PageResult
) -> tuple[Outcome, str, str]:
    if result.sha256:
        original = pictures.setdefault(result.sha256, result.ref)
        if original != result.ref:
            return "duplicate", "duplicate_file", f"the same image as {original.file} page {original.page}"
    if result.outcome != "read" or result.identity is None or result.sheet_page is None:
        return result.outcome, result.reason, result.detail
    first = census.first.setdefault((result.identity.candidate, result.sheet_page), result.ref)
    if first == result.ref:
        return "read", "", ""
    disputed = _disputed(*(record.result for _, record in store.page_events([first, result.ref])))
    if disputed:
        census.differs.setdefault(first, set()).update(disputed)
    detail = f"already read from {first.file} page {first.page}"
    return (
        "duplicate",
        "duplicate_page",
        f"{detail}; answers differ: {', '.join(disputed)}" if disputed else detail,
    )


def _disputed(first: PageResult, second: PageResult) -> list[str]:
    before = {response.item: response.text for response in first.responses}
    return [r.item for r in second.responses if before.get(r.item) != r.text]


def _page_rows(census: Census) -> Iterator[dict[str, Any]]:
    for page in census.pages:
        yield {
            "file": page.ref.file,
            "page": page.ref.page,
            "ordinal": page.ordinal,
            "event_id": page.event_id,
            "outcome": page.outcome,
            "reason": page.reason,
            "detail": page.detail,
            "candidate": page.candidate,
            "sheet_page": page.sheet_page,
        }
    # A page that never came has a row too, with no file; it does not count among the pages.
    for number, (candidate, sheet_page) in enumerate(census.missing):
        yield {
            "file": "",
            "page": number + 1,
            "ordinal": len(census.pages) + number,
            "event_id": 0,
            "outcome": "unmatched",
            "reason": "missing_page",
            "detail": f"no scan of sheet page {sheet_page} of candidate {candidate}",
            "candidate": candidate,
            "sheet_page": sheet_page,
        }


def _read_rows(store: RunStore, job: Job, census: Census) -> Iterator[dict[str, Any]]:
    """The answers of every page that was read, as the engine left them."""
    kept = {page.ref: page for page in census.pages if page.outcome in {"read", "unmatched"}}
    whose = attributions(store)
    for _, record in store.page_events(list(kept)):
        page = kept[record.result.ref]
        unmatched = (page.reason,) if page.outcome == "unmatched" else ()
        result = _attributed(record.result, whose)
        yield from _rows_of_page(job, result, record.crops, census.differs.get(page.ref, set()), unmatched)


def _answer_rows(store: RunStore, job: Job, census: Census) -> Iterator[dict[str, Any]]:
    decided_by = decisions(store)
    for row in _read_rows(store, job, census):
        yield _decided(row, decided_by)
    order = {item.id: number for number, item in enumerate(job.exam.items)}
    for candidate, sheet_page in census.missing:
        fields = job.form.page(sheet_page).fields
        for item_id in dict.fromkeys(f.item for f in fields if f.role == "item" and f.item in order):
            item = job.exam.item(str(item_id))
            mark = Mark(candidate, item.id, None, item.max_mark, 0.0, "review", ("missing_page",))
            yield _decided(row_of(mark, order[item.id], sheet_page=sheet_page), decided_by)


def _plain_answer_rows(store: RunStore, job: Job, census: Census) -> list[dict[str, Any]]:
    """On plain paper a candidate's pages are settled together. A list: pictures may go into the store meanwhile."""
    read: dict[str, list[PageRef]] = {}
    for page in census.pages:
        if page.outcome == "read":
            read.setdefault(page.candidate, []).append(page.ref)
    scripts = {c: Script(c, tuple(r for _, r in store.page_events(refs))) for c, refs in sorted(read.items())}
    decided_by, rows = decisions(store), []
    for row in plain_rows(store, job.exam, list(_read_rows(store, job, census)), list(scripts.values())):
        found = decision_for(row, scripts.get(row["candidate"]), decided_by)
        rows.append({**row, **decided(row, found[1], found[0])} if found else row)
    return rows


def _decided(row: dict[str, Any], decided_by: Mapping[AnswerKey, tuple[str, Decision]]) -> dict[str, Any]:
    found = decided_by.get(answer_key(row["candidate"], row["file"], row["file_page"], row["item"]))
    return {**row, **decided(row, found[1], found[0])} if found else row


@by_identity
def _places(job: Job) -> tuple[dict[str, int], dict[str | None, str]]:
    """The number of each item in the exam, and the first field that answers it."""
    order = {item.id: number for number, item in enumerate(job.exam.items)}
    fields = [field for page in job.form.pages for field in page.fields if field.role == "item"]
    return order, {field.item: field.id for field in reversed(fields)}


def _rows_of_page(
    job: Job, result: PageResult, crops: dict[str, str], disputed: set[str], unmatched: tuple[str, ...]
) -> Iterator[dict[str, Any]]:
    order, field_of = _places(job)
    readings = {reading.field: reading for reading in result.readings}
    for response, mark in zip(result.responses, result.marks, strict=True):
        extra = unmatched + (("duplicate_differs",) if mark.item in disputed else ())
        settled = replace(mark, status="review", flags=check(mark.flags + extra)) if extra else mark
        reading = readings[field_of[mark.item]]
        yield row_of(
            settled,
            order[mark.item],
            sheet_page=result.sheet_page,
            file=result.ref.file,
            file_page=result.ref.page,
            box=to_json(reading.box),
            crop=crops.get(reading.field, ""),
            response=response.text,
        )
