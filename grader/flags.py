"""The one list of reasons: why a person must look (flags) and why a page was not read (ledger reasons).

A flag is a short stable code in files and the store, and words in Chinese and English for people.
Adding a reason means adding a row here; an unknown code is an error, so no stage can invent one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Stage = Literal["intake", "registration", "marks", "identity", "ocr", "scoring", "run"]


@dataclass(frozen=True)
class Flag:
    """`blocks`: with this flag an answer cannot be final without a person."""

    code: str
    stage: Stage
    en: str
    zh: str
    blocks: bool = True


_ROWS = (
    # intake: why a file or page was not read
    Flag("empty_file", "intake", "the file is empty", "文件为空"),
    Flag("not_an_image", "intake", "not an image or a PDF", "不是图片或 PDF"),
    Flag("unsupported_kind", "intake", "a kind of picture that is not read", "不支持的图片格式"),
    Flag("truncated", "intake", "the file is cut off or damaged", "文件被截断或损坏"),
    Flag("encrypted", "intake", "the PDF needs a password", "PDF 已加密"),
    Flag("too_large", "intake", "the image is larger than allowed", "图片尺寸过大"),
    Flag("too_small", "intake", "too few pixels to read", "像素太少，无法识读"),
    Flag("blurred", "intake", "too blurred to read", "图像模糊"),
    Flag("too_dark", "intake", "too dark to read", "图像过暗"),
    Flag("low_contrast", "intake", "too little contrast to read", "对比度过低"),
    Flag("blank_page", "intake", "nothing is on the page", "空白页"),
    Flag("cropped", "intake", "part of the page is outside the picture", "页面未拍全"),
    Flag("unreadable_file", "intake", "the file cannot be opened", "文件无法打开"),
    Flag("duplicate_file", "intake", "the same image was already read", "重复的图像"),
    Flag("crashed", "run", "reading this page stopped the worker twice", "读取此页两次使进程中止"),
    Flag("internal_error", "run", "an error inside grader; please report it", "程序内部错误，请反馈"),
    Flag("timed_out", "run", "reading this page took too long", "读取此页超时"),
    Flag("out_of_memory", "run", "reading this page took too much memory", "读取此页占用内存过多"),
    # registration
    Flag("no_fiducials", "registration", "the corner marks were not found", "未找到定位标记"),
    Flag("residual", "registration", "the page does not fit the form closely enough", "页面与版式对不齐"),
    Flag("wrong_form", "registration", "the page belongs to another form", "不是本次考试的答题卡"),
    Flag("code_damaged", "registration", "the page code cannot be read", "页码标识无法识读"),
    # identity
    Flag("identity_unread", "identity", "no candidate number was read", "未读到考生号"),
    Flag("identity_doubtful", "identity", "the candidate number is doubtful", "考生号存疑"),
    Flag("identity_conflict", "identity", "two sources give different candidates", "考生号来源不一致"),
    Flag("identity_unknown", "identity", "the candidate is not on the roster", "考生不在名单中"),
    Flag("duplicate_page", "identity", "this candidate's page was already read", "该考生此页已读取"),
    Flag(
        "duplicate_differs",
        "identity",
        "a second scan of this page gives another answer",
        "同一页的两次扫描结果不同",
    ),
    Flag("missing_page", "run", "the page with this answer is missing", "缺少该题所在页"),
    # mark reading
    Flag("mark_doubtful", "marks", "a mark is neither clearly made nor clearly absent", "填涂不明确"),
    Flag("multiple_marks", "marks", "more marks than the item allows", "多选"),
    Flag("erased", "marks", "a mark seems to have been erased", "疑似擦除"),
    Flag("cancelled", "marks", "a mark seems to have been cancelled", "疑似划去"),
    Flag("field_outside", "marks", "the field lies outside the picture", "区域超出图像"),
    # OCR
    Flag("blank", "ocr", "no answer was written", "未作答", blocks=False),
    Flag("struck_out", "ocr", "writing has been struck out", "有划去的字迹"),
    Flag("ocr_doubtful", "ocr", "the handwriting was read with doubt", "手写识别存疑"),
    Flag("ocr_ambiguous", "ocr", "characters that look alike decide the mark", "易混字符影响得分"),
    Flag("out_of_alphabet", "ocr", "characters that the field does not allow", "含不允许的字符"),
    # plain paper: where an answer is, found by the numbers that the candidate wrote
    Flag("item_not_found", "ocr", "the number of this item was not found on the pages", "页面上未找到题号"),
    Flag("item_doubtful", "ocr", "where this answer begins or ends is doubtful", "答案的起止位置存疑"),
    Flag("item_twice", "ocr", "the number of this item stands more than once", "题号出现多次"),
    Flag("answer_continues", "ocr", "the answer seems to go on on the next page", "答案疑似续写在下一页"),
    # scoring
    Flag("near_miss", "scoring", "almost an accepted answer", "与标准答案接近"),
    Flag("unit_missing", "scoring", "the unit is missing", "缺少单位"),
    Flag("unit_wrong", "scoring", "the unit does not fit the quantity", "单位不符"),
    Flag("not_a_number", "scoring", "no number was recognised", "未识别出数值"),
    Flag("several_answers", "scoring", "several different answers were given", "写了多个不同答案"),
    Flag("unparsed", "scoring", "the expression could not be understood", "表达式无法解析"),
    Flag("model_proposal", "scoring", "a model proposed this mark", "模型建议分", blocks=False),
    Flag("low_confidence", "scoring", "the model is unsure", "模型把握不足"),
    Flag("heads_disagree", "scoring", "two ways of judging the answer disagree", "两种评判方式结果不一致"),
    Flag("unlike_sample", "scoring", "unlike any marked answer of the sample", "与样本中已评答案均不相似"),
    Flag("near_boundary", "scoring", "near the boundary between two marks", "接近分数边界"),
    Flag("copied_question", "scoring", "the answer repeats the question", "照抄题目"),
    Flag("repeats_reference", "scoring", "repeats the reference word for word", "与标准答案逐字相同"),
    Flag("gibberish", "scoring", "not meaningful text", "无意义文本"),
    Flag("off_topic", "scoring", "not about the question", "与题目无关"),
    Flag("wrong_language", "scoring", "written in another language", "作答语言不符"),
    Flag("keyword_list", "scoring", "a list of keywords without statements", "只罗列关键词"),
    Flag("contradiction", "scoring", "contradicts itself", "自相矛盾"),
    Flag("negated_reference", "scoring", "negates the reference", "与标准答案相反"),
    Flag("control_text", "scoring", "text that addresses the marker or the model", "含指令性文字"),
    Flag("too_long", "scoring", "longer than the scorer reads", "超出评分长度"),
    Flag("unknown_item", "scoring", "the exam has no such item", "试卷中没有该题"),
    Flag("unreadable_row", "scoring", "the row of the input cannot be used", "输入行无法使用"),
    Flag("no_scorer", "scoring", "no scorer can mark this item", "没有可用的评分器"),
)

FLAGS: dict[str, Flag] = {flag.code: flag for flag in _ROWS}
_PLACE = {code: number for number, code in enumerate(FLAGS)}


def words(code: str, language: str = "en") -> str:
    """What a flag means, in `language` ("zh" or "en"). Raises KeyError for an unknown code."""
    flag = FLAGS[code]
    return flag.zh if language == "zh" else flag.en


def check(codes: tuple[str, ...]) -> tuple[str, ...]:
    """The codes, in the order of the list above and without repeats. Raises KeyError for an unknown one."""
    return tuple(sorted(set(codes), key=_PLACE.__getitem__)) if codes else ()


def blocking(codes: tuple[str, ...]) -> bool:
    """True if any of the flags keeps an answer from being final without a person."""
    return bool(codes) and any(FLAGS[code].blocks for code in codes)
