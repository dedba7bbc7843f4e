"""What waits for the teacher, and the run's rows once every mark that was given stands in them."""

from __future__ import annotations

from sqlalchemy import func, select

from grader.homework import classlist, keeper, outcome
from grader.homework.outcome import Pupil
from grader.marking.schema import answer
from grader.service.database import Database
from grader.service.exams import ExamPlace
from grader.service.service import Service


def statuses(database: Database, exam: str) -> dict[str, int]:
    """Status (final, proposed, review) → answers; of those that wait, as the engine left them."""
    c = answer.c
    found: dict[str, int] = {}
    query = select(c.state, c.engine_status, func.count()).where(c.exam == exam, c.state != "excused")
    with database.read() as connection:
        for state, engine, count in connection.execute(query.group_by(c.state, c.engine_status)):
            status = "final" if state == "final" else "proposed" if engine == "proposed" else "review"
            found[status] = found.get(status, 0) + count
    return found


def everybody(service: Service, exam: ExamPlace) -> list[Pupil]:
    """The class with its answers and marks as they stand."""
    keeper.finish(service, exam)
    with service.database.read() as connection:
        candidates = classlist.candidates(connection, exam.id)
    rows = service.run(exam).results() if keeper.settled(exam) else iter(())
    return outcome.pupils(exam.definition(), candidates, rows)
