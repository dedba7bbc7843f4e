"""School mathematics as people write it, parsed by a small grammar of our own: nothing is ever evaluated here.

    answer     := statement (("," | ";" | "、" | "或" | "or" | "和" | "and") statement)*      (an unordered set)
    statement  := sum ((= | < | > | ≤ | ≥ | ≠) sum)* | "(" sum "," sum ... ")"              (a point)
    sum        := ["-"] product (("+" | "-") product)*
    product    := power (("*" | "/" | nothing) power)*
    power      := atom ["^" exponent]
    atom       := NUMBER ["%"] | LETTER | FUNCTION atom | "√" atom | "(" sum ")" | "|" sum "|"
                | "\\frac" atom atom

Refused, because two readings are possible or because it would be unbounded: 1/2x, x2, towers of powers,
factorials, deep nesting, long texts.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from grader.exam.number import fold

MAX_LENGTH, MAX_DEPTH, MAX_BITS, MAX_EXPONENT = 200, 25, 4096, 60

Node = tuple[Any, ...]  # ("num", "3.2") ("sym", "x") ("add"|"mul"|"div"|"pow", a, b) ("neg", a) ("fn", name, a)

_FUNCTIONS = (
    "arcsin",
    "arccos",
    "arctan",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "log",
    "abs",
    "exp",
    "ln",
    "lg",
    "pi",
)
_TOKEN = re.compile(
    rf"\s*(?:(?P<num>\d+\.?\d*|\.\d+)|(?P<fn>\\?(?:{'|'.join(_FUNCTIONS)}))|(?P<frac>\\[dt]?frac)"
    r"|(?P<sym>[A-Za-zΑ-ω](?:_\{?[0-9A-Za-z]\}?)?)|(?P<op>\*\*|[-+*/^()|√%]))"
)
_LATEX = re.compile(r"\\(?:left|right|,|;|!|displaystyle)")
_FOLDS = (
    ("\\times", "*"), ("\\cdot", "*"), ("\\div", "/"), ("\\pm", "±"), ("\\leq", "≤"), ("\\geq", "≥"),
    ("\\le", "≤"), ("\\ge", "≥"), ("\\neq", "≠"), ("π", "pi"), ("[", "("), ("]", ")"), ("<=", "≤"),
    (">=", "≥"), ("!=", "≠"), ("⩽", "≤"), ("⩾", "≥"), ("≦", "≤"), ("≧", "≥"), ("$", ""),
)  # fmt: skip
_MIXED = re.compile(r"(?<![\w.^/])(\d+)(?:\s+|又\s*)(\d+)\s*/\s*(\d+)(?![\d.])")
_THOUSANDS = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?![\d,])")
_RELATION = re.compile(r"[=<>≤≥≠]")
_SEPARATOR = re.compile(r"[,;、]|或者|或|和|\bor\b|\band\b")
_SUBSCRIPT = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_NAME = re.compile(r"^([A-Za-zΑ-ω])(?:_?\{?[0-9]\}?)?$")


class NotMaths(Exception):
    """The text is outside the grammar or its bounds."""


@dataclass(frozen=True)
class Statement:
    """sides joined by relations; a bare expression has one side; a point has several and no relation.

    name: the letter that a solved equation such as x = 3 or x₁ = 6/2 = 3 names, else ""."""

    sides: tuple[Node, ...]
    relations: tuple[str, ...] = ()
    name: str = ""


@lru_cache(maxsize=4096)
def parse(text: str) -> tuple[Statement, ...]:
    """The statements that a text makes. Raises NotMaths."""
    if len(text) > MAX_LENGTH:
        raise NotMaths("too long")
    text = re.sub("[₀-₉]+", lambda m: "_" + m[0].translate(_SUBSCRIPT), text)
    text = _LATEX.sub("", fold(text)).strip(" .。")
    for written, meant in _FOLDS:
        text = text.replace(written, meant)
    text = _MIXED.sub(r"(\1+\2/\3)", _THOUSANDS.sub(lambda m: m[0].replace(",", ""), text))
    parts = _split(text)
    if not parts or len(parts) > 8:
        raise NotMaths("nothing to read")
    statements = []
    for part in parts:
        signs = ("+", "-") if "±" in part else ("",)
        statements += [_statement(part.replace("±", sign)) for sign in signs]
    return tuple(statements)


def operations(node: Node) -> int:
    """How many operations an expression has: how far it is from a plain value."""
    parts = (part for part in node[1:] if isinstance(part, tuple))
    return (node[0] not in ("num", "sym", "neg")) + sum(map(operations, parts))


def is_fraction(node: Node) -> bool:
    """A plain fraction or mixed number, its sign aside."""
    if node[0] == "neg":
        return is_fraction(node[1])
    if node[0] == "add":
        return node[1][0] == "num" and is_fraction(node[2])
    return node[0] == "div" and node[1][0] == node[2][0] == "num"


def symbols(node: Node) -> set[str]:
    """The letters in an expression."""
    if node[0] == "sym":
        return {node[1]}
    return set().union(*(symbols(part) for part in node[1:] if isinstance(part, tuple)))


def _split(text: str) -> list[str]:
    """The text at its separators outside brackets."""
    parts, depth, start, place = [], 0, 0, 0
    while place < len(text):
        depth += (text[place] in "({") - (text[place] in ")}")
        found = _SEPARATOR.match(text, place) if depth == 0 else None
        if found:
            parts.append(text[start:place])
            start = place = found.end()
        else:
            place += 1
    return [part.strip() for part in [*parts, text[start:]] if part.strip()]


def _statement(text: str) -> Statement:
    sides = [side.strip() for side in _RELATION.split(text)]
    relations = tuple(_RELATION.findall(text))
    if len(sides) > 4:
        raise NotMaths("too many relations")
    if not relations:
        inner = _split(text[1:-1]) if text.startswith("(") and text.endswith(")") else []
        if len(inner) > 1:
            return Statement(tuple(_Parser(side).whole() for side in inner))
        return Statement((_Parser(text).whole(),))
    named = _NAME.match(sides[0])
    if set(relations) == {"="} and named:
        values = tuple(_Parser(side).whole() for side in sides[1:])
        if named[1] not in symbols(values[-1]):
            return Statement((("sym", named[1]), *values), relations, named[1])
    return Statement(tuple(_Parser(side).whole() for side in sides), relations)


class _Parser:
    """Recursive descent over tokens; every node carries a bound on the size of its value."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, str]] = []
        text = text.replace("{", "(").replace("}", ")") if "_" not in text else text
        position = 0
        while text[position:].strip():
            token = _TOKEN.match(text, position)
            if token is None:
                raise NotMaths(f"cannot read {text[position:].strip()[0]!r}")
            kind = str(token.lastgroup)
            self.tokens.append((kind, token[kind].replace("**", "^")))
            position = token.end()
        self.place = self.depth = 0
        self.bars = 0

    def whole(self) -> Node:
        node, bits = self.sum()
        if self.place != len(self.tokens) or bits > MAX_BITS:
            raise NotMaths("cannot read all of it")
        return node

    def peek(self) -> tuple[str, str]:
        return self.tokens[self.place] if self.place < len(self.tokens) else ("end", "")

    def take(self, text: str) -> bool:
        if self.peek() == ("op", text):
            self.place += 1
            return True
        return False

    def need(self, text: str) -> None:
        if not self.take(text):
            raise NotMaths(f"{text} is missing")

    def sum(self) -> tuple[Node, int]:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise NotMaths("nested too deeply")
        negative = self.take("-")
        if not negative:
            self.take("+")
        node, bits = self.product()
        node = ("neg", node) if negative else node
        while self.peek() in (("op", "+"), ("op", "-")):
            sign = self.peek()[1]
            self.place += 1
            other, more = self.product()
            node = ("add", node, other if sign == "+" else ("neg", other))
            bits = max(bits, more) + 1
        self.depth -= 1
        return node, bits

    def product(self) -> tuple[Node, int]:
        node, bits = self.power()
        divided = False
        while True:
            if self.take("*"):
                kind, divided = "mul", False
            elif self.take("/"):
                kind, divided = "div", True
            elif self._another():
                if divided or self.peek()[0] == "num":
                    raise NotMaths("two readings are possible")  # 1/2x, x2, 2 3
                kind = "mul"
            else:
                return node, bits
            negative = kind != "mul" and self.take("-")
            other, more = self.power()
            node = (kind, node, ("neg", other) if negative else other)
            bits += more

    def _another(self) -> bool:
        kind, text = self.peek()
        return kind in ("num", "sym", "fn", "frac") or text in ("(", "√") or (text == "|" and not self.bars)

    def power(self) -> tuple[Node, int]:
        base, bits = self.atom()
        if not self.take("^"):
            return base, bits
        negative = self.take("-")
        exponent, _ = self.atom()
        if self.peek() == ("op", "^") or "pow" in str(exponent):
            raise NotMaths("a tower of powers")
        size = _constant(exponent)
        if size is not None and abs(size) > MAX_EXPONENT:
            raise NotMaths("too large a power")
        bits = int(bits * max(1.0, abs(size or 1.0))) + 1
        if bits > MAX_BITS:
            raise NotMaths("too large a number")
        return ("pow", base, ("neg", exponent) if negative else exponent), bits

    def atom(self) -> tuple[Node, int]:  # noqa: PLR0911 - a case a return
        kind, text = self.peek()
        self.place += 1
        if kind == "num":
            node: Node = ("num", text)
            if self.take("%"):
                node = ("div", node, ("num", "100"))
            return node, 4 * len(text)
        if kind == "sym":
            return ("sym", text.replace("{", "").replace("}", "")), 4
        if kind == "fn":
            return self._function(text.lstrip("\\"))
        if kind == "frac":
            top, bits = self.atom()
            bottom, more = self.atom()
            return ("div", top, bottom), bits + more
        if text == "√":
            inner, bits = self.atom()
            return ("fn", "sqrt", inner), bits
        if text == "(":
            bars, self.bars = self.bars, 0
            node, bits = self.sum()
            self.need(")")
            self.bars = bars
            return node, bits
        if text == "|":
            self.bars += 1
            node, bits = self.sum()
            self.need("|")
            self.bars -= 1
            return ("fn", "abs", node), bits
        raise NotMaths("something is missing")

    def _function(self, name: str) -> tuple[Node, int]:
        if name == "pi":
            return ("fn", "pi", ("num", "0")), 4
        if self.peek() == ("op", "^"):
            raise NotMaths("two readings are possible")  # sin^2 x, sin^-1 x
        argument, bits = self.power() if self.peek()[1] != "(" else self.atom()
        if self.peek()[0] == "sym" and argument[0] == "num":
            self.place += 1  # sin 2x
            argument = ("mul", argument, ("sym", self.tokens[self.place - 1][1]))
        constant = _constant(argument)
        if name == "exp" and constant is not None and abs(constant) > MAX_EXPONENT:
            raise NotMaths("too large a power")
        return ("fn", name, argument), bits + 64


def _constant(node: Node) -> float | None:
    """The value of a plain number or fraction, else None; anything larger counts as too large."""
    if symbols(node):
        return None
    if node[0] == "num":
        return float(node[1])
    if node[0] == "neg":
        inner = _constant(node[1])
        return None if inner is None else -inner
    if node[0] == "div" and node[1][0] == node[2][0] == "num" and float(node[2][1]):
        return float(node[1][1]) / float(node[2][1])
    return float("inf")
