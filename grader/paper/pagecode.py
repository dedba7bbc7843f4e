"""The page code: what the QR code on every printed page says, and its check.

    G1.<exam>.<form version>.<page>.<candidate>.<check>

Each part is percent-encoded, so a dot always separates. The check is 8 base-32 digits of the SHA-256 of
the rest: a damaged or made-up code is refused, and one of another exam is recognised as such.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, unquote

_PREFIX = "G1"


@dataclass(frozen=True)
class PageCode:
    """exam: the exam's id. version: `Form.version`. page: sheet page from 1. candidate: "" if not printed."""

    exam: str
    version: str
    page: int
    candidate: str = ""

    def encode(self) -> str:
        """The text of the QR code."""
        body = ".".join((_PREFIX, _quote(self.exam), self.version, str(self.page), _quote(self.candidate)))
        return f"{body}.{_check(body)}"


@lru_cache(maxsize=64)  # several stages ask about the same page
def parse(text: str) -> PageCode | None:
    """The page code in `text`, or None where it is not one of ours or its check fails."""
    parts = text.split(".")
    if len(parts) != 6 or parts[0] != _PREFIX or _check(".".join(parts[:5])) != parts[5]:
        return None
    _, exam, version, page, candidate, _ = parts
    if not page.isdigit():
        return None
    return PageCode(unquote(exam), version, int(page), unquote(candidate))


def _quote(text: str) -> str:
    return quote(text, safe="").replace(".", "%2E")


def _check(body: str) -> str:
    return base64.b32encode(hashlib.sha256(body.encode()).digest())[:8].decode()
