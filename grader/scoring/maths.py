"""Mathematical equivalence for blanks: x²-1 and (x+1)(x-1), 0.5 and 1/2, x=1或x=2 in any order.

Parsing happens here, by our own grammar; SymPy runs in a process of its own that is bounded in time and
memory, can be killed at any moment and is used again for the next comparison.
"""

from __future__ import annotations

import atexit
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Literal

from grader.exam.expression import Node, NotMaths, Statement, is_fraction, operations, parse, symbols

Relation = Literal["same", "near", "different", "unparsed", "unsure"]

WALL_SECONDS, START_SECONDS = 20.0, 60.0
_FLIPPED = str.maketrans("<>≤≥", "><≥≤")


@lru_cache(maxsize=16384)
def relation(answer: str, text: str) -> Relation:
    """How a response stands to the answer. near: equivalent, but not in the form asked for (2x=6 for x=3,
    2+2 for 4, 3 for x=3). unparsed: outside the grammar. unsure: SymPy cannot tell within its bounds."""
    try:
        given, wanted = parse(text), list(parse(answer))
    except NotMaths:
        return "unparsed"
    if len(given) != len(wanted):
        return "different"
    found: set[Relation] = set()
    for statement in given:
        ranked = sorted(((_compare(want, statement), i) for i, want in enumerate(wanted)), key=_rank)
        best, place = ranked[0]
        found.add(best)
        del wanted[place]
    return _worst(found)


_ORDER: tuple[Relation, ...] = ("same", "near", "unsure", "different", "unparsed")


def _rank(pair: tuple[Relation, int]) -> int:
    return _ORDER.index(pair[0])


def _worst(found: set[Relation]) -> Relation:
    return max(found, key=_ORDER.index)


def _compare(want: Statement, given: Statement) -> Relation:  # noqa: PLR0911 - a case a return
    if want.name and given.name and want.name != given.name:
        return "different"
    if want.name and given.name:
        return _result(want.sides[-1], given.sides[1:])
    if want.relations == given.relations == ():
        return _sides(want, given)
    if not want.relations and len(want.sides) == 1 and set(given.relations) == {"="}:
        return _result(want.sides[0], given.sides[1:] if given.name else given.sides)  # x = 3 for 3
    if want.name and not given.relations and len(given.sides) == 1:
        return _softened(_values(want.sides[-1], given.sides[0]))  # 3 for x = 3
    if not want.relations or not given.relations:
        return "different"
    return _relations(want, given)


def _result(want: Node, chain: Sequence[Node]) -> Relation:
    """The last of a chain of equals is the result; a chain that is not one is for a person to see."""
    *working, last = chain
    found = _values(want, last)
    if found == "same" and any(_ask("equal", want, step) is not True for step in working):
        return "near"
    return found


def _sides(want: Statement, given: Statement) -> Relation:
    """Side by side: bare expressions, points, chains of relations."""
    if len(want.sides) != len(given.sides):
        return "different"
    found: set[Relation] = {_values(a, b) for a, b in zip(want.sides, given.sides, strict=True)}
    return _worst(found)


def _relations(want: Statement, given: Statement) -> Relation:
    """Equations and inequalities, turned round if need be."""
    turned = Statement(given.sides[::-1], tuple(r.translate(_FLIPPED) for r in reversed(given.relations)))
    for one in (given, turned):
        if one.relations == want.relations and _sides(want, one) == "same":
            return "same"
    if len(want.relations) != 1 or len(given.relations) != 1:
        return "different"
    if want.relations[0] not in (given.relations[0], turned.relations[0]):
        return "different"
    first, second = (("add", s.sides[0], ("neg", s.sides[1])) for s in (want, given))
    multiple = _ask("proportional", first, second)
    if multiple is None:
        return "unsure"
    if not multiple:
        return "different"
    # 4x+6y=12 is 2x+3y=6; but 2x=6 is not yet the solution x=3, and inequalities turn with the sign.
    return "same" if want.relations[0] == "=" and not want.name else "near"


def _values(want: Node, given: Node) -> Relation:
    """Two expressions."""
    equal = _ask("equal", want, given)
    if equal is None:
        return "unsure"
    if not equal:
        return "different"
    whole = want[0] == "num" and float(want[1]).is_integer()
    worked_out = operations(given) <= operations(want) or (is_fraction(given) and not whole)
    return "same" if symbols(want) or worked_out else "near"


def _softened(found: Relation) -> Relation:
    return "near" if found == "same" else found


def _ask(compare: str, one: Node, other: Node) -> bool | None:
    return _worker().ask(json.dumps({"compare": compare, "one": one, "other": other}))


class _Worker:
    """One SymPy process; started on first use, started again after it was killed."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def ask(self, request: str) -> bool | None:
        """The worker's answer, or None if it had to be killed or could not be started."""
        with self._lock:
            start = time.monotonic()
            line = self._try(request)
            if not line and time.monotonic() - start < WALL_SECONDS:
                line = self._try(request)  # it had died since it was last used, or of what came before
            result = json.loads(line) if line else None
            return result if isinstance(result, bool) else None

    def _try(self, request: str) -> str:
        process = self._running()
        line = self._exchange(process, request + "\n", WALL_SECONDS) if process else ""
        if not line:
            self.close()
        return line

    def _running(self) -> subprocess.Popen[str] | None:
        if self._process is None:
            script = Path(__file__).with_name("maths_worker.py")
            # Its own session: Ctrl-C in the terminal is for the batch, not for this helper.
            self._process = subprocess.Popen(
                [sys.executable, "-P", str(script)],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                text=True, encoding="utf-8", start_new_session=True,
            )  # fmt: skip
            if self._exchange(self._process, "", START_SECONDS) == "":
                self.close()
        return self._process

    @staticmethod
    def _exchange(process: subprocess.Popen[str], request: str, seconds: float) -> str:
        """One line for another; "" if the process ended or the time is up (it is killed then)."""
        assert process.stdin is not None
        assert process.stdout is not None
        clock = threading.Timer(seconds, process.kill)
        clock.start()
        try:
            process.stdin.write(request)
            process.stdin.flush()
            return process.stdout.readline()
        except (BrokenPipeError, OSError):
            return ""
        finally:
            clock.cancel()

    def close(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None and os.getpid() == self.owner:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(OSError):  # what was left to write to the dead
                        pipe.close()


_current: list[_Worker] = []


def _worker() -> _Worker:
    """This process's worker; a forked child must not share its parent's pipes."""
    if not _current or _current[0].owner != os.getpid():
        _current[:] = [_Worker()]
        atexit.register(_current[0].close)
    return _current[0]
