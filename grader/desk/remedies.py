"""What a marker does about each flag on an answer, in a sentence; what to do about pages is the report's."""

from __future__ import annotations

from grader.report.words import REMEDIES as PAGES
from grader.report.words import Language

# flag: (English, Chinese)
ANSWERS: dict[str, tuple[str, str]] = {
    "mark_doubtful": ("Look which bubble the candidate meant.", "请看考生意图填涂哪一项。"),
    "multiple_marks": ("Decide by the exam's rule for several marks.", "请按多选规则判定。"),
    "erased": ("Take the mark that was left standing.", "以未被擦除的填涂为准。"),
    "cancelled": ("Take the mark that was not cancelled.", "以未被划去的填涂为准。"),
    "field_outside": ("Ask for a new scan of the whole page, or mark from paper.", "请重新扫描整页，或按原卷评阅。"),
    "blank": ("Check that the box is empty.", "请确认答题区确为空白。"),
    "struck_out": ("Mark what was not struck out.", "请只评未划去的内容。"),
    "ocr_doubtful": ("Read the picture; the text beside it may be wrong.", "请以图为准，识读文本可能有误。"),
    "ocr_ambiguous": ("Look at the characters that look alike.", "请看清易混字符。"),
    "out_of_alphabet": ("Read the picture; a sign was written that the field does not expect.",
                        "请以图为准：出现了该栏不应有的字符。"),
    "near_miss": ("Decide whether it is a slip of the pen.", "请判断是否为笔误。"),
    "unit_missing": ("Decide what the number is worth without its unit.", "请判定缺单位应得几分。"),
    "unit_wrong": ("Compare the unit with the one asked for.", "请核对单位。"),
    "not_a_number": ("Read the number in the picture.", "请在图中读出数值。"),
    "several_answers": ("Decide which answer counts.", "请判定以哪个答案为准。"),
    "unparsed": ("Compare the expression with the answer yourself.", "请自行核对表达式。"),
    "model_proposal": ("Confirm the proposed mark, or correct it.", "请确认或改正建议分。"),
    "low_confidence": ("Mark it yourself; the proposal is a hint at most.", "请自行评分，建议分仅供参考。"),
    "near_boundary": ("Check the criterion that decides between the two marks.", "请核对决定分差的评分点。"),
    "copied_question": ("Give marks only for what goes beyond the question.", "照抄题目部分不给分。"),
    "repeats_reference": ("Check the paper beside it if this happens often.", "如多次出现，请核查雷同。"),
    "gibberish": ("Read the picture: it may be a misreading.", "请以图为准，可能为识读错误。"),
    "off_topic": ("Check that it does not answer the question in other words.", "请确认并非换一种说法作答。"),
    "wrong_language": ("Decide by the exam's rule for the language.", "请按考试语言规定判定。"),
    "keyword_list": ("Give marks only for what is said about the words.", "仅罗列关键词处不给分。"),
    "contradiction": ("Decide which of the statements counts.", "请判定以哪一说法为准。"),
    "negated_reference": ("Read whether it says the opposite.", "请细读是否意思相反。"),
    "control_text": ("Ignore what is addressed to the marker; mark the rest.", "请忽略指令性文字，只评其余内容。"),
    "too_long": ("Read to the end: the model did not.", "请通读全文，模型未读完。"),
    "item_not_found": ("Look through the pages for the answer; give no marks only if there is none.",
                       "请在各页查找该题作答；确无作答再给零分。"),
    "item_doubtful": ("Check that the picture holds the whole answer and no other.", "请确认图中为该题完整作答。"),
    "item_twice": ("Decide which of the places holds the answer.", "请判定以哪一处作答为准。"),
    "answer_continues": ("Read on on the next page before you mark.", "请看完下一页续写部分再评。"),
    "heads_disagree": ("Mark it yourself; the model contradicts itself here.", "模型判断不一致，请自行评分。"),
    "unlike_sample": ("Mark it yourself; no answer like it was marked before.", "与已评样本不同，请自行评分。"),
    "unknown_item": ("Correct the exam file.", "请更正试卷文件。"),
    "unreadable_row": ("Correct the row of the input.", "请更正输入行。"),
    "no_scorer": ("Mark it yourself.", "请自行评分。"),
}  # fmt: skip


def remedy(code: str, language: Language) -> str:
    """What to do, or "" where nothing is known."""
    en, zh = ANSWERS.get(code) or PAGES.get(code, ("", ""))
    return zh if language == "zh" else en
