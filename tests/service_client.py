"""The service on a temporary data folder, with an account of every role, and clients that have signed in.

with service_of(tmp_path) as house:
    exam = house.exam("physics")            # an ExamPlace; "ling" leads it, and so on (see MEMBERS)
    ling = house.client("ling")             # signed in
    ling.get(f"/exams/{exam.id}")
    ling.post(f"/exams/{exam.id}/...", field="value")   # with the token that pages carry
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from grader.exam.load import load_exam
from grader.service import accounts, exams, sessions
from grader.service.app import create_app
from grader.service.database import Database
from grader.service.exams import ExamPlace
from grader.service.permissions import MEMBER_ROLES, Role
from grader.service.service import Service, Settings, open_service

ADDRESS = "http://127.0.0.1:8000"
# login → role of the account; each but the administrator has that role in the exams of `House.exam` too.
PEOPLE: dict[str, Role] = {
    "ada": "administrator",
    "ling": "leader",
    "chen": "marker",
    "wang": "marker",
    "zhao": "marker",
    "tian": "teacher",
    "vera": "viewer",
}
PASSWORD = "correct horse battery"


class Client:
    """A browser without scripts. `nobody` has no session."""

    def __init__(self, house: House, login: str | None) -> None:
        self.http = TestClient(house.app, base_url=ADDRESS, raise_server_exceptions=True)
        self._cookie = house.service.cookie
        if login is None:
            self.token = sessions.new_token()
        else:
            with house.service.database.begin() as connection:
                self.token = sessions.begin(connection, house.ids[login], "testclient")
        self.http.cookies.set(self._cookie, self.token, domain="127.0.0.1", path="/")

    @property
    def csrf(self) -> str:
        """The token that this browser's forms carry."""
        return sessions.csrf_of(self.http.cookies.get(self._cookie) or "")

    def get(self, path: str, **options: object) -> Any:
        return self.http.get(path, **options)  # type: ignore[arg-type]

    def post(self, path: str, files: object = None, **fields: object) -> Any:
        """Send a form as a page does."""
        return self.http.post(path, data={"csrf": self.csrf, **fields}, files=files)  # type: ignore[arg-type]


class House:
    """A service with people in it. ids: login → account id."""

    def __init__(self, service: Service, people: Mapping[str, Role]) -> None:
        self.service = service
        self.app = create_app(service)
        self.ids: dict[str, str] = {}
        with service.database.begin() as connection:
            for login, role in people.items():
                self.ids[login] = accounts.create(connection, login, login.title(), role)

    def client(self, login: str | None) -> Client:
        """A browser in which this person has signed in; None: nobody."""
        return Client(self, login)

    def exam(self, text: str | None = None, kind: str = "exam", members: bool = True) -> ExamPlace:
        """A new exam of the text of an exam.yaml, made by ling; everybody has his role in it, if members."""
        database = self.service.database
        file = self.service.data / "given.yaml"
        file.write_text(text or EXAM, encoding="utf-8")
        definition = load_exam(file)
        with database.read() as connection:
            ling = sessions.actor(connection, self.ids["ling"])
        with database.begin() as connection:
            place = exams.create(
                connection, self.service.exam_folders, ling, definition, file.read_text(encoding="utf-8"), kind
            )
            for login, role in PEOPLE.items():
                if members and role in MEMBER_ROLES:
                    exams.admit(connection, place.id, self.ids[login], role)
        return place


EXAM = """\
exam: {id: physics, title: 物理测验, language: zh}
items:
  - {id: "1", type: choice, options: ABCD, answer: B, max_mark: 2}
  - {id: "2", type: numeric, answer: 3.2, unit: m/s, tolerance: 1%, max_mark: 3}
  - id: "3"
    type: short_answer
    max_mark: 4
    prompt: 为什么冬天水管会冻裂？
    reference_answers: [水结冰时体积变大]
    rubric:
      - {id: a, marks: 2, criterion: 水凝固成冰}
      - {id: b, marks: 2, criterion: 体积变大}
"""


def _hurry(database: Database) -> None:
    """Let no transaction wait for the disk: these tests pull no plug."""
    database.begin = partial(database.begin, durable=False)  # type: ignore[method-assign]


@contextmanager
def service_of(
    data: Path, url: str | None = None, settings: Settings | None = None, people: Mapping[str, Role] = PEOPLE
) -> Iterator[House]:
    """A service in `data`; url: of its database, SQLite by default; people: accounts that are made."""
    service = open_service(data, url, settings)
    _hurry(service.database)
    try:
        yield House(service, people)
    finally:
        service.close()
