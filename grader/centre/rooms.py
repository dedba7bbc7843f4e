"""The centre's routes and words in one place, for the service's list of parts."""

from __future__ import annotations

from fastapi import APIRouter

from grader.centre import (
    appealing,
    items,
    leading,
    leading_words,
    marking,
    release_words,
    releasing,
    revising,
    together,
    words,
)

rooms = APIRouter()
for part in (together, marking, items, leading, revising, releasing, appealing):
    rooms.routes.extend(part.rooms.routes)  # a router within a router would hide them from the service's checks

WORDS = {**words.WORDS, **leading_words.WORDS, **release_words.WORDS}
