"""Do 50 markers at once wait, collide or lose marks?

    python benchmarks/service.py [--markers 50] [--seconds 120] [--pause 3] [--database URL]

`grader serve` runs as a process of its own, as people start it; the markers are another process, over loopback.
Each does what the desk's script does: has the next answer fetched ahead with its picture, looks at the one before
him for `pause` seconds on average (evenly from half to one and a half times that), saves it, goes on. An answer
then costs three requests. What was read is made up; the store, the service and marking are real.

error: an answer of the server that is not the one asked for, or none in 30 s. double lease: an answer that two
markers had at the same moment, or that bears two marks under single marking. lost: a save that was acknowledged
and is not in the database. Latencies are the client's, from the first byte sent to the last one received.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import re
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import cv2
import numpy as np
from harness import table, write
from sqlalchemy import insert, select

from grader.exam.exam import Exam
from grader.marking import answers
from grader.marking import schema as marking
from grader.paper.layout import lay_out
from grader.records import Identity, Mark, PageRef, PageResult, Reading, Registration, Response
from grader.run.job import Job
from grader.run.settle import settle
from grader.service import accounts, exams, schema, sessions
from grader.service.service import open_service
from grader.store.store import RunStore

SEED = 4
MOST = 600  # seconds; longer says nothing more
EXAM = Exam.model_validate(
    {
        "exam": {"id": "load", "title": "Load", "language": "en"},
        "items": [
            {"id": "1", "type": "short_answer", "max_mark": 4, "reference_answers": ["water expands as it freezes"],
             "rubric": [{"id": "a", "marks": 2, "criterion": "it freezes"},
                        {"id": "b", "marks": 2, "criterion": "it expands"}]}
        ],
    }
)  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--markers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--pause", type=float, default=3, help="mean seconds that a marker looks at an answer")
    parser.add_argument("--answers", type=int, help="in the exam; by default as many as can be needed")
    parser.add_argument("--database", help="URL of an empty PostgreSQL database; SQLite by default")
    options = parser.parse_args(arguments)
    seconds = min(options.seconds, MOST)
    enough = int(options.markers * (seconds / max(options.pause, 0.1) + 3) * 1.2)
    with tempfile.TemporaryDirectory() as folder:
        house = prepare(Path(folder), options.markers, options.answers or enough, options.database)
        result = measure(house, seconds, options.pause)
    result["settings"] = {"markers": options.markers, "seconds": seconds, "pause": options.pause,
                          "database": "postgresql" if options.database else "sqlite"}  # fmt: skip
    _tell(result)
    write("service", result)
    return result


# the service


@dataclass(frozen=True)
class House:
    """A prepared data folder. tokens: one session a marker."""

    data: Path
    url: str | None
    exam: str
    tokens: tuple[str, ...]


def prepare(data: Path, markers: int, count: int, url: str | None) -> House:
    """An exam of `count` answers in marking, and that many markers who have signed in."""
    service = open_service(data, url)
    with service.database.begin() as connection:
        leader = accounts.create(connection, "leader", "Leader", "leader")
        made = [accounts.create(connection, f"marker{n}", f"Marker {n}", "marker") for n in range(markers)]
        accounts.set_password(connection, leader, accounts.protect(secrets.token_urlsafe()))
    with service.database.begin() as connection:
        actor = sessions.actor(connection, leader)
        exam = exams.create(connection, service.exam_folders, actor, EXAM, EXAM.canonical())
        for account in made:
            exams.admit(connection, exam.id, account, "marker")
        tokens = tuple(sessions.begin(connection, account, "benchmark") for account in made)
        connection.execute(insert(schema.membership).values(account=leader, exam=exam.id, role="viewer"))
    run = _run(exam, count)
    answers.bring_in(service.database, exam.id, run, leader)
    run.close()
    service.close()
    return House(data, url, exam.id, tokens)


def _run(exam: exams.ExamPlace, count: int) -> RunStore:
    job = Job(EXAM, lay_out(EXAM), exam.folder)
    page = job.form.page(1)
    place = next(one for one in page.fields if one.item == "1")
    crops = [_crop(np.random.default_rng((SEED, n))) for n in range(40)]
    results = []
    for number in range(count):
        candidate, text = f"{100001 + number}", f"water number {number} expands when it freezes"
        mark = Mark(candidate, "1", 2.0, 4.0, 0.6, "review", ("model_proposal", "low_confidence"), "model:lexical/1")
        results.append(
            PageResult(
                PageRef(f"scan-{number}.jpg"), "read", sha256=f"{number:064d}", identity=Identity(candidate, 1.0),
                sheet_page=1, registration=Registration(1, np.eye(3), 0.1, "fiducials"),
                readings=(Reading(place.id, "text", text, 0.9),), responses=(Response(candidate, "1", text, 0.9),),
                marks=(mark,), crops={place.id: crops[number % len(crops)]},
            )
        )  # fmt: skip
    with RunStore.create(exam.run) as store:
        described = {**job.describe(), "form_folder": str(exam.folder), "versions": {"grader": "benchmark"}}
        store.set_meta(**described, models={}, desk_secret="5a" * 32)
        for start in range(0, count, 500):
            store.record_pages(results[start : start + 500])
        store.set_meta(summary=settle(store, job, [result.ref for result in results]))
    return RunStore.open(exam.run)


def _crop(rng: np.random.Generator) -> bytes:
    """A picture of the size of two written lines; noise as a scanner's, so that it packs as one does."""
    picture = np.clip(rng.normal(235, 4, (180, 1000)), 0, 255).astype(np.uint8)
    for left in range(30, 900, 45):
        cv2.putText(
            picture, "ab"[left % 2], (left, 110 + int(rng.integers(-6, 6))), cv2.FONT_HERSHEY_COMPLEX, 1.6, 40, 3
        )
    return cv2.imencode(".png", picture)[1].tobytes()


# the markers


@dataclass
class Marker:
    """One person at the desk. held: (answer, from, until) as the client knows; saved: answers acknowledged."""

    port: int
    exam: str
    token: str
    pause: float
    rng: random.Random
    seconds: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    held: list[tuple[str, float, float]] = field(default_factory=list)
    saved: list[str] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    def work(self, until: float) -> None:
        """Mark until the clock says so, one answer at least."""
        time.sleep(self.rng.uniform(0, self.pause))
        self._connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        csrf, here = sessions.csrf_of(self.token), self._first()
        while here is not None:
            name, lease, since = here
            path = f"/exams/{self.exam}/mark/0/answers/{name}"
            following = self._ahead(name)
            time.sleep(self.rng.uniform(0.5, 1.5) * self.pause)
            form = {"csrf": csrf, "token": lease, "mark": "3", "criterion.0": "2", "criterion.1": "1", "act": "save"}
            status, _, _ = self._ask("save", "POST", path, urlencode(form), {"x-ahead": "1"})
            if status == 200:
                self.saved.append(name)
                self.held.append((name, since, time.monotonic()))
            here = following if time.monotonic() < until else None
        self._connection.close()

    def _first(self) -> tuple[str, str, float] | None:
        status, to, _ = self._ask("next", "GET", f"/exams/{self.exam}/mark/0")
        return self._shown("page", to) if status == 303 else None

    def _ahead(self, name: str) -> tuple[str, str, float] | None:
        return self._shown("ahead", f"/exams/{self.exam}/mark/0/ahead?besides={name}")

    def _shown(self, what: str, path: str) -> tuple[str, str, float] | None:
        """Answer, lease and when it was got, of a desk's page, after its picture has come too."""
        status, _, text = self._ask(what, "GET", path)
        name, lease = re.search(r'data-answer="([^"]+)"', text), re.search(r'name="token" value="([^"]+)"', text)
        if status != 200 or name is None or lease is None:
            if status == 200:
                self.errors[f"{what}: a page without an answer"] += 1
            return None
        since = time.monotonic()
        self._ask("crop", "GET", f"/exams/{self.exam}/mark/0/answers/{name[1]}/crop.png")
        return name[1], lease[1], since

    def _ask(
        self, what: str, method: str, path: str, body: str | None = None, more: dict[str, str] | None = None
    ) -> tuple[int, str, str]:
        headers = {"Cookie": f"grader_session={self.token}", **(more or {})}
        if body is not None:
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        start = time.perf_counter()
        try:
            self._connection.request(method, path, body, headers)
            answer = self._connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.errors[f"{what}: {type(error).__name__}"] += 1
            self._connection.close()
            return 0, "", ""
        self.seconds[what].append(time.perf_counter() - start)
        if answer.status not in {200, 204, 303}:
            self.errors[f"{what}: {answer.status}"] += 1
        text = data.decode("utf-8", "replace") if what != "crop" else ""
        return answer.status, answer.getheader("location", ""), text


def measure(house: House, seconds: float, pause: float) -> dict[str, Any]:
    """Serve the house to its markers for that long; what they met, and what the database holds."""
    log = house.data / "log"
    command = [sys.executable, "-m", "grader", "serve", "--data", str(house.data), "--port", "0"]
    command += ["--database", house.url] if house.url else []
    with log.open("wb") as out:
        server = subprocess.Popen(command, stderr=out, stdout=out, env={**os.environ, "OMP_NUM_THREADS": "1"})
    try:
        port = _port(server, log)
        markers = [Marker(port, house.exam, token, pause, random.Random(f"{SEED} {n}"))
                   for n, token in enumerate(house.tokens)]  # fmt: skip
        _warm(port, house)
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=marker.work, args=(until,)) for marker in markers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        cpu = _cpu(server.pid)
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)
    result = _summary(markers, house)
    result["server"] = {"cpu_seconds": cpu, "said": log.read_text(encoding="utf-8").count("Traceback")}
    return result


def _port(server: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and server.poll() is None:
        found = re.search(r"service: http://127\.0\.0\.1:(\d+)", log.read_text(encoding="utf-8"))
        if found:
            return int(found[1])
        time.sleep(0.05)
    raise SystemExit(f"the service did not start: {log.read_text(encoding='utf-8')}")


def _warm(port: int, house: House) -> None:
    """One page, so that nobody waits for what the server loads once."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    connection.request("GET", f"/exams/{house.exam}/mark", headers={"Cookie": f"grader_session={house.tokens[0]}"})
    if connection.getresponse().status != 200:
        raise SystemExit("the service does not show the exam to its markers")
    connection.close()


def _cpu(pid: int) -> float:
    """Seconds of processor that a process has used."""
    spent = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(spent[11]) + int(spent[12])) / os.sysconf("SC_CLK_TCK")


def _summary(markers: Sequence[Marker], house: House) -> dict[str, Any]:
    every: dict[str, list[float]] = defaultdict(list)
    for marker in markers:
        for what, values in marker.seconds.items():
            every[what] += values
            every["all"] += values
    errors: Counter[str] = sum((marker.errors for marker in markers), Counter())
    doubles, marks = _doubles(markers), _marks(house)
    acknowledged = [name for marker in markers for name in marker.saved]
    return {
        "answers": len(acknowledged),
        "errors": dict(errors),
        "double_leases": doubles + sum(1 for count in marks.values() if count > 1),
        "lost": sum(1 for name in acknowledged if not marks[name]),
        "latency": {what: _quantiles(values) for what, values in sorted(every.items())},
    }


def _doubles(markers: Sequence[Marker]) -> int:
    """Answers that two markers had at the same moment."""
    spans: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for marker in markers:
        for name, since, until in marker.held:
            spans[name].append((since, until))
    return sum(
        any(b[0] < a[1] for a, b in zip(sorted(held), sorted(held)[1:], strict=False)) for held in spans.values()
    )


def _marks(house: House) -> Counter[str]:
    """How many marks of people each answer bears in the database."""
    service = open_service(house.data, house.url)
    e, a = marking.event.c, marking.answer.c
    with service.database.read() as connection:
        query = select(a.name).join(marking.answer, a.id == e.answer).where(e.kind == "mark", e.giver == "person")
        found = Counter(connection.execute(query).scalars())
    service.close()
    return found


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    ordered = sorted(values)
    at = {name: ordered[min(len(ordered) - 1, int(q * len(ordered)))] for name, q in QUANTILES.items()}
    return {"n": len(ordered), **at, "mean": statistics.fmean(ordered), "max": ordered[-1]}


QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}


def _tell(result: dict[str, Any]) -> None:
    chosen = result["settings"]
    title = (
        f"{chosen['markers']} markers, {chosen['seconds']:g} s, {chosen['pause']:g} s an answer, {chosen['database']}"
    )
    rows = [
        [what, q["n"], *(f"{1000 * q[name]:.0f}" for name in ("p50", "p95", "p99", "max"))]
        for what, q in result["latency"].items()
    ]
    table(title, ["request", "n", "p50 ms", "p95 ms", "p99 ms", "max ms"], rows)
    print(f"\nanswers saved {result['answers']}, errors {sum(result['errors'].values())} {result['errors'] or ''}, "
          f"double leases {result['double_leases']}, acknowledged and lost {result['lost']}")  # fmt: skip


if __name__ == "__main__":
    main()
