"""Plain paper without pictures: item numbers at line starts, whose page it is, what pages say together."""

from __future__ import annotations

import pytest

from grader.exam.plain import LEAD
from grader.reading.labels import find_items, label_length, without_label
from grader.reading.owner import owner, owner_lines
from grader.reading.roster import Entry, Roster
from grader.records import Character, PageRef, Reading, TextLine
from grader.run.scripts import PAGE, PlainPage, gather

ITEMS = [str(n) for n in range(1, 9)]
HEIGHT = 40.0


def line(text: str, row: int = 0, left: float = 100.0, confidence: float = 0.95) -> TextLine:
    """A line whose characters are half as wide as they are high; two blanks are a wide gap."""
    drawn = text.replace("  ", "     ")
    width = 0.5 * HEIGHT * len(drawn)
    characters = tuple(
        Character(c, confidence, n / len(drawn), (n + 1) / len(drawn)) for n, c in enumerate(drawn) if not c.isspace()
    )
    joined = "".join(c.text for c in characters)
    return TextLine(joined, confidence, (left, 80.0 * row, width, HEIGHT), characters)


def found(*texts: str, items: list[str] = ITEMS) -> dict[str, tuple[str, ...]]:
    lines = [line(text, row) for row, text in enumerate(texts)]
    return {place.item: place.flags for place in find_items(lines, items)}


@pytest.mark.parametrize(
    "texts",
    [
        ("1. B", "2、光合作用", "(3) ACD", "第4题 3.2 m/s", "5)因为", "所以"),
        ("1．B", "2。光合作用", "③ACD", "4）3.2m/s", "（5）因为"),
        ("作业 王芳", "1. B", "2. C", "3. D", "4. 3.2", "5. x"),
        ("1. B  2. C  3. D", "4. 3.2 m/s", "5. because it is 5.2 m long"),
    ],
)
def test_items_are_found_in_many_styles(texts: tuple[str, ...]) -> None:
    assert found(*texts) == dict.fromkeys(ITEMS[:5], ())


def test_a_number_at_the_beginning_of_a_line_is_no_label_out_of_order() -> None:
    assert found("1. B", "2. v = s/t", "3.2 m/s", "3. C", "4. D") == {"1": (), "2": (), "3": (), "4": ()}


def test_points_of_an_answer_are_not_items() -> None:
    places = found("1. B", "2. 有两点：", "(1) 温度", "(2) 湿度", "3. C", "4. D")
    assert places == {"1": (), "2": (), "3": (), "4": ()}


def test_a_decimal_where_an_item_is_missing_is_doubtful() -> None:
    places = found("1. B", "2. C", "3.2 m/s", "4. D")
    assert "item_doubtful" in places["3"]
    assert "item_doubtful" in places["2"]


def test_a_lost_full_stop_is_no_doubt_between_its_neighbours() -> None:
    assert found("1. B", "2 光合作用", "3. C") == {"1": (), "2": (), "3": ()}


def test_a_lost_full_stop_elsewhere_is_doubtful() -> None:
    assert "item_doubtful" in found("1. B", "4 apples are left", "7. C")["4"]


def test_an_item_that_stands_twice_is_flagged() -> None:
    assert found("1. B", "2. C", "2. D", "3. A")["2"] == ("item_twice",)


def test_items_out_of_order_are_found_and_flagged() -> None:
    places = found("1. B", "3. C", "2. D", "4. A", "5. B")
    assert set(places) == {"1", "2", "3", "4", "5"}
    assert any(flags for flags in places.values())


def test_nothing_is_found_where_nothing_is() -> None:
    assert found("因为水结冰", "所以浮起来") == {}
    assert found() == {}


def test_named_items_are_found() -> None:
    assert set(found("Q1a. yes", "Q1b. no", "2. B", items=["1a", "1b", "2"])) == {"1a", "1b", "2"}


def test_the_label_is_taken_off_with_its_characters() -> None:
    labelled = line("(3)ACD")
    length = label_length(labelled.text, "3")
    assert length is not None
    rest = without_label(labelled, length)
    assert rest.text == "ACD"
    assert "".join(c.text for c in rest.characters) == "ACD"
    assert label_length("ACD", "3") is None


ROSTER = Roster([Entry("1003", "李明"), Entry("1004", "王芳"), Entry("7", "Ann Lee"), Entry("1008", "王芳")])


@pytest.mark.parametrize(
    ("file", "lead", "candidate", "flag"),
    [
        ("in/1003/IMG_2.jpg", [], "1003", ""),
        ("in/1003-2.jpg", [], "1003", ""),
        ("in/7_page1.jpg", [], "7", ""),
        ("in/IMG_1003.jpg", [], "", "identity_unread"),
        ("in/a.jpg", ["学号：1004"], "1004", ""),
        ("in/a.jpg", ["八年级 李明"], "1003", ""),
        ("in/a.jpg", ["Ann Lee, 7 May"], "7", ""),
        ("in/a.jpg", ["王芳"], "", "identity_doubtful"),
        ("in/1003/a.jpg", ["姓名 李明"], "1003", ""),
        ("in/1003/a.jpg", ["学号 1004"], "", "identity_conflict"),
        ("in/a.jpg", ["第7课 作业"], "", "identity_unread"),
    ],
)
def test_whose_page_it_is(file: str, lead: list[str], candidate: str, flag: str) -> None:
    identity = owner(file, [line(text) for text in lead], ROSTER)
    assert (identity.candidate, *identity.flags) == ((candidate, flag) if flag else (candidate,))


def test_a_name_that_was_read_with_doubt_names_nobody() -> None:
    assert owner("a.jpg", [line("李明", confidence=0.5)], ROSTER).candidate == ""


def test_lines_that_name_somebody_are_known() -> None:
    lines = [line("姓名 ???"), line("第三单元 作业"), line("李明")]
    assert [each.text for each in owner_lines(lines, ROSTER)] == ["姓名???", "李明"]


def page(name: str, **answers: str) -> PlainPage:
    texts = {LEAD if item == "lead" else item.removeprefix("q"): text for item, text in answers.items()}
    readings = {item: Reading(item, "text", text, 0.9) for item, text in texts.items()}
    return PlainPage(PageRef(name), readings, frozenset([*readings, PAGE]))


def test_pages_of_one_candidate_are_gathered() -> None:
    pages = [page("a", q1="B", q2="first\nsecond"), page("b", lead="third", q4="D")]
    found = {one.item: one for one in gather(["1", "2", "3", "4"], pages)}
    assert (found["1"].ref.file, found["1"].flags) == ("a", ())
    assert found["2"].flags == ("answer_continues", "item_doubtful")
    assert found["2"].text == "third"
    assert found["2"].pictures == ((PageRef("a"), "2"), (PageRef("b"), LEAD))
    assert found["3"].missing
    assert found["3"].pictures == ((PageRef("a"), PAGE), (PageRef("b"), PAGE))
    assert found["4"].ref.file == "b"


def test_an_item_on_two_pages_is_for_a_person() -> None:
    found = gather(["1"], [page("a", q1="B"), page("b", q1="C")])
    assert [(one.flags, one.text, one.pictures) for one in found] == [
        (("item_twice",), "C", ((PageRef("a"), "1"), (PageRef("b"), "1")))
    ]
