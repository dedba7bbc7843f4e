"""A settled run of many short answers, without pictures, and marking on it: in SQLite or PostgreSQL.

with marking_on(url, tmp_path, candidates=30) as house:
    house.next("chen")        # what is served at item "4"
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sqlalchemy import insert

from grader.exam.exam import Exam
from grader.marking import saving, serving
from grader.marking.answers import bring_in, set_item_settings
from grader.marking.scheme import Scheme
from grader.marking.seeds import SeedPolicy
from grader.marking.serving import Idle, Served
from grader.marking.settings import Bulk, ItemSettings
from grader.paper.layout import lay_out
from grader.records import CriterionMark, Identity, Mark, PageRef, PageResult, Reading, Registration, Response
from grader.run.job import Job
from grader.run.settle import settle
from grader.scoring.marking import mark_responses
from grader.service import schema
from grader.service.database import Database, connect, now
from grader.store.store import RunStore

EXAM = Exam.model_validate(
    {
        "exam": {"id": "unit-3", "title": "物态变化", "language": "zh"},
        "items": [
            {"id": "1", "type": "choice", "options": "ABCD", "answer": "B", "max_mark": 2},
            {"id": "3", "type": "numeric", "answer": 3.2, "unit": "m/s", "max_mark": 3},
            {
                "id": "4",
                "type": "short_answer",
                "max_mark": 4,
                "reference_answers": ["水凝固成冰时体积变大"],
                "rubric": [
                    {"id": "a", "marks": 2, "criterion": "凝固"},
                    {"id": "b", "marks": 2, "criterion": "体积变大"},
                ],
            },
        ],
    }
)
SHORT = "4"
TEXTS = ("水凝固成冰，体积变大", "体积变大", "水 凝固成冰 体积变大。", "不知道", "结冰后变大")
PEOPLE = ("chen", "wang", "zhao", "li", "ling")


def make_run(folder: Path, candidates: int = 12, texts: Sequence[str] = TEXTS, exam: Exam = EXAM) -> Path:
    """A settled run: candidate 1000 + n answers "B" or "A", "3.2m/s" or "3.2", and one of the texts; the last
    candidate's page is there, but what the model says is made up: half the marks, with confidence n / candidates."""
    form, run = lay_out(exam), folder / "run"
    job = Job(exam, form, folder)
    results = [_page(exam, form.page(1), n, candidates, texts) for n in range(candidates)]
    with RunStore.create(run) as store:
        store.set_meta(**job.describe(), form_folder=str(folder), models={}, versions={"grader": "0"})
        store.record_pages(results)
        store.set_meta(summary=settle(store, job, [result.ref for result in results]))
    return run


def _page(exam: Exam, form, number: int, of: int, texts: Sequence[str]) -> PageResult:
    candidate = str(1000 + number)
    given = {"1": "B" if number % 3 else "A", "3": "3.2m/s" if number % 4 else "3.2", SHORT: texts[number % len(texts)]}
    fields = {field.item: field for field in form.fields if field.role == "item"}
    responses = tuple(Response(candidate, item.id, given[item.id], 0.95) for item in exam.items)
    marks = tuple(_proposed(mark, number / of) if mark.item == SHORT else mark
                  for mark in mark_responses(exam, responses, None))  # fmt: skip
    readings = tuple(Reading(fields[r.item].id, "text", r.text, 0.95) for r in responses)
    return PageResult(
        PageRef(f"scan-{number:05d}.jpg"),
        "read",
        sha256=hashlib.sha256(candidate.encode()).hexdigest(),
        identity=Identity(candidate, 1.0),
        sheet_page=1,
        registration=Registration(1, np.eye(3), 0.1, "fiducials"),
        readings=readings,
        responses=responses,
        marks=marks,
    )


def _proposed(mark: Mark, confidence: float) -> Mark:
    criteria = (CriterionMark("a", 2.0, confidence, (0, 2)), CriterionMark("b", 0.0, confidence))
    flags = ("model_proposal",)
    return replace(
        mark, mark=2.0, confidence=confidence, status="proposed", flags=flags, marker="test/1", criteria=criteria
    )


@dataclass
class House:
    """An exam in marking. run: the folder of its run."""

    database: Database
    exam: str
    run: Path

    def use(
        self,
        kind: str = "single",
        item: str = SHORT,
        *,
        seeds: SeedPolicy | None = None,
        bulk: Bulk | None = None,
        lease: float = 10.0,
        **scheme: object,
    ) -> int:
        """Mark the item by this scheme, T 1 unless told otherwise."""
        made = Scheme(kind, **{"tolerance": 1.0, "model": "off", **scheme})  # type: ignore[arg-type]
        chosen = ItemSettings(made, seeds or SeedPolicy(), bulk or Bulk(), lease)
        return set_item_settings(self.database, self.exam, "ling", item, chosen)

    def next(self, actor: str, **options) -> Served | Idle:
        return serving.next_answer(self.database, self.exam, actor, options.pop("item", SHORT), **options)

    def served(self, actor: str, **options) -> Served:
        """The next answer, which there must be."""
        one = self.next(actor, **options)
        assert isinstance(one, Served), one
        return one

    def mark(self, actor: str, mark: float, one: Served | None = None, **more) -> Served:
        """Give a mark to the next answer, or to that one."""
        one = one or self.served(actor)
        saving.save(self.database, self.exam, actor, one.name, one.token, mark, **more)
        return one

    def mark_all(self, actor: str, mark: float) -> int:
        """Give the mark to everything that the marker is served; how many."""
        count = 0
        while isinstance(one := self.next(actor), Served):
            self.mark(actor, mark, one)
            count += 1
        return count

    def rows(self, item: str = SHORT) -> dict[str, dict]:
        """name → the answer's row."""
        from grader.marking.schema import answer

        with self.database.read() as connection:
            from sqlalchemy import select

            query = select(answer).where(answer.c.exam == self.exam, answer.c.item == item)
            return {row["name"]: dict(row) for row in connection.execute(query).mappings()}

    def open_run(self) -> RunStore:
        return RunStore.open(self.run)


@contextmanager
def marking_on(url: str, folder: Path, candidates: int = 12, texts: Sequence[str] = TEXTS) -> Iterator[House]:
    """An exam brought into marking."""
    folder.mkdir(parents=True, exist_ok=True)
    run = make_run(folder, candidates, texts)
    database = connect(url)
    exam = add_exam(database)
    try:
        with RunStore.open(run) as store:
            bring_in(database, exam, store, "ling")
        yield House(database, exam, run)
    finally:
        database.close()


def add_exam(database: Database) -> str:
    """A new exam of the service, led by ling."""
    exam = secrets.token_urlsafe(8)
    with database.begin() as connection:
        people = {"role": "marker", "active": True, "created": now()}
        known = set(connection.scalars(schema.account.select().with_only_columns(schema.account.c.id)))
        for name in set(PEOPLE) - known:
            connection.execute(insert(schema.account).values(id=name, login=name, name=name, **people))
        place = {"kind": "exam", "code": "unit-3", "title": "物态变化", "language": "zh", "owner": "ling"}
        connection.execute(insert(schema.exam).values(id=exam, created=now(), **place))
    return exam
