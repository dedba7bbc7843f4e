"""The desk's words in Chinese and English; those that the report has too are the report's."""

from __future__ import annotations

from grader.report.words import WORDS as REPORT
from grader.report.words import Language

# key: (English, Chinese)
WORDS: dict[str, tuple[str, str]] = {
    "desk": ("Marking desk", "评卷台"),
    "marked_by": ("marking as {name}", "评卷人 {name}"),
    "to_do": ("{count} answers wait for a person", "待人工处理 {count} 份作答"),
    "all_done": ("Every answer has a final mark.", "全部作答均已定分。"),
    "go_on": ("Go on marking", "继续评阅"),
    "progress": ("Progress", "进度"),
    "open_here": ("to do", "待处理"),
    "mark_item": ("mark", "评阅"),
    "look_pages": ("Pages that belong to nobody yet", "未匹配页面"),
    "look_pages_note": (
        "{count} pages are unmatched. Whose they are is settled apart from marking, so that marking stays blind.",
        "有 {count} 页未匹配。为保证盲评，身份核对与评分分开进行。",
    ),
    "open_pages": ("Look at the pages", "查看页面"),
    "files": ("Results", "结果文件"),
    "files_note": (
        "Every saved mark is in the store at once. results.csv is written again when the desk closes, or now.",
        "分数保存后立即入库。关闭评卷台时或点击下方按钮时重写 results.csv。",
    ),
    "refresh": ("Write results.csv now", "立即重写 results.csv"),
    "refreshed": ("results.csv is written: {final} of {responses} answers are final.",
                  "results.csv 已写入：{responses} 份作答中 {final} 份已定分。"),
    "item_n": ("Item {item}", "第 {item} 题"),
    "final_note": ("decided by a rule or by a person", "由规则或人工判定"),
    "position": ("{left} to do", "剩余 {left}"),
    "picture": ("The answer as written", "作答原迹"),
    "transcription": ("Transcription", "识读文本"),
    "proposal": ("Proposal", "建议分"),
    "no_proposal": ("no mark is proposed", "没有建议分"),
    "sure": ("confidence {share}", "置信度 {share}"),
    "standing": ("Decided by {name}: {mark}", "{name} 已评：{mark}"),
    "why": ("Why a person looks", "待人工处理的原因"),
    "reference": ("Reference answers", "参考答案"),
    "prompt": ("Question", "题目"),
    "answer_is": ("Answer", "标准答案"),
    "rubric": ("Rubric", "评分标准"),
    "your_mark": ("Mark", "给分"),
    "out_of": ("out of {max}", "满分 {max}"),
    "save": ("Save", "保存"),
    "full": ("Full marks", "满分"),
    "zero": ("No marks", "零分"),
    "comment": ("Comment", "评语"),
    "skip": ("Later", "稍后"),
    "back": ("Back", "返回"),
    "undo": ("Undo", "撤销"),
    "help": ("Keys", "快捷键"),
    "close": ("Close", "关闭"),
    "overview": ("Overview", "总览"),
    "closer": ("Larger", "放大"),
    "farther": ("Smaller", "缩小"),
    "identical": ("{count} identical answers", "{count} 份相同作答"),
    "identical_open": ("{count} identical answers wait", "另有 {count} 份相同作答待评"),
    "together": ("Mark them together", "一起评分"),
    "together_note": (
        "One mark for all of them. Take out whatever was misread or deserves another mark; it stays in the queue.",
        "统一给分。识读有误或应另行给分的，请勾选排除；排除的作答留在队列中。",
    ),
    "apply": ("Apply to all {count}", "应用于全部 {count} 份"),
    "take_out": ("take out", "排除"),
    "not_shown": ("{count} more are not shown; they get the mark too.", "另有 {count} 份未显示，同样给分。"),
    "saved": ("Saved: {mark}", "已保存：{mark}"),
    "saved_many": ("Saved: {mark} for {count} answers", "已保存：{count} 份作答各 {mark}"),
    "undone": ("Taken back: the mark that stood before stands again.", "已撤销：恢复先前的分数。"),
    "undone_many": ("Taken back for {count} answers.", "已撤销 {count} 份作答的分数。"),
    "nothing_to_undo": ("There is nothing of yours to take back.", "没有可撤销的操作。"),
    "item_done": ("Item {item} is done.", "第 {item} 题已评完。"),
    "pages_title": ("Whose pages are these?", "这些页面属于哪位考生？"),
    "pages_note": (
        "Type the candidate number that stands on the page. The page is settled at once and results.csv is written.",
        "请输入页面上的考生号。保存后立即归档并重写 results.csv。",
    ),
    "cannot_attribute": ("This page could not be laid on the form, so there are no answers to give to anybody.",
                         "该页无法与版式对齐，没有可归属的作答。"),
    "candidate_number": ("Candidate number", "考生号"),
    "give": ("Save", "保存"),
    "given": ("The page was given to candidate {candidate}.", "页面已归属考生 {candidate}。"),
    "given_twice": (
        "This page of candidate {candidate} was already read from another scan: the first scan counts.",
        "考生 {candidate} 的此页已有其他扫描：以先读到的为准。",
    ),
    "no_pages": ("No page is unmatched.", "没有未匹配的页面。"),
    "no_page_picture": ("the scan is not there any more", "扫描文件已不存在"),
    "bad_mark": ("A mark is a number from 0 to {max}.", "分数须为 0 至 {max} 的数字。"),
    "bad_candidate": ("Type a candidate number of at most 64 letters and digits.",
                      "请输入考生号（不超过 64 个字符）。"),
    "denied": ("This desk is open to the person who started it.", "仅限启动者使用"),
    "denied_note": (
        "Open the address that grader desk printed. It works once; start the desk again for a new one. "
        "Nothing that was saved is lost.",
        "请打开 grader desk 打印的网址。该网址仅可使用一次；如需新网址请重新启动。已保存的内容不会丢失。",
    ),
    "stale": ("The page is out of date", "页面已过期"),
    "stale_note": ("Load it again and repeat what you did.", "请重新载入后再试。"),
    "not_here": ("There is no such page", "没有此页"),
    "not_here_note": ("Go back to the overview.", "请返回总览。"),
    "not_saved": ("Not saved: the desk does not answer. What you typed is kept here; start the desk again.",
                  "未保存：评卷台没有响应。已输入的内容保留在此；请重新启动评卷台。"),
    "continue": ("Continue", "继续"),
}  # fmt: skip


def word(key: str, language: Language, **values: object) -> str:
    """One word or sentence with its values. Raises KeyError for a key that is not listed."""
    pair = WORDS.get(key) or REPORT[key]
    return pair[0 if language == "en" else 1].format(**values)
