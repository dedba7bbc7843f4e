"""What every request passes before any route: bounded bodies in, careful headers out."""

from __future__ import annotations

from collections.abc import Iterable

from fastapi.routing import APIRoute
from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from grader.desk.security import HEADERS
from grader.service.access import FORM, Allowed

_STRICT_TRANSPORT = "max-age=31536000"
# A phone's camera may be asked for by our own upload page; nothing else may.
_HEADERS = {**HEADERS, "Permissions-Policy": "camera=(self), microphone=(), geolocation=()"}


class Shield:
    """routes: those that may allow larger bodies than a form's. secure: answers are sent through TLS."""

    def __init__(self, app: ASGIApp, routes: Iterable[APIRoute], secure: bool) -> None:
        self.app, self.secure = app, secure
        self.large = [(route, limit) for route in routes if (limit := body_of(route)) > FORM]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        await (refusal or self.app)(scope, receive, self._careful(scope, send))

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        headers = {name: value for name, value in scope["headers"] if name in {b"content-length", b"transfer-encoding"}}
        if b"transfer-encoding" in headers:
            return PlainTextResponse("a body has a length", 411)
        length = headers.get(b"content-length", b"0")
        if not length.isdigit():
            return PlainTextResponse("a length is a number", 400)
        if int(length) > FORM and int(length) > self._limit(scope):
            return PlainTextResponse("too large", 413)
        return None

    def _limit(self, scope: Scope) -> int:
        return next((limit for route, limit in self.large if route.matches(scope)[0] is Match.FULL), FORM)

    def _careful(self, scope: Scope, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                # What is the same for everybody may be kept, and is asked for again when it has changed.
                headers.setdefault("Cache-Control", "no-cache" if scope["path"].startswith("/static/") else "no-store")
                if self.secure:
                    headers["Strict-Transport-Security"] = _STRICT_TRANSPORT
            await send(message)

        return sending


def permission(route: APIRoute) -> Allowed:
    """The one permission that a route declares. Raises LookupError for a route without, or with several."""
    declared = [one.dependency for one in route.dependencies if isinstance(one.dependency, Allowed)]
    if len(declared) != 1:
        raise LookupError(f"{route.path} declares {len(declared)} permissions; give it one, as in allowed('mark')")
    return declared[0]


def body_of(route: APIRoute) -> int:
    """Bytes that a request to this route may have."""
    return permission(route).body
