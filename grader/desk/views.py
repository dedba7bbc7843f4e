"""What the desk's pages show, as plain values, and the templates that show it.

Whatever a student wrote is escaped by Jinja. Nothing here holds a candidate number, a name or a file's name
except `LostPage`, which is shown apart from marking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from jinja2 import Environment, PackageLoader, StrictUndefined

from grader.desk import keys
from grader.desk.desk import Desk
from grader.desk.geometry import EvidenceBox, evidence_boxes, png_size
from grader.desk.remedies import remedy
from grader.desk.security import Session
from grader.desk.words import word
from grader.exam.exam import BlankItem, ChoiceItem, Item, MultiChoiceItem, NumericItem, ShortAnswerItem
from grader.flags import words as flag_words
from grader.records import CriterionMark, Transcription
from grader.run.output import number
from grader.store.decisions import MARKER
from grader.store.store import Proposal, ResultRow

GROUP_SHOWN = 60


@dataclass(frozen=True)
class Typed:
    """What stands in the form: texts as typed, criteria in the order of the rubric."""

    mark: str
    criteria: tuple[str, ...]
    comment: str


@dataclass(frozen=True)
class Piece:
    """A stretch of the response. criteria: places in the rubric of those that it is evidence for."""

    text: str
    criteria: tuple[int, ...]


@dataclass(frozen=True)
class CriterionView:
    """A criterion with what the engine proposed for it. key: letter that toggles it, or ""."""

    text: str
    marks: float
    proposed: float | None
    key: str


@dataclass(frozen=True)
class AnswerView:
    """One answer at the desk."""

    order: int
    item: Item
    name: str
    crop: str
    response: tuple[Piece, ...]
    proposal: Proposal
    decided_by: str
    decided_mark: float | None
    flags: tuple[str, ...]
    criteria: tuple[CriterionView, ...]
    expected: tuple[str, ...]
    typed: Typed
    left: int
    final: int
    identical: int
    near: int = 0
    picture: Picture | None = None
    raised: str = ""


@dataclass(frozen=True)
class Picture:
    """The crop's size in pixels and the evidence on it."""

    width: int
    height: int
    boxes: tuple[EvidenceBox, ...]


@dataclass(frozen=True)
class Member:
    """One of a group of identical answers, or of a sample. mark: proposed for it."""

    name: str
    crop: str
    response: str
    flags: tuple[str, ...]
    mark: float | None = None
    confidence: float = 0.0


@dataclass(frozen=True)
class RaisedView:
    """An answer that waits for the leader."""

    order: int
    name: str
    item: str
    by: str
    comment: str


def answer_view(desk: Desk, order: int, name: str, typed: Typed | None = None) -> AnswerView:
    """Everything that the desk shows of an answer. typed: what the person had typed, where it is shown again."""
    item, row = desk.item(order), desk.answer(order, name)
    queue, waiting = desk.queue(order)
    proposal = row.proposal or Proposal(row.mark, row.confidence, row.status, row.marker, row.criteria)
    rubric = item.rubric if isinstance(item, ShortAnswerItem) else ()
    places = {criterion.id: place for place, criterion in enumerate(rubric)}
    proposed = {mark.id: mark.mark for mark in proposal.criteria}
    return AnswerView(
        order=order,
        item=item,
        name=name,
        crop=crop_path(order, name) if row.crop else "",
        response=highlight(row.response, proposal.criteria, places),
        proposal=proposal,
        decided_by=row.marker.removeprefix(MARKER) if row.proposal else "",
        decided_mark=row.mark,
        flags=row.flags,
        criteria=tuple(
            CriterionView(c.criterion, c.marks, proposed.get(c.id), keys.criterion_key(place))
            for place, c in enumerate(rubric)
        ),
        expected=expected(item),
        typed=typed or _standing(row, [c.id for c in rubric]),
        left=len(waiting),
        final=len(queue.entries) - len(waiting),
        identical=len(desk.identical(order, name)),
        near=len(desk.near(order, name)),
        picture=_picture(desk, order, name, row, proposal, places),
        raised=next((by for o, n, by, _ in desk.raised() if (o, n) == (order, name)), ""),
    )


def members(desk: Desk, order: int, name: str) -> tuple[list[Member], int]:
    """The first of the waiting identical answers, and how many there are."""
    entries = desk.identical(order, name)
    return [_member(desk, order, one.name) for one in entries[:GROUP_SHOWN]], len(entries)


def near(desk: Desk, order: int, name: str) -> list[Member]:
    """The first of the waiting answers that read nearly the same."""
    return [_member(desk, order, one.name) for one in desk.near(order, name)[:GROUP_SHOWN]]


def _member(desk: Desk, order: int, name: str) -> Member:
    row = desk.answer(order, name)
    return Member(name, crop_path(order, name) if row.crop else "", row.response, row.flags)


def sampled(desk: Desk, order: int, name: str) -> Member:
    """One of a random sample, with what the model proposes."""
    row = desk.answer(order, name)
    crop = crop_path(order, name) if row.crop else ""
    return Member(name, crop, row.response, row.flags, row.mark, row.confidence)


def raised_view(desk: Desk, order: int, name: str, by: str, comment: str) -> RaisedView:
    """What the overview says of an answer that waits for the leader."""
    return RaisedView(order, name, desk.item(order).id, by, comment)


def picture_of(
    png: bytes,
    text: str,
    transcription: Transcription | None,
    criteria: Sequence[CriterionMark],
    places: dict[str, int],
) -> Picture | None:
    """Where the evidence stands on the crop; None for a picture whose size cannot be told."""
    try:
        width, height = png_size(png)
    except ValueError:
        return None
    return Picture(width, height, evidence_boxes(text, transcription, criteria, places))


def _picture(
    desk: Desk, order: int, name: str, row: ResultRow, proposal: Proposal, places: dict[str, int]
) -> Picture | None:
    if not row.crop or not places:
        return None
    png = desk.store.crop(row.crop)
    return picture_of(png, row.response, desk.transcription(order, name), proposal.criteria, places)


def answer_path(order: int, name: str) -> str:
    """Address of an answer's page."""
    return f"/items/{order}/answers/{name}"


def crop_path(order: int, name: str) -> str:
    """Address of its picture."""
    return f"{answer_path(order, name)}/crop.png"


def expected(item: Item) -> tuple[str, ...]:
    """What is right, in the exam's words; of a short answer its reference answers."""
    match item:
        case ChoiceItem() | MultiChoiceItem():
            return (item.answer,)
        case BlankItem():
            return item.answers
        case NumericItem():
            about = f" ± {item.tolerance}" if item.tolerance else ""
            return (f"{item.answer}{' ' + item.unit if item.unit else ''}{about}",)
        case ShortAnswerItem():
            return item.reference_answers


def highlight(text: str, criteria: Sequence[CriterionMark], places: dict[str, int]) -> tuple[Piece, ...]:
    """The text in pieces, each with the criteria that it is evidence for. Evidence outside the text is cut."""
    spans = []
    for mark in criteria:
        if mark.evidence is not None and mark.id in places and mark.mark > 0:
            start, end = (min(max(value, 0), len(text)) for value in mark.evidence)
            spans.append((start, end, places[mark.id]))
    cuts = sorted({0, len(text), *(s[0] for s in spans), *(s[1] for s in spans)})
    return tuple(
        Piece(text[start:end], tuple(place for a, b, place in spans if a <= start and end <= b))
        for start, end in pairwise(cuts)
    )


def _standing(row: ResultRow, criteria: Sequence[str]) -> Typed:
    held = {mark.id: number(mark.mark) for mark in row.criteria}
    return Typed(number(row.mark), tuple(held.get(id_, "") for id_ in criteria), row.comment)


class Pages:
    """Renders the desk's pages in the session's language."""

    def __init__(self, desk: Desk, session: Session) -> None:
        self.desk, self.session = desk, session
        self._environment = Environment(
            loader=PackageLoader("grader.desk"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            hint=keys.hint,
            keys=keys.attributes,
            keys_of=keys.of_page,
            number=number,
            answer_path=answer_path,
        )

    def page(self, template: str, page: keys.Page | None, **values: object) -> str:
        """A whole page. page: the kind of page, whose keys its help lists; None for a message."""
        language = self.session.language
        return self._environment.get_template(f"{template}.html.j2").render(
            page=page,
            language=language,
            title=self.desk.exam.exam.title,
            marker=self.desk.marker,
            csrf=self.session.csrf,
            notices=self.session.notices(),
            t=lambda key, **given: word(key, language, **given),
            flag=lambda code: flag_words(code, language),
            remedy=lambda code: remedy(code, language),
            **values,
        )

    def denied(self) -> str:
        """For those who have no session: nothing about the exam, nor a form's token."""
        language = self.session.language
        return self._environment.get_template("denied.html.j2").render(
            language=language, t=lambda key, **given: word(key, language, **given)
        )
