"""What the exam's rules say of a mistake, in Chinese too. The rules speak English (grader.exam); what they cannot
say here is shown as they say it."""

from __future__ import annotations

import re

from grader.homework.drafts import Trouble
from grader.report.words import Language

# pattern of the rule's words (message or remedy) → Chinese
_CHINESE: tuple[tuple[str, str], ...] = (
    (r"there is no item", "还没有题目"),
    (r"write at least one", "请至少填写一题"),
    (r"is missing", "未填写"),
    (r"is empty|nothing is written here|no option is given", "未填写"),
    (r"the answer (.+) is not among the options (.+)", r"答案 \1 不在选项 \2 之中"),
    (r"correct the answer or the options", "请修改答案或选项"),
    (r"a choice has one answer, not '?(.+?)'?", r"单选题只能有一个答案，不能是 \1"),
    (r"give one option, or use type: multi_choice", "请只填一个选项，或改为多选题"),
    (r"'(.+)' cannot be an option", r"\1 不能作为选项"),
    (r"name options by one letter or digit each, such as ABCD", "每个选项用一个字母或数字表示，如 ABCD"),
    (r"name at least one option, such as ABCD", "请至少填写一个选项，如 ABCD"),
    (r"(.+) stands twice", r"\1 重复"),
    (r"name every option once", "每个选项只写一次"),
    (r"subset (.+) is not less than max_mark (.+)", r"少选得分 \1 不小于满分 \2"),
    (r"an incomplete set must earn less than a complete one", "少选得分应低于满分"),
    (r"'(.+)' is not a number", r"\1 不是数值"),
    (
        r"write a number such as 3.2, 1/2 or 3.2×10\^3, and its unit as `unit`",
        "请填写数值，如 3.2、1/2 或 3.2×10^3，单位另填",
    ),
    (r"'(.+)' is not a unit that is known", r"无法识别单位 \1"),
    (r"write it in symbols, such as m/s, kg/m\^3 or 米/秒", "请用符号书写，如 m/s、kg/m^3 或 米/秒"),
    (r"'(.+)' is not a tolerance", r"\1 不是有效的允许误差"),
    (r"write 1%, 0.05 or 0.05 m/s", "请填写 1%、0.05 或 0.05 m/s"),
    (r"a tolerance cannot be negative", "允许误差不能为负"),
    (r"a percentage of 0 accepts nothing else", "答案为 0 时百分比误差没有意义"),
    (r"give the tolerance as a value, such as 0.05", "请填写数值误差，如 0.05"),
    (r"100% or more accepts almost anything", "误差不能达到 100%"),
    (r"give a smaller tolerance", "请减小允许误差"),
    (r"'(.+)' does not fit the unit (.+)", r"误差单位 \1 与单位 \2 不符"),
    (r"give the tolerance in the item's unit", "请使用与本题相同的单位"),
    (r"neither reference_answers nor rubric is given", "参考答案与评分要点均未填写"),
    (r"give at least one reference answer or one criterion", "请至少填写一个参考答案或一个评分要点"),
    (r"the criteria carry (.+) marks, max_mark is (.+)", r"要点分值合计 \1 分，本题 \2 分"),
    (r"raise the marks of the criteria, or lower max_mark", "请提高要点分值，或降低本题分值"),
    (r"make them equal; or add `cap: true` if any of the points will do up to max_mark", "请使两者相等"),
    (r"the id '(.+)' was used before, on line \d+", r"题号 \1 重复"),
    (r"give every item its own id", "每题使用不同的题号"),
    (r"Input should be a valid number.*", "应为数字"),
    (r"write a plain number", "请填写数字"),
    (r"Input should be greater than 0", "应大于 0"),
    (r"write a larger number", "请填写更大的数"),
    (r"Input should be greater than or equal to 0", "不能为负"),
    (r"write a number that is not negative", "请填写非负数"),
    (r"Input should be less than or equal to (.+)", r"不能超过 \1"),
    (r"write a smaller number", "请填写更小的数"),
    (r"control characters are not allowed", "包含控制字符"),
    (r"retype the text", "请重新输入"),
    (r"add it|write something here|write text here|give at least one", "请填写"),
    (r"shorten it|shorten the list", "请缩短"),
)
_COMPILED = tuple((re.compile(pattern), chinese) for pattern, chinese in _CHINESE)


def told(trouble: Trouble, language: Language) -> Trouble:
    """The trouble in the language of whoever mends it."""
    if language == "en":
        return trouble
    return Trouble(trouble.field, _chinese(trouble.message), _chinese(trouble.remedy))


def _chinese(words: str) -> str:
    for pattern, chinese in _COMPILED:
        match = pattern.fullmatch(words)
        if match is not None:
            return match.expand(chinese)
    return words
