"""The words printed on answer sheets, in Chinese and English."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SectionKind = Literal["choice", "multi_choice", "written", "short_answer"]


@dataclass(frozen=True)
class Words:
    """Texts with {} places to fill in."""

    subtitle: str
    name: str
    class_: str
    candidate: str
    instructions: str
    rules: tuple[str, ...]
    rules_short: tuple[str, ...]
    right: str
    wrong: str
    section: dict[SectionKind, str]
    each: str
    total: str
    marks: str
    mark: str
    page: str
    stay_inside: str
    keep_clear: str
    end: str

    def marks_note(self, value: float) -> str:
        """How many marks an item carries."""
        return (self.mark if value == 1 else self.marks).format(amount(value))


ZH = Words(
    subtitle="答 题 卡",
    name="姓　名",
    class_="班　级",
    candidate="考 生 号",
    instructions="注意事项",
    rules=(
        "1. 答题前请填写姓名、班级，并填写、填涂考生号。",
        "2. 选择题用 2B 铅笔填涂，修改时用橡皮擦干净。",
        "3. 其他题用黑色签字笔写在方框内，框外无效。",
        "4. 保持卡面清洁，不折叠，不遮挡四角标记和二维码。",
    ),
    rules_short=(
        "1. 每一页都要填涂考生号。",
        "2. 请在方框内作答，超出方框的答案无效。",
        "3. 不遮挡四角标记和二维码。",
    ),
    right="正确填涂",
    wrong="错误填涂",
    section={
        "choice": "单项选择题",
        "multi_choice": "多项选择题",
        "written": "填空题",
        "short_answer": "解答题",
    },
    each="每题 {} 分",
    total="共 {} 分",
    marks="{} 分",
    mark="{} 分",
    page="第 {} 页　共 {} 页",
    stay_inside="请在各题方框内作答，超出方框的答案无效",
    keep_clear="请勿在此区域作答",
    end="答题区到此结束",
)

EN = Words(
    subtitle="ANSWER SHEET",
    name="Name",
    class_="Class",
    candidate="Candidate number",
    instructions="Instructions",
    rules=(
        "1. Write your name, class and candidate number; fill in its bubbles.",
        "2. Fill bubbles with a soft pencil. Erase fully to change an answer.",
        "3. Write other answers in black ink inside the boxes.",
        "4. Keep the corner marks and the square code clean and flat.",
    ),
    rules_short=(
        "1. Fill in your candidate number on every page.",
        "2. Answers outside the boxes are not marked.",
        "3. Keep the corner marks and the square code clean.",
    ),
    right="Like this",
    wrong="Not like this",
    section={
        "choice": "Choose one answer",
        "multi_choice": "Choose all correct answers",
        "written": "Words and numbers",
        "short_answer": "Written answers",
    },
    each="{} each",
    total="{} marks",
    marks="{} marks",
    mark="{} mark",
    page="Page {} of {}",
    stay_inside="Write inside the boxes; anything outside is not marked",
    keep_clear="Do not write in this area",
    end="End of the answer area",
)

_NUMERALS = "一二三四五六七八九十"
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")


def words_of(language: str) -> Words:
    """The words of "zh" or "en"."""
    return ZH if language == "zh" else EN


def numeral(number: int, language: str) -> str:
    """The number of a section, as exams print it: 一、 or A."""
    if number > len(_NUMERALS):
        return f"{number}. "
    return f"{_NUMERALS[number - 1]}、" if language == "zh" else f"{_ROMAN[number - 1]}. "


def amount(value: float) -> str:
    """A number of marks without a needless decimal point."""
    return f"{value:g}"
