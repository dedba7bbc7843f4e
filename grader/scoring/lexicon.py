"""Small word lists for contradiction cues: opposites and verdicts, Chinese and English."""

from __future__ import annotations

import re

from grader.scoring.text import View, stem

_PAIRS_EN = (
    "increase/decrease more/less high/low higher/lower rise/fall up/down hot/cold hotter/colder warm/cool "
    "warmer/cooler open/closed open/close "
    "connected/disconnected series/parallel positive/negative same/different fast/slow "
    "faster/slower big/small large/small larger/smaller bigger/smaller long/short longer/shorter heavy/light "
    "heavier/lighter "
    "strong/weak stronger/weaker hard/soft harder/softer true/false on/off "
    "gain/lose give/take inside/outside before/after first/last all/none always/never complete/incomplete "
    "expand/contract melt/freeze evaporate/condense float/sink attract/repel absorb/reflect thick/thin "
    "equal/unequal maximum/minimum linear/nonlinear public/private static/dynamic early/late "
    "earlier/later above/below near/far wet/dry loud/quiet push/pull male/female lit/off"
)
_PAIRS_ZH = (
    "增加/减少 增大/减小 升高/降低 上升/下降 变大/变小 变多/变少 提高/降低 增强/减弱 相同/不同 相同/相反 一致/相反 "
    "吸收/释放 吸热/放热 氧化/还原 酸性/碱性 顺序/随机 先进/后进 线性/非线性 正比/反比 正确/错误 有利/不利 优点/缺点 "
    "加快/减慢 加速/减速 快/慢 高/低 大于/小于 多于/少于 膨胀/收缩 熔化/凝固 蒸发/凝结 内部/外部 之前/之后 开始/结束 "
    "连续/离散 静态/动态 集中/分散 直接/间接 必须/可选 显著/不显著 拒绝/接受 有序/无序 稳定/不稳定 引力/斥力 正极/负极"
)


def _opposites() -> dict[str, frozenset[str]]:
    table: dict[str, set[str]] = {}
    english = [tuple(map(stem, pair.split("/"))) for pair in _PAIRS_EN.split()]
    for one, two in [*english, *(tuple(pair.split("/")) for pair in _PAIRS_ZH.split())]:
        table.setdefault(one, set()).add(two)
        table.setdefault(two, set()).add(one)
    return {word: frozenset(others) for word, others in table.items()}


def _surface() -> dict[str, str]:
    """Written word → its opposite in the same form: increases → decreases."""
    table: dict[str, str] = {}
    for one, two in (pair.split("/") for pair in f"{_PAIRS_EN} {_PAIRS_ZH}".split()):
        forms = [(one, two)]
        if one.isascii() and len(one) > 3 and not one.endswith("er"):
            forms += [(_inflected(one, end), _inflected(two, end)) for end in ("s", "ed", "ing")]
        for mine, theirs in forms:
            table.setdefault(mine, theirs)
            table.setdefault(theirs, mine)
    return table


def _inflected(word: str, end: str) -> str:
    return (word.removesuffix("e") if end != "s" else word) + end


OPPOSITES = _opposites()
SURFACE = _surface()
_CHINESE = tuple(word for word in OPPOSITES if ord(word[0]) >= 0x3400)

_YES = re.compile(r"^\W*(?:yes|true|correct|right|是的?|对的?|正确|可以|能|会)(?:$|[\s\W])")
_NO = re.compile(r"^\W*(?:no|false|incorrect|wrong|不是|不对|错误?的?|不正确|不可以|不能|不会|否)(?:$|[\s\W])")


def cues(view: View) -> frozenset[str]:
    """The words of the table that occur in a text and are not negated there."""
    english = {token.text for token in view.tokens if not token.cjk and not token.negated and token.text in OPPOSITES}
    chinese = {word for word in _CHINESE if word in view.text}
    return frozenset(english) | {one for one in chinese if not any(one != other and one in other for other in chinese)}


def opposed(answer: frozenset[str], reference: frozenset[str]) -> int:
    """How many words of the reference meet their opposite in the answer, where the answer lacks the word."""
    return sum(word not in answer and bool(OPPOSITES[word] & answer) for word in reference)


def verdict(view: View) -> int:
    """1 if the text opens by affirming, -1 by denying, 0 with neither."""
    return -1 if _NO.match(view.text) else int(bool(_YES.match(view.text)))
