"""Renders pages in the language of whoever asks, with the words and templates of every part."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import BaseLoader, ChoiceLoader, Environment, PackageLoader, PrefixLoader, StrictUndefined

from grader.desk.words import WORDS as DESK
from grader.flags import words as flag_words
from grader.report.words import WORDS as REPORT
from grader.report.words import Language
from grader.run.output import number
from grader.service import said, sessions
from grader.service.permissions import Actor
from grader.service.service import Service

LANGUAGE_COOKIE = "grader_language"
Words = Mapping[str, tuple[str, str]]


class Pages:
    """packages: prefix of its templates → package; words: of every part, which may not contradict each other."""

    def __init__(self, packages: Mapping[str, str], words: Sequence[Words]) -> None:
        self.words: dict[str, tuple[str, str]] = {**REPORT, **DESK}
        own: dict[str, tuple[str, str]] = {}
        for part in words:
            twice = [key for key, pair in part.items() if own.get(key, pair) != pair]
            if twice:
                raise ValueError(f"two parts say different things for {', '.join(sorted(twice))}")
            own.update(part)
        self.words.update(own)
        parts: dict[str, BaseLoader] = {prefix: PackageLoader(package) for prefix, package in packages.items()}
        self._environment = Environment(
            loader=ChoiceLoader([PrefixLoader(parts), PackageLoader("grader.desk")]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(number=number)

    def word(self, key: str, language: Language, **values: object) -> str:
        """One word or sentence with its values. Raises KeyError for a key that no part lists."""
        return self.words[key][0 if language == "en" else 1].format(**values)

    def text(self, request: Request, template: str, **values: Any) -> str:
        """A page as text. Every template is given what `_context` lists, beside `values`."""
        return self._environment.get_template(f"{template}.html.j2").render(self._context(request) | values)

    def _context(self, request: Request) -> dict[str, Any]:
        """language; t(key, **values); said(text): a GraderError, or its message or remedy; flag(code); actor (or None);
        exam (or None); may(action): in this exam, or outside of exams; csrf; here: this page's path and query;
        notices: what is to be said once."""
        actor: Actor | None = getattr(request.state, "actor", None)
        exam = getattr(request.state, "exam", None)
        language = language_of(request)
        return {
            "language": language,
            "t": self.teller(language),
            "said": said.in_chinese if language == "zh" else str,
            "flag": lambda code: flag_words(code, language),
            "actor": actor,
            "exam": exam,
            "may": lambda action, within=exam: actor is not None and actor.may(action, within and within.id),
            "can": lambda action: actor is not None and actor.may(action),
            "csrf": csrf(request),
            "here": request.url.path + (f"?{request.url.query}" if request.url.query else ""),
            "notices": notices(request) if actor else [],
        }

    def teller(self, language: Language) -> Callable[..., str]:
        """`word` in one language."""
        return lambda key, **values: self.word(key, language, **values)


def _pages(request: Request) -> Pages:
    pages: Pages = request.app.state.pages
    return pages


def show(request: Request, template: str, status: int = 200, **values: Any) -> Response:
    """The page of a template, such as "service/exams"; status: 200, or 422 for a form that is shown again."""
    response = HTMLResponse(_pages(request).text(request, template, **values), status)
    fresh: str | None = getattr(request.state, "fresh", None)
    if fresh is not None:  # a visitor without a cookie: forms need one to be answered
        give_cookie(request, response, fresh)
    return response


def go(path: str) -> Response:
    """On to another page, after a change was saved."""
    return RedirectResponse(path, 303)


def say(request: Request, key: str, **values: object) -> None:
    """Say a word on the next page. Not within `begin()`."""
    service: Service = request.app.state.service
    text = _pages(request).word(key, language_of(request), **values)
    with service.database.begin() as connection:
        sessions.notify(connection, request.cookies.get(service.cookie, ""), text)


def tell(request: Request, key: str, **values: object) -> str:
    """A word in the language of whoever asks."""
    return _pages(request).word(key, language_of(request), **values)


def notices(request: Request) -> list[str]:
    """What is to be said now; said once."""
    service: Service = request.app.state.service
    token = request.cookies.get(service.cookie, "")
    with service.database.read() as connection:
        waiting = sessions.waiting_notices(connection, token)
    if waiting:
        with service.database.begin() as connection:
            sessions.clear_notices(connection, token)
    return waiting


def language_of(request: Request) -> Language:
    """What the account chose, or this browser, or what the browser asks for."""
    actor: Actor | None = getattr(request.state, "actor", None)
    asked = [actor.language if actor else "", request.cookies.get(LANGUAGE_COOKIE, "")]
    asked.append(request.headers.get("accept-language", "")[:2].lower())
    for language in asked:
        if language in {"zh", "en"}:
            return language  # type: ignore[return-value]
    return "en"


def csrf(request: Request) -> str:
    """The token for this page's forms. A visitor without a cookie is given one with the page."""
    service: Service = request.app.state.service
    token = request.cookies.get(service.cookie) or getattr(request.state, "fresh", None)
    if not token:
        token = request.state.fresh = sessions.new_token()
    return sessions.csrf_of(token)


def give_cookie(request: Request, response: Response, token: str) -> None:
    """Set the session's cookie; it goes when the browser closes, and the session before that."""
    service: Service = request.app.state.service
    secure = service.settings.secure
    response.set_cookie(service.cookie, token, httponly=True, samesite="lax", secure=secure, path="/")
