"""The process that compares two expressions with SymPy. It reads only trees that grader.exam.expression built.

One JSON request a line on stdin, one JSON answer a line on stdout: true, false, or null for "cannot tell".
Run as a script of its own, so that it imports nothing but SymPy and can be killed at any time.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from typing import Any

import sympy

CPU_SECONDS, MEMORY_BYTES = 2.0, 1 << 30

# Fixed points where the expressions are compared first: unequal there is unequal. None is special (0, ±1).
_POINTS = [sympy.Rational(n, 7) for n in (13, -9, 31, 5, -22, 17, 3, 41, -4, 26, 11, 37)]
_FUNCTIONS = {
    "sqrt": sympy.sqrt, "sin": sympy.sin, "cos": sympy.cos, "tan": sympy.tan, "ln": sympy.log, "exp": sympy.exp,
    "abs": sympy.Abs, "arcsin": sympy.asin, "arccos": sympy.acos, "arctan": sympy.atan,
    "lg": lambda x: sympy.log(x, 10), "log": lambda x: sympy.log(x, 10), "pi": lambda _: sympy.pi,
}  # fmt: skip


class OutOfTime(BaseException):
    """The processor time of one comparison is used up. Not an Exception: SymPy must not swallow it."""


def build(node: list[Any]) -> sympy.Expr:  # noqa: PLR0911 - a case a return
    """A SymPy expression from a tree."""
    kind = node[0]
    if kind == "num":
        return sympy.Rational(node[1])
    if kind == "sym":
        return sympy.E if node[1] == "e" else sympy.Symbol(node[1], real=True)
    if kind == "fn":
        return _FUNCTIONS[node[1]](build(node[2]))
    if kind == "neg":
        return -build(node[1])
    left, right = build(node[1]), build(node[2])
    if kind == "add":
        return left + right
    if kind == "mul":
        return left * right
    if kind == "div":
        return left / right
    return left**right


def differs(one: sympy.Expr, other: sympy.Expr) -> bool:
    """True if the two have clearly different real values at one of the fixed points."""
    names = sorted(one.free_symbols | other.free_symbols, key=str)
    for shift in range(6 if names else 1):
        point = {name: _POINTS[(shift + 5 * i) % len(_POINTS)] for i, name in enumerate(names)}
        a, b = (sympy.N(side.subs(point), 30) for side in (one, other))
        if a.is_real and b.is_real and a.is_finite and b.is_finite and abs(a - b) > 1e-15 * (1 + abs(a) + abs(b)):
            return True
    return False


def equal(one: sympy.Expr, other: sympy.Expr) -> bool | None:
    """Whether the two are the same for all values of their letters; None if that cannot be shown."""
    if one.has(sympy.nan, sympy.zoo, sympy.oo) or other.has(sympy.nan, sympy.zoo, sympy.oo):
        return None
    if one == other:
        return True
    if differs(one, other):
        return False
    difference = one - other
    for simpler in (sympy.expand, sympy.cancel, sympy.simplify):
        if simpler(difference) == 0:
            return True
    return None


def proportional(one: sympy.Expr, other: sympy.Expr) -> bool | None:
    """Whether one is a nonzero constant times the other (positive for inequalities is left to a person)."""
    ratio = sympy.cancel(one / other) if other != 0 else sympy.nan
    return bool(ratio.is_number and ratio.is_finite and ratio != 0)


def answer(request: dict[str, Any]) -> bool | None:
    """One comparison."""
    compare = {"equal": equal, "proportional": proportional}[request["compare"]]
    return compare(build(request["one"]), build(request["other"]))


def _limit() -> None:
    """Bound memory and the processor time of one request, where the system can."""
    try:
        import resource
        import signal
    except ImportError:  # the parent's clock remains
        return
    with suppress(ValueError, OSError):  # a system that has no such limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))

    def stop(*_: object) -> None:
        raise OutOfTime

    signal.signal(signal.SIGPROF, stop)


def _clock(seconds: float) -> None:
    try:
        import signal

        signal.setitimer(signal.ITIMER_PROF, seconds)
    except (ImportError, AttributeError):
        return


def main() -> None:
    """Serve requests until stdin ends."""
    _limit()
    print("ready", flush=True)
    for line in sys.stdin:
        result: bool | None = None
        try:
            _clock(CPU_SECONDS)
            result = answer(json.loads(line))
        except MemoryError:
            sys.exit(1)  # a fresh process tells whether the request or what came before it was too large
        except (OutOfTime, Exception):  # whatever SymPy cannot do is "cannot tell"
            result = None
        finally:
            _clock(0)
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
