"""The centre's routes and words in one place, for the service's list of parts."""

from __future__ import annotations

from fastapi import APIRouter

from grader.centre import items, leading, leading_words, marking, together, words

rooms = APIRouter()
for part in (together, marking, items, leading):
    rooms.include_router(part.rooms)

WORDS = {**words.WORDS, **leading_words.WORDS}
