"""The queue of readings, in the database: one is in work at a time, and a restart takes up what was begun."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from grader.homework.schema import job
from grader.service.database import now
from grader.service.schema import new_id

_COLUMNS = (job.c.id, job.c.exam, job.c.state, job.c.actor, job.c.done, job.c.total, job.c.rejected, job.c.flagged,
            job.c.problem)  # fmt: skip


@dataclass(frozen=True)
class Job:
    """One reading of an exam's scans. done, total, rejected: pages; flagged: answers that wait for a person."""

    id: str
    exam: str
    state: str
    actor: str
    done: int
    total: int
    rejected: int
    flagged: int
    problem: str

    @property
    def active(self) -> bool:
        """Whether it waits or is in work."""
        return self.state in ("queued", "running")


def ask(connection: Connection, exam: str, actor: str) -> None:
    """Have the exam's scans read. What waits already will read them too; what is in work may have passed them by."""
    waiting = select(job.c.id).where(job.c.exam == exam, job.c.state == "queued")
    if connection.execute(waiting).first() is None:
        connection.execute(insert(job).values(id=new_id(), exam=exam, state="queued", actor=actor, at=now()))


def latest(connection: Connection, exam: str) -> Job | None:
    """The exam's job that is in work, or waits, or else was the last."""
    rows = connection.execute(select(*_COLUMNS).where(job.c.exam == exam).order_by(job.c.at.desc())).all()
    found = [Job(*row) for row in rows]
    return next((one for one in found if one.state == "running"), found[0] if found else None)


def any_queued(connection: Connection) -> bool:
    """Whether any waits."""
    return connection.execute(select(job.c.id).where(job.c.state == "queued").limit(1)).first() is not None


def next_job(connection: Connection) -> Job | None:
    """Take the oldest that waits into work."""
    query = select(*_COLUMNS).where(job.c.state == "queued").order_by(job.c.at, job.c.id)
    row = connection.execute(query).first()
    if row is None:
        return None
    connection.execute(update(job).where(job.c.id == row.id).values(state="running", done=0, total=0))
    return Job(*row)


def ahead_of(connection: Connection, one: Job) -> int:
    """How many others are in work or wait before it."""
    at = select(job.c.at).where(job.c.id == one.id).scalar_subquery()
    query = select(job.c.id).where(job.c.exam != one.exam, job.c.state.in_(("queued", "running")), job.c.at <= at)
    return len(connection.execute(query).all())


def progress(connection: Connection, job_id: str, **values: int) -> None:
    """How far it is."""
    connection.execute(update(job).where(job.c.id == job_id).values(**values))


def end(connection: Connection, job_id: str, problem: str = "") -> None:
    """It is over; problem: why it failed."""
    state = "failed" if problem else "done"
    connection.execute(update(job).where(job.c.id == job_id).values(state=state, problem=problem))


def take_up(connection: Connection) -> None:
    """What was in work when the service stopped waits again: a run resumes where it was."""
    connection.execute(update(job).where(job.c.state == "running").values(state="queued"))
