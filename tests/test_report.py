"""The report: its counts balance, hostile text stays text, nothing is loaded from outside, scans are upright."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from report_run import ANSWERS, EVIL, EXAM, form_of, make_run

from grader.cli import cli
from grader.errors import StoreError
from grader.flags import FLAGS
from grader.report import html as html_module
from grader.report import scans as scans_module
from grader.report import summary as summary_module
from grader.report.annotate import COLOURS
from grader.report.html import write_html
from grader.report.panel import Line, draw_panel
from grader.report.summary import gather
from grader.report.words import REMEDIES, WORDS
from grader.report.write import write_report
from grader.store.store import RunStore


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of eight candidates."""
    return make_run(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def report(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its report."""
    out = tmp_path_factory.mktemp("report")
    write_report(run, out)
    return out


class Tags(HTMLParser):
    """Counts tags and keeps the attributes and texts of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def cells(workbook: Path, sheet: int) -> list[list[str]]:
    """Rows of a sheet as text, without a library that would interpret them."""
    with zipfile.ZipFile(workbook) as archive:
        xml = archive.read(f"xl/worksheets/sheet{sheet}.xml").decode()
    rows = re.findall(r"<row .*?</row>", xml, re.S)
    return [re.findall(r"<(?:v|t)[^>]*>(.*?)</(?:v|t)>", row, re.S) for row in rows]


def test_the_summary_counts_every_page_and_every_answer(run: Path) -> None:
    with RunStore.open(run) as store:
        summary = gather(store)
    assert summary.pages == {"read": 8, "rejected": 1, "duplicate": 1, "unmatched": 2}
    assert summary.page_count == 12
    assert summary.balances
    assert sum(summary.statuses.values()) == 9 * 4  # the page of the unknown candidate has answers too
    assert {item.marked for item in summary.items} == {4, 8}  # item 3 has no mark for every other candidate
    assert len(summary.totals) == 8
    first = summary.totals[0]
    assert (first.candidate, first.confirmed, first.provisional, first.open, first.unmarked) == ("1001", 9, 13, 0, 0)
    assert summary.overall.complete == 4
    key = {option.label: option for option in summary.options["1"]}
    assert (key["B"].count, key["A"].count, key[""].count, key["B"].key) == (4, 2, 2, True)


def test_the_page_loads_nothing_and_runs_nothing_of_a_student(report: Path) -> None:
    page = Tags((report / "report.html").read_text(encoding="utf-8"))
    assert page.tags["script"] == 1
    assert not [name for name, _ in page.attributes if name.startswith("on")]
    for name, value in page.attributes:
        if name in ("src", "href", "action", "data", "poster", "srcset"):
            assert value.startswith("data:image/webp;base64,"), (name, value)
    text = "".join(page.texts)
    assert "<script>alert(1)</script>" in text
    assert "{{ 7*7 }}" in text
    assert any(name == "content" and value.startswith("default-src 'none'") for name, value in page.attributes)
    assert not re.search(r"url\(|@import", (report / "report.html").read_text(encoding="utf-8").split("</style>")[0])


def test_the_page_has_both_languages_everywhere(report: Path) -> None:
    page = Tags((report / "report.html").read_text(encoding="utf-8"))
    classes = Counter(value for name, value in page.attributes if name == "class" and value in ("zh", "en"))
    assert classes["zh"] == classes["en"] > 100
    assert all(en and zh for en, zh in WORDS.values())


def test_every_reason_in_a_ledger_has_a_remedy_in_both_languages() -> None:
    reasons = {code for code, flag in FLAGS.items() if flag.stage in ("intake", "registration", "identity", "run")}
    assert set(REMEDIES) == reasons
    assert all(en and zh for en, zh in REMEDIES.values())


@settings(max_examples=25, deadline=None)
@given(text=st.text(max_size=200))
def test_no_response_can_change_the_page(run: Path, text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    out = tmp_path_factory.getbasetemp() / "any.html"
    with RunStore.open(run) as store:
        summary = gather(store)
        summary.review = [replace(row, response=response) for row in summary.review[:1] for response in ("x", text)]
        summary.not_read = []
        write_html(out, store, summary, "en", annotated=False)
    tags = Tags(out.read_text(encoding="utf-8")).tags
    assert tags["script"] == 1
    assert tags["article"] == 2
    assert tags["q"] == 1 + bool(text)


def test_long_lists_stop_at_a_stated_number_and_the_workbook_has_the_rest(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary_module, "MAX_REVIEW_SHOWN", 2)
    monkeypatch.setattr(html_module, "MAX_CANDIDATES_SHOWN", 3)
    write_report(run, tmp_path, annotated=False, language="en")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    waiting = len(cells(tmp_path / "results.xlsx", 4)) - 1
    assert waiting > 2
    assert f"Shown: the first 2 of {waiting}." in text
    assert 'class="people"' not in text


def test_the_workbook_holds_every_answer_as_text(report: Path) -> None:
    book = report / "results.xlsx"
    assert len(cells(book, 3)) == 1 + 9 * 4
    assert len(cells(book, 7)) == 1 + 12
    with zipfile.ZipFile(book) as archive:
        for name in archive.namelist():
            data = archive.read(name).decode("utf-8", "replace")
            assert "<f>" not in data
            assert "<hyperlink" not in data
            if name.startswith("xl/worksheets/_rels"):
                assert "evil" not in data
    assert any("=HYPERLINK(" in cell for row in cells(book, 3) for cell in row)


def test_a_table_too_long_for_a_sheet_goes_on_on_the_next(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.report.workbook._MAX_ROWS", 20)
    write_report(run, tmp_path, annotated=False)
    with zipfile.ZipFile(tmp_path / "results.xlsx") as archive:
        names = re.findall(r'<sheet name="(.*?)"', archive.read("xl/workbook.xml").decode())
    assert "作答 Answers 2" in names
    number = names.index("作答 Answers") + 1
    assert len(cells(tmp_path / "results.xlsx", number)) == 21
    assert len(cells(tmp_path / "results.xlsx", number + 1)) == 1 + 9 * 4 - 20


def test_every_placed_page_is_drawn_once(report: Path) -> None:
    pictures = sorted((report / "annotated").iterdir())
    assert [picture.name for picture in pictures[:2]] == ["00001-1001-p1.jpg", "00002-1002-p1.jpg"]
    assert len(pictures) == 9
    assert pictures[-1].name == "00009-unknown-p1.jpg"
    with pdfium.PdfDocument(report / "annotated.pdf") as document:
        assert len(document) == 9


def test_a_long_run_gets_several_pdfs(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "annotated.pdf").write_bytes(b"of an earlier report")
    monkeypatch.setattr(scans_module, "PAGES_PER_PDF", 4)
    write_report(run, tmp_path)
    files = sorted(path.name for path in tmp_path.glob("annotated*.pdf"))
    assert files == ["annotated-001.pdf", "annotated-002.pdf", "annotated-003.pdf"]
    counts = []
    for name in files:
        with pdfium.PdfDocument(tmp_path / name) as document:
            counts.append(len(document))
    assert counts == [4, 4, 1]


@pytest.mark.parametrize("turn", [0, 1, 2, 3])
def test_a_page_is_drawn_upright_with_the_chosen_bubble_framed(turn: int, tmp_path: Path) -> None:
    run = make_run(tmp_path, candidates=2, turn=turn)
    write_report(run, tmp_path / "report")
    page = form_of(run).page(1)
    for number, (label, sign) in enumerate((("B", "full"), ("A", "zero"))):
        name = f"{number + 1:05d}-{1001 + number}-p1.jpg"
        picture = np.asarray(Image.open(tmp_path / "report" / "annotated" / name)).astype(int)
        field = next(field for field in page.fields if field.item == "1")
        box = next(bubble for bubble in field.bubbles if bubble.label == label)  # type: ignore[union-attr]
        scale = 100 / 25.4
        x, y = int((box.x + box.w / 2) * scale), round(box.y * scale)
        above = picture[y - 8 : y + 1, x]  # the frame's upper edge
        assert np.abs(above - COLOURS[sign]).sum(axis=1).min() < 90, name  # type: ignore[index]
        assert picture[int((box.y + box.h / 2) * scale), x].max() < 70  # the fill itself is untouched


def test_a_file_of_any_name_can_be_drawn() -> None:
    scan = Image.new("RGB", (400, 600))
    line = Line("\x1b1", "\t\x00=1+1\n", 1, 2, "final", (), (0, 0, 0), True)
    panel = draw_panel(scan, [line], "0\n7", 1, "new\nline\x07.jpg", "en")
    assert panel.tobytes() == draw_panel(scan, [line], "0 7", 1, "new line .jpg", "en").tobytes()


def test_the_report_is_the_same_when_it_is_made_again(run: Path, report: Path, tmp_path: Path) -> None:
    write_report(run, tmp_path)
    assert (tmp_path / "report.html").read_bytes() == (report / "report.html").read_bytes()
    for picture in (tmp_path / "annotated").iterdir():
        assert picture.read_bytes() == (report / "annotated" / picture.name).read_bytes()


def test_a_scan_that_is_gone_is_named_and_the_rest_is_drawn(tmp_path: Path) -> None:
    run = make_run(tmp_path, candidates=3)
    (tmp_path / "scans" / "scan-0000.jpg").unlink()
    shutil.copyfile(tmp_path / "scans" / "scan-0001.jpg", tmp_path / "scans" / "scan-0002.jpg")
    written = write_report(run, tmp_path / "report")
    assert written.drawn == 2
    gone, other = written.lost
    assert "scan-0000.jpg" in gone
    assert "scan-0002.jpg" in other
    assert "not the scan that was marked" in other


def test_what_is_no_finished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="not a run"):
        write_report(tmp_path, tmp_path / "report")
    RunStore.create(tmp_path / "run").close()
    with pytest.raises(StoreError, match="not finished"):
        write_report(tmp_path / "run", tmp_path / "report")
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot write"):
        write_report(make_run(tmp_path / "whole", candidates=1), tmp_path / "file")


def test_the_command(run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["report", str(run), "--out", str(tmp_path), "--no-annotated", "--language", "en"]
    code = cli(arguments, standalone_mode=False)
    assert code == 0
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "report.html" in captured.err
    assert 'data-language="en"' in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not (tmp_path / "annotated").exists()


def test_a_run_with_nothing_read_still_has_a_report(tmp_path: Path) -> None:
    run = make_run(tmp_path, candidates=1)
    with RunStore.open(run) as store:
        store.project([], [])
    write_report(run, tmp_path / "report")
    assert "尚无各题均有分数的考生" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")


def test_the_material_is_hostile_enough() -> None:
    assert any(response == EVIL for response, *_ in ANSWERS["4"])
    assert "<b>" in EXAM.exam.title
