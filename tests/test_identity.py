"""Who a page belongs to: a table of what the sources say and what may be concluded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from grader.errors import RosterError
from grader.exam.form import BubbleBox, CodeField, MarksField, PageForm, TextField
from grader.paper.pagecode import PageCode
from grader.reading.identity import agreed, identify
from grader.reading.roster import Entry, Roster
from grader.records import Bubble, Reading, Registration

ROSTER = Roster([Entry("2026", "王芳"), Entry("2027"), Entry("3026"), Entry("777")])


def registration(candidate: str | None) -> Registration:
    code = PageCode("exam", "0123abcd", 1, candidate).encode() if candidate is not None else ""
    return Registration(1, np.eye(3), 0.1, "fiducials", code)


def bubbled(digits: str, doubtful: str = "") -> Reading:
    """digits: one a position, "_" for none. doubtful: for each position a label that is in doubt, or "_"."""
    doubtful = doubtful or "_" * len(digits)
    bubbles = tuple(
        Bubble(p, str(n), 0.0, True if str(n) == d else None if str(n) == u else False)
        for p, (d, u) in enumerate(zip(digits, doubtful, strict=True))
        for n in range(10)
    )
    empty = set(digits) == {"_"}
    unsure = set(doubtful) != {"_"} or ("_" in digits and not empty)
    flags = ("mark_doubtful",) if unsure else ()
    return Reading("number", "marks", "" if empty else digits, 0.9, flags, bubbles=bubbles)


def written(text: str, confidence: float = 0.99, flags: tuple[str, ...] = ()) -> Reading:
    return Reading("digits", "text", text, confidence, flags)


def barcode(text: str) -> Reading:
    return Reading("bar", "code", text, 1.0 if text else 0.0, () if text else ("code_damaged",))


BUBBLES = MarksField(id="number", role="candidate", bubbles=(BubbleBox(label="0", x=0, y=0, w=1, h=1),))
DIGITS = TextField(id="digits", role="candidate", x=0, y=0, w=9, h=9, alphabet="digits", cells=4)
BAR = CodeField(id="bar", role="candidate", x=0, y=0, w=9, h=9, formats=("Code128",))
OTHER = MarksField(id="1", item="1", bubbles=BUBBLES.bubbles)
FORM = PageForm(number=1, width=210, height=297, fields=(BUBBLES, DIGITS, BAR, OTHER))
ITEM = Reading("1", "marks", "9", 1.0)

# code on the page, readings, roster given, candidate, flag
TABLE = [
    ("2026", [], True, "2026", None),
    ("2026", [], False, "2026", None),
    ("", [bubbled("2026")], True, "2026", None),
    (None, [bubbled("2026")], False, "2026", None),
    (None, [barcode("2026")], True, "2026", None),
    ("2026", [bubbled("2026"), written("2026"), barcode("2026")], True, "2026", None),
    ("2026", [bubbled("____")], True, "2026", None),
    ("2026", [barcode("")], True, "2026", None),
    # nothing said
    (None, [], True, "", "identity_unread"),
    ("", [bubbled("____"), barcode("")], True, "", "identity_unread"),
    (None, [written("2026", 0.6)], True, "", "identity_unread"),
    # sources that disagree
    ("2026", [bubbled("2027")], True, "", "identity_conflict"),
    ("2026", [barcode("2027")], True, "", "identity_conflict"),
    ("", [bubbled("2026"), written("2027")], True, "", "identity_conflict"),
    ("2026", [bubbled("202_", "___7")], True, "", "identity_conflict"),
    # handwriting that the recogniser is not sure of says nothing
    ("", [bubbled("2026"), written("2027", 0.8)], True, "2026", None),
    ("", [bubbled("2026"), written("2027", 0.99, ("ocr_doubtful",))], True, "2026", None),
    # doubtful bubbles
    ("", [bubbled("202_", "___6")], True, "", "identity_doubtful"),
    ("", [bubbled("202_")], True, "", "identity_doubtful"),
    ("", [bubbled("2026", "___7")], True, "", "identity_doubtful"),
    ("2026", [bubbled("202_", "___6")], True, "2026", None),
    ("2026", [bubbled("2026", "___7")], True, "2026", None),
    ("", [bubbled("202_", "___6"), written("2026")], True, "2026", None),
    ("", [bubbled("202_", "___6"), written("2026")], False, "", "identity_doubtful"),
    ("", [bubbled("202_", "___6"), written("2026", 0.5)], True, "", "identity_doubtful"),
    ("", [bubbled("202_", "___6"), written("2029")], True, "", "identity_conflict"),
    # a number shorter than the grid: certain only if no longer one fits
    ("", [bubbled("777_")], True, "777", None),
    ("", [bubbled("_777")], True, "777", None),
    ("", [bubbled("7_77")], True, "", "identity_doubtful"),
    ("", [bubbled("777_")], False, "", "identity_doubtful"),
    # handwriting alone is not enough where there are bubbles
    ("", [written("2026")], True, "", "identity_doubtful"),
    # not on the roster
    ("9999", [], True, "9999", "identity_unknown"),
    ("", [bubbled("9999")], True, "9999", "identity_unknown"),
]


@pytest.mark.parametrize(("code", "readings", "with_roster", "candidate", "flag"), TABLE)
def test_truth_table(
    code: str | None, readings: list[Reading], with_roster: bool, candidate: str, flag: str | None
) -> None:
    found = identify(registration(code), [ITEM, *readings], ROSTER if with_roster else None, FORM)
    assert (found.candidate, found.flags) == (candidate, (flag,) if flag else ())
    assert (found.confidence > 0) == (flag is None)


def test_handwriting_alone_on_a_form_without_bubbles() -> None:
    form = FORM.model_copy(update={"fields": (DIGITS,)})
    assert identify(registration(None), [written("2026", 0.99)], ROSTER, form).candidate == "2026"
    assert identify(registration(None), [written("2026", 0.96)], ROSTER, form).flags == ("identity_doubtful",)
    assert identify(registration(None), [written("2026", 0.99)], None, form).flags == ("identity_doubtful",)


def test_every_source_is_reported() -> None:
    found = identify(registration("2026"), [bubbled("2027"), written("2026")], ROSTER, FORM)
    assert dict(found.sources) == {"code": "2026", "bubbles": "2027", "written": "2026"}


# --- roster ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", ["candidate,name,class", "考生号,姓名,班级", "准考证号,姓名,班级", "ID,Name,Class"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_roster_files(tmp_path: Path, header: str, encoding: str) -> None:
    path = tmp_path / "roster.csv"
    path.write_text(f"{header}\n007,王芳,二班\n\n 008 ,李伟,二班\n", encoding=encoding)
    roster = Roster.load(path)
    assert roster.candidates == ("007", "008")
    assert "007" in roster
    assert "7" not in roster
    assert roster.name("008") == "李伟"


def test_names_do_not_show_in_logs() -> None:
    assert "王芳" not in repr(Entry("2026", "王芳", "二班"))


def test_all_problems_at_once(tmp_path: Path) -> None:
    path = tmp_path / "roster.csv"
    path.write_text("candidate,name\n1,a\n1,b\n,c\n", encoding="utf-8")
    with pytest.raises(RosterError) as error:
        Roster.load(path)
    assert [(p.line, p.field) for p in error.value.problems] == [(3, "candidate"), (4, "candidate")]


@pytest.mark.parametrize("text", ["", "name\nWang\n", "candidate\n"])
def test_rosters_that_list_nobody(tmp_path: Path, text: str) -> None:
    path = tmp_path / "roster.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RosterError):
        Roster.load(path)
    with pytest.raises(RosterError):
        Roster.load(tmp_path / "absent.csv")


@pytest.mark.parametrize("text", ['candidate\n"007', "candidate\n00\x007\n", f"candidate\n{'7' * 200_000}\n"])
def test_a_broken_csv_file_is_a_roster_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "roster.csv"
    path.write_text(text)
    with pytest.raises(RosterError, match="remedy"):
        Roster.load(path)


def test_handwriting_has_nothing_to_add_where_print_and_bubbles_agree() -> None:
    """Either alone, a doubtful bubble, an incomplete number or a contradiction leaves the handwriting to be read."""
    assert agreed(registration("2026"), [bubbled("2026")], FORM)
    assert agreed(registration(None), [bubbled("2026"), barcode("2026")], FORM)
    for code, readings in (
        ("2026", []),
        (None, [bubbled("2026")]),
        ("2026", [bubbled("2027")]),
        ("2026", [bubbled("2026", "___7")]),
        ("2026", [bubbled("202_")]),
        ("2026", [bubbled("____")]),
        ("2026", [bubbled("2026"), barcode("777")]),
    ):
        assert not agreed(registration(code), readings, FORM), (code, readings)
