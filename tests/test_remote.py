"""Scans in a shared storage: the same marks as from a folder, one row for a bad file, and no row for an outage."""

from __future__ import annotations

import csv
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import hostile
import pytest
from drawn_run import Meanwhile, make_job

pytest.importorskip("s3fs", reason="s3fs is not installed (pip install 'grader[remote]')")
pytest.importorskip("moto", reason="moto is not installed (pip install 'grader[dev]')")

import fsspec
from moto.core import set_initial_no_auth_action_count
from storages import KEY, SECRET, Storage, server, storage

from grader.cli.read_marks import command as read_marks
from grader.errors import ExitCode, PageError, StorageError, UsageError
from grader.intake import remote
from grader.intake.decode import load_page
from grader.intake.plan import list_pages, plan
from grader.records import PageRef
from grader.run.batch import run_batch
from grader.run.executor import SerialExecutor
from grader.run.job import Job
from grader.run.patience import Patience
from grader.run.reachable import StorageLostError
from grader.run.replay import replay
from grader.store.store import RunStore

__all__ = ["server", "storage"]

JPEG = hostile.encoded(hostile.sheet((700, 500)))


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    return make_job(tmp_path_factory.mktemp("job"))


def names(refs: list[PageRef]) -> list[str]:
    return [f"{ref.file.removeprefix('s3://exam/')}#{ref.page}" for ref in refs]


def read(ref: PageRef) -> str:
    """The page's hash, or why it is not read."""
    try:
        return load_page(ref).sha256
    except PageError as error:
        return error.reason


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


# what there is to read


def test_files_are_listed_in_natural_order_and_their_pages_counted(storage: Storage, tmp_path: Path) -> None:
    files = {
        "page10.jpg": JPEG, "page2.jpg": JPEG, "Class b/1.jpg": JPEG, "Class a/#?%1.jpg": JPEG, "no ending": JPEG,
        "three.pdf": hostile.pdf_of([JPEG] * 3), "two": hostile.tiff_of([hostile.sheet((700, 500))] * 2, "tiff_lzw"),
        ".DS_Store": b"x", "__MACOSX/page1.jpg": JPEG, "._page1.jpg": JPEG, "empty.jpg": b"", "cut.pdf": b"%PDF-1.4",
    }  # fmt: skip
    for name, data in files.items():
        storage.put(f"scans/{name}", data)
        path = tmp_path / "scans" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    storage.put("scans/", b"")  # what consoles write for a folder
    storage.put("scans-of-others/page1.jpg", JPEG)
    listed = list_pages(["s3://exam/scans/"])
    here = [PageRef(str(Path(ref.file).relative_to(tmp_path)), ref.page) for ref in list_pages([tmp_path / "scans"])]
    assert names(listed) == [f"{ref.file}#{ref.page}" for ref in here]
    assert len(listed) == 12
    assert [read(there) for there in listed] == [read(ref) for ref in list_pages([tmp_path / "scans"])]


def test_one_file_and_folders_of_this_machine_go_together(storage: Storage, tmp_path: Path) -> None:
    storage.put("scans/1.jpg", JPEG)
    (tmp_path / "2.jpg").write_bytes(JPEG)
    found = plan(["s3://exam/scans/1.jpg", tmp_path, "s3://exam/scans"])
    assert [ref.file for ref in found.pages] == ["s3://exam/scans/1.jpg", str(tmp_path / "2.jpg")]
    assert list(found.modified) == ["s3://exam/scans/1.jpg"]


def test_pictures_are_not_opened_to_count_their_pages(storage: Storage) -> None:
    for number in range(20):
        storage.put(f"scans/{number}.jpg", JPEG)
    storage.put("scans/20.pdf", hostile.pdf_of([JPEG]))
    storage.asked.clear()
    assert len(list_pages(["s3://exam/scans"])) == 21
    assert [asked for asked in storage.asked if asked.startswith("GET /exam/scans/")] == ["GET /exam/scans/20.pdf"] * 2


def test_a_pdf_that_is_named_a_picture_is_refused_rather_than_read_in_part(storage: Storage) -> None:
    storage.put("scans/liar.jpg", hostile.pdf_of([JPEG] * 3))
    (ref,) = list_pages(["s3://exam/scans"])
    with pytest.raises(PageError, match="it is a PDF") as refused:
        load_page(ref)
    assert refused.value.reason == "unsupported_kind"


def test_a_file_of_many_pages_is_fetched_once(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    storage.put("scans/five.pdf", hostile.pdf_of([JPEG] * 5))
    refs = list_pages(["s3://exam/scans"])
    for limit in (remote._IN_MEMORY, 1000):  # held in memory, and on disk
        monkeypatch.setattr(remote, "_IN_MEMORY", limit)
        remote._fetched.cache_clear()
        storage.asked.clear()
        assert len({load_page(ref).sha256 for ref in refs}) == 1
        assert storage.fetches("scans/five.pdf") == 1


def test_a_file_that_was_replaced_is_read_anew(storage: Storage) -> None:
    ref = PageRef("s3://exam/scans/1.pdf")
    storage.put("scans/1.pdf", hostile.pdf_of([JPEG]))
    before = load_page(ref).sha256
    storage.put("scans/1.pdf", hostile.pdf_of([hostile.encoded(hostile.sheet((700, 500), seed=9))]))
    assert load_page(ref).sha256 != before


def test_other_storages_that_fsspec_knows(tmp_path: Path) -> None:
    (tmp_path / "2.jpg").write_bytes(JPEG)
    (tmp_path / "10.pdf").write_bytes(hostile.pdf_of([JPEG] * 2))
    refs = list_pages([f"file://{tmp_path}"])
    assert refs == [PageRef(f"file://{tmp_path}/2.jpg"), *(PageRef(f"file://{tmp_path}/10.pdf", n) for n in (1, 2))]
    assert load_page(refs[0]).sha256 == load_page(PageRef(str(tmp_path / "2.jpg"))).sha256
    assert load_page(refs[2]).gray.shape == (700, 500)


# what goes wrong


def test_what_is_not_there_is_said(storage: Storage) -> None:
    with pytest.raises(StorageError, match="s3://no-such-bucket/x: the storage has no such file, folder or bucket"):
        list_pages(["s3://no-such-bucket/x"])
    with pytest.raises(StorageError, match="s3://exam/scans: no file is there"):
        list_pages(["s3://exam/scans"])
    with pytest.raises(PageError, match="no such file") as gone:
        load_page(PageRef("s3://exam/scans/gone.jpg"))
    assert gone.value.reason == "unreadable_file"


def test_keys_of_any_shape_are_found_again(storage: Storage) -> None:
    keys = ("scans//double.jpg", "scans/a::b.jpg", "scans/../up.jpg", "scans/ä b+c%20.jpg", "scans/[x]*.jpg")
    for key in keys:
        storage.put(key, JPEG)
    refs = list_pages(["s3://exam/scans"])
    assert {ref.file for ref in refs} == {f"s3://exam/{key}" for key in keys}
    assert len({load_page(ref).sha256 for ref in refs}) == 1


def test_a_storage_that_takes_the_call_and_says_nothing_is_given_up(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_PAUSES", (0.1,))
    monkeypatch.setattr(remote, "_ANSWER_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        endpoint = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        monkeypatch.setitem(fsspec.config.conf, "s3", {"endpoint_url": endpoint})
        remote._made.cache_clear()
        with pytest.raises(PageError, match=r"does not answer \(TimeoutError\)") as silent:
            load_page(PageRef("s3://exam/scans/1.jpg"))
    remote._made.cache_clear()
    assert silent.value.reason == "unreadable_file"
    assert remote.is_silence(silent.value)


def test_no_access_is_said(storage: Storage) -> None:
    storage.put("scans/1.jpg", JPEG)

    @set_initial_no_auth_action_count(0)  # the server checks keys, and knows none
    def listed() -> None:
        list_pages(["s3://exam/scans"])

    with pytest.raises(StorageError, match="does not give access") as refused:
        listed()
    assert "AWS_SECRET_ACCESS_KEY" in refused.value.remedy


def test_a_storage_that_does_not_answer_is_said(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PAUSES", (0.1,))
    storage.stop()
    try:
        with pytest.raises(StorageError, match=r"s3://exam/scans: the storage does not answer \(\w+\)"):
            list_pages(["s3://exam/scans"])
    finally:
        storage.start()


@pytest.mark.parametrize(
    "url",
    ["sftp://tom:Geheim1@host/scans", "s3://AKIA:Geheim1@exam/scans", "https://Geheim1@host/scans",
     "https://host/scans?X-Amz-Signature=Geheim1"],
)  # fmt: skip
def test_a_secret_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        list_pages([url])
    assert "Geheim1" not in str(refused.value)


def test_unknown_storages_are_refused() -> None:
    with pytest.raises(UsageError, match="foo://"):
        list_pages(["foo://bar/baz"])
    with pytest.raises(UsageError, match="a package that reads wandb:// is not installed"):
        list_pages(["wandb://bucket/scans"])
    with pytest.raises(PageError, match="a package that reads wandb:// is not installed") as lacking:
        load_page(PageRef("wandb://bucket/scans/1.jpg"))  # listed by another machine, which has it
    assert lacking.value.reason == "unreadable_file"


# runs


def test_a_run_gives_what_a_folder_gives_and_can_be_resumed_and_replayed(
    job: Job, storage: Storage, tmp_path: Path
) -> None:
    storage.put_folder(job.form_folder / "scans", "scans")
    from_folder = run_batch(job, [job.form_folder / "scans"], tmp_path / "here", SerialExecutor())
    command = ["run", "exam.yaml", "--form", "form.json", "--scans", "s3://exam/scans", "--out", tmp_path / "there"]
    words = [sys.executable, "-m", "grader", *map(str, command), "--workers", "2"]
    done = subprocess.run(words, cwd=job.form_folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "there" / "run.json").read_text())["counts"] == from_folder["counts"]
    here, there = (tmp_path / name / "results.csv" for name in ("here", "there"))
    assert here.read_bytes() == there.read_bytes()
    files = [row["file"] for row in table(tmp_path / "there" / "ledger.csv")]
    assert files == [f"s3://exam/scans/page-{n}.png" for n in range(1, 6)]
    storage.asked.clear()
    again = run_batch(job, ["s3://exam/scans"], tmp_path / "there", SerialExecutor())
    assert again["resumed_pages"] == 5
    assert again["changed_files"] == []
    with RunStore.open(tmp_path / "there") as store:
        replayed = list(replay(store))
    assert len(replayed) == 40
    assert all(one.same and one.source == "scan" for one in replayed)
    for path in (tmp_path / "there").iterdir():
        held = path.read_bytes()
        assert SECRET.encode() not in held, path.name
        assert KEY.encode() not in held, path.name


def test_a_report_draws_on_scans_of_a_storage(job: Job, storage: Storage, tmp_path: Path) -> None:
    from grader.report.scans import write_annotated

    storage.put_folder(job.form_folder / "scans", "scans")
    run_batch(job, ["s3://exam/scans"], tmp_path / "run", SerialExecutor())
    storage.remove("scans/page-2.png")
    with RunStore.open(tmp_path / "run") as store:
        drawn, lost = write_annotated(store, job.exam, job.form, tmp_path / "report", "en")
    assert drawn == 4
    assert len(lost) == 1
    assert "s3://exam/scans/page-2.png" in lost[0]


def test_a_storage_that_is_gone_is_asked_once_by_replay_and_report(
    job: Job, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grader.report.scans import write_annotated

    storage.put_folder(job.form_folder / "scans", "scans")
    run_batch(job, ["s3://exam/scans"], tmp_path / "run", SerialExecutor())
    pauses: list[float] = []
    monkeypatch.setattr(remote, "_PAUSES", (0.1,))
    monkeypatch.setattr(remote, "sleep", pauses.append)
    storage.stop()
    try:
        with RunStore.open(tmp_path / "run") as store:
            replayed = list(replay(store))
            assert len(pauses) == 1
            drawn, lost = write_annotated(store, job.exam, job.form, tmp_path / "report", "en")
    finally:
        storage.start()
    assert len(replayed) == 40
    assert all(one.same and one.source == "crops" for one in replayed)
    assert (drawn, len(lost), len(pauses)) == (0, 5, 2)
    assert all("does not answer" in line for line in lost)


def test_marks_are_read_from_a_storage_too(job: Job, storage: Storage, tmp_path: Path) -> None:
    storage.put_folder(job.form_folder / "scans", "scans")
    form, out = job.form_folder / "form.json", tmp_path / "marks.csv"
    with pytest.raises(SystemExit) as end:
        read_marks(["--form", str(form), "s3://exam/scans", "--out", str(out)])
    assert end.value.code == 0
    read = {row["file"] for row in table(out) if row["field"] == "1" and row["value"]}
    assert read == {f"s3://exam/scans/page-{n}.png" for n in range(1, 6)}


def test_a_scan_that_was_replaced_after_its_reading_is_named(job: Job, storage: Storage, tmp_path: Path) -> None:
    storage.put_folder(job.form_folder / "scans", "scans")
    run_batch(job, ["s3://exam/scans"], tmp_path / "run", SerialExecutor())
    storage.put("scans/page-3.png", (job.form_folder / "scans" / "page-1.png").read_bytes())
    again = run_batch(job, ["s3://exam/scans"], tmp_path / "run", SerialExecutor())
    assert again["changed_files"] == ["s3://exam/scans/page-3.png"]


def test_a_file_that_goes_away_costs_its_row(job: Job, storage: Storage, tmp_path: Path) -> None:
    storage.put_folder(job.form_folder / "scans", "scans")

    executor = Meanwhile(1, lambda: storage.remove("scans/page-4.png"))
    summary = run_batch(job, ["s3://exam/scans"], tmp_path / "run", executor)
    assert (summary["counts"]["read"], summary["counts"]["rejected"]) == (4, 1)
    (row,) = [row for row in table(tmp_path / "run" / "ledger.csv") if row["outcome"] != "read"]
    assert (row["file"], row["reason"]) == ("s3://exam/scans/page-4.png", "unreadable_file")


def test_an_outage_stops_the_run_and_the_same_command_goes_on(
    job: Job, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_PAUSES", (0.1,))
    storage.put_folder(job.form_folder / "scans", "scans")

    try:
        with pytest.raises(StorageLostError, match="does not answer") as lost:
            run_batch(job, ["s3://exam/scans"], tmp_path / "run", Meanwhile(2, storage.stop))
    finally:
        storage.start()
    assert lost.value.exit_code == ExitCode.INTERRUPTED
    assert "run the same command again" in lost.value.remedy
    summary = run_batch(job, ["s3://exam/scans"], tmp_path / "run", SerialExecutor())
    assert summary["counts"]["read"] == 5
    assert summary["resumed_pages"] == 2


def test_a_shorter_outage_is_waited_for_and_costs_no_page(
    job: Job, storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote, "_PAUSES", (0.1,))
    storage.put_folder(job.form_folder / "scans", "scans")
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if len(said) == 1:
            storage.start()

    executor = Meanwhile(2, storage.stop)
    summary = run_batch(job, ["s3://exam/scans"], tmp_path / "run", executor, patience=Patience(60, say))
    assert summary["counts"]["read"] == 5
    assert "waiting up to 1 minutes" in said[0]
    assert said[1:] == ["the storage answers again: going on"]


def test_a_storage_that_lists_pages_and_gives_none_stops_the_run(job: Job, storage: Storage, tmp_path: Path) -> None:
    page = (job.form_folder / "scans" / "page-1.png").read_bytes()
    for number in range(20):
        storage.put(f"scans/{number}.png", page)

    with pytest.raises(StorageLostError, match="gave none of 16 pages"):
        run_batch(job, ["s3://exam/scans"], tmp_path / "run", Meanwhile(0, storage.clear))
    with RunStore.open(tmp_path / "run") as store:
        assert store.done() == {}


def test_folders_need_no_fsspec(job: Job, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from grader.intake.plan import list_pages; from grader.intake.decode import load_page\n"
        "[load_page(ref) for ref in list_pages([Path('scans')])]\n"
        "import grader.cli.run, grader.run.batch, grader.run.reachable\n"
        "assert not {'fsspec', 's3fs', 'botocore', 'psycopg'} & set(sys.modules), sorted(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=job.form_folder, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
