"""The queue's order tells nothing about candidates, and passes every waiting answer once."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.desk import keys, words
from grader.desk.desk import criteria_of
from grader.desk.queue import Entry, Queue, entry, opaque
from grader.desk.views import highlight
from grader.exam.exam import Exam
from grader.records import CriterionMark
from grader.report.words import WORDS as REPORT
from grader.store.store import ResultRow

SECRET = b"s" * 32
DESK = Path(words.__file__).parent
entries = st.lists(
    st.builds(
        Entry,
        name=st.text("abc", min_size=1, max_size=4),
        answer=st.just(("", "f", 1, "1")),
        group=st.sampled_from("xyz"),
        status=st.sampled_from(["review", "proposed", "final"]),
    ),
    unique_by=lambda one: one.name,
    min_size=1,
)


def row(candidate: str, response: str, flags: tuple[str, ...] = (), status: str = "review") -> ResultRow:
    return ResultRow(candidate, 1, "4", response, 1.0, 4.0, 0.5, status, flags, f"{candidate}.png", 1, "", "m", (),
                     (0, 0, 0, 0))  # type: ignore[arg-type]  # fmt: skip


@given(entries, st.data())
def test_going_on_passes_every_waiting_answer_once(held: list[Entry], data: st.DataObject) -> None:
    queue = Queue(held)
    waiting = set(data.draw(st.lists(st.sampled_from([one.name for one in held]), unique=True)))
    left, met, after = set(waiting), [], None
    while (one := queue.next(left, after)) is not None:
        met.append(one.name)
        left.discard(one.name)
        after = one.name
    assert sorted(met) == sorted(waiting)


@given(entries)
def test_identical_answers_stand_together_and_urgent_groups_first(held: list[Entry]) -> None:
    queue = Queue(held)
    groups = [one.group for one in queue.entries]
    assert len([g for n, g in enumerate(groups) if n == 0 or groups[n - 1] != g]) == len(set(groups))
    urgent = {one.group for one in held if one.status == "review"}
    seen = [group in urgent for group in groups]
    assert seen == sorted(seen, reverse=True)
    for one in held:
        assert queue.identical(one.name)[0] == one
        assert {other.group for other in queue.identical(one.name)} == {one.group}


def test_skipping_the_only_one_comes_back_to_it() -> None:
    only = entry(row("007", "体积变大"), SECRET)
    assert Queue([only]).next({only.name}, only.name) == only
    assert Queue([only]).next(set(), only.name) is None


def test_answers_are_identical_as_a_marker_reads_them() -> None:
    first = entry(row("007", "体积变大。"), SECRET)
    assert first.group == entry(row("008", " 體積變大 "), SECRET).group
    assert first.group != entry(row("009", "体积变小"), SECRET).group
    blank, unread = (entry(row("010", "", (flag,)), SECRET) for flag in ("blank", "missing_page"))
    assert blank.group != unread.group, "a blank box is not an unread one"


def test_names_tell_nothing_and_stay() -> None:
    one = entry(row("20260001", "x"), SECRET)
    assert re.fullmatch("[a-p]{20}", one.name)
    assert one.name == entry(row("20260001", "y", status="final"), SECRET).name
    assert one.name != opaque(b"another", "answer", *one.answer)
    ordered = [e.name for e in Queue(entry(row(f"{n:03}", str(n)), SECRET) for n in range(40)).entries]
    roll = [entry(row(f"{n:03}", str(n)), SECRET).name for n in range(40)]
    assert ordered not in (roll, roll[::-1])


def test_every_word_has_both_languages_and_the_same_values() -> None:
    fields = re.compile(r"\{(\w*)\}")
    for key, (en, zh) in words.WORDS.items():
        assert en.strip(), key
        assert re.search("[\u4e00-\u9fff]", zh), key
        assert sorted(fields.findall(en)) == sorted(fields.findall(zh)), key


def test_pages_and_code_use_words_that_exist() -> None:
    sources = [*DESK.glob("templates/*.j2"), *DESK.glob("*.py")]
    used = {key for path in sources for key in re.findall(r'\b(?:t|word)\("(\w+)"', path.read_text(encoding="utf-8"))}
    assert len(used) > 50
    assert used <= words.WORDS.keys() | REPORT.keys()
    bare = re.compile(r">[^<>{}]*[\u4e00-\u9fff][^<>{}]*<")
    for path in DESK.glob("templates/*.j2"):
        assert not bare.search(path.read_text(encoding="utf-8")), f"{path.name}: words belong in words.py"


@pytest.mark.parametrize("page", ["answer", "group", "sure", "overview", "pages"])
def test_a_key_does_one_thing_on_a_page(page: keys.Page) -> None:
    pressed = [one for key in keys.of_page(page) for one in key.press]
    assert len(pressed) == len(set(pressed))
    for key in keys.of_page(page):
        assert key.words("en")
        assert re.search("[\u4e00-\u9fff]", key.words("zh")), key.action


@given(st.text(max_size=30), st.lists(st.tuples(st.integers(-5, 40), st.integers(-5, 40)), max_size=4))
def test_highlighting_keeps_the_text(text: str, spans: list[tuple[int, int]]) -> None:
    marks = [CriterionMark(str(n), 1.0, 0.5, span) for n, span in enumerate(spans)]
    pieces = highlight(text, marks, {str(n): n for n in range(len(spans))})
    assert "".join(piece.text for piece in pieces) == text


def test_evidence_is_shown_where_it_is() -> None:
    marks = [CriterionMark("a", 1, 1, (0, 4)), CriterionMark("b", 1, 1, (2, 6)), CriterionMark("c", 0, 1, (0, 6))]
    pieces = highlight("012345", marks, {"a": 0, "b": 1, "c": 2})
    assert [(p.text, p.criteria) for p in pieces] == [("01", (0,)), ("23", (0, 1)), ("45", (1,))]


def test_criteria_are_kept_only_if_they_make_the_mark() -> None:
    item = Exam.model_validate(
        {"exam": {"id": "e", "title": "t", "language": "en"},
         "items": [{"id": "1", "type": "short_answer", "max_mark": 3, "cap": True,
                    "rubric": [{"id": c, "marks": 2, "criterion": c} for c in "ab"]}]}
    ).items[0]  # fmt: skip
    assert criteria_of(item, 3.0, [2.0, 2.0]) == {"a": 2.0, "b": 2.0}, "the mark stops at its maximum"
    assert criteria_of(item, 1.0, [2.0, 2.0]) == {}
    assert criteria_of(item, 2.0, [2.0, None]) == {}
