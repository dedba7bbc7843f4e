"""Pages on which many answers are settled at once or set aside: what the model is sure of, what was raised."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from grader.desk import sure, views
from grader.desk.requests import Form, Refused, TheDesk, ThePages, go, go_on
from grader.desk.views import answer_path
from grader.desk.words import word

router = APIRouter()


@router.get("/items/{order}/sure")
def sample(desk: TheDesk, pages: ThePages, order: int, least: float | None = None) -> Response:
    """A random sample of the proposals that the model is sure of."""
    proposals = desk.proposals(order)
    least = sure.level(proposals, least)
    names = [one.name for one in sure.sure(proposals, least)]
    counts = [(one, len(sure.sure(proposals, one))) for one in sure.LEVELS]
    shown = [views.sampled(desk, order, name) for name in sure.sample(names)]
    bound = sure.most_wrong(len(shown), len(names))
    text = pages.page(
        "sure", "sure", order=order, item=desk.item(order), least=least, counts=counts, members=shown,
        count=len(names), bound=bound,
    )  # fmt: skip
    return HTMLResponse(text)


@router.post("/items/{order}/sure")
def accept(desk: TheDesk, pages: ThePages, order: int, form: Form) -> Response:
    """Accept them all except those taken out, if they are those that were counted on the page."""
    least = next((one for one in sure.LEVELS if str(one) == form.get("least")), None)
    names = [] if least is None else [one.name for one in sure.sure(desk.proposals(order), least)]
    if not names or str(len(names)) != form.get("count"):
        raise Refused(409, "stale")
    taken_out = {str(value) for value in form.getlist("except")}
    accepted = [name for name in names if name not in taken_out]
    if accepted:
        desk.accept(order, accepted)
        pages.session.notify(word("accepted_many", pages.session.language, count=len(accepted)))
    return go_on(desk, pages, order, None)


@router.post("/items/{order}/answers/{name}/lower")
def put_back(desk: TheDesk, pages: ThePages, order: int, name: str) -> Response:
    """Put a raised answer back into the queue."""
    desk.raise_to_leader(order, name, "", standing=False)
    return go(answer_path(order, name))
