"""Names apart from answers, pictures that go, exams that are deleted, runs that are taken in, and what the log says."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import report_run
from conftest import ROOT
from service_client import EXAM, House, service_of
from sqlalchemy import ForeignKeyConstraint, select, update

from grader.service import audit, exams, incoming, retention, schema, sessions, vault
from grader.service.actions import ACTIONS
from grader.service.database import metadata
from grader.service.exams import ExamPlace
from grader.store.store import RunStore

NAMES = {"0001": "王小明", "0002": "Chloë Doe", "0003": ""}


@pytest.fixture
def house(tmp_path: Path, database_url: str) -> Iterator[House]:
    with service_of(tmp_path / "data", database_url) as made:
        yield made


def roster(names: dict[str, str] = NAMES) -> dict[str, tuple[str, bytes]]:
    lines = ["candidate,name", *(f"{candidate},{name}" for candidate, name in names.items())]
    return {"file": ("../../etc/passwd.csv", "\n".join(lines).encode())}


def with_run(house: House) -> tuple[ExamPlace, set[str]]:
    """An exam that was made from a run in `incoming/`, and its candidates."""
    folder = house.service.data / "incoming"
    folder.mkdir(exist_ok=True)
    report_run.make_run(folder, candidates=4)
    ling = house.client("ling")
    page = ling.get("/exams/new").text
    assert 'name="name" value="run"' in page
    made = ling.post("/exams/from-run", name="run")
    exam_id = made.url.path.removeprefix("/exams/")
    with house.service.database.begin() as connection:
        exam = exams.find(connection, house.service.exam_folders, exam_id)
        assert exam is not None
        exams.admit(connection, exam.id, house.ids["tian"], "teacher")
        exams.admit(connection, exam.id, house.ids["chen"], "marker")
    return exam, {row.candidate for row in house.service.run(exam).results()} - {""}


def crops(exam: ExamPlace) -> int:
    with sqlite3.connect(exam.run / "run.sqlite") as store:
        return int(store.execute("SELECT count(*) FROM crop").fetchone()[0])


def log(house: House) -> list[audit.Entry]:
    house.service.note_views()
    with house.service.database.read() as connection:
        assert audit.verify(connection).broken is None
        return list(audit.entries(connection))


def last(house: House, action: str) -> dict[str, object]:
    detail: dict[str, object] = json.loads([entry for entry in log(house) if entry.action == action][-1].detail)
    return detail


# names


def test_names_are_shown_to_those_who_may_see_them_and_to_nobody_else(house: House) -> None:
    exam, tian = house.exam(), house.client("tian")
    answer = tian.post(f"/exams/{exam.id}/names", files=roster())
    assert "王小明" in answer.text
    assert last(house, "names_given") == {"count": 3}
    for login in ("chen", "ling", "vera"):
        client = house.client(login)
        pages = ["", "/members", "/names", "/export.zip", "/keeping"]
        seen = "".join(client.get(f"/exams/{exam.id}{page}").text for page in pages)
        assert not [name for name in NAMES.values() if name and name in seen]
    told = last(house, "saw_names")
    assert told == {"count": 2, "ids": ["0001", "0002"]}
    assert not [entry for entry in log(house) if "王小明" in entry.detail], "the log itself names nobody"


def test_names_come_from_the_vault_for_who_asks(house: House) -> None:
    exam = house.exam()
    with house.service.database.begin() as connection:
        vault.keep(connection, exam.id, NAMES)
        vault.keep(connection, exam.id, {"0001": "王明"})
        people = {login: sessions.actor(connection, house.ids[login]) for login in ("tian", "chen", "ada")}
    known = {"0001": "王明", "0002": "Chloë Doe"}
    assert vault.names(house.service, people["tian"], exam) == known
    assert vault.names(house.service, people["ada"], exam) == known
    assert vault.names(house.service, people["chen"], exam) == {}


@pytest.mark.parametrize(
    "file", [b"", b"candidate\n1\n", b"no,header\n1,2\n", b"\x00\xff\xfe", b"candidate,name\n1,a\n1,b\n"]
)
def test_a_bad_roster_is_said_and_changes_nothing(house: House, file: bytes) -> None:
    exam, tian = house.exam(), house.client("tian")
    answer = tian.post(f"/exams/{exam.id}/names", files={"file": ("r.csv", file)})
    assert answer.status_code == 422
    assert "to mend" in answer.text
    with house.service.database.read() as connection:
        assert vault.count(connection, exam.id) == 0


# exams and runs


def test_an_exam_is_made_from_its_text_or_its_file(house: House) -> None:
    ling = house.client("ling")
    for options in ({"text": EXAM}, {"files": {"file": ("x.yaml", EXAM.encode())}}):
        made = ling.post("/exams", **options)
        assert made.status_code == 200
        assert "物理测验" in made.text
    with house.service.database.read() as connection:
        ids = connection.execute(select(schema.exam.c.id)).scalars().all()
        places = [exams.find(connection, house.service.exam_folders, one) for one in ids]
    assert len({place.definition().sha256 for place in places if place}) == 1
    assert len(ids) == 2
    assert "leader" in ling.get(f"/exams/{ids[0]}").text


def test_every_mistake_of_an_exam_is_shown_with_its_line(house: House) -> None:
    text = EXAM.replace("answer: B", "answer: Z").replace("unit: m/s", "unit: parsec/fortnight?")
    answer = house.client("ling").post("/exams", text=text)
    assert answer.status_code == 422
    assert "2 things to mend" in answer.text
    assert '<td class="n">3</td>' in answer.text
    assert '<td class="n">4</td>' in answer.text
    assert "answer: Z" in answer.text, "what was typed is still there"
    with house.service.database.read() as connection:
        assert connection.execute(select(schema.exam)).first() is None


def test_a_run_is_taken_in_with_the_exam_that_it_was_marked_by(house: House) -> None:
    exam, candidates = with_run(house)
    assert candidates
    assert exam.definition().sha256 == report_run.EXAM.sha256
    assert exam.form_file.is_file()
    assert not (house.service.data / "incoming" / "run").exists()
    page = house.client("ling").get(f"/exams/{exam.id}").text
    assert "answers" in page
    assert [entry.action for entry in log(house)][-2:] == ["exam_made", "run_attached"]


def test_a_run_of_another_exam_is_not_attached(house: House) -> None:
    exam, folder = house.exam(), house.service.data / "incoming"
    folder.mkdir()
    report_run.make_run(folder, candidates=2)
    ling = house.client("ling")
    refused = ling.post(f"/exams/{exam.id}/run", name="run")
    assert refused.status_code == 409
    assert "another exam" in refused.text
    assert (folder / "run").is_dir()


@pytest.mark.parametrize("name", ["..", "../../etc", "/etc", "", "none", "link"])
def test_only_what_lies_in_the_folder_can_be_taken_in(house: House, tmp_path: Path, name: str) -> None:
    folder = house.service.data / "incoming"
    folder.mkdir()
    (folder / "half").mkdir()
    report_run.make_run(tmp_path, candidates=2)
    (folder / "link").symlink_to(tmp_path / "run")
    assert incoming.arrivals(house.service) == []
    assert house.client("ling").post("/exams/from-run", name=name).status_code == 404
    assert (tmp_path / "run").is_dir()


# keeping and deleting


def test_clearing_takes_pictures_and_names_and_leaves_marks(house: House) -> None:
    exam, candidates = with_run(house)
    tian = house.client("tian")
    tian.post(f"/exams/{exam.id}/names", files=roster(dict.fromkeys(candidates, "Somebody")))
    (exam.scans / "deep").mkdir(parents=True)
    (exam.scans / "deep" / "1.png").write_bytes(b"a picture")
    had = crops(exam)
    assert had
    assert tian.post(f"/exams/{exam.id}/clear", code="wrong").status_code == 422
    assert crops(exam) == had
    answer = tian.post(f"/exams/{exam.id}/clear", code=exam.code)
    assert answer.status_code == 200
    assert crops(exam) == 0
    assert not [path for path in exam.scans.rglob("*") if path.is_file()]
    assert {row.candidate for row in house.service.run(exam).results()} - {""} == candidates
    told = last(house, "exam_cleared")
    assert (told["names"], told["scans"], told["crops"], told["why"]) == (len(candidates), 1, had, "asked")
    assert "were deleted; the marks stay" in answer.text


def test_no_byte_of_a_crop_is_left_in_the_file(house: House) -> None:
    exam, _ = with_run(house)
    with sqlite3.connect(exam.run / "run.sqlite") as store:
        png = bytes(store.execute("SELECT png FROM crop LIMIT 1").fetchone()[0])
    probe = png[20:60]
    held = b"".join(path.read_bytes() for path in exam.run.glob("run.sqlite*"))
    assert probe in held
    retention.clear(house.service, exam, "", "asked")
    held = b"".join(path.read_bytes() for path in exam.run.glob("run.sqlite*"))
    assert probe not in held


def test_the_date_clears_by_itself_and_once(house: House) -> None:
    exam, tian = house.exam(), house.client("tian")
    other = house.exam()
    today = datetime.now(UTC).date()
    for wrong in (str(today), "2020-01-01", "tomorrow", "2026-13-01"):
        assert tian.post(f"/exams/{exam.id}/keeping", until=wrong).status_code == 422
    assert tian.post(f"/exams/{exam.id}/keeping", until=str(today + timedelta(days=30))).status_code == 200
    assert retention.sweep(house.service) == []
    with house.service.database.begin() as connection:
        vault.keep(connection, exam.id, NAMES)
        vault.keep(connection, other.id, NAMES)
        connection.execute(update(schema.exam).where(schema.exam.c.id == exam.id).values(keep_until=str(today)))
    assert retention.sweep(house.service) == [exam.id]
    assert retention.sweep(house.service) == []
    with house.service.database.read() as connection:
        assert (vault.count(connection, exam.id), vault.count(connection, other.id)) == (0, 2)
    assert last(house, "exam_cleared")["why"] == "date"


def test_forgetting_one_candidate_leaves_the_others(house: House) -> None:
    exam, candidates = with_run(house)
    one, *others = sorted(candidates)
    tian = house.client("tian")
    tian.post(f"/exams/{exam.id}/names", files=roster({candidate: f"Name {candidate}" for candidate in candidates}))
    with RunStore.open(exam.run) as store:
        mine = {row.crop for row in store.results(candidate=one)} - {""}
        theirs = {row.crop for other in others for row in store.results(candidate=other)} - {""}
    before = crops(exam)
    tian.post(f"/exams/{exam.id}/forget", candidate=one)
    assert crops(exam) == before - len(mine - theirs)
    with RunStore.open(exam.run) as store:
        for crop in theirs:
            assert store.crop(crop)
        assert list(store.results(candidate=one)), "marks stay"
    page = tian.get(f"/exams/{exam.id}/names").text
    assert f"Name {one}" not in page
    assert f"Name {others[0]}" in page
    assert last(house, "candidate_forgotten")["names"] == 1


def test_deleting_an_exam_leaves_nothing_but_a_tombstone(house: House) -> None:
    exam, _ = with_run(house)
    other, tian = house.exam(), house.client("tian")
    tian.post(f"/exams/{exam.id}/names", files=roster())
    assert tian.post(f"/exams/{exam.id}/delete", code="").status_code == 422
    assert exam.folder.is_dir()
    answer = tian.post(f"/exams/{exam.id}/delete", code=exam.code)
    assert answer.url.path == "/exams"
    assert not exam.folder.exists()
    assert list(house.service.exam_folders.iterdir()) == [other.folder]
    with house.service.database.read() as connection:
        for table in metadata.sorted_tables:
            if "exam" in table.c and table.name != "audit":
                assert connection.execute(select(table).where(table.c.exam == exam.id)).first() is None, table.name
        assert exams.find(connection, house.service.exam_folders, other.id) is not None
    assert last(house, "exam_deleted")["code"] == exam.code
    assert tian.get(f"/exams/{exam.id}").status_code == 404


def test_every_table_goes_with_its_exam() -> None:
    """What is not deleted by its column `exam` hangs on a row that is, or belongs to no exam at all."""
    ours = {"account", "session", "ticket", "attempt", "schema_version", "exam", "audit"}
    left = []
    for table in metadata.sorted_tables:
        parents = [key for key in table.constraints if isinstance(key, ForeignKeyConstraint)]
        hangs = any(key.ondelete == "CASCADE" and "exam" in key.referred_table.c for key in parents)
        if "exam" not in table.c and not hangs and table.name not in ours:
            left.append(table.name)
    assert not left


def test_the_export_holds_all_but_pictures(house: House) -> None:
    exam, _ = with_run(house)
    tian = house.client("tian")
    tian.post(f"/exams/{exam.id}/names", files=roster())
    (exam.run / "results.csv").write_text("candidate,page\n1001,1\n", encoding="utf-8")
    with zipfile.ZipFile(io.BytesIO(tian.get(f"/exams/{exam.id}/export.zip").content)) as packed:
        held = {name: packed.read(name).decode("utf-8-sig") for name in packed.namelist()}
    assert {"exam.yaml", "form.json", "run/results.csv", "names.csv", "tables/audit.jsonl"} <= set(held)
    assert "王小明" in held["names.csv"]
    assert not [name for name in held if "王小明" in held[name] and name != "names.csv"]
    with zipfile.ZipFile(io.BytesIO(house.client("ling").get(f"/exams/{exam.id}/export.zip").content)) as packed:
        assert "names.csv" not in packed.namelist()
        assert "tables/candidate_name.jsonl" not in packed.namelist()
    assert [entry.action for entry in log(house)].count("exam_exported") == 2


# the log's pages


def test_every_action_of_the_log_has_words_in_both_languages() -> None:
    """Codes are written in the sources as the second or third argument of `audit.record`."""
    sources = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "grader").rglob("*.py"))
    codes = set(re.findall(r'audit\.record\(\s*connection,\s*[^,]+,\s*"(\w+)"', sources))
    codes |= {f"saw_{kind}" for kind in re.findall(r'\.saw\([^"]*"(\w+)"', sources)}
    assert {"sign_in", "exam_made", "saw_crops", "released"} <= codes
    assert codes - set(ACTIONS) == set()
    assert all(en and zh and en != zh for en, zh in ACTIONS.values())


def test_the_log_is_read_checked_and_taken_away(house: House) -> None:
    house.exam()
    ada = house.client("ada")
    ada.post("/accounts", login="neu", name="Neu", role="viewer")
    house.service.saw(house.ids["chen"], "x", "crops", ["b", "a"])
    house.service.saw(house.ids["chen"], "x", "crops", ["a"])
    page = ada.get("/audit").text
    assert "invited somebody" in page
    assert last(house, "saw_crops") == {"count": 2, "ids": ["a", "b"]}
    assert "rows fit" in ada.get("/audit/verify").text
    lines = [json.loads(line) for line in ada.get("/audit/export").text.splitlines()]
    previous = audit.GENESIS
    for line in lines:
        content = {key: line[key] for key in ("id", "at", "actor", "action", "exam", "detail")}
        assert line["hash"] == audit.link(previous, content)
        previous = line["hash"]
    assert lines[-1]["action"] == "audit_exported"
