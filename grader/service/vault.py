"""The vault of names: the only place where a candidate number meets a name, and the only door to it."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, func, insert, select

from grader.service.exams import ExamPlace
from grader.service.permissions import Actor
from grader.service.schema import candidate_name
from grader.service.service import Service


def keep(connection: Connection, exam: str, names: Mapping[str, str]) -> None:
    """Keep the names (candidate number → name) of an exam; a number's earlier name goes. Empty names are not kept."""
    c = candidate_name.c
    for candidate, name in names.items():
        connection.execute(delete(candidate_name).where(c.exam == exam, c.candidate == candidate))
        if name.strip():
            connection.execute(insert(candidate_name).values(exam=exam, candidate=candidate, name=name.strip()))


def names(service: Service, actor: Actor, exam: ExamPlace) -> dict[str, str]:
    """Candidate number → name, for those who may `see_names`; for all others nothing. Who looked is logged."""
    if not actor.may("see_names", exam.id):
        return {}
    c = candidate_name.c
    with service.database.read() as connection:
        query = select(c.candidate, c.name).where(c.exam == exam.id).order_by(c.candidate)
        found = {row.candidate: row.name for row in connection.execute(query)}
    if found:
        service.saw(actor.account, exam.id, "names", list(found))
    return found


def for_reading(connection: Connection, exam: str) -> dict[str, str]:
    """The names for the engine alone, which looks for them at the top of pages that say in no other way whose they
    are; it writes them nowhere."""
    c = candidate_name.c
    return {row.candidate: row.name for row in connection.execute(select(c.candidate, c.name).where(c.exam == exam))}


def count(connection: Connection, exam: str) -> int:
    """How many names an exam has; tells nobody's."""
    query = select(func.count()).select_from(candidate_name).where(candidate_name.c.exam == exam)
    return connection.scalar(query) or 0


def forget(connection: Connection, exam: str, candidate: str | None = None) -> int:
    """Delete the name of one candidate, or all of an exam; how many went."""
    c = candidate_name.c
    which = [c.exam == exam] + ([c.candidate == candidate] if candidate is not None else [])
    return connection.execute(delete(candidate_name).where(*which)).rowcount
