"""How the centre's pages are shown: the service's pages with the desk's keys, remedies and macros."""

from __future__ import annotations

from typing import Any

from fastapi import Request
from fastapi.responses import PlainTextResponse, Response

from grader.desk import keys
from grader.desk.remedies import remedy
from grader.desk.requests import AHEAD
from grader.service.pages import go, language_of, say, show, tell


def page(request: Request, template: str, kind: keys.Page | None, status: int = 200, **values: Any) -> Response:
    """A page of the centre. kind: whose keys its help lists, None for a page without any."""
    language = language_of(request)
    return show(
        request,
        f"centre/{template}",
        status,
        page=kind,
        hint=keys.hint,
        keys=keys.attributes,
        keys_of=keys.of_service_page,
        remedy=lambda code: remedy(code, language),
        **values,
    )


def saved(request: Request, path: str, key: str, **values: object) -> Response:
    """What was saved is acknowledged: in the answer itself where the script has gone on, else on the next page."""
    if AHEAD in request.headers:
        return PlainTextResponse(tell(request, key, **values))
    say(request, key, **values)
    return go(path)


def not_saved(request: Request, status: int, text: str) -> Response:
    """For the script that has gone on: why the answer behind it could not be saved."""
    return PlainTextResponse(text, status, headers={"X-Said": "1"})
