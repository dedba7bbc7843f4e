"""Plain paper from photographs to marks on the command line, and every mark again."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from plain_paper import PHONE, photographed, written

from grader.cli.run import command
from grader.errors import UsageError
from grader.run.refresh import refresh
from grader.run.replay import replay
from grader.store.decisions import Attribution, Decision, attribute, decide
from grader.store.store import RunStore

EXAM = """\
exam: {id: hw, title: 第三单元, language: zh}
items:
- {id: "1", type: choice, options: ABCD, answer: B, max_mark: 2}
- {id: "2", type: blank, answers: [光合作用], max_mark: 2}
- {id: "3", type: numeric, answer: 3.2, unit: m/s, max_mark: 3}
- {id: "4", type: blank, answers: [惯性], max_mark: 2}
"""
CAMERA = replace(PHONE, dpi=(150,), shadow=0.0)
PAGES = {  # file → turn, lines
    "1001/a.jpg": (1, ["1. B", "2、光合作用", "(3) 3.2 m/s", "4) 惯性"]),
    "1002/a.jpg": (2, ["1. C", "2. 光合作用"]),
    "1002/b.jpg": (0, ["3、 5.0 m/s"]),
    "x.jpg": (0, ["学号 1003", "1. B", "2. 光合作用", "3、3.2 m/s", "4. 惯性"]),
    "y.jpg": (0, ["1. D", "2. 光合作用", "3、3.2 m/s", "4. 惯性"]),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plain")
    (folder / "exam.yaml").write_text(EXAM, encoding="utf-8")
    (folder / "roster.csv").write_text("candidate,name\n1001,李明\n1002,王芳\n1003,赵雷\n1004,孙悦\n", encoding="utf-8")
    for seed, (name, (turn, lines)) in enumerate(PAGES.items(), start=1):
        path = folder / "scans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photographed(written(lines, seed=seed), seed=seed, turn=turn, profile=CAMERA))
    asked = [str(folder / "exam.yaml"), "--plain", "--scans", str(folder / "scans"), "--out",
             str(folder / "run"), "--candidates", str(folder / "roster.csv"), "--executor", "serial"]  # fmt: skip
    code = CliRunner().invoke(command, asked, standalone_mode=False, catch_exceptions=False).return_value
    assert code == 1  # y.jpg belongs to nobody
    return folder / "run"


def rows(run: Path) -> dict[tuple[str, str], dict[str, str]]:
    with (run / "results.csv").open(encoding="utf-8", newline="") as file:
        return {(row["candidate"], row["item"]): row for row in csv.DictReader(file)}


def test_pages_at_any_turn_are_read_and_belong_to_their_candidates(run: Path) -> None:
    found = rows(run)
    assert [found["1001", item]["response"] for item in "1234"] == ["B", "光合作用", "3.2 m/s", "惯性"]
    assert [found["1001", item]["mark"] for item in "1234"] == ["2", "2", "3", "2"]
    assert found["1003", "1"]["mark"] == "2"
    assert found["1002", "1"]["mark"] == "0"
    assert found["1002", "3"]["page"] == "2"
    with (run / "ledger.csv").open(encoding="utf-8", newline="") as file:
        ledger = {Path(row["file"]).name: row for row in csv.DictReader(file)}
    assert (ledger["y.jpg"]["outcome"], ledger["y.jpg"]["reason"]) == ("unmatched", "identity_unread")
    assert json.loads((run / "run.json").read_text(encoding="utf-8"))["counts"]["missing"] == 0


def test_an_item_on_no_page_goes_to_a_person_with_the_pages(run: Path) -> None:
    missing = rows(run)["1002", "4"]
    assert (missing["mark"], missing["status"], missing["flags"]) == ("", "review", "item_not_found")
    with RunStore.open(run) as store:
        crop = next(row.crop for row in store.results(candidate="1002", item="4"))
        assert len(store.crop(crop)) > 10_000


def test_no_name_or_written_number_is_in_the_store(run: Path) -> None:
    with RunStore.open(run) as store:
        texts = [reading.value for row in store.ledger() if (record := store.page_record(row.file, row.page))
                 for reading in record.result.readings]  # fmt: skip
    assert texts
    assert not any("学号" in text for text in texts)


def test_every_mark_can_be_derived_again_with_the_scans_and_without(run: Path) -> None:
    with RunStore.open(run) as store:
        again = list(replay(store))
        assert {one.source for one in again} == {"scan"}
        assert [one for one in again if not one.same] == []
        scans = run.parent / "scans"
        scans.rename(run.parent / "gone")
        try:
            without = list(replay(store, candidate="1001"))
        finally:
            (run.parent / "gone").rename(scans)
        assert {one.source for one in without} == {"crops"}
        assert [one for one in without if not one.same] == []


def test_people_win_and_a_page_of_nobody_can_be_given(run: Path) -> None:
    with RunStore.open(run) as store:
        place = next(row for row in store.results(candidate="1002", item="4"))
        decide(store, "chen", Decision("1002", "4", place.file, place.file_page, 1.0))
        page = next(row for row in store.ledger() if row.file.endswith("y.jpg"))
        attribute(store, "chen", Attribution(page.file, page.page, "1004"))
        refresh(store)
        found = rows(run)
        assert (found["1002", "4"]["mark"], found["1002", "4"]["status"]) == ("1", "final")
        assert found["1004", "2"]["mark"] == "2"


def test_plain_paper_needs_a_list_and_no_form(tmp_path: Path) -> None:
    (tmp_path / "exam.yaml").write_text(EXAM, encoding="utf-8")
    asked = [str(tmp_path / "exam.yaml"), "--scans", str(tmp_path), "--out", str(tmp_path / "run")]
    for more in ([], ["--plain"], ["--plain", "--form", "x", "--candidates", "y"]):
        with pytest.raises(UsageError) as refused:
            CliRunner().invoke(command, [*asked, *more], standalone_mode=False, catch_exceptions=False)
        assert refused.value.remedy
