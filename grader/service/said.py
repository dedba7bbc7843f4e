"""What the program refuses, in Chinese, for a page: messages of the exam's rules, of marking, and of what the service
itself asks of paper, scans, rosters and the store."""

from __future__ import annotations

import re

from grader.exam import mistakes
from grader.marking import said
from grader.phrases import Phrases

_AGAIN = "，再重新进行：已保存的内容仍在"
_PAGES = (
    (r"no mark is proposed", "没有建议分数"),
    (r"write one", "请填写分数"),
    (r"no mark can be read", "无法读取分数"),
    (r"write a number", "请填写数字"),
    (r"['\"](.*)['\"] is no pass line", r"\1 不是及格线"),
    (r"give a percentage such as 60, or nothing", "请填写百分数，如 60，或留空"),
    (r"the reading stopped; ask for it again", "识别已中断；请重新开始识别"),
    (r"this exam has a run already", "本次考试已有识别结果"),
    (r"make a new exam from the run", "请用该结果新建一次考试"),
    (
        r"the run was marked by another exam, or by another version of this one",
        "识别结果属于另一份试卷，或本试卷的另一版本",
    ),
    (r"cannot use the data folder .+", "无法使用数据文件夹"),
    (r"name another with --data", "请用 --data 指定另一个文件夹"),
    (r"\[Errno (\d+)\] .+", r"系统错误（\1）"),
)
_ROSTER = (
    (r"no names are in it", "其中没有姓名"),
    (r"add a column `name` \(or 姓名\)", "请添加一列 `name`（或“姓名”）"),
    (r"it is neither UTF-8 nor GB 18030", "既不是 UTF-8，也不是 GB 18030 编码"),
    (r"save it as CSV UTF-8(?: again)?", "请另存为 CSV UTF-8"),
    (r"it lists nobody", "名单是空的"),
    (r"add a line for every candidate", "请为每位考生写一行"),
    (r"there is no column of candidate numbers", "没有考号一列"),
    (r"name one column of the first line (.+)", r"请把首行中的一列命名为其中之一：\1"),
    (r"the number is empty", "考号为空"),
    (r"fill it in, or delete the line", "请填写，或删除该行"),
    (r"(.+) already stands in line (\d+)", r"\1 已出现在第 \2 行"),
    (r"keep one of the lines", "请只保留其中一行"),
    (r"give a readable CSV file", "请提供可以读取的 CSV 文件"),
    (r"it holds NUL characters|.*(?:unexpected end of data|expected after|field larger than).*", "不是有效的 CSV"),
)
_PAPER = (
    (r"an item with (\d+) options cannot be printed", r"有 \1 个选项的题目无法印制"),
    (r"use at most (\d+) options", r"最多 \1 个选项"),
    (r"the form (.+) was not laid out from the exam (.+)", r"表单 \1 不是按试卷 \2 制作的"),
    (r"make it again: grader paper", "请重新制作答题卡"),
    (r"a candidate number of (\d+) digits cannot be printed", r"\1 位的考号无法印制"),
    (r"use 1 to (\d+) digits", r"请用 1 至 \1 位"),
    (r"the page code would be printed too fine to be read .+", "页码图案过细，无法识读"),
    (r"shorten the exam's id, or the candidate numbers", "请缩短考试编号或考号"),
    (r"the print font has no (.+)", r"印刷字体没有字符 \1"),
    (r"write it with another character", "请改用其他字符"),
    (r"the answer sheets cannot be written: .+", "无法写出答题卡"),
    (r"choose another folder", "请另选一个文件夹"),
    (r"the roster has numbers of more than (\d+) digits", r"名单中有超过 \1 位的考号"),
    (r"leave out --digits", "请不要指定位数"),
    (r"there is no paper size (.+)", r"没有纸张规格 \1"),
    (r"choose one of: (.+)", r"请选用：\1"),
    (r"answers item (.+), which the exam does not have", r"对应第 \1 题，而试卷中没有"),
    (r"print the form again", "请重新印制答题卡"),
    (r"has no field on the form", "在答题卡上没有作答区"),
    (r"use the form\.json printed for this exam", "请使用为本试卷印制的 form.json"),
    (r"has fields on pages (.+)", r"作答区分在第 \1 页"),
    (r"keep an item's fields on one page", "同一题的作答区须在同一页"),
    (r"(\S+) is not beside the form", r"\1 不在表单旁"),
    (r"put it there, or correct its name", "请放到该处，或更正名称"),
    (r"the form belongs to exam (.+)", r"表单属于试卷 \1"),
    (r"use the form of (.+)", r"请使用 \1 的表单"),
    (r"the picture cannot be read", "无法读取图片"),
    (r"put it beside the form file", "请放到表单文件旁"),
)
_RUN = (
    (r"the run has no answer to item (.+) there", r"识别结果中没有该处第 \1 题的作答"),
    (r"a mark of (\S+) is not between 0 and (\S+)", r"分数 \1 不在 0 至 \2 之间"),
    (r"the run has not read (.+) page (\d+)", r"尚未识别 \1 第 \2 页"),
    (r"choose a page it has", "请选择已有的页"),
    (r".+ is the folder of the scans", "该文件夹是扫描件的文件夹"),
    (r"name another folder(?: for the run)?", "请指定另一个文件夹"),
    (r"there are no scans in .+", "没有扫描件"),
    (r"give files or folders of scans", "请提供扫描件"),
    (r".+: there is no such file or folder", "没有这个文件或文件夹"),
    (r".+ holds a run that began with another .+", "已有的识别结果是用另一份试卷、表单、名单或设置得到的"),
    (r"name another --out; to go on with this one, .+", "请改回开始识别时的内容，或另建一次考试"),
    (r".+ is working on .+", "另一个进程正在识别本次考试"),
    (r"wait until it has ended, or stop it, and run the same command again.*", "请等它结束后再试"),
    (r"cannot (?:write to|make) the run folder .+|cannot write the results to .+", "无法写入结果文件夹"),
    (r"correct --scans", "请更正扫描件的位置"),
    (r"the calibration cannot be copied to .+", "无法复制校准文件"),
    (r"make it writable, or name another folder", "请设为可写，或指定另一个文件夹"),
    (r"make room, or the folder writable, and run the same command again.*", f"请腾出空间，或将文件夹设为可写{_AGAIN}"),
    (r".+ is not a run: .+|.+ holds no run yet", "还没有识别结果"),
    (r"name the folder given to grader run --out|run grader run into it first", "请先识别扫描件"),
    (r".+ is not finished", "识别尚未完成"),
    (r"run the same grader run command again: it resumes", "请重新开始识别：会从中断处继续"),
    (r".+: the disk is full .+", "磁盘已满"),
    (r".+: the disk fails or is full .+", "磁盘故障或已满"),
    (r".+: it cannot be written .+", "数据文件无法写入"),
    (r".+: it cannot be opened .+", "数据文件无法打开"),
    (r".+: another process has it .+", "数据文件正被另一个进程使用"),
    (r".+: it is not a run's store .+", "不是识别结果的数据文件"),
    (r".+: it is damaged .+", "数据文件已损坏"),
    (r"make room(?:, or mend it,)? and run the same command again.*", f"请腾出空间{_AGAIN}"),
    (r"wait until that has ended and run the same command again.*", f"请等它结束{_AGAIN}"),
    (r"make the folder writable, or copy it to where it is", "请将文件夹设为可写，或复制到可写的位置"),
    (r"mark the scans into another folder", "请重新识别到另一个文件夹"),
    (r".+ is missing", "缺少程序文件"),
    (r".+ (?:is damaged, or not the one that .+ describes|cannot be (?:used|loaded): .+|is of another version .+)",
     "程序文件已损坏，或版本不符"),
    (r"the (?:model|tokenizer) has n.+|.+ is (?:no tokenizer|not a table of word weights): .+", "程序文件版本不符"),
    (r"use the (?:shipped weights|tokenizer that belongs to the weights)|reinstall grader.*", "请重新安装本程序"),
)  # fmt: skip
_TABLES = (mistakes.PHRASES, said.PHRASES, Phrases((*_PAGES, *_ROSTER, *_PAPER, *_RUN)))

_NEXT = re.compile(r"\n(?=  )")  # a message may hold a line break of its own
_REMEDY = re.compile(r"(\s*)remedy: (.+)", re.DOTALL)
_COUNT = re.compile(r"(.+): (\d+) problems?")
_PROBLEM = re.compile(r"(\s*)(?:line (\d+), )?([^:]+): (.+) \(remedy: (.*)\)", re.DOTALL)


def in_chinese(text: str) -> str:
    """What a GraderError says, as its str() or as one message or remedy of it, in Chinese line by line; words that no
    table has stay as they are."""
    return "\n".join(_line(line) for line in _NEXT.split(text))


def _line(line: str) -> str:
    if remedy := _REMEDY.fullmatch(line):
        return f"{remedy[1]}处理：{_words(remedy[2])}"
    if problem := _PROBLEM.fullmatch(line):
        place = f"第 {problem[2]} 行，" if problem[2] else ""
        return f"{problem[1]}{place}{problem[3]}：{_words(problem[4])}（处理：{_words(problem[5])}）"
    if count := _COUNT.fullmatch(line):
        return f"{count[1]}：有 {count[2]} 处需要修改"
    return _words(line)


def _words(words: str) -> str:
    return _found(words) or words


def _found(words: str) -> str | None:
    return next((chinese for table in _TABLES if (chinese := table.find(words)) is not None), None)
