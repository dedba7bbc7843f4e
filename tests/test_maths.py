"""Deterministic marking: mathematics, compared in a process of its own."""

from __future__ import annotations

import os
import signal
from contextlib import suppress

import pytest
from hypothesis import given, settings
from items import ANYTHING, blank

from grader.exam import expression
from grader.scoring import maths
from grader.scoring.blank import score_blank


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ("(x+1)(x-1)", "x²-1"),
        ("x^2-1", "x²-1=(x+1)(x-1)"),
        ("1/2", "0.5"),
        ("1 1/2", "3/2"),
        ("x=1或x=2", "x₁=2, x₂=1"),
        ("±2", "2或-2"),
        ("3", "x=3"),
        ("x=3", "x=6/2=3"),
        ("x>3", "3<x"),
        ("-1<x<3", "3>x>-1"),
        ("2x+3y=6", "4x+6y=12"),
        ("(1,2)", "( 1 , 2 )"),
        ("√2/2", "1/√2"),
        ("3/4", r"\frac{3}{4}"),
        ("2πr", "2*pi*r"),
        ("|x|", "√(x²)"),
        ("ρga", "a g ρ"),
        ("y=2x+1", "y=1+2x"),
    ],
)
def test_equivalent(answer: str, text: str) -> None:
    assert maths.relation(answer, text) == "same"


@pytest.mark.parametrize(
    ("answer", "text", "relation"),
    [
        ("x=3", "3", "near"),
        ("x=3", "2x=6", "near"),
        ("4", "2+2", "near"),
        ("4", "8/2", "near"),
        ("x=3", "x=5=3", "near"),
        ("x>3", "2x>6", "near"),
        ("x>3", "x≥3", "different"),
        ("(1,2)", "(2,1)", "different"),
        ("x=1或x=2", "x=1", "different"),
        ("x", "y", "different"),
        ("x+1", "x-1", "different"),
        ("x^2", "x2", "unparsed"),
        ("1/(2x)", "1/2x", "unparsed"),
        ("ln(x^2)", "2ln(x)", "unsure"),
        ("1", "1/0", "unsure"),
    ],
)
def test_not_equivalent(answer: str, text: str, relation: str) -> None:
    assert maths.relation(answer, text) == relation


@pytest.mark.parametrize(
    "text",
    ["9**9**9**9", "9^(9^9)", "9^99999", "(" * 10000 + "1" + ")" * 10000, "5!",
     "99999999!", "__import__('os')", "x.__class__",
     "lambda: 1", "exec('1')", "((((99999999999)^50)^50)^50)", "sin(99999999999999999999^60)",
     "exp(10^9)", "x" * 201, "1" * 300,
     "∫x dx", "x=" * 50, "|" * 30, "√" * 100, "-" * 100 + "1", "\\frac{1}", "", ",", "^", "2^", "(",
     "1e5x(", "x_", "½½"],
)  # fmt: skip
def test_hostile_expressions_are_refused_and_cost_nothing(text: str) -> None:
    verdict = score_blank(blank("x+1", math=True), text)
    assert not verdict.mark
    assert verdict.flags in (("unparsed",), ("too_long",), ())


@given(ANYTHING)
@settings(max_examples=200, deadline=None)
def test_the_parser_refuses_or_parses(text: str) -> None:
    with suppress(expression.NotMaths):
        assert expression.parse(text)


def test_a_slow_comparison_is_cut_off_and_the_worker_goes_on() -> None:
    assert maths.relation("x(a+b+c+d+f+g)^40", "(a+b+c+d+f+g)^39(ax+bx+cx+dx+fx+gx)") == "unsure"
    process = maths._worker()._process
    assert maths.relation("x+x", "2x") == "same"
    assert maths._worker()._process is process


def test_a_worker_that_hangs_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert maths.relation("x+x+1", "2x+1") == "same"
    process = maths._worker()._process
    assert process is not None
    os.kill(process.pid, signal.SIGSTOP)
    monkeypatch.setattr(maths, "WALL_SECONDS", 0.3)
    assert maths.relation("x+x+2", "2x+2") == "unsure"
    assert process.wait() < 0
    monkeypatch.undo()
    assert maths.relation("x+x+3", "2x+3") == "same"


def test_a_killed_worker_is_replaced() -> None:
    assert maths.relation("x+x+x", "3x") == "same"
    process = maths._worker()._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert maths.relation("x+y+x", "2x+y+0") == "same"
    assert maths._worker()._process is not process


def test_repeating_the_question_is_not_an_answer() -> None:
    item = blank("(x+1)(x-1)", math=True, prompt="因式分解：x² - 1 = ____")
    assert score_blank(item, "x^2-1").flags == ("copied_question",)
    assert score_blank(item, "(x-1)(x+1)").flags == ()
