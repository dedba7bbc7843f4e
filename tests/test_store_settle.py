"""The journal only grows, and settling is a pure function of it that does not depend on reading order."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.errors import StoreError, UsageError
from grader.exam.exam import Exam
from grader.exam.form import BubbleBox, Form, MarksField, PageForm
from grader.records import Identity, Mark, PageRef, PageResult, Reading, Registration, Response
from grader.run.job import Job
from grader.run.settle import settle
from grader.store.decisions import Attribution, Decision, attribute, decide, undo
from grader.store.store import RunStore

EXAM = Exam.model_validate(
    {
        "exam": {"id": "e", "title": "t", "language": "en"},
        "items": [{"id": i, "type": "choice", "options": "AB", "answer": "A", "max_mark": 1} for i in ("1", "2", "3")],
    }
)


def field(item: str) -> MarksField:
    return MarksField(id=f"q{item}", item=item, bubbles=(BubbleBox(label="A", x=1, y=1, w=1, h=1),))


FORM = Form(
    id="f",
    pages=(
        PageForm(number=1, width=10, height=10, fields=(field("1"), field("2"))),
        PageForm(number=2, width=10, height=10, fields=(field("3"),)),
    ),
)
JOB = Job(EXAM, FORM, Path())


def scanned(file: str, candidate: str, sheet_page: int, answer: str = "A", picture: str | None = None) -> PageResult:
    """What a worker hands back for a good page."""
    items = ("1", "2") if sheet_page == 1 else ("3",)
    return PageResult(
        PageRef(file),
        "read",
        sha256=picture or file,
        identity=Identity(candidate, 1.0),
        sheet_page=sheet_page,
        registration=Registration(sheet_page, np.eye(3) / 3, 0.1, "fiducials"),
        readings=tuple(Reading(f"q{i}", "marks", answer, 0.1 + 0.2, box=(1.0, 2.0, 3.0, 4.0)) for i in items),
        responses=tuple(Response(candidate, i, answer, 0.1 + 0.2) for i in items),
        marks=tuple(Mark(candidate, i, 1.0, 1.0, 0.1 + 0.2, "final", (), "rule:choice/1") for i in items),
        crops={"q1": b"png"},
        seconds={"decode": 0.5},
    )


def settled(folder: Path, results: list[PageResult], order: list[PageRef]) -> dict[str, object]:
    with RunStore.create(folder) as store:
        store.record_pages(results)
        summary = settle(store, JOB, order)
        ledger = [(row.file, row.outcome, row.reason, row.candidate) for row in store.ledger()]
        answers = [(r.candidate, r.item, r.response, r.status, r.flags, r.file) for r in store.results()]
    return {"summary": summary, "ledger": ledger, "answers": answers}


def test_a_record_comes_back_bit_for_bit(tmp_path: Path) -> None:
    result = scanned("a.png", "007", 1)
    with RunStore.create(tmp_path) as store:
        store.record_pages([result])
        record = store.page_record("a.png", 1)
        assert record is not None
        assert record.result.readings == result.readings
        assert record.result.marks == result.marks
        assert record.result.responses == result.responses
        assert record.result.registration is not None
        assert result.registration is not None
        assert np.array_equal(record.result.registration.to_pixels, result.registration.to_pixels)
        assert store.crop(record.crops["q1"]) == b"png"


def test_the_journal_refuses_to_forget(tmp_path: Path) -> None:
    with RunStore.create(tmp_path) as store:
        store.record_pages([scanned("a.png", "007", 1)])
    with sqlite3.connect(tmp_path / "run.sqlite") as raw:
        for statement in ("DELETE FROM event", "UPDATE event SET body = ''"):
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                raw.execute(statement)


def test_a_page_is_journalled_once(tmp_path: Path) -> None:
    with RunStore.create(tmp_path) as store:
        store.record_pages([scanned("a.png", "007", 1)])
        again = scanned("a.png", "009", 1)
        store.record_pages([scanned("b.png", "008", 1), again, scanned("b.png", "010", 1)])
        records = {record.result.ref.file: record.result for _, record in store.page_events(list(store.done()))}
    candidates = {file: result.identity.candidate for file, result in records.items() if result.identity}
    assert candidates == {"a.png": "007", "b.png": "008"}, "what came first stays"


def test_missing_duplicate_and_disputed_pages(tmp_path: Path) -> None:
    results = [
        scanned("a.png", "007", 1),
        scanned("a-again.png", "007", 1, picture="a.png"),
        scanned("a-rescan.png", "007", 1, answer="B"),
        scanned("b.png", "007", 2),
        scanned("c.png", "008", 2),
        PageResult(PageRef("bad.png"), "rejected", "truncated", "bad.png is cut off"),
    ]
    found = settled(tmp_path, results, [result.ref for result in results])
    assert found["summary"]["counts"] == {  # type: ignore[index]
        "pages": 6, "read": 3, "rejected": 1, "duplicate": 2, "unmatched": 0,
        "responses": 6, "final": 2, "proposed": 0, "review": 4, "missing": 1,
    }  # fmt: skip
    assert [row[1:3] for row in found["ledger"]] == [  # type: ignore[attr-defined]
        ("read", ""), ("duplicate", "duplicate_file"), ("duplicate", "duplicate_page"), ("read", ""), ("read", ""),
        ("rejected", "truncated"), ("unmatched", "missing_page"),
    ]  # fmt: skip
    flags = {(row[0], row[1]): row[4] for row in found["answers"]}  # type: ignore[attr-defined]
    assert flags[("007", "1")] == ("duplicate_differs",)
    assert flags[("007", "3")] == ()
    assert flags[("008", "1")] == ("missing_page",)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_the_order_of_reading_does_not_matter(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 8))
    results = [
        scanned(
            f"{n}.png",
            data.draw(st.sampled_from(["1", "2", "3"])),
            data.draw(st.sampled_from([1, 2])),
            data.draw(st.sampled_from("AB")),
            data.draw(st.sampled_from(["x", f"{n}"])),
        )
        for n in range(count)
    ]
    order = [result.ref for result in results]
    shuffled = random.Random(data.draw(st.integers())).sample(results, count)
    first = settled(tmp_path_factory.mktemp("run"), results, order)
    second = settled(tmp_path_factory.mktemp("run"), shuffled, order)
    assert first == second
    counts = first["summary"]["counts"]  # type: ignore[index]
    assert counts["pages"] == count == sum(counts[k] for k in ("read", "rejected", "duplicate", "unmatched"))


def test_settling_twice_changes_nothing(tmp_path: Path) -> None:
    results = [scanned("a.png", "007", 1), scanned("b.png", "007", 2)]
    order = [result.ref for result in results]
    first = settled(tmp_path, results, order)
    with RunStore.open(tmp_path) as store:
        assert settle(store, JOB, order) == first["summary"]


def test_opening_what_is_not_a_run(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is not a run"):
        RunStore.open(tmp_path)
    (tmp_path / "run.sqlite").write_bytes(b"this is not a database, but long enough to be taken for a header" * 40)
    with pytest.raises(StoreError, match="not a run's store"):
        RunStore.open(tmp_path)


def test_a_persons_mark_is_the_last_word(tmp_path: Path) -> None:
    results = [scanned("a.png", "007", 1), scanned("b.png", "008", 1)]
    order = [result.ref for result in results]
    with RunStore.create(tmp_path) as store:
        store.record_pages(results)
        settle(store, JOB, order)
        before = {(r.candidate, r.item): r for r in store.results()}
        decide(store, "chen", Decision("007", "1", "a.png", 1, 0.0, comment="looked"))
        decide(store, "chen", Decision("008", "3", None, None, 1.0))
        shown = {(r.candidate, r.item): r for r in store.results()}
        settle(store, JOB, order)
        again = {(r.candidate, r.item): r for r in store.results()}
    assert shown == again, "settling again changes nothing that a person decided"
    changed = {key for key in before if before[key] != again[key]}
    assert changed == {("007", "1"), ("008", "3")}, "and nothing else"
    row = again["007", "1"]
    assert (row.mark, row.status, row.marker) == (0.0, "final", "person:chen")
    assert again["008", "3"].flags == ("missing_page",), "why a person looked stays on record"


def test_a_decision_can_be_withdrawn(tmp_path: Path) -> None:
    results = [scanned("a.png", "007", 1)]
    order = [result.ref for result in results]
    with RunStore.create(tmp_path) as store:
        store.record_pages(results)
        settle(store, JOB, order)
        before = list(store.results())
        decide(store, "chen", Decision("007", "1", "a.png", 1, 0.0))
        decide(store, "chen", Decision("007", "1", "a.png", 1, None))
        settle(store, JOB, order)
        assert list(store.results()) == before


def test_impossible_decisions_are_refused(tmp_path: Path) -> None:
    results = [scanned("a.png", "007", 1)]
    with RunStore.create(tmp_path) as store:
        store.record_pages(results)
        settle(store, JOB, [result.ref for result in results])
        for decision in (Decision("007", "1", "a.png", 1, 1.5), Decision("007", "9", "a.png", 1, 1.0)):
            with pytest.raises(UsageError):
                decide(store, "chen", decision)
        with pytest.raises(UsageError):
            attribute(store, "chen", Attribution("other.png", 1, "007"))


def test_a_page_given_to_a_candidate_by_a_person(tmp_path: Path) -> None:
    lost = replace(scanned("b.png", "", 2), outcome="unmatched", reason="identity_unread")
    results = [scanned("a.png", "007", 1), lost]
    order = [result.ref for result in results]
    with RunStore.create(tmp_path) as store:
        store.record_pages(results)
        assert settle(store, JOB, order)["counts"]["missing"] == 1
        attribute(store, "chen", Attribution("b.png", 1, "007"))
        counts = settle(store, JOB, order)["counts"]
        assert (counts["read"], counts["unmatched"], counts["missing"]) == (2, 0, 0)
        assert {(r.candidate, r.item, r.status) for r in store.results()} == {("007", i, "final") for i in "123"}


def test_withdrawing_shows_what_stood_before_at_once(tmp_path: Path) -> None:
    results = [scanned("a.png", "007", 1), scanned("b.png", "008", 1)]
    order = [result.ref for result in results]
    with RunStore.create(tmp_path) as store:
        store.record_pages(results)
        settle(store, JOB, order)
        shown = [list(store.results())]
        decide(store, "chen", Decision("007", "1", "a.png", 1, 0.0, {"a": 0.0}, "first"))
        shown.append(list(store.results()))
        decide(store, "li", Decision("007", "1", "a.png", 1, 0.5))
        withdrawal = Decision("007", "1", "a.png", 1, None)
        decide(store, "li", withdrawal)
        assert list(store.results()) == shown[1], "the earlier decision, with its criteria and comment"
        settle(store, JOB, order)
        assert list(store.results()) == shown[1]
        decide(store, "chen", withdrawal)
        assert list(store.results()) == shown[0], "the proposal"
        decide(store, "chen", withdrawal)
        assert list(store.results()) == shown[0], "nothing is left to withdraw"


def test_undo_takes_back_ones_own_last_action_whole(tmp_path: Path) -> None:
    results = [scanned(f"{n}.png", f"00{n}", 1) for n in range(4)]
    with RunStore.create(tmp_path) as store:
        store.record_pages(results)
        settle(store, JOB, [result.ref for result in results])
        before = list(store.results())
        together = [Decision(f"00{n}", "1", f"{n}.png", 1, 0.0, together="x") for n in range(3)]
        decide(store, "chen", *together)
        decide(store, "chen", Decision("003", "1", "3.png", 1, 0.0))
        decide(store, "li", Decision("003", "1", "3.png", 1, 0.5))
        assert undo(store, "chen") == together, "the later one was decided again by another person"
        assert undo(store, "chen") == []
        assert [d.mark for d in undo(store, "li")] == [0.5]
        assert [d.candidate for d in undo(store, "chen")] == ["003"]
        assert list(store.results()) == before


def test_decisions_made_together_are_kept_all_or_none(tmp_path: Path) -> None:
    results = [scanned("a.png", "007", 1)]
    with RunStore.create(tmp_path) as store:
        store.record_pages(results)
        settle(store, JOB, [result.ref for result in results])
        before = list(store.results())
        with pytest.raises(UsageError):
            decide(store, "chen", Decision("007", "1", "a.png", 1, 0.0), Decision("007", "2", "a.png", 1, 9.0))
        assert list(store.results()) == before
        assert undo(store, "chen") == []


def test_a_store_of_before_is_given_what_is_newer(tmp_path: Path) -> None:
    results = [scanned("a.png", "007", 1)]
    with RunStore.create(tmp_path) as store:
        store.record_pages(results)
        settle(store, JOB, [result.ref for result in results])
        before = list(store.results())
    with sqlite3.connect(tmp_path / "run.sqlite") as raw:
        raw.execute("ALTER TABLE answer DROP COLUMN proposal")
        raw.execute("ALTER TABLE answer DROP COLUMN comment")
        raw.execute("DROP INDEX answer_page")
    with RunStore.open(tmp_path) as store:
        assert list(store.results()) == before
        decide(store, "chen", Decision("007", "1", "a.png", 1, 0.0))
        undo(store, "chen")
        assert list(store.results()) == before
    with sqlite3.connect(tmp_path / "run.sqlite") as raw:
        assert raw.execute("SELECT 1 FROM sqlite_master WHERE name = 'answer_page'").fetchall()
