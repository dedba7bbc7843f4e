"""One request of a marker touches few rows: no statement of the desk walks through a table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from marking_run import SHORT, House, marking_on
from sqlalchemy import event

from grader.marking import saving, serving, trials
from grader.marking.seeds import SeedPolicy


def test_no_request_of_a_marker_walks_through_a_table(tmp_path: Path) -> None:
    with marking_on(f"sqlite:///{tmp_path / 'service.sqlite'}", tmp_path / "exam", 20) as house:
        house.use("two_plus_one", seeds=SeedPolicy(rate=0.3))
        trials.make_seed(house.database, house.exam, "ling", min(house.rows()), 3.0, "seed")
        asked: list[tuple[str, Any]] = []
        event.listen(
            house.database.engine,
            "before_cursor_execute",
            lambda _c, _k, statement, parameters, _x, _m: asked.append((statement, parameters)),
        )
        _work(house)
        walks = set()
        with house.database.read() as connection:
            for statement, parameters in asked:
                if not statement.lstrip().startswith(("SELECT", "UPDATE", "INSERT")):
                    continue
                one = parameters[0] if isinstance(parameters, list) else parameters
                plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", one)
                walks |= {(row.detail, statement) for row in plan if row.detail.startswith("SCAN mark_")}
        assert walks == set()
        assert len(asked) > 100


def _work(house: House) -> None:
    for actor in ("chen", "wang"):
        for _ in range(6):
            house.mark(actor, 1.0)
        one = house.served(actor)
        ahead = house.served(actor, besides=[one.name])
        serving.renew(house.database, house.exam, actor, [one.name, ahead.name])
        serving.look(house.database, house.exam, actor, one.name)
        house.served(actor, after=one.name)
        saving.undo(house.database, house.exam, actor)
        serving.give_back(house.database, house.exam, actor)
    one = house.served("zhao")
    saving.raise_to_leader(house.database, house.exam, "zhao", one.name, one.token, "?")
    saving.comment(house.database, house.exam, "zhao", one.name, "?")
    assert house.next("zhao", item=SHORT)
