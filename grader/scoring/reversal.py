"""Does an answer say the opposite of what a reference says? By rule, clause beside clause, Chinese and English.

A clause of the answer is laid beside the clause of a reference that shares most content with it. Where exactly one
of them is negated, or one has a word whose opposite stands in the other ("加快", "减慢"), they contradict. Two turns
cancel out, in a clause or in a sentence ("越高，越快" and "越低，越慢" say the same). The measure is how much of the
two is otherwise alike, times how much of its text either is, so that a limit can be set on it: long texts hold alike
clauses by chance (cf. the negation and antonym cues of de Marneffe, Rafferty & Manning 2008, Finding contradictions
in text).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from grader.scoring.features import Weights
from grader.scoring.lexicon import OPPOSITES
from grader.scoring.text import NEGATION_EN, View, look

_LEAST = 2  # units that two clauses share besides what turns them
_NEARLY = 0.6  # of the likeness of the closest clause: another that is so close may speak for the answer
_MOST = 64  # clauses of a text that are looked at: each is laid beside each
_ENDS = "。.；;!！?？\n"
_CHINESE = re.compile("|".join(sorted((word for word in OPPOSITES if ord(word[0]) >= 0x3400), key=len, reverse=True)))
_NEGATING = NEGATION_EN | frozenset("不没无非未勿别否有") | frozenset(("do", "doe", "did"))


def _one_word() -> dict[str, str]:
    """Word → one of all the words that it is joined to by opposites, the same for each of them."""
    found: dict[str, str] = {}
    for word in sorted(OPPOSITES):
        joined, waiting = set[str](), {word}
        while waiting:
            joined |= waiting
            waiting = set[str]().union(*(OPPOSITES[one] for one in waiting)) - joined
        found[word] = min(joined)
    return found


_ONE_WORD = _one_word()


@dataclass(frozen=True)
class _Clause:
    """content: its words and Chinese bigrams without negations, opposites taken as one word; turning: the words that
    have opposites; denied: negations are odd; sentence: its number; size: its share of the text, in tokens."""

    content: frozenset[str]
    turning: frozenset[str]
    denied: bool
    sentence: int
    size: float


@dataclass(frozen=True)
class Reversal:
    """share: 0 to 1, the F1 of the content that two contradicting clauses share, weighed by how rare its words are,
    times the greater of their shares of the answer and of the reference; 0 where no clause of the answer contradicts
    the clause it is closest to. unsaid: the same, where another clause of the answer agrees with that clause: a right
    statement beside its opposite."""

    share: float = 0.0
    unsaid: float = 0.0


def reversal(answer: View, references: Sequence[View], weights: Weights) -> Reversal:
    """What of the references the answer says the opposite of, by its worst clause."""
    theirs = [clause for reference in references for clause in clauses(reference)]
    own = clauses(answer)
    found = [Reversal()]
    by_word: dict[int, list[Reversal]] = {}  # of each sentence, the clauses that an opposite turns
    for mine in own:
        share, against, turns, denied = _against(mine, theirs, weights)
        if against is None or (turns + denied) % 2 == 0:
            continue
        agreed = any(_agrees(other, against, _NEARLY * _alike(mine, against, weights), weights) for other in own)
        one = Reversal(share, share if agreed else 0.0)
        if turns:
            by_word.setdefault(mine.sentence, []).append(one)
        else:
            found.append(one)
    found += [one for turned in by_word.values() if len(turned) % 2 for one in turned]
    return Reversal(max(one.share for one in found), max(one.unsaid for one in found))


def _agrees(one: _Clause, other: _Clause, least: float, weights: Weights) -> bool:
    return _alike(one, other, weights) >= least and sum(_turns(one, other)) % 2 == 0


def _against(mine: _Clause, theirs: Sequence[_Clause], weights: Weights) -> tuple[float, _Clause | None, int, int]:
    """(likeness times size, the closest clause, turns by a word, turns by a negation); no clause where none is alike
    or another one that is nearly as close agrees."""
    alike = sorted(((_alike(mine, other, weights), -place) for place, other in enumerate(theirs)), reverse=True)
    if not alike or not alike[0][0]:
        return 0.0, None, 0, 0
    nearest, place = alike[0]
    closest = theirs[-place]
    turns = [_turns(mine, theirs[-place]) for share, place in alike if share >= _NEARLY * nearest]
    if any(sum(one) % 2 == 0 for one in turns):
        return 0.0, None, 0, 0
    return nearest * max(mine.size, closest.size), closest, *turns[0]


def _turns(one: _Clause, other: _Clause) -> tuple[int, int]:
    """(1 if an odd number of words stands against its opposite, 1 if one of the two is negated)."""
    words = sum(word not in one.turning and bool(OPPOSITES[word] & one.turning) for word in other.turning)
    return words % 2, int(one.denied != other.denied)


@lru_cache(maxsize=256)  # references and criteria come again with every answer; an answer, with every criterion
def clauses(view: View) -> tuple[_Clause, ...]:
    """The first clauses of a text that hold a token."""
    found, sentence = [], 0
    for start, end in view.clauses[:_MOST]:
        found.append(_clause(view.part(start, end), sentence, len(view.tokens)))
        sentence += view.text[end - 1] in _ENDS
    return tuple(found)


def _clause(view: View, sentence: int, tokens: int) -> _Clause:
    turning = set(_CHINESE.findall(view.text)) | {one.text for one in view.tokens if not one.cjk}
    alike = look(_CHINESE.sub(lambda found: _ONE_WORD[found[0]], view.text))
    kept = [token for token in alike.tokens if token.text not in _NEGATING]
    content = {_ONE_WORD.get(token.text, token.text) for token in kept if not token.cjk}
    content |= {one.text + two.text for one, two in pairwise(kept) if one.cjk and two.cjk}
    denied = view.negations % 2 == 1
    return _Clause(
        frozenset(content), frozenset(turning & OPPOSITES.keys()), denied, sentence, len(view.tokens) / tokens
    )


def _alike(one: _Clause, other: _Clause, weights: Weights) -> float:
    shared = one.content & other.content
    if len(shared) < _LEAST:
        return 0.0
    return 2 * weights.sum(shared) / (weights.sum(one.content) + weights.sum(other.content))
