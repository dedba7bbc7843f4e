"""Choice and multiple choice: letters against letters; case, order and separators do not matter."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from grader.exam.exam import ChoiceItem, MultiChoiceItem
from grader.scoring.verdict import Verdict

_SEPARATORS = re.compile(r"[\s,，、.。．;；:：/()（）\[\]【】+&和]+")
_LEAD = re.compile(r"^(?:答案?|选择?|answer|ans)\s*(?:是|is)?[\s:：]*", re.IGNORECASE)
_TICK, _CROSS = "√✓✔☑对T", "×✗✘✖☒错XF"


def score_choice(item: ChoiceItem, text: str) -> Verdict:
    """Full mark for the answer, else 0; two different options are flagged."""
    chosen, strange = _chosen(text, item.options)
    if strange:
        return Verdict(None, "rule:choice/1", ("out_of_alphabet",))
    if len(chosen) > 1:
        return Verdict(0.0, "rule:choice/1", ("multiple_marks",))
    return Verdict(item.max_mark if chosen == set(item.answer) else 0.0, "rule:choice/1")


def score_multi_choice(item: MultiChoiceItem, text: str) -> Verdict:
    """Full mark for the exact set, `partial.subset` for a correct incomplete one, 0 with a wrong option."""
    chosen, strange = _chosen(text, item.options)
    answer = set(item.answer)
    if strange:
        return Verdict(None, "rule:multi_choice/1", ("out_of_alphabet",))
    if chosen == answer:
        mark = item.max_mark
    elif chosen and chosen < answer and item.partial is not None:
        mark = item.partial.subset
    else:
        mark = 0.0
    return Verdict(mark, "rule:multi_choice/1")


@lru_cache(maxsize=4096)
def _chosen(text: str, options: str) -> tuple[frozenset[str], bool]:
    """The options that a text names, and whether it says anything else."""
    # A lead-in is only one if options follow it: with the options TF, or 对错, a word can be the answer.
    bare = _LEAD.sub("", text.strip())
    labels = {_option(c, options) for c in _SEPARATORS.sub("", unicodedata.normalize("NFKC", bare)).upper()}
    return frozenset(labels & set(options)), bool(labels - set(options))


def _option(character: str, options: str) -> str:
    """The option that a character stands for: in right-or-wrong items, ticks and crosses have many shapes."""
    if character in options or len(options) != 2:
        return character
    for shapes in (_TICK, _CROSS):
        if character in shapes:
            return next((option for option in options if option in shapes), character)
    return character
