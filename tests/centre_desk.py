"""A person at the centre's pages with a browser without scripts."""

from __future__ import annotations

import re
from typing import Any

from centre_run import PLACE, Centre

from grader.marking import answers, leading
from grader.marking.scheme import Scheme
from grader.marking.seeds import SeedPolicy
from grader.marking.settings import ItemSettings

ITEM = "2"


class Desk:
    """A person at the markers' desk, with a browser without scripts."""

    def __init__(self, centre: Centre, login: str) -> None:
        self.centre, self.client = centre, centre.house.client(login)
        self.client.http.cookies.set("grader_language", "zh")

    def get(self, path: str) -> Any:
        return self.client.get(self.centre.root + path)

    def post(self, path: str, **fields: object) -> Any:
        return self.client.post(self.centre.root + path, **fields)

    def next(self) -> Any:
        """The page of the next answer."""
        return self.get(f"/mark/{PLACE}")

    def give(self, mark: str, **fields: object) -> Any:
        """Save a mark for the next answer; the page that follows."""
        page = self.next()
        return self.client.post(page.url.path, token=token_of(page), mark=mark, **fields)


def token_of(page: Any) -> str:
    found = re.search(r'name="token" value="([^"]+)"', page.text)
    assert found is not None
    return found[1]


def settle(centre: Centre, scheme: Scheme, seeds: SeedPolicy | None = None) -> None:
    chosen = ItemSettings(scheme, seeds or SeedPolicy())
    answers.set_item_settings(centre.house.service.database, centre.exam.id, centre.house.ids["ling"], ITEM, chosen)


def states(centre: Centre) -> dict[str, int]:
    one = leading.progress(centre.house.service.database, centre.exam.id)[PLACE]
    return {name: getattr(one, name) for name in ("first", "second", "third", "leader", "final") if getattr(one, name)}
