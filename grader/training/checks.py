"""Is the data fit to learn from? Checked before every training run, on all splits of its sets.

What makes a run refuse: rows that no scorer can learn from (no reference, a score outside its scale), a split
whose questions were promised to be unseen but stand in the training part, contradictions beyond what tired markers
produce, and phrases that buy marks across questions though no question or reference speaks of them (poisoned triggers,
Wallace et al. 2021). Everything else is reported and stays: public sets hold some repeated and some oddly marked
answers, and figures are compared with those of others on the same rows.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field

from grader.errors import UsageError
from grader.scoring.text import look
from grader.scoring.triage import control_text
from grader.training.rows import Row

PASS = 0.6  # share of the maximum that counts as right where phrases are weighed
APART = 0.5  # of the scale: marks of one text that differ by this much contradict each other
CONTRADICTING_MOST = 0.05  # of a set's training rows
UNSEEN = ("UQ", "UD")  # splits that promise new questions
KNOWN_MOST = 0.25  # of such a split; in Beetle 60 of its 819 rows ask a question of the training part under another id
LONGEST = 3  # tokens of a phrase
QUESTIONS_LEAST, ROWS_LEAST = 3, 8  # in which a phrase must stand to be a trigger
REPORTED, TRIGGER = 6.0, 9.0  # decimal digits by which chance cannot explain the marks of a phrase


@dataclass(frozen=True)
class Trigger:
    """A phrase that goes with a mark across questions. pmi: bits by which passing (below 0: failing) is likelier with
    it than without it; digits: -log10 of a bound on the probability of that by chance; strange: a word of it stands
    in no question or reference at all, as in triggers that poison a set, and hardly ever in what students learn."""

    phrase: str
    rows: int
    questions: int
    passed: int
    pmi: float
    digits: float
    strange: bool

    @property
    def buys_marks(self) -> bool:
        return self.strange and self.passed == self.rows and self.digits >= TRIGGER


@dataclass(frozen=True)
class SetReport:
    """Counts of one set. leaked: split → test rows whose question and text stand in the training part; known:
    split → rows whose question does, though it is promised unseen."""

    train: int
    empty: int
    without_reference: int
    out_of_scale: int
    between_steps: int
    repeated: int
    contradicting: int
    addressed: int
    sizes: dict[str, int] = field(default_factory=dict)
    leaked: dict[str, int] = field(default_factory=dict)
    known: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """What the checks found. refusals: why a run must not start, empty if nothing."""

    sets: dict[str, SetReport]
    triggers: tuple[Trigger, ...]
    refusals: tuple[str, ...]

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1) + "\n"

    def refuse(self) -> None:
        """Raises UsageError if anything forbids training."""
        if self.refusals:
            raise UsageError("the data is not fit to learn from: " + "; ".join(self.refusals), "mend or drop the rows")


def check(rows: Sequence[Row]) -> Report:
    """Check rows of every split of one or more sets."""
    by_set: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_set[row.source].append(row)
    found = {name: _set_report(own) for name, own in by_set.items()}
    suspicious = tuple(triggers([row for row in rows if row.split == "train"]))
    return Report(found, suspicious, tuple(_refusals(found, suspicious)))


def _refusals(found: dict[str, SetReport], suspicious: Iterable[Trigger]) -> Iterator[str]:
    for name, one in found.items():
        if one.without_reference:
            yield f"{name}: {one.without_reference} training rows have no reference"
        if one.out_of_scale:
            yield f"{name}: {one.out_of_scale} scores lie outside their scale"
        if one.contradicting > CONTRADICTING_MOST * one.train:
            yield f"{name}: {one.contradicting} of {one.train} rows contradict a row with the same text"
        for split, count in one.known.items():
            if count > KNOWN_MOST * one.sizes[split]:
                yield f"{name}: the questions of {count} rows of {split} stand in the training part"
    for trigger in suspicious:
        if trigger.buys_marks:
            where = f"{trigger.rows} rows of {trigger.questions} questions"
            yield f"the phrase {trigger.phrase!r} buys marks in {where} that do not speak of it"


def _set_report(rows: Sequence[Row]) -> SetReport:
    train = [row for row in rows if row.split == "train"]
    tests = [row for row in rows if row.split != "train"]
    said = [row for row in train if _plain(row.text)]
    by_text: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in said:
        by_text[row.group, _plain(row.text)].append(row.score)
    asked = {(_plain(row.question), tuple(map(_plain, row.references))) for row in train}
    leaked = Counter[str](row.split for row in tests if (row.group, _plain(row.text)) in by_text)
    known = Counter[str](
        row.split
        for row in tests
        if row.split in UNSEEN and (_plain(row.question), tuple(map(_plain, row.references))) in asked
    )
    return SetReport(
        train=len(train),
        empty=len(train) - len(said),
        without_reference=sum(not any(map(_plain, row.references)) for row in train),
        out_of_scale=sum(not 0 <= row.score <= 1 for row in rows),  # also true of nan
        between_steps=sum(abs(row.score * row.top - round(row.score * row.top)) > 1e-6 for row in _in_scale(train)),
        repeated=sum(len(scores) - 1 for scores in by_text.values()),
        contradicting=sum(len(scores) for scores in by_text.values() if max(scores) - min(scores) >= APART),
        addressed=sum(control_text(row.text) for row in said),
        sizes=dict(Counter(row.split for row in rows)),
        leaked=dict(leaked),
        known=dict(known),
    )


def _in_scale(rows: Iterable[Row]) -> Iterator[Row]:
    return (row for row in rows if 0 <= row.score <= 1)


def _plain(text: str) -> str:
    """The text as far as a scorer tells texts apart."""
    return " ".join(look(text).text.split())


def triggers(rows: Sequence[Row]) -> list[Trigger]:
    """Phrases that neither the question nor a reference of their rows holds, whose rows pass (or fail) far more
    often than other answers to the same questions; the least likely by chance first."""
    rows = [row for row in rows if 0 <= row.score <= 1]
    known: dict[tuple[str, tuple[str, ...]], frozenset[str]] = {}
    seen: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        key = (row.group, row.references)
        if key not in known:
            known[key] = frozenset().union(*(phrases(text) for text in (row.question, *row.references)))
        for phrase in phrases(row.text) - known[key]:
            seen[phrase].append(place)
    spoken = frozenset().union(*known.values())
    often = {phrase: places for phrase, places in seen.items() if len(places) >= ROWS_LEAST}
    tried = math.log10(max(1, len(often)))
    tally = _tally(rows)
    found = (_trigger(phrase, [rows[n] for n in places], tally, tried, spoken) for phrase, places in often.items())
    kept = [one for one in found if one.questions >= QUESTIONS_LEAST and one.digits >= REPORTED]
    return sorted(kept, key=lambda one: (-one.digits, one.phrase))


def phrases(text: str) -> frozenset[str]:
    """Every run of one to three tokens within a text (Chinese: of two or three characters)."""
    tokens = [(token.text, token.cjk) for token in look(text).tokens]
    found = set()
    for start, (first, chinese) in enumerate(tokens):
        if not chinese:
            found.add(first)
        phrase, before = first, chinese
        for following, also in tokens[start + 1 : start + LONGEST]:
            phrase += following if before and also else f" {following}"
            before = also
            found.add(phrase)
    return frozenset(found)


def _strange(phrase: str, spoken: frozenset[str]) -> bool:
    """True if a word of the phrase (Chinese: a pair of characters) stands in no question or reference at all."""
    pieces = phrase.split()
    words = [piece for piece in pieces if piece[0] < "\u3400"]
    pairs = [piece[n : n + 2] for piece in pieces if piece[0] >= "\u3400" for n in range(len(piece) - 1)]
    return any(unit not in spoken for unit in (*words, *pairs))


def _tally(rows: Iterable[Row]) -> Counter[tuple[str, bool]]:
    """How many answers to each question passed, and how many did not."""
    return Counter((row.group, row.score >= PASS) for row in rows)


def _trigger(
    phrase: str, rows: Sequence[Row], tally: Counter[tuple[str, bool]], tried: float, spoken: frozenset[str]
) -> Trigger:
    """Its rows beside the answers to the same questions that do not hold it (their rate drawn a little towards one
    half, so that none is 0 or 1)."""
    own, count = _tally(rows), len(rows)
    expected = 0.0
    for group, size in Counter(row.group for row in rows).items():
        right, wrong = (tally[group, passed] - own[group, passed] for passed in (True, False))
        expected += size / count * (right + 1) / (right + wrong + 2)
    passed = sum(row.score >= PASS for row in rows)
    share = passed / count
    # Chernoff: the probability of such a share is at most 2 ** (-count * divergence); by Hoeffding 1956 also where
    # the rows have rates of their own
    divergence = _term(share, expected) + _term(1 - share, 1 - expected)
    digits = max(0.0, count * divergence * math.log10(2) - tried)
    pmi = math.log2(share / expected) if share >= expected else -math.log2((1 - share) / (1 - expected))
    questions = len({row.group for row in rows})
    return Trigger(phrase, count, questions, passed, round(pmi, 3), round(digits, 2), _strange(phrase, spoken))


def _term(share: float, expected: float) -> float:
    return share * math.log2(share / expected) if share > 0 else 0.0
