"""Intake: every file is accounted for, every damage has its reason."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import cv2
import hostile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scans import SHEET, refusal, sheet_as, verdict, write

from grader.errors import PageError
from grader.flags import FLAGS
from grader.intake.decode import load_page
from grader.intake.plan import list_pages, natural_key
from grader.intake.quality import check_quality, reduced
from grader.intake.source import path_of
from grader.records import Page, PageRef

# What is listed


def test_folders_are_walked_in_natural_order_and_junk_is_left_out(tmp_path: Path) -> None:
    for name in ("page10.jpg", "page2.jpg", "Page1.jpg", ".DS_Store", "Thumbs.db", "._page2.jpg", "notes.txt"):
        write(tmp_path, name, b"x")
    (tmp_path / "__MACOSX").mkdir()
    write(tmp_path / "__MACOSX", "page2.jpg", b"x")
    (tmp_path / "b").mkdir()
    write(tmp_path / "b", ".hidden.jpg", b"x")
    names = [str(path_of(ref).relative_to(tmp_path)) for ref in list_pages([tmp_path])]
    assert names == ["b/.hidden.jpg", "notes.txt", "Page1.jpg", "page2.jpg", "page10.jpg"]


@given(st.lists(st.text(max_size=6)).flatmap(lambda names: st.tuples(st.just(names), st.permutations(names))))
def test_natural_order_is_total(names: tuple[list[str], list[str]]) -> None:
    assert sorted(names[0], key=natural_key) == sorted(names[1], key=natural_key)


def test_a_path_given_twice_is_listed_once(tmp_path: Path) -> None:
    page = write(tmp_path, "a.jpg", sheet_as(".jpg"))
    assert list_pages([tmp_path, page, tmp_path / "." / "a.jpg"]) == [PageRef(str(page))]


def test_links_that_loop_end_and_dangling_ones_have_a_row(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    write(tmp_path / "sub", "a.jpg", sheet_as(".jpg"))
    (tmp_path / "sub" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    refs = list_pages([tmp_path])
    assert sorted(Path(ref.file).name for ref in refs) == ["a.jpg", "gone.jpg", "self"]
    for name in ("gone.jpg", "self"):
        assert refusal(tmp_path / name).reason == "unreadable_file"


def test_a_name_that_is_not_unicode_can_be_listed_written_and_read(tmp_path: Path) -> None:
    raw = os.fsencode(tmp_path) + b"/\xb4\xf0\xb0\xb8.jpg"  # GBK, as from an old archive
    with open(raw, "wb") as stream:
        stream.write(sheet_as(".jpg"))
    (ref,) = list_pages([tmp_path])
    assert ref.file.encode("utf-8").endswith(rb"\xb4\xf0\xb0\xb8.jpg")
    assert load_page(ref).gray.shape == SHEET.shape


def test_pipes_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jpg")
    assert [ref.page for ref in list_pages([tmp_path])] == [1]
    assert refusal(tmp_path / "pipe.jpg").reason == "not_an_image"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_or_folder_without_permission_has_a_row(tmp_path: Path) -> None:
    page = write(tmp_path, "a.jpg", sheet_as(".jpg"))
    (tmp_path / "locked").mkdir()
    page.chmod(0)
    (tmp_path / "locked").chmod(0)
    try:
        assert [Path(ref.file).name for ref in list_pages([tmp_path])] == ["a.jpg", "locked"]
        for name in ("a.jpg", "locked"):
            error = refusal(tmp_path / name)
            assert error.reason == "unreadable_file"
            assert "permission" in f"{error}".lower()
    finally:
        (tmp_path / "locked").chmod(0o700)


@settings(max_examples=60, deadline=None)
@given(
    st.dictionaries(
        st.text("abc0129._-页", min_size=1, max_size=8).filter(lambda name: name not in (".", "..")),
        st.one_of(
            st.binary(max_size=64),
            st.builds(
                lambda head, tail: head + tail,
                st.sampled_from((b"\xff\xd8\xff\xe0", b"\x89PNG\r\n\x1a\n", b"II*\x00", b"MM\x00*", b"%PDF-1.7\n",
                                 b"BM", b"GIF89a", b"RIFF\x00\x00\x00\x00WEBPVP8 ", b"\x00\x00\x00\x0cjP  \r\n\x87\n")),
                st.binary(max_size=200),
            ),
        ),
        max_size=5,
    )
)  # fmt: skip
def test_whatever_is_in_a_folder_every_file_is_accounted_for(files: dict[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            write(Path(folder), name, data)
        refs = list_pages([Path(folder)])
        assert len(set(refs)) == len(refs)
        assert {Path(ref.file).name for ref in refs} == {n for n in files if not n.startswith("._")}
        for ref in refs:
            error = verdict(ref)
            if error is not None:
                assert FLAGS[error.reason].stage == "intake"
                assert Path(ref.file).name in error.message
                assert error.remedy


@settings(max_examples=80, deadline=None)
@given(st.sampled_from((".jpg", ".png", ".tif", ".pdf")), st.floats(0, 1), st.binary(min_size=1, max_size=64))
def test_a_damaged_file_is_a_page_or_a_page_error(kind: str, where: float, junk: bytes) -> None:
    small = hostile.sheet((600, 424))
    data = {".tif": lambda: hostile.tiff_of([small] * 2), ".pdf": lambda: hostile.pdf_of([hostile.encoded(small)])}.get(
        kind, lambda: hostile.encoded(small, kind)
    )()
    start = int(where * len(data))
    with tempfile.TemporaryDirectory() as folder:
        path = write(Path(folder), f"page{kind}", data[:start] + junk + data[start + len(junk) :])
        refs = list_pages([path])
        assert refs
        for ref in refs:
            error = verdict(ref)
            assert error is None or FLAGS[error.reason].stage == "intake"


# What is refused, and why


@pytest.mark.parametrize("name", hostile.DAMAGED)
def test_each_damage_has_its_reason_and_remedy(name: str, tmp_path: Path) -> None:
    make, reason = hostile.DAMAGED[name]
    path = write(tmp_path, name, make())
    assert list_pages([path]) == [PageRef(str(path))]
    error = refusal(path)
    assert error.reason == reason
    assert str(path) in error.message
    assert error.remedy


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99])
@pytest.mark.parametrize("kind", [".jpg", ".png", ".tif", ".g4", ".pdf", ".bmp", ".webp"])
def test_a_file_cut_anywhere_is_never_a_page(kind: str, share: float, tmp_path: Path) -> None:
    data = sheet_as(kind)
    assert refusal(write(tmp_path, f"page{kind}", hostile.cut(data, share))).reason == "truncated"


def test_a_jpeg_that_lost_its_last_scan_lines_is_refused_though_its_end_marker_is_there(tmp_path: Path) -> None:
    data = hostile.cut(sheet_as(".jpg"), 0.5) + b"\xff\xd9"
    assert refusal(write(tmp_path, "page.jpg", data)).reason == "truncated"


def test_a_thumbnail_does_not_hide_a_cut(tmp_path: Path) -> None:
    whole = sheet_as(".jpg")
    thumbnail = hostile.encoded(cv2.resize(SHEET, (90, 128)))
    segment = b"\xff\xe1" + (2 + 6 + len(thumbnail)).to_bytes(2, "big") + b"Exif\0\0" + thumbnail
    data = whole[:2] + segment + whole[2:]
    assert load_page(PageRef(str(write(tmp_path, "whole.jpg", data)))).gray.shape == SHEET.shape
    assert refusal(write(tmp_path, "cut.jpg", hostile.cut(data))).reason == "truncated"


def test_a_tiff_cut_within_its_second_page_has_two_rows(tmp_path: Path) -> None:
    data = hostile.tiff_of([SHEET, hostile.sheet(seed=2)])
    pages = {ref.page for ref in list_pages([write(tmp_path, "two.tif", hostile.cut(data, 0.75))])}
    assert pages == {1, 2}
    assert load_page(PageRef(str(tmp_path / "two.tif"), 1)).gray.shape == SHEET.shape
    error = refusal(tmp_path / "two.tif", 2)
    assert error.reason == "truncated"
    assert "page 2" in error.message


# Real sheets


def gate(gray: np.ndarray) -> str:
    """What the quality gate says of a picture."""
    try:
        check_quality(Page(PageRef("sheet"), np.clip(gray, 0, 255).astype(np.uint8), None, ""))
    except PageError as error:
        return error.reason
    return "passed"


@pytest.mark.data
def test_the_gate_lets_every_real_sheet_pass_and_stops_what_is_made_of_it(data: Path) -> None:
    refs = [ref for ref in list_pages([data / "omr"]) if Path(ref.file).stem in ("image", "blank_reference")]
    assert len(refs) >= 26

    for ref in refs:
        gray = load_page(ref).gray
        assert gate(gray) == "passed", ref
        gray = reduced(gray)
        millimetre = max(gray.shape) / 297
        assert gate(gray) == "passed", ref
        assert gate(cv2.GaussianBlur(gray, (0, 0), 0.3 * millimetre)) == "passed", ref
        assert gate(cv2.GaussianBlur(gray, (0, 0), 1.6 * millimetre)) == "blurred", ref
        assert gate(gray * 0.4) == "passed", ref
        assert gate(gray * 0.15) == "too_dark", ref
        assert gate(128 + (gray.astype(float) - 128) * 0.4) == "passed", ref
        assert gate(128 + (gray.astype(float) - 128) * 0.1) == "low_contrast", ref


def test_a_scanners_flat_dark_border_is_no_damage(tmp_path: Path) -> None:
    page = hostile.sheet()
    page[-60:] = 20
    path = tmp_path / "border.jpg"
    path.write_bytes(hostile.encoded(page))
    assert load_page(PageRef(str(path))).gray.shape == page.shape
