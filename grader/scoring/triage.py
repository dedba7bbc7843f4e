"""Why a person should look at a short answer: coded reasons from its text and from the model's doubt.

Pure functions over measurements. Text is data: an answer that addresses the marker or the model is marked like
any other and flagged. Numeric limits come from validation (see `Limits`); rules that need none are stated here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from grader.scoring.features import NAMES, Weights
from grader.scoring.reversal import reversal
from grader.scoring.text import LIMIT, LOOKALIKES, View, look

_PLACE = {name: place for place, name in enumerate(NAMES)}

OCR_DOUBT = 0.80  # reading confidence below which the text itself is in doubt
_REPEAT_LEAST = 12  # tokens; a shorter reference is what anybody would write
_LIST_LEAST = 4
_SENTENCES_MOST = 3
_ROUND_LEAST = 24  # tokens; fewer repeat themselves by chance
_ORDER_LEAST = 6  # tokens; the order of fewer says nothing

_SPECIAL = re.compile(
    r"\[\s*/?\s*(?:sep|cls|mask|pad|unk|inst|bos|eos)\s*\]"
    r"|<\s*/?\s*(?:s|pad|unk|mask|bos|eos|sep|cls|system|user|assistant)\s*>"
    r"|<\|[^|<>]{1,40}\|>|<<\s*/?\s*sys\s*>>",
    re.IGNORECASE,
)
_PROMPT = re.compile(
    r"\b(?:give|award|assign|grant|grade|mark|score|rate)\b[^.\n]{0,40}\b(?:full|maximum|max|perfect|top|highest|all)\b"
    r"[^.\n]{0,12}\b(?:marks?|points?|scores?|grades?|credit)\b"
    r"|\b(?:ignore|disregard|forget)\b[^.\n]{0,30}\b(?:instructions?|rubric|above|previous|prior|question|criteria)\b"
    r"|\b(?:dear|hello|please)\b[^.\n]{0,12}\b(?:teacher|examiner|grader|marker|sir|madam)\b"
    r"|\b(?:you are|act as)\b[^.\n]{0,25}\b(?:grader|marker|examiner|assistant|model|ai)\b"
    r"|\b(?:this|the|my) (?:student['’]?s? )?(?:answer|response) (?:is|as) (?:(?:completely|fully|totally|100%) )?"
    r"(?:correct|right|perfect)\b"
    r"|\b(?:full|maximum|max|top) (?:marks?|points?|scores?|credit)\b[^.\n]{0,12}\b(?:please|thanks?|thank you)\b"
    r"|\bsystem prompt\b|#{3,} ?\w|[\"“'](?:label|score|grade|mark|result)[\"”'] ?:"
    r"|(?:给|打|判|评|赏|求|送)[^。\n]{0,8}(?:满分|高分|全分|及格|分吧)"
    r"|满分(?:答案|谢谢|吧)|(?:按|算|应得)满分|评分结果|阅卷(?:说明|提示)|(?:答案|回答)与(?:标准|参考)答案一致|(?:忽略|无视|忘记|不要管)[^。\n]{0,12}(?:指令|要求|标准|规则|题目|提示|以上|上面)"
    r"|(?:老师|阅卷(?:人|员|老师)?|评卷(?:人|员|老师)?)[^。\n]{0,10}(?:求|请|谢谢|辛苦|您好|你好|高抬贵手|手下留情)"
    r"|(?:求|请|谢谢)[^。\n]{0,4}(?:老师|阅卷|评卷)|(?:本|该|此|这个|我的)(?:答案|回答)(?:是)?(?:完全)?(?:正确|满分)"
    r"|系统提示|你是[^。\n]{0,8}(?:评分|阅卷|助手|模型)",
)
_LATIN = re.compile(r"[A-Za-z]")
_FOREIGN = re.compile(f"[{''.join(LOOKALIKES)}]")
_FORMULA_LEAST = 4  # letters; a shorter word that mixes alphabets is a formula, as in "hν"
_WORD = re.compile(r"[^\W\d_]+")
_SENTENCE = re.compile(r"[.!?;\n]")
_STRETCH = re.compile(r"[^。！？；;!?\n,，:：]+")
_ENUMERATED = 5  # words in a row from which they are a list
_NO_SMALL_PART = 0.1  # of a text, in characters
_SPACED_ZH = re.compile(r"(?<=[\u4e00-\u9fff]) +(?=[\u4e00-\u9fff])")
_INVISIBLE = frozenset("\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u2060\u2061\u2062\u2063\u2064\ufeff\ufffd")

_FUNCTION_WORDS = (
    "a an the is are was were be been being am do does did has have had will would can could should may might must "
    "it its they them their he she his her we our you your i my this that these those of to in on at by for with "
    "from as than then so because if when while which who what where and or but not no there into out up more"
)
_FUNCTION_EN = frozenset(_FUNCTION_WORDS.split())
_FUNCTION_ZH = re.compile(
    r"[的是了在有和与或被把使让就都也则]|因为|所以|可以|需要|能够?|应该?|由于|而且|并且|从而|以及|如果|不会|不能|将|会(?!计|议)"
)


@dataclass(frozen=True)
class Limits:
    """Numbers chosen on held-out questions; the model card gives the rule for each.

    confidence: below it a mark is low_confidence. boundary: probability gap to the next mark.
    """

    confidence: float
    boundary: float
    copied: float
    off_topic: float
    unknown: float
    polarity: float
    both: float
    contradiction: float
    reversed: float
    scrambled: float
    silent: float


@dataclass(frozen=True)
class Measures:
    """What the limits are set on. reversed, unsaid: how alike the two clauses are of which one says the opposite, and
    the same where the answer says both. scrambled: the reference's words out of its order. silent: the share of words
    that make no statement by themselves, in the English sentence that has most of them."""

    copied: float
    recall: float
    topical: float
    unknown: float
    polarity: float
    both: float
    contradiction: float
    reversed: float
    unsaid: float
    scrambled: float
    silent: float


def measure(
    answer: View,
    question: View,
    references: Sequence[View],
    features: Sequence[float],
    opposed: float,
    weights: Weights,
) -> Measures:
    """Measure one answer. opposed: the model's probability that it contradicts the reference."""
    known = question.small.union(*(reference.small for reference in references))
    topic = max((weights.sum(answer.small & view.small) for view in (*references, question)), default=0.0)
    units = answer.large | answer.small
    asked = units & (question.large | question.small)
    recall = float(features[_PLACE["recall"]])
    turned = reversal(answer, references, weights)
    return Measures(
        copied=weights.sum(asked) / weights.sum(units) if units and len(answer.tokens) > 3 else 0.0,
        recall=recall,
        topical=max(topic / max(weights.sum(answer.small), 1e-9), recall),
        unknown=_unknown(answer, known, references, weights),
        polarity=float(features[_PLACE["polarity_mismatch"]]) * recall,
        both=float(features[_PLACE["both_polarities"]]) * recall,
        contradiction=opposed,
        reversed=turned.share,
        unsaid=turned.unsaid,
        scrambled=_scrambled(features) if len(answer.tokens) >= _ORDER_LEAST else 0.0,
        silent=_silent(answer),
    )


def _scrambled(features: Sequence[float]) -> float:
    order, pairs = features[_PLACE["order"]], features[_PLACE["pair_recall"]]
    return float(features[_PLACE["recall"]]) * (1 - float(order)) * (1 - float(pairs))


def _silent(answer: View) -> float:
    if answer.cjk_share > 0.1:
        return 0.0
    sentences = [_WORD.findall(sentence) for sentence in _SENTENCE.split(answer.text)]
    if len(sentences) > _SENTENCES_MOST:  # long answers set out in points are judged as a whole
        sentences = [[word for sentence in sentences for word in sentence]]
    shares = (sum(word not in _FUNCTION_EN for word in words) / len(words) for words in sentences if len(words) > 5)
    return max(shares, default=0.0)


def _unknown(answer: View, known: frozenset[str], references: Sequence[View], weights: Weights) -> float:
    """Share of the answer in units that neither the word table nor the item knows: words, Chinese bigrams."""
    pairs = frozenset[str]().union(*(reference.large for reference in references))
    words = [token.text for token in answer.tokens if not token.cjk and token.text[0].isalpha()]
    bigrams = [pair for pair in answer.large if " " not in pair]
    strange = sum(word not in known and not weights.lists(word) for word in words)
    strange += sum(pair not in pairs and not weights.lists(pair) for pair in bigrams)
    count = len(words) + len(bigrams)
    return strange / count if count > 2 else 0.0


def text_flags(raw: str, answer: View, question: View, references: Sequence[View], language: str) -> list[str]:
    """Reasons that need no measured limit: what the text is made of."""
    found = []
    if control_text(raw):
        found.append("control_text")
    if len(raw.rstrip()) > LIMIT:
        found.append("too_long")
    if not answer.tokens or repeated(answer):
        found.append("gibberish")
    if wrong_language(answer, references, language):
        found.append("wrong_language")
    if any(repeats(answer, reference) for reference in references):
        found.append("repeats_reference")
    if keyword_list(answer, references):
        found.append("keyword_list")
    return found


def model_flags(measures: Measures, limits: Limits) -> list[str]:
    """Reasons measured against validation limits."""
    checks = (
        ("copied_question", measures.copied >= limits.copied),
        ("off_topic", measures.topical <= limits.off_topic),
        ("gibberish", measures.unknown >= limits.unknown),
        ("negated_reference", measures.polarity >= limits.polarity),
        ("keyword_list", measures.scrambled >= limits.scrambled or measures.silent >= limits.silent),
        ("contradiction", measures.both >= limits.both or measures.contradiction >= limits.contradiction),
        ("contradiction", measures.reversed >= limits.reversed),
    )
    return list(dict.fromkeys(code for code, hit in checks if hit))


def control_text(raw: str) -> bool:
    """Prompt-like text, special tokens, invisible or control characters, words of mixed alphabets."""
    head = raw[: 5 * LIMIT]
    if any(map(_invisible, head)):
        return True
    words = [word for word in _WORD.findall(head) if len(word) >= _FORMULA_LEAST]
    if any(_LATIN.search(word) and _FOREIGN.search(word) for word in words):
        return True
    plain = look(head, 5 * LIMIT).text
    return bool(_SPECIAL.search(head) or _SPECIAL.search(plain) or _PROMPT.search(plain))


def _invisible(character: str) -> bool:
    if character in _INVISIBLE:
        return True
    return character not in "\n\r\t\v\f" and unicodedata.category(character) in ("Cc", "Cf", "Co", "Cs")


def repeated(answer: View) -> bool:
    """The same few tokens or the same sentences over and over, or one character held down."""
    if len(answer.tokens) >= _ROUND_LEAST and 3 * max(len(answer.small), len(answer.large)) <= len(answer.tokens):
        return True
    if len(answer.tokens) >= 8 and len(answer.large) <= len(answer.tokens) / 4 and len(answer.small) < 8:
        return True
    return bool(re.search(r"([^\W\d])\1{5,}", answer.text))


def wrong_language(answer: View, references: Sequence[View], language: str) -> bool:
    """Mostly in the other language, though no reference is. Short answers and formulas are left alone."""
    letters = [token for token in answer.tokens if token.cjk or (token.text.isalpha() and len(token.text) > 2)]
    if len(letters) < 4:
        return False
    expected = [reference.cjk_share for reference in references if reference.tokens]
    if language == "zh":
        return answer.cjk_share < 0.15 and all(share > 0.5 for share in expected)
    return answer.cjk_share > 0.5 and all(share < 0.15 for share in expected)


def repeats(answer: View, reference: View) -> bool:
    """Word for word the reference, where that is too long to be chance."""
    ours, theirs = [t.text for t in answer.tokens], [t.text for t in reference.tokens]
    return len(theirs) >= _REPEAT_LEAST and ours == theirs


def keyword_list(answer: View, references: Sequence[View]) -> bool:
    """Mostly content words without the small words that make statements, where every reference has them.

    English: sentences of at least five words without one of them. Chinese, where lists are good style:
    words set apart by blanks, at least four scraps of clauses much shorter than those of any reference, or five or
    more words enumerated ("甲、乙、丙") where no reference enumerates so many.
    """
    if not all(_speaks(reference.text) for reference in references if reference.tokens):
        return False
    if _enumerates(answer) and not any(map(_enumerates, references)):
        return True
    if answer.cjk_share > 0.5:
        scraps = len(answer.clauses) >= _LIST_LEAST and not _speaks(answer.text)
        shorter = all(2 * _pace(answer) <= _pace(reference) for reference in references if reference.tokens)
        return (scraps and shorter) or len(_SPACED_ZH.findall(answer.text)) >= _LIST_LEAST - 1
    sentences = [sentence for sentence in _SENTENCE.split(answer.text) if sentence.strip()]
    silent = [s for s in sentences if len(s.split()) > _LIST_LEAST and not _speaks(s)]
    return 2 * sum(map(len, silent)) > sum(map(len, sentences))


def _enumerates(view: View) -> bool:
    """Whether a stretch that is no small part of the text enumerates words, numbers apart."""
    stretches = (one[0] for one in _STRETCH.finditer(view.text) if len(one[0]) >= _NO_SMALL_PART * len(view.text))
    return any(_is_enumeration(stretch.split("、")) for stretch in stretches)


def _is_enumeration(parts: Sequence[str]) -> bool:
    words = sum(sum(map(str.isalpha, part)) > 1 for part in parts)
    return words >= _ENUMERATED and 2 * words > len(parts)


def _pace(view: View) -> float:
    return len(view.tokens) / max(1, len(view.clauses))


def _speaks(text: str) -> bool:
    return bool(_FUNCTION_ZH.search(text)) or any(word in _FUNCTION_EN for word in _WORD.findall(text))
