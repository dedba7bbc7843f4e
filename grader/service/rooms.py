"""The parts of the service: each is a module with a router, and its own words and templates. The one list."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import cast

from fastapi import APIRouter

from grader.service.pages import Words


@dataclass(frozen=True)
class Room:
    """routes: module whose `rooms` is the APIRouter; words: module whose `WORDS` are its words; prefix and package:
    of its templates ("homework/class" is templates/class.html.j2 of the package given to "homework")."""

    routes: str
    words: str
    prefix: str
    package: str

    def router(self) -> APIRouter:
        """Its routes."""
        return cast(APIRouter, import_module(self.routes).rooms)

    def own_words(self) -> Words:
        """Its words."""
        return cast(Words, import_module(self.words).WORDS)


ROOMS = (
    Room("grader.service.entrance", "grader.service.words", "service", "grader.service"),
    Room("grader.service.registry", "grader.service.words", "service", "grader.service"),
)

# Static files: packages and folders that /static serves, in this order.
STATIC: list[str | tuple[str, str]] = [
    ("grader.service", "static"),
    ("grader.desk", "static"),
    ("grader.report", "templates"),
]
