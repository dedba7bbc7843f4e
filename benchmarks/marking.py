"""Many markers at once on the core of the service: how long the next answer and a save take, and whether anything is
ever on two desks.

    python benchmarks/marking.py --markers 50 --seconds 120 --answers 5000 [--url postgresql://...]

Every marker fetches an answer, thinks (a time drawn from an exponential distribution, seeded), saves, and so on, under
double marking with seeds. The time of one step is that of next_answer and save together.
"""

from __future__ import annotations

import argparse
import json
import random
import secrets
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
from sqlalchemy import insert, select

from grader.exam.exam import Exam
from grader.marking import saving, schema, serving
from grader.marking.answers import bring_in, set_item_settings
from grader.marking.scheme import Scheme
from grader.marking.serving import Served
from grader.marking.settings import ItemSettings
from grader.service import schema as service
from grader.service.database import Database, connect, now
from grader.store.store import RunStore

ITEM = "1"
EXAM = Exam.model_validate(
    {
        "exam": {"id": "load", "title": "load", "language": "zh"},
        "items": [{"id": ITEM, "type": "short_answer", "max_mark": 4, "reference_answers": ["水凝固成冰时体积变大"]}],
    }
)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--markers", type=int, default=50)
    options.add_argument("--seconds", type=float, default=120)
    options.add_argument("--answers", type=int, default=5000)
    options.add_argument("--think", type=float, default=2.0, help="mean seconds between an answer and its mark")
    options.add_argument("--url", default="", help="a database; a new SQLite file without it")
    options.add_argument("--json", type=Path)
    told = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = told.url or f"sqlite:///{folder}/service.sqlite"
        database = connect(url)
        exam = _prepare(database, Path(folder), told.answers)
        steps, errors = _load(database, exam, told.markers, told.seconds, told.think)
        figures = {
            "database": database.engine.dialect.name,
            "markers": told.markers,
            "seconds": told.seconds,
            "answers": told.answers,
            "steps": len(steps),
            "errors": len(errors),
            "doubles": _doubles(database, exam),
            **{f"p{p}_ms": round(float(np.percentile(steps, p)) * 1000, 1) for p in (50, 95, 99)},
        }
        database.close()
    for name, value in figures.items():
        print(f"{name:10} {value}")
    for error in errors[:3]:
        print(repr(error))
    if told.json:
        told.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def _prepare(database: Database, folder: Path, answers: int) -> str:
    """A run of that many answers, every third of them one of ten texts, brought in under double marking."""
    exam = secrets.token_urlsafe(8)
    with database.begin() as connection:
        people = {"role": "marker", "active": True, "created": now()}
        connection.execute(insert(service.account).values(id=exam, login=exam, name="load", **people))
        place = {"kind": "exam", "code": "load", "title": "load", "language": "zh", "owner": exam}
        connection.execute(insert(service.exam).values(id=exam, created=now(), **place))
    empty = {"item": ITEM, "item_order": 0, "sheet_page": 1, "file_page": 1, "box": "[0, 0, 0, 0]", "crop": ""}
    empty |= {"mark": 2.0, "max_mark": 4.0, "confidence": 0.5, "status": "proposed", "flags": "model_proposal"}
    empty |= {"marker": "load/1", "criteria": "[]", "proposal": None, "comment": ""}
    rows = (
        {**empty, "candidate": str(n), "file": f"{n}.jpg", "response": f"答案 {n % 10 if n % 3 == 0 else n}"}
        for n in range(answers)
    )
    with RunStore.create(folder / "run") as run:
        run.set_meta(exam=json.loads(EXAM.canonical()))
        run.project([], rows)
        bring_in(database, exam, run, "load")
    set_item_settings(database, exam, "load", ITEM, ItemSettings(Scheme("double", 1.0, model="off")))
    return exam


def _load(
    database: Database, exam: str, markers: int, seconds: float, think: float
) -> tuple[list[float], list[Exception]]:
    steps: list[float] = []
    errors: list[Exception] = []
    until = time.monotonic() + seconds

    def work(number: int) -> None:
        draw = random.Random(number)
        time.sleep(draw.random() * think)
        while time.monotonic() < until:
            try:
                start = time.perf_counter()
                one = serving.next_answer(database, exam, f"m{number}", ITEM)
                spent = time.perf_counter() - start
                if not isinstance(one, Served):
                    return
                time.sleep(min(draw.expovariate(1 / think), 10 * think))
                start = time.perf_counter()
                saving.save(database, exam, f"m{number}", one.name, one.token, draw.randint(0, 8) / 2)
                steps.append(spent + time.perf_counter() - start)
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(markers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return steps, errors


def _doubles(database: Database, exam: str) -> int:
    """Answers with more than two marks of people, or two of the same person."""
    e = schema.event.c
    with database.read() as connection:
        query = select(e.answer, e.actor).where(e.exam == exam, e.kind == "mark", e.giver == "person")
        pairs = Counter((answer, actor) for answer, actor in connection.execute(query))
    per_answer = Counter(answer for answer, _ in pairs)
    return sum(count > 1 for count in pairs.values()) + sum(count > 2 for count in per_answer.values())


if __name__ == "__main__":
    main()
