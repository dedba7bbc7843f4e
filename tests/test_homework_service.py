"""Homework over HTTP: making it, the class, what comes in, the phone's link, reading in a worker, giving back."""

from __future__ import annotations

import csv
import io
import re
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import hostile
import pytest
from homework_class import CLASS, form, made, upload, with_class
from plain_paper import photographed, written
from service_client import Client, House, service_of

from grader.demo.simulate import simulate
from grader.exam.form import load_form
from grader.exam.load import load_exam
from grader.homework import jobs, keeper
from grader.homework.keeper import Keeper
from grader.store.store import RunStore


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with service_of(tmp_path / "data") as made:
        yield made


def error_beside(text: str, field: str) -> str:
    found = re.search(rf'id="e-{re.escape(field)}"[^>]*>([^<]*)', text)
    return found[1].strip() if found else ""


# making


def test_what_is_typed_is_checked_beside_its_field(house: House) -> None:
    tian = house.client("tian")
    text = tian.post("/homework/check", **form(**{"item.1.answer": "F", "item.2.marks.1": "1"})).text
    assert "not among the options" in error_beside(text, "item.1.answer")
    assert "carry 3 marks" in error_beside(text, "item.2.rubric")
    assert error_beside(text, "item.2.max_mark") == ""
    chinese = tian.http.post(
        "/homework/check", data={"csrf": tian.csrf, **form(**{"item.1.answer": "F"})}, headers={"accept-language": "zh"}
    ).text
    assert error_beside(chinese, "item.1.answer") == "答案 F 不在选项 ABCD 之中"
    assert "有 1 处需要修改" in chinese
    fine = tian.post("/homework/check", **form()).text
    assert 'class="good"' in fine
    assert "hx-swap-oob" in fine


def test_homework_with_mistakes_is_not_made_and_keeps_what_was_typed(house: House) -> None:
    tian = house.client("tian")
    answer = tian.post("/homework", **form(**{"item.1.answer": "F", "item.2.prompt": "<script>x</script>"}))
    assert answer.status_code == 422
    assert "&lt;script&gt;x" in answer.text
    assert "<script>x" not in answer.text
    assert 'value="F"' in answer.text


def test_homework_is_made_changed_and_made_from_a_file(house: House) -> None:
    tian = house.client("tian")
    root = made(tian)
    assert root.endswith("/homework")
    assert "第三单元" in tian.get(root).text
    assert 'value="B"' in tian.get(f"{root}/edit").text
    changed = tian.post(f"{root}/edit", **form(title="第四单元"))
    assert "第四单元" in changed.text
    items = b"- {id: '1', type: blank, answers: [x], max_mark: 1}\n"
    file = b"exam: {id: f, title: From a file, language: en}\nitems:\n" + items
    answer = tian.post("/homework", files={"file": ("exam.yaml", file)})
    assert "From a file" in answer.text
    broken = tian.post("/homework", files={"file": ("exam.yaml", b"exam: [")})
    assert broken.status_code == 422


def test_a_marker_and_nobody_make_no_homework(house: House) -> None:
    assert house.client("chen").get("/homework/new").status_code == 403
    assert house.client(None).post("/homework", **form()).status_code == 401


# the class and the paper


def test_the_class_list_tells_its_mistakes_by_line(house: House) -> None:
    tian = house.client("tian")
    root = made(tian)
    answer = tian.post(f"{root}/class", **{"class": "1001 李明\n1001 王芳\n../x 赵雷\n"})
    assert answer.status_code == 422
    assert answer.text.count('role="alert"') >= 2
    text = tian.post(f"{root}/class", **{"class": "学号,姓名\n1001,李明\n1002\t王芳\n"}).text
    assert "1001 李明\n1002 王芳" in text


def test_a_pupil_who_handed_in_stays_on_the_list(house: House) -> None:
    tian = house.client("tian")
    root = with_class(tian)
    upload(tian, root, photographed(written(["1. B"])), "1003")
    assert tian.post(f"{root}/class", **{"class": "1001 李明\n"}).status_code == 422
    assert tian.post(f"{root}/class", **{"class": CLASS + "1004 新生\n"}).status_code == 200


def test_sheets_are_printed_for_the_class_with_one_form(house: House) -> None:
    tian = house.client("tian")
    root = with_class(tian)
    tian.post(f"{root}/paper", paper="sheets")
    first = tian.get(f"{root}/sheets.pdf")
    assert first.content.startswith(b"%PDF")
    exam = next(house.service.exam_folders.iterdir())
    form_file = (exam / "form.json").read_text(encoding="utf-8")
    tian.post(f"{root}/class", **{"class": CLASS + "100400 新生\n"})
    assert tian.get(f"{root}/sheets.pdf").content.startswith(b"%PDF")
    assert (exam / "form.json").read_text(encoding="utf-8") == form_file
    assert "李明" not in form_file


# what comes in


def test_files_are_looked_at_as_they_arrive(house: House) -> None:
    tian = house.client("tian")
    root = with_class(tian)
    page = photographed(written(["1. B"]))
    assert upload(tian, root, page, "1001")["taken"]
    assert upload(tian, root, page, "1001")["words"] in ("it is here already", "已上传过")
    assert not upload(tian, root, b"MZ\x90 not a picture", "1001")["taken"]
    assert not upload(tian, root, b"", "1001")["taken"]
    assert not upload(tian, root, page[: len(page) // 3], "1001")["taken"]
    dark = upload(tian, root, hostile.encoded(hostile.sheet((1170, 827)) // 9), "1001")
    assert not dark["taken"]
    assert dark["remedy"]


def test_files_sort_themselves_by_folder_and_name_and_names_are_not_kept(house: House) -> None:
    tian = house.client("tian")
    root = with_class(tian)
    for number, path in enumerate(("class/1002/../../../etc/IMG_1.jpg", "1003-2.jpg", "李明 mother.jpg")):
        told = upload(tian, root, photographed(written([f"1. {number}"], seed=number), seed=number), "", path)
        assert told["taken"]
        assert told["candidate"] == ("", "1003", "")[number]
    told = upload(tian, root, photographed(written(["1. C"], seed=9), seed=9), "", "class/1002/IMG_1.jpg")
    assert told["candidate"] == "1002"
    folder = next(house.service.exam_folders.iterdir()) / "scans"
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.jpg"))
    assert [name.split("/")[0] for name in names] == ["1002", "1003", "unsorted", "unsorted"]
    assert not any("李明" in name or "IMG" in name for name in names)


def test_a_form_without_scripts_sends_several(house: House) -> None:
    tian = house.client("tian")
    root = with_class(tian)
    files = [("files", (f"100{n}.jpg", photographed(written(["1. B"], seed=n), seed=n))) for n in (1, 2)]
    answer = tian.post(f"{root}/upload", files=[*files, ("files", ("x.txt", b"text"))])
    assert answer.status_code == 422
    assert answer.text.count('class="ok"') >= 2
    assert answer.text.count('<li class="bad"') == 1


# reading and giving back


def pages_of_class(tian: Client, root: str) -> None:
    lines = {
        "1001": ["1. B", "2. 水结冰时体积变大，密度变小"],
        "1002": ["1. C", "2. 因为水变成冰体积变大"],
    }
    for seed, (candidate, texts) in enumerate(lines.items(), start=1):
        told = upload(tian, root, photographed(written(texts, seed=seed), seed=seed), candidate)
        assert told["taken"], told
    assert upload(tian, root, photographed(written(["作业", "1. B"], seed=7), seed=7))["taken"]


@pytest.fixture(scope="module")
def read_house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[House, str]]:
    """A class of three, photographed and read by a real worker process."""
    with service_of(tmp_path_factory.mktemp("read") / "data") as house:
        tian = house.client("tian")
        root = with_class(tian)
        pages_of_class(tian, root)
        assert 'hx-trigger="every' in tian.get(f"{root}/progress").text
        assert Keeper(house.service).step()
        yield house, root


def test_the_worker_reads_and_answers_wait_for_review(read_house: tuple[House, str]) -> None:
    house, root = read_house
    tian = house.client("tian")
    text = tian.get(root).text
    assert "hx-get" not in text[text.index('id="state"') : text.index('id="reading"')]
    assert "/mark" in text
    assert tian.get(root.replace("/homework", "/mark")).status_code == 200
    assert not Keeper(house.service).step()


def test_a_page_of_nobody_is_claimed(read_house: tuple[House, str]) -> None:
    house, root = read_house
    tian = house.client("tian")
    page = tian.get(f"{root}/pages").text
    name = re.search(r"/pages/([\w-]+)\.jpg", page)
    assert name is not None
    assert tian.get(f"{root}/pages/{name[1]}.jpg").headers["content-type"] == "image/jpeg"
    assert tian.post(f"{root}/pages/{name[1]}", candidate="4711").status_code == 409
    assert tian.post(f"{root}/pages/{name[1]}", candidate="1003").status_code == 200
    assert "1003" in tian.get(f"{root}/files/canvas.csv").text


def test_marks_go_to_gradebooks_with_names_only_for_those_allowed(read_house: tuple[House, str]) -> None:
    house, root = read_house
    exam = root.split("/")[2]
    tian, ada = house.client("tian"), house.client("ada")
    rows = list(csv.reader(io.StringIO(tian.get(f"{root}/files/canvas.csv").text.lstrip("\ufeff"))))
    assert rows[0][:5] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert rows[1][0].strip() == "Points Possible"
    assert [row[0] for row in rows[2:]] == ["李明", "王芳", "赵雷"]
    gradescope = list(csv.DictReader(io.StringIO(tian.get(f"{root}/files/gradescope.csv").text.lstrip("\ufeff"))))
    assert gradescope[0]["SID"] == "1001"
    assert (gradescope[0]["First Name"], gradescope[0]["Last Name"]) == ("明", "李")
    assert gradescope[0]["1 (2 pts)"] == "2"
    assert "Identifier" in tian.get(f"{root}/files/moodle.csv").text
    assert tian.get(f"{root}/files/marks.xlsx").content.startswith(b"PK")
    with house.service.database.begin() as connection:
        from grader.service import exams

        exams.admit(connection, exam, house.ids["ling"], "leader")
    ling = house.client("ling")
    for name in ("canvas.csv", "moodle.csv", "gradescope.csv", "pupils.html"):
        assert "李明" not in ling.get(f"{root}/files/{name}").text
    assert "李明" in ada.get(f"{root}/files/canvas.csv").text
    assert house.client("vera").get(f"{root}/files/canvas.csv").status_code == 404


def test_each_pupil_gets_a_page_and_the_class_is_seen(read_house: tuple[House, str]) -> None:
    house, root = read_house
    tian = house.client("tian")
    page = tian.get(f"{root}/pupils/1").text
    assert "李明" in page
    picture = re.search(r'src="(/exams/[^"]+\.png)"', page)
    assert picture is not None
    assert tian.get(picture[1]).content.startswith(b"\x89PNG")
    alone = tian.get(f"{root}/files/pupils.html")
    assert "attachment" in alone.headers["content-disposition"]
    assert "data:image/png;base64," in alone.text
    assert not re.search(r'(?:src|href)="(?!data:)', alone.text)
    with zipfile.ZipFile(io.BytesIO(tian.get(f"{root}/files/pupils.zip").content)) as archive:
        assert archive.namelist()[0] == "001-1001.html"
    seen = tian.get(f"{root}/class").text
    assert "王芳" in seen
    assert "<svg" in seen


def test_a_forgotten_pupil_leaves_no_picture_behind(read_house: tuple[House, str]) -> None:
    house, root = read_house
    exam = root.split("/")[2]
    tian = house.client("tian")
    store = RunStore.open(house.service.exam_folders / exam / "run")
    of_page = [
        sha256
        for row in store.ledger()
        if row.candidate == "1002" and (record := store.page_record(row.file, row.page))
        for sha256 in record.crops.values()
    ]
    assert len(of_page) >= 3
    tian.post(f"/exams/{exam}/forget", candidate="1002")
    for sha256 in of_page:
        with pytest.raises(KeyError):
            store.crop(sha256)
    store.close()
    assert "王芳" not in tian.get(f"{root}/class").text


def test_what_was_in_work_is_taken_up_after_a_restart(tmp_path: Path) -> None:
    with service_of(tmp_path / "data") as house:
        tian = house.client("tian")
        root = with_class(tian)
        upload(tian, root, photographed(written(["1. B", "2. 体积变大"])), "1001")
        with house.service.database.begin() as connection:
            assert jobs.next_job(connection) is not None
        stop = keeper.start(house.service)
        deadline = time.monotonic() + 240
        while 'data-state="done"' not in tian.get(f"{root}/progress").text and time.monotonic() < deadline:
            time.sleep(0.5)
        assert 'data-state="done"' in tian.get(f"{root}/progress").text
        stop()


def test_homework_lives_in_either_database(tmp_path: Path, database_url: str) -> None:
    with service_of(tmp_path / "data", database_url) as house:
        tian = house.client("tian")
        root = with_class(tian)
        exam = root.split("/")[2]
        for seed, candidate in enumerate(("1001", "1002"), start=1):
            page = photographed(written([f"1. {candidate}"], seed=seed), seed=seed)
            assert upload(tian, root, page, candidate)["taken"]
        database = house.service.database
        with database.begin() as connection:
            jobs.ask(connection, exam, "x")
            first = jobs.next_job(connection)
            assert first is not None
            assert jobs.next_job(connection) is None  # what waits is asked for once
            jobs.ask(connection, exam, "x")
            jobs.progress(connection, first.id, done=1, total=2, rejected=0, flagged=3)
        assert 'data-state="running"' in tian.get(f"{root}/progress").text
        with database.begin() as connection:
            jobs.take_up(connection)
            again = jobs.next_job(connection)
            assert again is not None
            assert again.id == first.id
            jobs.end(connection, again.id)
        assert re.search(r'name="class"[^>]*>1001 李明\n1002 王芳', tian.get(root).text)
        assert tian.post(f"/exams/{exam}/delete", code="nonsense").status_code != 200
        code = re.search(r"hw-[0-9a-f]{8}", tian.get(f"/exams/{exam}/keeping").text)
        assert code is not None
        assert tian.post(f"/exams/{exam}/delete", code=code[0], confirm=code[0]).status_code == 200
        assert tian.get(root).status_code == 404


def test_printed_sheets_need_nobody_to_sort_them(house: House, tmp_path: Path) -> None:
    tian = house.client("tian")
    root = with_class(tian)
    tian.post(f"{root}/paper", paper="sheets")
    pdf = tmp_path / "sheets.pdf"
    pdf.write_bytes(tian.get(f"{root}/sheets.pdf").content)
    folder = next(house.service.exam_folders.iterdir())
    exam, form = load_exam(folder / "exam.yaml"), load_form(folder / "form.json")
    answers = {"1001": {"1": "B", "2": "水结冰时体积变大"}, "1002": {"1": "C"}, "1003": {"1": "B"}}
    for truth, data in simulate(exam, form, pdf, list(answers), seed=5, answers=answers):
        assert upload(tian, root, data, "", truth.file)["taken"]
    assert Keeper(house.service).step()
    marks = list(csv.reader(io.StringIO(tian.get(f"{root}/files/gradescope.csv").text.lstrip("\ufeff"))))
    assert [line[7] for line in marks[1:]] == ["2", "0", "2"]


def test_a_reading_that_fails_says_why(house: House) -> None:
    tian = house.client("tian")
    root = with_class(tian)
    upload(tian, root, photographed(written(["1. B"])), "1001")
    (next(house.service.exam_folders.iterdir()) / "exam.yaml").write_text("exam: [", encoding="utf-8")
    assert Keeper(house.service).step()
    with house.service.database.read() as connection:
        job = jobs.latest(connection, root.split("/")[2])
    assert job is not None
    assert job.state == "failed"
    assert "exam.yaml" in job.problem
    assert "exam.yaml" in tian.get(root).text
