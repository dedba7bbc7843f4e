"""Many markers at once, and a server that is killed: no answer on two desks, no acknowledged mark lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from marking_databases import marking_url, shared_url  # noqa: F401
from marking_run import SHORT, House, marking_on
from sqlalchemy import select, update

from grader.marking import outbox, saving, schema, serving
from grader.marking.errors import Taken
from grader.marking.serving import Idle, Served
from grader.service.database import connect, now

ANSWERS = 60
_MARKER = """
import sys
from grader.marking import saving, serving
from grader.marking.serving import Served
from grader.service.database import connect
url, exam, actor, item = sys.argv[1:]
database = connect(url)
print("ready", flush=True)
while isinstance(one := serving.next_answer(database, exam, actor, item), Served):
    saving.save(database, exam, actor, one.name, one.token, 2.0)
    print(one.name, flush=True)
"""


@pytest.fixture
def house(marking_url: str, tmp_path: Path) -> Iterator[House]:  # noqa: F811
    with marking_on(marking_url, tmp_path / "exam", ANSWERS) as made:
        yield made


def _url(house: House) -> str:
    return house.database.engine.url.render_as_string(hide_password=False)


def _people_marks(house: House) -> Counter[int]:
    e = schema.event.c
    with house.database.read() as connection:
        query = select(e.answer).where(e.exam == house.exam, e.kind == "mark", e.giver == "person")
        return Counter(connection.scalars(query))


def test_threads_share_the_queue_without_a_double(house: House) -> None:
    house.use("double")
    begin, failed = threading.Barrier(8), []
    marked: list[tuple[str, str]] = []

    def work(actor: str) -> None:
        begin.wait()
        try:
            waited = 0
            while waited < 400:
                one = serving.next_answer(house.database, house.exam, actor, SHORT)
                if isinstance(one, Idle):
                    if one.why == "done":
                        return
                    waited += 1
                    time.sleep(0.01)  # what is left lies on other desks
                    continue
                saving.save(house.database, house.exam, actor, one.name, one.token, 2.0)
                marked.append((one.name, actor))
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(f"m{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(marked) == len(set(marked)) == 2 * ANSWERS, "every answer twice, by two people"
    assert set(_people_marks(house).values()) == {2}
    assert {row["state"] for row in house.rows().values()} == {"final"}


def test_processes_share_the_queue_without_a_double(house: House) -> None:
    house.use()
    markers = [_start(house, f"m{n}") for n in range(3)]
    told = [marker.communicate()[0].split()[1:] for marker in markers]
    assert [marker.returncode for marker in markers] == [0, 0, 0]
    names = [name for each in told for name in each]
    assert len(names) == len(set(names)) == ANSWERS
    assert set(_people_marks(house).values()) == {1}


def test_a_kill_loses_no_acknowledged_mark(house: House) -> None:
    house.use(lease=0.5)
    marker = _start(house, "chen")
    assert marker.stdout is not None
    told = []
    for line in marker.stdout:
        told.append(line.strip())
        if len(told) == 12:
            os.kill(marker.pid, signal.SIGKILL)
            break
    told += [line.strip() for line in marker.stdout if line.endswith("\n")]
    marker.wait()
    acknowledged = set(told[1:])
    assert acknowledged
    again = House(connect(_url(house)), house.exam, house.run)
    rows = again.rows()
    assert {rows[name]["state"] for name in acknowledged} == {"final"}
    final = sum(row["state"] == "final" for row in rows.values())
    assert len(acknowledged) <= final <= len(acknowledged) + 1, "at most the one that was under way besides"
    rest = again.mark_all("chen", 2.0)
    assert final + rest == ANSWERS, "what was on the desk of the dead process is on his again"
    with again.open_run() as run:
        assert outbox.write_finals(again.database, again.exam, run).decided == ANSWERS
    again.database.close()


def _start(house: House, actor: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", _MARKER, _url(house), house.exam, actor, SHORT]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_lease_runs_out_and_can_be_renewed(house: House) -> None:
    house.use()
    mine = house.served("chen")
    names = sorted(house.rows())
    _expire(house, mine.name)
    assert serving.renew(house.database, house.exam, "chen", [mine.name]) == [mine.name]
    seen = {one.name for one in _all_of(house, "wang")}
    assert seen == set(names) - {mine.name}, "a renewed lease is nobody else's"
    _expire(house, mine.name)
    taken = house.served("wang", besides=seen)
    assert taken.name == mine.name
    assert serving.renew(house.database, house.exam, "chen", [mine.name]) == []
    with pytest.raises(Taken):
        house.mark("chen", 1.0, mine)
    with pytest.raises(Taken):
        serving.look(house.database, house.exam, "chen", mine.name)
    serving.give_back(house.database, house.exam, "wang")
    assert house.served("chen").name in names


def test_who_is_late_but_not_taken_over_still_saves(house: House) -> None:
    house.use()
    mine = house.served("chen")
    _expire(house, mine.name)
    house.mark("chen", 1.0, mine)
    assert house.rows()[mine.name]["mark"] == 1.0


def _all_of(house: House, actor: str) -> list[Served]:
    """Everything that the marker can have on his desk at once."""
    found: list[Served] = []
    while isinstance(one := house.next(actor, besides=[held.name for held in found]), Served):
        found.append(one)
    return found


def _expire(house: House, name: str) -> None:
    with house.database.begin() as connection:
        past = now(-timedelta(seconds=1))
        where = schema.answer.c.name == name
        connection.execute(update(schema.answer).where(where).values(lease_until=past))
