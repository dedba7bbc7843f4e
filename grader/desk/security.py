"""Who may use a desk that runs on one's own machine: the person who started it, from that machine's browser.

The address printed at the start carries a ticket that works once and is exchanged for a cookie. Names of hosts
other than the loopback's are refused (DNS rebinding), and every change carries a token that only the desk's own
pages know (CSRF), as OWASP advises.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

from grader.report.words import Language

HOSTS = ("127.0.0.1", "localhost")
MAX_BODY = 1_000_000  # bytes of a form
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass
class Session:
    """The one session of a desk. cookie: its name, so that two desks on one machine do not share it."""

    cookie: str
    language: Language
    ticket: str | None = field(default_factory=lambda: secrets.token_urlsafe(32))
    _value: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    _notices: list[str] = field(default_factory=list)

    def enter(self, ticket: str) -> str | None:
        """The value of the cookie for the right ticket, which is used up; else None."""
        if self.ticket is None or not hmac.compare_digest(self.ticket.encode(), ticket.encode()):
            return None
        self.ticket = None
        return self._value

    def holds(self, value: str | None) -> bool:
        """Whether that is the cookie's value."""
        return value is not None and hmac.compare_digest(self._value.encode(), value.encode())

    @property
    def csrf(self) -> str:
        """The token that every form carries."""
        return hmac.new(self._value.encode(), b"csrf", hashlib.sha256).hexdigest()

    def sent_by_us(self, token: object) -> bool:
        """Whether a form carries that token."""
        return isinstance(token, str) and hmac.compare_digest(self.csrf.encode(), token.encode())

    def notify(self, text: str) -> None:
        """Say something on the next page."""
        self._notices.append(text)

    def notices(self) -> list[str]:
        """What is to be said now; said once."""
        said, self._notices = self._notices, []
        return said
