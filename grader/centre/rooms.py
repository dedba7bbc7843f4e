"""The centre's routes and words in one place, for the service's list of parts."""

from __future__ import annotations

from fastapi import APIRouter

from grader.centre import marking, words

rooms = APIRouter()
for part in (marking,):
    rooms.include_router(part.rooms)

WORDS = {**words.WORDS}
