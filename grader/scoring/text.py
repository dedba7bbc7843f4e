"""How the lexical scorer sees a text: normalised characters, tokens, clauses, polarity. Pure and total:
any Unicode text gives a view, and every span points into the text as it was given.

Text is data: nothing typed by a candidate is ever interpreted; invisible characters are dropped, look-alike
letters of other scripts are read as the Latin ones they imitate.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

LIMIT = 2000  # characters that are read; a short answer of a full page has about 1500

LOOKALIKES = dict(
    zip(
        "аеорсухіјѕһԁɡкмтвнАЕОРСУХІЈЅНКМТВοανρικτΑΒΕΖΗΙΚΜΝΟΡΤΥΧ",
        "aeopcyxijshdgkmtbhAEOPCYXIJSHKMTBoavpiktABEZHIKMNOPTYX",
        strict=True,
    )
)
_LOOKALIKES = str.maketrans(LOOKALIKES)
_CJK = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKEN = re.compile(rf"[{_CJK}]|\d+(?:\.\d+)?|[^\W\d_{_CJK}]+(?:['’][^\W\d_{_CJK}]+)?")
_CLAUSE_END = re.compile(r"[。！？；;!?\n,，、:：()（）]|\.(?!\d)")
_NUMBER = re.compile(r"\d+(?:\.\d+)?")

_NEGATIONS = (
    "not no never none neither nor cannot without nothing hardly isnt arent wasnt werent dont doesnt didnt cant "
    "wont couldnt wouldnt shouldnt hasnt havent hadnt unable fail lack nobody"
)
NEGATION_EN = frozenset(_NEGATIONS.split())
_NEGATION_ZH = re.compile(
    r"不(?![仅但断管论只])|没|无(?!论)|(?<!除)非(?!常)|未|勿|(?<![特区分差级性鉴识])别(?!的|人)|(?<!是)否(?!则)"
)
NEGATION_REACH = 4  # tokens that a negation before them turns, within the clause

# (ending, what takes its place, shortest word that has it), tried in this order
_SUFFIXES = (
    ("ies", "y", 4),
    ("sses", "ss", 5),
    ("es", "e", 4),
    ("s", "", 4),
    ("ing", "", 6),
    ("ed", "", 5),
    ("ly", "", 6),
)


def stem(word: str) -> str:
    """A light English stem: enough to join plural, participle and adverb forms, never across words."""
    for suffix, put, shortest in _SUFFIXES:
        if len(word) >= shortest and word.endswith(suffix) and not word.endswith(("ss", "us", "is")):
            word = word[: -len(suffix)] + put
            if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
                word = word[:-1]
            break
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


@dataclass(frozen=True)
class Token:
    """A Latin word (stemmed), a number or one Chinese character; start, end index the normalised text."""

    text: str
    start: int
    end: int
    cjk: bool
    negated: bool = False


@dataclass(frozen=True, eq=False)
class View:
    """A text as the scorer reads it. text: normalised; origin[i]: where its character i stands in `raw`."""

    raw: str
    text: str
    origin: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The [start, end) of the normalised text as [start, end) of the raw text."""
        return self.origin[start], self.origin[end - 1] + 1

    @property
    def written(self) -> str:
        """The stretch of the raw text that this view is of."""
        return self.raw[self.origin[0] : self.origin[-1] + 1] if self.origin else ""

    @cached_property
    def clauses(self) -> tuple[tuple[int, int], ...]:
        """[start, end) of each clause that holds a token, in the normalised text."""
        bounds = [0, *(match.end() for match in _CLAUSE_END.finditer(self.text)), len(self.text)]
        return tuple((a, b) for a, b in pairwise(bounds) if b > a and _TOKEN.search(self.text, a, b))

    @cached_property
    def tokens(self) -> tuple[Token, ...]:
        """All tokens with their polarity."""
        found: list[Token] = []
        for start, end in self.clauses:
            negations = {match.start() for match in _NEGATION_ZH.finditer(self.text, start, end)}
            last = -NEGATION_REACH - 1
            for place, match in enumerate(_TOKEN.finditer(self.text, start, end)):
                word = match.group().replace("'", "").replace("’", "")
                cjk = len(word) == 1 and ord(word) >= 0x3400
                negated = place - last <= NEGATION_REACH
                if match.start() in negations or word in NEGATION_EN or (word.endswith("nt") and "'" in match.group()):
                    last = place
                found.append(Token(word if cjk else stem(word), match.start(), match.end(), cjk, negated))
        return tuple(found)

    @cached_property
    def clause_units(self) -> tuple[frozenset[str], ...]:
        """The tokens of each clause, in the order of `clauses`."""
        tokens = list(self.tokens)
        units = []
        for _, end in self.clauses:
            count = next((place for place, token in enumerate(tokens) if token.start >= end), len(tokens))
            units.append(frozenset(token.text for token in tokens[:count]))
            del tokens[:count]
        return tuple(units)

    @cached_property
    def negations(self) -> int:
        """How many negations it holds."""
        english = sum(word in NEGATION_EN for word in re.findall(r"[a-z]+", self.text.replace("'", "")))
        return english + len(_NEGATION_ZH.findall(self.text))

    @cached_property
    def small(self) -> frozenset[str]:
        """The tokens as a set: words, and single Chinese characters."""
        return frozenset(token.text for token in self.tokens)

    @cached_property
    def large(self) -> frozenset[str]:
        """Neighbouring pairs within a clause: Chinese bigrams "甲乙" and word pairs "a b"."""
        return frozenset(self._pairs())

    def _pairs(self) -> list[str]:
        return [
            one.text + ("" if one.cjk and two.cjk else " ") + two.text
            for one, two in pairwise(self.tokens)
            if two.start - one.end <= 1
        ]

    @cached_property
    def grams(self) -> frozenset[str]:
        """Character trigrams of words (with edges) and Chinese trigrams: tolerant of misspelling."""
        grams: set[str] = set()
        for token in self.tokens:
            if not token.cjk:
                grams |= word_grams(token.text)
        for one, two, three in zip(self.tokens, self.tokens[1:], self.tokens[2:], strict=False):
            if one.cjk and two.cjk and three.cjk and three.start - one.end <= 2:
                grams.add(one.text + two.text + three.text)
        return frozenset(grams)

    @cached_property
    def numbers(self) -> frozenset[str]:
        """Numbers written in digits, without trailing zeros of a fraction."""
        return frozenset(_plain(number) for number in _NUMBER.findall(self.text))

    @cached_property
    def cjk_share(self) -> float:
        """Share of Chinese characters among the letters (a Latin word counts as two, as it says as much)."""
        chinese = sum(token.cjk for token in self.tokens)
        latin = sum(not token.cjk and token.text[0].isalpha() for token in self.tokens)
        return chinese / (chinese + 2 * latin) if chinese + latin else 0.0

    def part(self, start: int, end: int) -> View:
        """The view of a stretch of this text; its spans still point into the same raw text."""
        return View(self.raw, self.text[start:end], self.origin[start:end])


def _plain(number: str) -> str:
    whole, dot, fraction = number.partition(".")
    fraction = fraction.rstrip("0")
    return (whole.lstrip("0") or "0") + (dot + fraction if fraction else "")


@lru_cache(maxsize=8192)
def word_grams(word: str) -> frozenset[str]:
    """Character trigrams of a word with its edges marked."""
    edged = f"#{word}#"
    return frozenset(edged[i : i + 3] for i in range(max(1, len(edged) - 2)))


def look(raw: str, limit: int = LIMIT) -> View:
    """The view of the first `limit` characters of a text (NFKC, case-folded, invisible characters dropped)."""
    characters: list[str] = []
    origin: list[int] = []
    for place, character in enumerate(raw[:limit]):
        for one in _plain_form(character):
            characters.append(one)
            origin.append(place)
    return View(raw, "".join(characters), tuple(origin))


@lru_cache(maxsize=16384)
def _plain_form(character: str) -> str:
    if character in "\n\r\u2028\u2029\v\f":
        return "\n"
    if character.isspace():
        return " "
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Mn", "Me"):
        return ""
    plain = unicodedata.normalize("NFKC", character).translate(_LOOKALIKES).casefold()
    return "".join(one for one in plain if unicodedata.category(one)[0] not in "CM")


def cleaned(raw: str, limit: int = LIMIT) -> str:
    """The first `limit` characters as a network reads them: as in `look`, but capitals and accents stay."""
    return "".join(map(_shown_form, raw[:limit]))


@lru_cache(maxsize=16384)
def _shown_form(character: str) -> str:
    if character in "\n\r\u2028\u2029\v\f":
        return "\n"
    if character.isspace():
        return " "
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn"):
        return ""
    plain = unicodedata.normalize("NFKC", character).translate(_LOOKALIKES)
    return "".join(one for one in plain if unicodedata.category(one)[0] != "C")
