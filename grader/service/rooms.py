"""The parts of the service: each is a module with a router, and its own words and templates. The one list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from fastapi import APIRouter

from grader.service.pages import Words
from grader.service.service import Service


@dataclass(frozen=True)
class Door:
    """A way from an exam's start page: shown to those who may do `action`. path: below /exams/<exam>/; word: key of
    its name, and with `_note` of what it is for; kinds: of exams that have it."""

    path: str
    action: str
    word: str
    kinds: tuple[str, ...] = ("exam", "homework")


@dataclass(frozen=True)
class Room:
    """routes: module whose `rooms` is the APIRouter; words: module whose `WORDS` are its words; prefix and package:
    of its templates ("homework/class" is templates/class.html.j2 of the package given to "homework"); doors: what
    an exam's start page shows of it; keeper: module whose `start` begins what it does beside requests, or ""."""

    routes: str
    words: str
    prefix: str
    package: str
    doors: tuple[Door, ...] = ()
    keeper: str = ""

    def start(self, service: Service) -> Callable[[], None] | None:
        """Begin what the part does beside requests; returns what ends it, None where it does nothing."""
        return cast(Callable[[], None], import_module(self.keeper).start(service)) if self.keeper else None

    def router(self) -> APIRouter:
        """Its routes."""
        return cast(APIRouter, import_module(self.routes).rooms)

    def own_words(self) -> Words:
        """Its words."""
        return cast(Words, import_module(self.words).WORDS)


# fmt: off
ROOMS = (
    Room("grader.service.entrance", "grader.service.words", "service", "grader.service"),
    Room("grader.service.people", "grader.service.words", "service", "grader.service"),
    Room("grader.service.log", "grader.service.words", "service", "grader.service"),
    Room(
        "grader.service.registry", "grader.service.words", "service", "grader.service",
        (Door("members", "members", "members"),),
    ),
    Room(
        "grader.service.keeping", "grader.service.words", "service", "grader.service",
        (Door("names", "see_names", "names"), Door("keeping", "erase", "keeping"),
         Door("export.zip", "export", "export")),
    ),
    Room(
        "grader.centre.rooms", "grader.centre.rooms", "centre", "grader.centre",
        (
            Door("mark", "mark", "room_mark", ("exam",)),
            Door("leader", "lead", "room_leader", ("exam",)),
            Door("release", "release", "room_release", ("exam",)),
            Door("appeals", "mark", "room_appeals", ("exam",)),
        ),
    ),
    Room(
        "grader.homework.rooms", "grader.homework.rooms", "homework", "grader.homework",
        (Door("homework", "upload", "homework", ("homework",)),), "grader.homework.keeper",
    ),
)
# fmt: on

# Static files: packages and folders that /static serves, in this order.
STATIC: list[str | tuple[str, str]] = [
    ("grader.service", "static"),
    ("grader.desk", "static"),
    ("grader.centre", "static"),
    ("grader.homework", "static"),
    ("grader.report", "templates"),
]
