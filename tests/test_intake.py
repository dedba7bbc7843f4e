"""Intake: every file is accounted for, every kind decodes to the same page, every damage has its reason."""

from __future__ import annotations

import functools
import io
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import hostile
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from reportlab.pdfgen.canvas import Canvas

from grader.errors import PageError
from grader.flags import FLAGS
from grader.intake.decode import load_page
from grader.intake.duplicates import fingerprint, same_picture
from grader.intake.plan import list_pages, natural_key
from grader.intake.quality import check_quality, reduced
from grader.intake.source import path_of
from grader.records import Page, PageRef

SHEET = hostile.sheet()


@functools.cache
def sheet_as(kind: str) -> bytes:
    """The sheet as a file of that kind."""
    if kind == ".pdf":
        return hostile.pdf_of([sheet_as(".jpg")])
    if kind in (".tif", ".g4"):
        return hostile.tiff_of([SHEET], "group4" if kind == ".g4" else "tiff_lzw")
    if kind == ".webp":
        return saved(Image.fromarray(SHEET), "WEBP", quality=80, method=0)
    return hostile.encoded(SHEET, kind)


def verdict(ref: PageRef) -> PageError | None:
    """What intake says against a page."""
    try:
        check_quality(load_page(ref))
    except PageError as error:
        return error
    return None


def refusal(path: Path, page: int = 1) -> PageError:
    with pytest.raises(PageError) as caught:
        check_quality(load_page(PageRef(str(path), page)))
    return caught.value


def write(folder: Path, name: str, data: bytes) -> Path:
    (folder / name).write_bytes(data)
    return folder / name


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


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


# What is read


def test_jpeg_pixels_are_the_stored_ones_whatever_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn by 90 degrees"
    image = Image.fromarray(SHEET)
    plain = write(tmp_path, "plain.jpg", saved(image, "JPEG", dpi=(200, 200)))
    turned = write(tmp_path, "turned.jpg", saved(image, "JPEG", exif=exif))
    page = load_page(PageRef(str(turned)))
    assert np.array_equal(page.gray, load_page(PageRef(str(plain))).gray)
    assert page.dpi is None
    assert load_page(PageRef(str(plain))).dpi == pytest.approx(200)


@pytest.mark.parametrize("dpi", [72, 96, 20, 5000, 1000])
def test_a_resolution_that_cannot_be_is_not_believed(dpi: int, tmp_path: Path) -> None:
    path = write(tmp_path, "page.jpg", saved(Image.fromarray(SHEET), "JPEG", dpi=(dpi, dpi)))
    assert load_page(PageRef(str(path))).dpi is None


def _gray16() -> Image.Image:
    return Image.fromarray(SHEET.astype(np.uint16) * 257)


def _transparent() -> Image.Image:
    """Black ink on transparent black: what is not ink must come out as paper."""
    return Image.merge("RGBA", [Image.new("L", SHEET.shape[::-1])] * 3 + [Image.fromarray(255 - SHEET)])


KINDS: dict[str, Callable[[], bytes]] = {
    "gray.png": lambda: saved(Image.fromarray(SHEET), "PNG"),
    "16-bit.png": lambda: saved(_gray16(), "PNG"),
    "16-bit.tif": lambda: saved(_gray16(), "TIFF"),
    "alpha.png": lambda: saved(_transparent(), "PNG", compress_level=1),
    "gray-alpha.png": lambda: saved(_transparent().convert("LA"), "PNG", compress_level=1),
    "palette.png": lambda: saved(Image.fromarray(SHEET).convert("RGB").quantize(256), "PNG"),
    "1-bit.png": lambda: saved(Image.fromarray(SHEET).convert("1"), "PNG"),
    "colour.jpg": lambda: saved(Image.fromarray(SHEET).convert("RGB"), "JPEG", quality=90),
    "progressive.jpg": lambda: saved(Image.fromarray(SHEET), "JPEG", quality=90, progressive=True),
    "cmyk.jpg": lambda: saved(Image.fromarray(SHEET).convert("RGB").convert("CMYK"), "JPEG", quality=95),
    "lzw.tif": lambda: sheet_as(".tif"),
    "g4.tif": lambda: sheet_as(".g4"),
    "jpeg.tif": lambda: hostile.tiff_of([SHEET], "jpeg"),
    "cmyk.tif": lambda: saved(Image.fromarray(SHEET).convert("RGB").convert("CMYK"), "TIFF"),
    "page.bmp": lambda: sheet_as(".bmp"),
    "page.webp": lambda: sheet_as(".webp"),
    "page.gif": lambda: saved(Image.fromarray(SHEET), "GIF"),
    "page.jp2": lambda: saved(Image.fromarray(SHEET), "JPEG2000"),
    "png-without-extension": lambda: saved(Image.fromarray(SHEET), "PNG"),
    "gray.pdf": lambda: sheet_as(".pdf"),
    "1-bit.pdf": lambda: saved(Image.fromarray(SHEET).convert("1"), "PDF", resolution=200),
    "palette.pdf": lambda: saved(Image.fromarray(SHEET).convert("P"), "PDF", resolution=200),
    "colour.pdf": lambda: saved(Image.fromarray(SHEET).convert("RGB"), "PDF", resolution=200),
    "cmyk.pdf": lambda: saved(Image.fromarray(SHEET).convert("RGB").convert("CMYK"), "PDF", resolution=200),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_decodes_to_the_same_page(name: str, tmp_path: Path) -> None:
    page = load_page(PageRef(str(write(tmp_path, name, KINDS[name]()))))
    check_quality(page)
    slack = 1 if name in ("palette.pdf", "cmyk.pdf") else 0  # rendered: a part of a pixel is a pixel
    assert np.abs(np.subtract(page.gray.shape, SHEET.shape)).max() <= slack
    assert page.gray.dtype == np.uint8
    assert len(page.sha256) == 64
    coarse, expected = (cv2.resize(g, (100, 141), interpolation=cv2.INTER_AREA).astype(int) for g in (page.gray, SHEET))
    assert np.abs(coarse - expected).mean() < (8 if name.startswith(("1-bit", "g4", "cmyk")) else 2)


@pytest.mark.parametrize(
    ("channel", "level"), [("red", 200), ("green", 120), ("blue", 40), ("min", 40), ("max", 200), ("gray", 135)]
)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "PDF"])
def test_channels(kind: str, channel: str, level: int, tmp_path: Path) -> None:
    path = write(tmp_path, "page", saved(Image.new("RGB", (600, 800), (200, 120, 40)), kind))
    page = load_page(PageRef(str(path)), channel)  # type: ignore[arg-type]
    assert abs(int(np.median(page.gray)) - level) <= 2


def test_pages_of_one_file_are_distinct_and_repeatable(tmp_path: Path) -> None:
    sheets = [hostile.sheet((700, 495), seed) for seed in range(4)]
    for path in (
        write(tmp_path, "four.tif", hostile.tiff_of(sheets, "group4")),
        write(tmp_path, "four.pdf", hostile.pdf_of([hostile.encoded(sheet) for sheet in sheets])),
    ):
        refs = list_pages([path])
        assert [ref.page for ref in refs] == [1, 2, 3, 4]
        hashes = [load_page(ref).sha256 for ref in refs]
        assert len(set(hashes)) == 4
        assert [load_page(ref).sha256 for ref in reversed(refs)] == hashes[::-1]


def test_a_scanned_pdf_page_gives_the_scan_itself(tmp_path: Path) -> None:
    jpeg = write(tmp_path, "scan.jpg", sheet_as(".jpg"))
    canvas = Canvas(str(tmp_path / "scan.pdf"), pagesize=(595.2, 841.8))
    canvas.drawImage(str(jpeg), 0, 0, 595.2, 841.8)
    text = canvas.beginText(100, 100)
    text.setTextRenderMode(3)  # invisible: the text layer of an OCR program
    text.textOut("recognised text")
    canvas.drawText(text)
    canvas.save()
    page = load_page(PageRef(str(tmp_path / "scan.pdf")))
    assert np.array_equal(page.gray, load_page(PageRef(str(jpeg))).gray)
    assert page.sha256 == load_page(PageRef(str(jpeg))).sha256
    assert page.dpi == pytest.approx(200, abs=0.5)


def test_a_pdf_page_with_something_over_the_scan_is_rendered_whole(tmp_path: Path) -> None:
    jpeg = write(tmp_path, "scan.jpg", hostile.encoded(np.full(A4_HALF, 240, np.uint8)))
    canvas = Canvas(str(tmp_path / "scan.pdf"), pagesize=(595.2, 841.8))
    canvas.drawImage(str(jpeg), 0, 0, 595.2, 841.8)
    canvas.rect(100, 100, 200, 200, fill=1)
    canvas.save()
    page = load_page(PageRef(str(tmp_path / "scan.pdf")), pdf_dpi=150)
    assert abs(page.gray.shape[0] - 1754) <= 1
    assert page.gray.min() < 10
    assert page.dpi == 150


A4_HALF = (1170, 827)


def test_a_pdf_page_whose_picture_cannot_be_decoded_is_damaged_not_blank(tmp_path: Path) -> None:
    whole = tmp_path / "whole.pdf"
    canvas = Canvas(str(whole), pagesize=(595.2, 841.8), pageCompression=0)
    canvas.drawImage(str(write(tmp_path, "scan.png", sheet_as(".png"))), 0, 0, 595.2, 841.8)
    canvas.save()
    data = whole.read_bytes()
    start = data.index(b"stream", data.index(b"/Subtype /Image")) + 8
    broken = data[:start] + b"!" * 5000 + data[start + 5000 :]
    assert load_page(PageRef(str(whole))).gray.shape == SHEET.shape
    assert refusal(write(tmp_path, "broken.pdf", broken)).reason == "truncated"


def test_a_pdf_without_pages_after_an_encrypted_one_is_damaged_not_encrypted(tmp_path: Path) -> None:
    secret = write(tmp_path, "secret.pdf", hostile.pdf_of([sheet_as(".jpg")], encrypt="x"))
    Canvas(str(tmp_path / "none.pdf")).save()
    assert refusal(secret).reason == "encrypted"
    assert refusal(tmp_path / "none.pdf").reason == "truncated"


@pytest.mark.parametrize("colour", [255, 0])
def test_a_blank_pdf_page_is_blank(colour: int, tmp_path: Path) -> None:
    canvas = Canvas(str(tmp_path / "blank.pdf"), pagesize=(595.2, 841.8))
    canvas.showPage()
    canvas.save()
    assert refusal(tmp_path / "blank.pdf").reason == "blank_page"
    picture = hostile.encoded(np.full(A4_HALF, colour, np.uint8))
    error = refusal(write(tmp_path, "scan.pdf", hostile.pdf_of([picture])))
    assert error.reason == ("blank_page" if colour else "too_dark")


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_a_turned_pdf_page_is_seen_as_readers_show_it(turns: int, tmp_path: Path) -> None:
    jpeg = write(tmp_path, "scan.jpg", sheet_as(".jpg"))
    for name, extra in (("scan.pdf", False), ("vector.pdf", True)):
        canvas = Canvas(str(tmp_path / name), pagesize=(595.2, 841.8))
        canvas.setPageRotation(90 * turns)
        canvas.drawImage(str(jpeg), 0, 0, 595.2, 841.8)
        if extra:
            canvas.rect(1, 1, 2, 2, fill=1)
        canvas.save()
    scan, rendered = (load_page(PageRef(str(tmp_path / name))).gray for name in ("scan.pdf", "vector.pdf"))
    small = [cv2.resize(gray, (90, 90), interpolation=cv2.INTER_AREA).astype(int) for gray in (scan, rendered)]
    assert np.abs(small[0] - small[1]).mean() < 3


def test_a_photo_too_large_is_read_at_half_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("grader.intake.pictures.MAX_PIXELS", 3_000_000)
    photo = saved(Image.fromarray(SHEET), "JPEG", dpi=(200, 200))
    page = load_page(PageRef(str(write(tmp_path, "photo.jpg", photo))))
    assert page.gray.shape == (1170, 827)
    assert page.dpi == pytest.approx(100)
    assert refusal(write(tmp_path, "photo.png", hostile.encoded(SHEET, ".png"))).reason == "too_large"


# Duplicates


def test_a_picture_saved_again_is_the_same_and_one_more_bubble_is_not() -> None:
    again = cv2.imdecode(cv2.imencode(".jpg", SHEET, [cv2.IMWRITE_JPEG_QUALITY, 40])[1], cv2.IMREAD_GRAYSCALE)
    other = SHEET.copy()
    cv2.circle(other, (760, 1200), 16, 40, -1)
    assert fingerprint(SHEET) == fingerprint(SHEET.copy())
    assert same_picture(fingerprint(SHEET), fingerprint(again))
    assert not same_picture(fingerprint(SHEET), fingerprint(other))
    assert not same_picture(fingerprint(SHEET), fingerprint(np.roll(SHEET, 8, axis=1)))


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
