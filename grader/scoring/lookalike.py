"""What is taken for what: characters that look alike, characters that sound alike, slips of the pen.

A near miss is an answer that a marker might accept, or that a reader might have misread. It is never
accepted here; it is shown to a person. One wrong Chinese character that neither looks nor sounds like the
right one (动脉 for 静脉, 氢气 for 氧气) makes another word, so it is no near miss.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache

from grader.records import Character, Transcription

# In any text: a letter for a digit, a sign for a letter, characters a stroke apart.
_ALIKE = (
    "0oO〇", "1lI|丨", "2zZ", "5sS", "8B", "6bG", "9gq", "xX×", "uvV", "nhr", "ceo", "一-—", "二=", "三≡", "十+",
    "日曰目", "己已巳", "未末", "人入八", "大太犬", "土士", "干千于", "天夫", "今令", "午牛", "田由甲申", "贝见",
    "析折拆", "拔拨", "辨辩辫", "侯候", "晴睛", "壁璧", "燥躁噪澡", "竞竟", "历厉", "侧测则", "密蜜", "融蝕蚀",
    "核刻孩", "膜模摸漠", "脉咏泳", "质盾", "酸酶", "线钱浅", "泡胞饱", "棵颗裸", "幅副辐", "茎径经", "叶汁",
    "孢胞", "腺线", "鳃腮", "渗掺", "滤虑", "溶熔融", "凝疑", "汽气", "像象", "须需", "杆秆", "藏脏", "弦玄",
)  # fmt: skip
# Handwritten digits and letters that a reader confuses; typed, they are simply different.
_MISREAD = (
    "17", "14", "38", "35", "56", "49", "06", "27", "79", "08", "B8", "D0O", "AH4", "CG", "EF", "UV", "MN", "PR", ".,",
    "·.", "+十t", "-一", "/1", "xX×", "(C", "2Z", "5S", "6b", "9gq", "uμ", "mn", "vr", "qa", "1lI|]", "3E", "8BE", "BD",
)  # fmt: skip


def _partners(groups: tuple[str, ...]) -> dict[str, frozenset[str]]:
    partners: dict[str, set[str]] = {}
    for group in groups:
        for one in group:
            partners.setdefault(one, set()).update(set(group) - {one})
    return {one: frozenset(others) for one, others in partners.items()}


_PARTNERS = _partners(_ALIKE)
_READINGS = _partners((*_ALIKE, *_MISREAD))


@lru_cache(maxsize=8192)
def _sounds(character: str) -> frozenset[str]:
    from pypinyin import Style, pinyin

    return frozenset(pinyin(character, style=Style.NORMAL, heteronym=True)[0])


def confusable(one: str, other: str) -> bool:
    """True for two characters that look alike, or Chinese characters that sound alike."""
    if other in _PARTNERS.get(one, ()):
        return True
    return _han(one) and _han(other) and bool(_sounds(one) & _sounds(other))


def mistaken_for(character: str) -> frozenset[str]:
    """What a reader of handwriting may take a character for."""
    return _READINGS.get(character, frozenset())


def near(text: str, answer: str) -> bool:
    """True if normalised `text` is almost the normalised `answer`, and not the same."""
    if not text or text == answer:
        return False
    if len(text) == len(answer) and all(a == b or confusable(a, b) for a, b in zip(text, answer, strict=True)):
        return True
    if len(answer) >= 2 and answer in text and not _number_grows(text, answer):
        return True
    if _han(answer) and len(text) <= 3 and text.startswith(answer):  # 能够 for 能
        return True
    return _han_slip(text, answer) if any(map(_han, answer)) else _latin_slip(text, answer)


def _latin_slip(text: str, answer: str) -> bool:
    """An edit in a word of four letters or more, two from eight on; a part of a term; a superscript that
    was not raised. Numbers have no slips: 13 is not almost 12."""
    if text.replace("^", "") == answer.replace("^", ""):
        return True
    if any(c.isdigit() for c in answer + text) or len(answer) < 4:
        return False
    if text in answer and len(text) >= 3 and len(text) * 2 >= len(answer):  # membrane for cell membrane
        return True
    return distance(text, answer, 2) <= (1 if len(answer) < 8 else 2)


def _number_grows(text: str, answer: str) -> bool:
    """12 in 312 or 125 is another number."""
    start = text.index(answer)
    before, after = text[start - 1 : start], text[start + len(answer) :][:1]
    return (before.isdigit() and answer[0].isdigit()) or (after.isdigit() and answer[-1].isdigit())


def _han_slip(text: str, answer: str) -> bool:
    """A character left out of or added to an answer of three or more, or two neighbours exchanged."""
    if abs(len(text) - len(answer)) == 1 and min(len(text), len(answer)) >= 2:
        return distance(text, answer, 1) <= 1
    swapped = len(text) == len(answer) >= 2 and sorted(text) == sorted(answer)
    if swapped and distance(text, answer, 1) <= 1:
        return True
    return len(text) >= 2 and len(text) * 2 >= len(answer) and answer.startswith(text)


def distance(one: str, other: str, limit: int) -> int:
    """Edits between two texts with exchanges of neighbours (optimal string alignment); limit + 1 if more."""
    if abs(len(one) - len(other)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
    return min(row[-1], limit + 1)


def readings(transcription: Transcription, below: float, most: int = 64) -> Iterator[str]:
    """Other texts that the handwriting could be: each doubtful character (confidence below `below`) that
    has look-alikes replaced by each of them, in all combinations up to `most`."""
    characters: list[Character] = []
    for line in transcription.lines:
        characters += [Character("\n", 1.0)] * bool(characters) + list(line.characters)
    if "".join("".join(c.text for c in characters).split()) != "".join(transcription.text.split()):
        return  # the text was corrected after reading: characters and text no longer belong together
    choices = [(c.text, *sorted(_READINGS.get(c.text, ()))) if c.confidence < below else (c.text,) for c in characters]
    combinations = itertools.product(*choices)
    next(combinations, None)  # the text as read
    yield from ("".join(parts) for parts in itertools.islice(combinations, most))


def doubtful_at(transcription: Transcription, text: str, answer: str, below: float) -> bool:
    """True if `text` differs from `answer` in one place, and the reader doubted a character there."""
    if len(text) != len(answer) or transcription.text.strip() != text:
        return False
    places = [i for i, (a, b) in enumerate(zip(text, answer, strict=True)) if a != b]
    characters = [c for line in transcription.lines for c in line.characters]
    if len(places) != 1 or len(characters) != len(text):
        return False
    return characters[places[0]].confidence < below


def _han(character: str) -> bool:
    return len(character) == 1 and "㐀" <= character <= "鿿"
