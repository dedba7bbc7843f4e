"""Releasing marks: what stands in the way, the numbered releases, and what each changed."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from grader.centre.people import namer
from grader.centre.showing import page, saved
from grader.errors import UsageError
from grader.marking import outbox, release, releasing
from grader.marking.errors import NotAllowed, NotFound
from grader.marking.release import GateSettings, totals
from grader.run.output import inert, number
from grader.service import audit
from grader.service.access import Form, Refused, TheActor, TheExam, TheService, allowed
from grader.service.exams import ExamPlace
from grader.service.pages import go, say, tell
from grader.service.service import Service

rooms = APIRouter(tags=["release"])
_RELEASE = [Depends(allowed("release"))]
_MAX_REASON = 500
_SHOWN = 300  # changes on one page; the file has them all


@rooms.get("/exams/{exam}/release", dependencies=_RELEASE)
def overview(request: Request, service: TheService, exam: TheExam) -> Response:
    """The checks before a release, and the releases there are."""
    return _overview(request, service, exam)


@rooms.post("/exams/{exam}/release", dependencies=_RELEASE)
def publish(request: Request, service: TheService, actor: TheActor, exam: TheExam, form: Form) -> Response:
    """Write what is final into the run, then release the marks as they stand under the next number."""
    typed = {name: str(form.get(name, "")).strip()[:_MAX_REASON] for name in ("reason", "set_aside")}
    run = service.run(exam)
    outbox.write_finals(service.database, exam.id, run)
    try:
        made = releasing.publish(
            service.database, exam.id, run, actor.account, typed["reason"], set_aside=typed["set_aside"]
        )
    except (NotAllowed, NotFound):
        return _overview(request, service, exam, typed, "release_refused")
    with service.database.begin() as connection:
        audit.record(connection, actor.account, "released", exam.id, number=made.number, hash=made.hash)
    return saved(request, f"/exams/{exam.id}/release/{made.number}", "released", number=made.number)


@rooms.post("/exams/{exam}/release/gate", dependencies=_RELEASE)
def set_gate(request: Request, service: TheService, actor: TheActor, exam: TheExam, form: Form) -> Response:
    """Set the least agreement between people that a release needs."""
    try:
        agreement = float(str(form.get("agreement", "")).replace(",", ".").removesuffix("%")) / 100
        limits = GateSettings(round(agreement, 6), int(str(form.get("pairs", ""))))
        releasing.set_gate(service.database, exam.id, limits)
    except (ValueError, UsageError):
        return _overview(request, service, exam, error="bad_gate")
    with service.database.begin() as connection:
        audit.record(connection, actor.account, "release_gate", exam.id, agreement=limits.agreement, pairs=limits.pairs)
    return saved(request, f"/exams/{exam.id}/release", "gate_saved")


@rooms.get("/exams/{exam}/release/{count}", dependencies=_RELEASE)
def one_release(request: Request, service: TheService, exam: TheExam, count: int) -> Response:
    """One release: what the gate found, its hash, the totals, and what it changed."""
    made, changes = _made(service, exam, count), _changes(service, exam, count)
    rows = releasing.rows(service.database, exam.id, count)
    return page(
        request, "one_release", None, room="release", made=made, changes=changes[:_SHOWN], more=len(changes) - _SHOWN,
        sums=totals(rows), most=sum({row.item: row.max_mark for row in rows}.values()),
        name_of=namer(request, service.database),
    )  # fmt: skip


@rooms.get("/exams/{exam}/release/{count}/marks.csv", dependencies=[Depends(allowed("export"))])
def download(service: TheService, actor: TheActor, exam: TheExam, count: int) -> Response:
    """The released marks as CSV, by candidate number; names are not in it."""
    _made(service, exam, count)
    rows = releasing.rows(service.database, exam.id, count)
    with service.database.begin() as connection:
        audit.record(connection, actor.account, "exported_release", exam.id, number=count)
    lines = [("candidate", "item", "mark", "max_mark", "how")]
    lines += [(inert(r.candidate), inert(r.item), number(r.mark), number(r.max_mark), inert(r.how)) for r in rows]
    return _csv(lines, f"release-{count}.csv")


@rooms.get("/exams/{exam}/release/{count}/changes.csv", dependencies=[Depends(allowed("export"))])
def download_changes(service: TheService, actor: TheActor, exam: TheExam, count: int) -> Response:
    """What the release changed against the one before it, as CSV."""
    _made(service, exam, count)
    with service.database.begin() as connection:
        audit.record(connection, actor.account, "exported_changes", exam.id, number=count)
    lines = [("candidate", "item", "before", "after")]
    for change in _changes(service, exam, count):
        before, after = (number(row.mark) if row else "" for row in (change.before, change.after))
        lines.append((inert(change.candidate), inert(change.item), before, after))
    return _csv(lines, f"release-{count}-changes.csv")


def _csv(lines: Sequence[tuple[str, ...]], name: str) -> Response:
    text = io.StringIO()
    csv.writer(text).writerows(lines)
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response("\ufeff" + text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def _made(service: Service, exam: ExamPlace, count: int) -> releasing.Release:
    found = next((one for one in releasing.releases(service.database, exam.id) if one.number == count), None)
    if found is None:
        raise Refused(404, "not_here")
    return found


def _changes(service: Service, exam: ExamPlace, count: int) -> list[release.Change]:
    """Against the release before; the first one changes nothing, it is new."""
    return releasing.difference(service.database, exam.id, count - 1, count) if count > 1 else []


def _overview(
    request: Request, service: Service, exam: ExamPlace, typed: dict[str, str] | None = None, error: str = ""
) -> Response:
    typed = typed or {"reason": "", "set_aside": ""}
    if not exam.has_run:
        say(request, "no_run_yet")
        return go(f"/exams/{exam.id}")
    try:
        limits = releasing.gate_settings(service.database, exam.id)
    except NotFound:
        return page(request, "release", None, room="release", findings=None)
    findings = releasing.gate(service.database, exam.id, service.run(exam), set_aside=typed["set_aside"])
    made = releasing.releases(service.database, exam.id)
    changes = releasing.unreleased(service.database, exam.id)
    shut = [one for one in findings if not one.passed and one.check not in ("unwritten", "ledger")]
    return page(
        request, "release", None, 422 if error else 200, room="release", findings=findings, shut=shut, made=made,
        limits=limits, changes=len(changes), typed=typed, error=tell(request, error) if error else "",
        unmatched=any(one.check == "ledger" and not one.passed for one in findings),
        name_of=namer(request, service.database),
    )  # fmt: skip
