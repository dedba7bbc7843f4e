"""What a marker's page shows of an answer, as plain values. Nothing here tells whose it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from sqlalchemy import select

from grader.desk import keys
from grader.desk.views import CriterionView, Picture, Piece, Typed, expected, highlight, picture_of
from grader.errors import GraderError
from grader.exam.exam import Exam, Item, ShortAnswerItem
from grader.marking import answers, schema
from grader.marking.scheme import Scheme
from grader.marking.serving import Proposed, Served
from grader.records import CriterionMark, Transcription
from grader.run.output import number
from grader.service.database import Database
from grader.service.exams import ExamPlace
from grader.store.store import RunStore

NONE = Proposed(None, 0.0, "", ())


@dataclass(frozen=True)
class OnDesk:
    """An answer with all that decides its mark. proposal.mark is None where none may be seen."""

    place: int
    item: Item
    scheme: Scheme
    name: str
    path: str
    crop: str
    picture: Picture | None
    response: tuple[Piece, ...]
    proposal: Proposed
    flags: tuple[str, ...]
    criteria: tuple[CriterionView, ...]
    expected: tuple[str, ...]
    typed: Typed
    token: str
    trial: str
    waiting: int


def path_of(exam: ExamPlace, place: int, name: str) -> str:
    """Address of an answer at the markers' desk."""
    return f"/exams/{exam.id}/mark/{place}/answers/{name}"


def standing_exam(database: Database, exam: str) -> Exam:
    """The exam in the version in force. Raises NotFound before anything was brought in."""
    with database.read() as connection:
        return answers.current_exam(connection, exam)[1]


def on_desk(
    database: Database, run: RunStore, exam: ExamPlace, shown: Exam, place: int, served: Served, typed: Typed | None
) -> OnDesk:
    """An answer that was served. typed: what stands in the form already."""
    item = shown.items[place]
    with database.read() as connection:
        scheme = answers.item_settings(connection, exam.id, item.id).scheme
    rubric = item.rubric if isinstance(item, ShortAnswerItem) else ()
    places = {criterion.id: at for at, criterion in enumerate(rubric)}
    proposal = served.proposal or NONE
    path = path_of(exam, place, served.name)
    proposed = {mark.id: mark.mark for mark in proposal.criteria}
    return OnDesk(
        place=place,
        item=item,
        scheme=scheme,
        name=served.name,
        path=path,
        crop=f"{path}/crop.png" if served.crop else "",
        picture=evidence(database, run, exam.id, served.name, served.crop, served.text, proposal.criteria, places),
        response=highlight(served.text, proposal.criteria, places),
        proposal=proposal,
        flags=served.flags,
        criteria=tuple(
            CriterionView(c.criterion, c.marks, proposed.get(c.id), keys.criterion_key(at))
            for at, c in enumerate(rubric)
        ),
        expected=expected(item),
        typed=typed or as_proposed(proposal, [c.id for c in rubric]),
        token=served.token,
        trial=served.trial,
        waiting=served.waiting,
    )


def with_typed(view: OnDesk, typed: Typed) -> OnDesk:
    """The same with other things in its form."""
    return replace(view, typed=typed)


def as_proposed(proposal: Proposed, criteria: Sequence[str]) -> Typed:
    """The form as it is met: the proposal, or nothing where marking is blind to it."""
    held = {mark.id: number(mark.mark) for mark in proposal.criteria}
    return Typed(number(proposal.mark), tuple(held.get(id_, "") for id_ in criteria), "")


def evidence(
    database: Database,
    run: RunStore,
    exam: str,
    name: str,
    crop: str,
    text: str,
    criteria: Sequence[CriterionMark],
    places: dict[str, int],
) -> Picture | None:
    """Where the evidence for the proposal stands on the crop; None where nothing is proposed or drawn."""
    if not crop or not any(mark.evidence for mark in criteria):
        return None
    transcription = _transcription(database, run, exam, name)
    return picture_of(run.crop(crop), text, transcription, criteria, places)


@lru_cache(maxsize=4096)
def _transcription(database: Database, run: RunStore, exam: str, name: str) -> Transcription | None:
    """How the answer's picture was read. It never changes, and the page's record is large."""
    a, o = schema.answer.c, schema.origin.c
    query = select(a.item, o.file, o.file_page).join(schema.origin, o.answer == a.id)
    with database.read() as connection:
        row = connection.execute(query.where(a.exam == exam, a.name == name)).first()
    if row is None or not row.file:
        return None
    try:
        record = run.page_record(row.file, row.file_page)
    except GraderError:
        return None  # the picture is worth showing without its boxes
    responses = record.result.responses if record else ()
    return next((response.transcription for response in responses if response.item == row.item), None)


def crop_of(database: Database, exam: str, name: str) -> str:
    """SHA-256 of an answer's picture, "" where it has none or is not there."""
    c = schema.answer.c
    with database.read() as connection:
        return connection.scalar(select(c.crop).where(c.exam == exam, c.name == name)) or ""


def practised(database: Database, exam: ExamPlace, shown: Exam, place: int, name: str) -> OnDesk:
    """An answer after practice: what was read, and how it was to be marked."""
    c = schema.answer.c
    with database.read() as connection:
        row = connection.execute(select(c.item, c.text, c.crop).where(c.exam == exam.id, c.name == name)).one()
        scheme = answers.item_settings(connection, exam.id, row.item).scheme
    item = shown.items[place]
    rubric = item.rubric if isinstance(item, ShortAnswerItem) else ()
    path = path_of(exam, place, name)
    return OnDesk(
        place, item, scheme, name, path, f"{path}/crop.png" if row.crop else "", None, highlight(row.text, (), {}),
        NONE, (), tuple(CriterionView(c.criterion, c.marks, None, "") for c in rubric), expected(item),
        Typed("", (), ""), "", "practice", 1,
    )  # fmt: skip
