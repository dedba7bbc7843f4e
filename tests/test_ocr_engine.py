"""The default engine on writing set in the shipped fonts: what it reads, and what it refuses to be sure of."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from lettering import HAND_ZH, PRINT, empty, framed, ruled, scanned, write
from PIL import ImageFont

from grader.flags import blocking
from grader.ocr.ppocr import PPOCR
from grader.ocr.preprocess import horizontal_rules, prepare, vertical_rules
from grader.ocr.strikeout import struck_out
from grader.resources import font_path


@pytest.fixture(scope="module")
def engine() -> PPOCR:
    return PPOCR()


def scribble(picture: np.ndarray, left: int, right: int, top: int, bottom: int) -> np.ndarray:
    """A copy with a dense zigzag over a rectangle."""
    x = np.where(np.arange(14) % 2, left, right)
    y = np.linspace(top, bottom, 14)
    struck = picture.copy()
    cv2.polylines(struck, [np.stack([x, y], 1).astype(np.int32)], False, 40, 4, cv2.LINE_AA)
    return struck


@pytest.mark.parametrize(
    ("text", "font", "alphabet"),
    [
        ("光合作用需要水", HAND_ZH, "any"),
        ("water and light", "PatrickHand-Regular.ttf", "any"),
        ("20071", "PatrickHand-Regular.ttf", "digits"),
        ("3.2m/s", "PatrickHand-Regular.ttf", "number"),
    ],
)
@pytest.mark.parametrize("box", ["plain", "framed", "ruled"])
def test_reads_through_frames_and_rules(engine: PPOCR, text: str, font: str, alphabet: str, box: str):
    picture = write(empty(), text, font=font)
    picture = {"plain": picture, "framed": framed(picture), "ruled": framed(ruled(picture, (68,), lean=3))}[box]
    read = engine.read(scanned(picture), alphabet=alphabet)
    assert read.text == text
    assert read.confidence > 0.8
    assert not blocking(read.flags)
    assert "".join(c.text for c in read.lines[0].characters) == text


def test_characters_know_where_they_stand(engine: PPOCR):
    read = engine.read(scanned(write(write(empty(), "7", (60, 20)), "5", (500, 20))), alphabet="digits")
    line = read.lines[0]
    places = [line.box[0] + (c.start + c.end) / 2 * line.box[2] for c in line.characters]
    assert read.text == "75"
    assert abs(places[0] - 72) < 40
    assert abs(places[1] - 512) < 40


@pytest.mark.parametrize("letter", "ABCD")
def test_choice_letters(engine: PPOCR, letter: str):
    read = engine.read(scanned(write(empty(80, 90), letter, (28, 15))), alphabet="=ABCD")
    assert (read.text, blocking(read.flags)) == (letter, False)


@pytest.mark.parametrize("symbol", "EK8石#好丙√")
def test_what_the_field_does_not_allow_is_never_sure(engine: PPOCR, symbol: str):
    read = engine.read(scanned(write(empty(80, 90), symbol, (28, 15), font=PRINT)), alphabet="=ABCD")
    assert read.confidence < 0.2
    assert "out_of_alphabet" in read.flags


@pytest.mark.parametrize(
    "box",
    [
        empty(),
        framed(empty()),
        framed(ruled(empty(), (70,), lean=3)),
        ruled(empty(300), (70, 140, 210, 280)),
        write(empty(), "光合作用", font=HAND_ZH, ink=238)[:, ::-1].copy(),  # the back of the sheet
    ],
    ids=["plain", "framed", "ruled", "four rules", "bleed-through"],
)
@pytest.mark.parametrize("lines", [1, 4])
def test_a_blank_box_is_blank(engine: PPOCR, box: np.ndarray, lines: int):
    read = engine.read(scanned(box), lines=lines)
    assert (read.text, read.flags) == ("", ("blank",))
    assert read.confidence == 1.0


def test_a_trace_of_pencil_is_doubted_not_blank(engine: PPOCR):
    assert blocking(engine.read(scanned(write(empty(), "energy", ink=217))).flags)


def test_a_lone_dot_is_doubted(engine: PPOCR):
    assert blocking(engine.read(scanned(cv2.circle(empty(), (200, 60), 4, 40, -1))).flags)


def test_a_scribbled_word_is_not_read(engine: PPOCR):
    picture = write(write(empty(), "water", (24, 20)), "light", (300, 20))
    read = engine.read(scanned(scribble(picture, 20, 135, 24, 70)))
    assert "struck_out" in read.flags
    assert "light" in read.text
    assert "water" not in read.text


def test_a_word_struck_through_is_not_read(engine: PPOCR):
    picture = write(write(empty(), "reaction", (24, 12), size=60), "heat", (400, 12), size=60)
    cv2.line(picture, (14, 60), (240, 52), 40, 3, cv2.LINE_AA)
    read = engine.read(scanned(picture))
    assert "struck_out" in read.flags
    assert read.text == "heat"


def test_only_struck_writing_is_not_blank(engine: PPOCR):
    read = engine.read(scanned(scribble(write(empty(), "water"), 20, 135, 20, 72)))
    assert read.text == ""
    assert "blank" not in read.flags
    assert blocking(read.flags)


def test_a_printed_rule_is_no_strike():
    page = prepare(scanned(ruled(write(empty(), "water and light"), (52,))))
    assert struck_out(page.ink, 44) == []


def test_rules_are_found_and_strokes_that_cross_them_stay():
    mask = np.zeros((96, 640), np.uint8)
    mask[60:62] = 1
    mask[20:90, 100:104] = 1
    rules = horizontal_rules(mask)
    assert rules[60:62, 200:600].all()
    assert not rules[20:58].any()
    assert not rules[60:62, 101:103].any()


def test_a_lone_upright_is_no_frame():
    mask = np.zeros((60, 200), np.uint8)
    mask[:, 100:103] = 1
    assert not vertical_rules(mask).any()
    mask[:, 0:3] = 1
    assert vertical_rules(mask)[:, 0:3].all()
    assert not vertical_rules(mask)[:, 100:103].any()


def test_stems_of_digits_in_a_tight_crop_are_no_cell_borders(engine: PPOCR):
    mask = np.zeros((52, 216), np.uint8)
    mask[11:44, [30, 31, 90, 91, 150, 151, 190, 191]] = 1
    assert not vertical_rules(mask).any()
    picture = write(empty(52, 216), "4111.96N", (20, -2))
    read = engine.read(scanned(picture), alphabet="number")
    assert (read.text, blocking(read.flags)) == ("4111.96N", False)


def test_digits_in_printed_cells(engine: PPOCR):
    box = framed(empty(90, 8 * 66 + 4), ink=110)
    for place, digit in enumerate("20240715"):
        box = write(box, digit, (18 + place * 66, 14))
        cv2.line(box, (2 + place * 66, 0), (2 + place * 66, 89), 110, 2)
    read = engine.read(scanned(box), alphabet="digits")
    assert (read.text, blocking(read.flags)) == ("20240715", False)


def test_superscripts_are_marked_and_flagged(engine: PPOCR):
    base = write(empty(), "3.2×10")
    width = int(ImageFont.truetype(str(font_path("PatrickHand-Regular.ttf")), 44).getlength("3.2×10"))
    read = engine.read(scanned(write(base, "4", (26 + width, 12), size=26)), alphabet="number")
    assert read.text == "3.2×10^4"
    assert "ocr_ambiguous" in read.flags


def test_a_stacked_fraction_is_flagged(engine: PPOCR):
    picture = write(write(empty(), "5", (110, 2), size=36), "14", (104, 48), size=36)
    cv2.line(picture, (96, 48), (146, 48), 40, 3)
    assert "ocr_ambiguous" in engine.read(scanned(picture), alphabet="number").flags


@pytest.mark.parametrize("printed", [False, True])
def test_lines_come_in_reading_order(engine: PPOCR, printed: bool):
    lines = ["植物通过光合作用", "Water and light", "释放出氧气。"]
    box = empty(330, 1000)
    for place, text in enumerate(lines):
        font = HAND_ZH if place != 1 else "PatrickHand-Regular.ttf"
        box = write(box, text, (30, 20 + place * 100), font=font, size=56)
    if printed:
        box = ruled(framed(box), (100, 200, 300), lean=4)
    read = engine.read(scanned(box), lines=4)
    assert read.text.split("\n") == lines
    assert [line.text for line in read.lines] == lines
    assert all(line.box[0] >= 0 and line.box[0] + line.box[2] <= 1000 for line in read.lines)
    tops = [line.box[1] for line in read.lines]
    assert tops == sorted(tops)


def test_pieces_of_one_line_are_joined(engine: PPOCR):
    box = write(write(empty(200, 1200), "energy", (30, 60)), "water", (800, 66))
    assert engine.read(scanned(box), lines=2).text == "energy water"


def test_the_same_crop_gives_the_same_bits_alone_and_after_others():
    texts = {640: "光合作用", 400: "水", 900: "能量守恒定律"}
    crops = [scanned(write(empty(width=width), text, font=HAND_ZH)) for width, text in texts.items()]
    alone = [PPOCR().read(c) for c in crops]
    engine = PPOCR()
    assert [engine.read(c) for c in crops] == alone
    assert [engine.read(c) for c in reversed(crops)] == alone[::-1]
    assert engine.read(crops[0], lines=3) == PPOCR().read(crops[0], lines=3)


_NOISE = np.random.default_rng(0)


@pytest.mark.parametrize(
    "crop",
    [
        np.zeros((0, 0), np.uint8),
        np.zeros((1, 1), np.uint8),
        np.zeros((90, 400), np.uint8),
        np.zeros((3, 500), np.uint8),
        np.full((90, 400, 3), 7, np.uint8),
        _NOISE.integers(0, 256, (90, 400)).astype(np.uint8),
        _NOISE.integers(0, 256, (700, 9)).astype(np.uint8),
        np.tile(np.linspace(60, 250, 640).astype(np.uint8), (96, 1)),
        np.concatenate([np.zeros((90, 200), np.uint8), np.full((90, 200), 255, np.uint8)], axis=1),
    ],
    ids=["empty", "1x1", "black", "sliver", "dark colour", "noise", "tall noise", "gradient", "half black"],
)
@pytest.mark.parametrize("lines", [1, 3])
def test_hostile_crops_are_doubted(engine: PPOCR, crop: np.ndarray, lines: int):
    read = engine.read(crop, lines=lines)
    assert blocking(read.flags)
    assert read.confidence < 0.6


def test_a_huge_white_crop_is_blank(engine: PPOCR):
    assert engine.read(np.full((1500, 6000), 255, np.uint8), lines=4).flags == ("blank",)


def test_models_are_named_with_their_hashes(engine: PPOCR):
    card = (Path(font_path(PRINT)).parents[3] / "models" / "ocr" / "README.md").read_text(encoding="utf-8")
    models = engine.models()
    assert set(models) == {"PP-OCRv6_det_small.onnx", "PP-OCRv6_rec_small.onnx", engine.name}
    assert all(digest in card for name, digest in models.items() if name != engine.name)


def _real(data: Path, category: str) -> list[tuple[np.ndarray, str]]:
    with (data / "ocr" / "truth.tsv").open(encoding="utf-8") as stream:
        rows = [r for r in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE) if r["category"] == category]
    assert rows
    return [(cv2.imread(str(data / "ocr" / r["file"]), cv2.IMREAD_GRAYSCALE), r["text"]) for r in rows]


@pytest.mark.data
def test_real_choice_letters_are_all_right_within_their_alphabet(engine: PPOCR, data: Path):
    wrong = [t for crop, t in _real(data, "real_choice_letter") if engine.read(crop, alphabet="=ABCDEFGHIJK").text != t]
    assert len(wrong) <= 1


@pytest.mark.data
@pytest.mark.parametrize(("category", "limit"), [("real_zh_photo_hccdoc", 0.06), ("real_zh_exam_scutept", 0.16)])
def test_real_lines_stay_within_the_error_of_the_bare_network(engine: PPOCR, data: Path, category: str, limit: float):
    errors = length = 0
    for crop, truth in _real(data, category):
        read = engine.read(crop).text
        errors += _distance(read, truth)
        length += len(truth)
    assert errors / length <= limit


@pytest.mark.data
def test_real_lines_read_with_high_confidence_are_right(engine: PPOCR, data: Path):
    sure = wrong = 0
    for category, alphabet in (("real_choice_letter", "=ABCDEFGHIJK"), ("real_capital_letter", "letters"),
                               ("real_zh_photo_hccdoc", "any"), ("real_en_word_exam", "any")):  # fmt: skip
        for crop, truth in _real(data, category):
            read = engine.read(crop, alphabet=alphabet)
            if read.confidence > 0.95 and not blocking(read.flags):
                sure += 1
                wrong += read.text != truth
    assert sure >= 25
    assert wrong <= 1


def _distance(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]
