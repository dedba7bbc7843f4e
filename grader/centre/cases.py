"""Answers as the leader sees them: with every mark that stands, and the seeds among them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, select

from grader.centre import views
from grader.centre.views import OnDesk, path_of
from grader.desk import keys
from grader.desk.views import CriterionView, Typed, expected, highlight
from grader.exam.exam import Exam, ShortAnswerItem
from grader.marking import answers, schema
from grader.marking.leading import Case
from grader.marking.serving import Proposed
from grader.service.database import Database
from grader.service.exams import ExamPlace
from grader.store.store import RunStore

OFFERED = 24  # answers a page to choose seeds from


@dataclass(frozen=True)
class Held:
    """A seed, or an answer that can become one. mark: definitive, or what the model proposes; state: of marking."""

    name: str
    text: str
    crop: bool
    mark: float | None
    use: str
    state: str


def view(
    database: Database,
    run: RunStore,
    exam: ExamPlace,
    shown: Exam,
    case: Case,
    typed: Typed | None,
    proposed: bool = True,
) -> OnDesk:
    """The answer's page, without a lease: the leader takes none. proposed: the model's mark may be seen."""
    place = next(at for at, item in enumerate(shown.items) if item.id == case.item)
    item = shown.items[place]
    rubric = item.rubric if isinstance(item, ShortAnswerItem) else ()
    places = {criterion.id: at for at, criterion in enumerate(rubric)}
    proposal = case.proposal if proposed else views.NONE
    criteria = proposal.criteria
    path = path_of(exam, place, case.name)
    with database.read() as connection:
        scheme = answers.item_settings(connection, exam.id, item.id).scheme
    return OnDesk(
        place, item, scheme, case.name, f"/exams/{exam.id}/leader/queue/{case.name}",
        f"{path}/crop.png" if case.crop else "",
        views.evidence(database, run, exam.id, case.name, case.crop, case.text, criteria, places),
        highlight(case.text, criteria, places), proposal, case.flags,
        tuple(CriterionView(c.criterion, c.marks, None, keys.criterion_key(at)) for at, c in enumerate(rubric)),
        expected(item), typed or views.as_proposed(Proposed(case.mark, 0.0, "", ()), [c.id for c in rubric]),
        "", "", 1,
    )  # fmt: skip


def id_of(connection: Connection, exam: str, name: str) -> int:
    """The answer's id in the database."""
    c = schema.answer.c
    return connection.execute(select(c.id).where(c.exam == exam, c.name == name)).scalar_one()


def following(database: Database, exam: str, name: str) -> str:
    """The answer that waits for the leader behind this one, from the start again behind the end; "" for none."""
    c = schema.answer.c
    with database.read() as connection:
        query = select(c.name).where(c.exam == exam, c.state == "leader").order_by(c.item, c.place)
        waiting = list(connection.scalars(query))
    if name not in waiting:
        return waiting[0] if waiting else ""
    at = waiting.index(name)
    rest = waiting[at + 1 :] + waiting[:at]
    return rest[0] if rest else ""


def item_of(database: Database, exam: str, name: str) -> str | None:
    """The item that an answer is to, or None where there is no such answer."""
    c = schema.answer.c
    with database.read() as connection:
        return connection.scalar(select(c.item).where(c.exam == exam, c.name == name))


def seeds(database: Database, exam: str, item: str) -> list[Held]:
    """The item's seeds of every use."""
    c = schema.answer.c
    query = select(schema.answer).where(c.exam == exam, c.item == item, c.seed != "").order_by(c.seed, c.place)
    with database.read() as connection:
        return [
            Held(row.name, row.text, bool(row.crop), row.mark, row.seed, row.state) for row in connection.execute(query)
        ]


def offered(database: Database, exam: str, item: str, beyond: str = "") -> list[Held]:
    """Answers of which seeds can be made, one of each group of identical ones; beyond: cluster of the last shown."""
    c = schema.answer.c
    query = select(schema.answer).where(c.exam == exam, c.item == item, c.seed == "", c.crop != "", c.cluster > beyond)
    found: dict[str, Held] = {}
    with database.read() as connection:
        for row in connection.execute(query.order_by(c.cluster, c.place)):
            if row.cluster not in found and len(found) == OFFERED:
                break
            proposed = row.mark if row.mark is not None else row.engine_mark
            found.setdefault(row.cluster, Held(row.name, row.text, True, proposed, row.cluster, row.state))
    return list(found.values())
