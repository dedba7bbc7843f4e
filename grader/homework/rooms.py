"""The routes and words of homework in one place, for the service's list of parts."""

from __future__ import annotations

from fastapi import APIRouter

from grader.homework import board, bringing, giving, making, words
from grader.homework.keeper import start

rooms = APIRouter()
for part in (making, board, bringing, giving):
    rooms.routes.extend(part.rooms.routes)  # a router within a router would hide them from the service's checks

WORDS = {**words.WORDS}

__all__ = ["WORDS", "rooms", "start"]
