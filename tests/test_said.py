"""What the program refuses is said in Chinese on a Chinese page: every message and remedy of the rules has a
translation, and pages show it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from html import unescape
from itertools import chain
from pathlib import Path
from unittest.mock import patch

import pytest
from centre_desk import Desk
from centre_run import make_centre
from service_client import service_of

from grader.errors import ExamError, GraderError, StoreError
from grader.exam.load import parse_exam
from grader.exam.mistakes import in_chinese as mistake
from grader.marking.errors import Destroys, NotAllowed
from grader.phrases import Phrases
from grader.service import said
from grader.store import refusals

ROOT = Path(said.__file__).parents[1]
PARTS = ("marking", "exam", "centre", "homework", "store", "run", "paper", "reading", "service")
# what refuses → the first of its arguments that are said
REFUSALS = {
    "NotFound": 0, "NotAllowed": 0, "Taken": 0, "Destroys": 0, "UsageError": 0, "StoreError": 0, "NotMaths": 0,
    "rule": 0, "refuse": 0, "_refuse": 0, "Problem": 1, "Trouble": 1, "Finding": 2,
}  # fmt: skip
SAID_LATER = {"what", "message", "remedy", "en", "_STOPPED", "_REMEDIES"}  # names that hold words until they are said
# why a page was not read, which pages tell by its code; and what is put together of parts that are said themselves
NOT_SAID = {
    "took over 3 s", "stopped its worker twice", "3: 3 (too long)", "3 of at least 3 pairs", "3，至少 3 对",
    "the page was printed as version 3 of the form, not 3", "the page misses the form 3 (3; the limit is 3 3)",
    "give the form.json that was printed with this paper, or take the page out",
    "look at the file; scan the page again, or run again with --retry and other limits",
}  # fmt: skip
# said at the command line only: a service that does not start, and commands that no page runs
COMMAND_LINE = {"service/database.py", "service/server.py", "run/replay.py", "run/admission.py", "run/metrics.py",
                "run/parcel.py", "run/publish.py", "run/ray_cluster.py", "run/ray_connection.py",
                "reading/omrchecker.py", "reading/table.py"}  # fmt: skip
# what else is handed on to be said: words of a library, of the fields above, or joined from texts that are found here
HANDED_ON = {
    "detail['msg']", "p['msg']", "str(error)", "_clip(p.message)", "_clip(p.remedy)", "'; '.join(wrong)",
}  # fmt: skip
SAMPLES = {
    "_KINDS": "choice, blank",
    "chosen.scheme.kind": "single",
    "shut": "3 appeals are open",
    "error": "too long",
    "name": "rate",
}
SENTENCE = re.compile(r"\b[A-Za-z]{2,} [a-z]{2,}\b")
CHINESE = re.compile("[\u4e00-\u9fff]")


def leaves(node: ast.expr) -> Iterator[str]:
    """The texts that an expression may be, their placeholders filled."""
    match node:
        case ast.Constant(value=str(text)):
            yield text
        case ast.JoinedStr(values=values):
            yield "".join(filled(value) for value in values)
        case ast.IfExp(body=body, orelse=other):
            yield from chain(leaves(body), leaves(other))
        case ast.BoolOp(values=values) | ast.Tuple(elts=values) | ast.List(elts=values) | ast.Dict(values=values):
            yield from chain.from_iterable(map(leaves, values))
        case ast.ListComp(elt=element):
            yield from leaves(element)


def filled(part: ast.expr) -> str:
    if isinstance(part, ast.Constant):
        return str(part.value)
    assert isinstance(part, ast.FormattedValue)
    if part.conversion == ord("r"):
        return "'A'"
    return SAMPLES.get(ast.unparse(part.value), "3")


def texts(path: Path) -> set[str]:
    """Every text that the module refuses with."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            first = REFUSALS.get(name, -1)
            if first >= 0:
                for given in node.args[first : first + (1 if name == "Finding" else 2)]:
                    held = list(leaves(given))
                    names = {one.id for one in ast.walk(given) if isinstance(one, ast.Name)}
                    if path.parent.name in ("marking", "exam"):
                        assert held or names & SAID_LATER or ast.unparse(given) in HANDED_ON, ast.unparse(given)
                    found.update(held)
            if name == "append" and path.name == "revision.py":  # of several reasons that are joined
                found.update(chain.from_iterable(map(leaves, node.args)))
        elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
            if names & SAID_LATER:
                found.update(leaves(node.value))
        elif isinstance(node, ast.FunctionDef) and node.name in ("_destroyed", "_unknown_key"):
            returned = [one.value for one in ast.walk(node) if isinstance(one, ast.Return) and one.value is not None]
            found.update(chain.from_iterable(map(leaves, returned)))
    return {text for text in found if " " in text} - NOT_SAID


@pytest.mark.parametrize("part", PARTS)
def test_every_refusal_has_its_chinese(part: str) -> None:
    modules = [path for path in sorted((ROOT / part).glob("*.py")) if f"{part}/{path.name}" not in COMMAND_LINE]
    heard = {text: path.name for path in modules for text in texts(path)}
    if part in ("marking", "exam"):
        assert len(heard) > 50, "the tree is read as it is written"
    told = {text: said.in_chinese(text).replace("grader form schema", "") for text in heard}
    bare = {text for text, chinese in told.items() if SENTENCE.search(chinese) or chinese == text}
    assert bare == set()


@pytest.mark.parametrize(("what", "remedy"), refusals._REFUSALS.values())
def test_what_the_disk_refuses(what: str, remedy: str) -> None:
    told = said.in_chinese(str(StoreError(f"/data/run/run.sqlite: {what} (as the library says)", remedy)))
    assert CHINESE.match(told)
    assert not SENTENCE.search(told)


def test_a_refusal_is_told_line_by_line() -> None:
    several = Destroys(
        "item 3: 2 marks of people lie above the new highest mark 1; item 4 has 8 answers and would be gone",
        "keep these, or let a person mark the answers again first",
    )
    assert said.in_chinese(str(several)) == (
        "第 3 题：有 2 个人工给分高于新的满分 1；第 4 题已有 8 份作答，不能删除\n"
        "  处理：请保留这些内容，或先由人工重评相关作答"
    )
    gate = NotAllowed("the marks cannot be released yet: 4 answers wait for a mark; 1 are excused with a reason")
    assert said.in_chinese(str(gate)) == "成绩暂不能发布：4 份作答待评；1 份已说明理由免评"
    assert said.in_chinese(str(GraderError("words of nobody", "do so"))) == "words of nobody\n  处理：do so"


def test_words_that_hold_other_words() -> None:
    assert mistake("'" + "x" * 3000 + "' is not a number").startswith("'x"), "a long text is not searched"
    assert mistake("'x y' cannot be read as mathematics: two readings are possible").endswith("可以有两种读法")
    assert mistake("not YAML: something new") == "YAML 语法有误：something new"
    assert (
        Phrases([(r"(\w+) is (?P<why>.+)", r"\1：<why>"), ("red", "红")]).find("A is red; B is red") == "A：红；B：红"
    )


BROKEN = (
    "exam: [", "a: b: c", "\t- x", "'abc", "a: &x 1", "a: *x", 'x: "\\q"', "{a b", "a:\n  b: 1\n c: 2", "a: @x",
    "a: \x01", "? [a]\n: b", "!!python/x 1", "", "- a", "a: 1\n---\nb: 2", "a: 1\na: 2", "[" * 20, "%bad",
    "exam: {id: a, title: b, language: fr}\nitems: []\n",
    """\
exam: {id: "", titel: b, language: zh}
items:
- 3
- {id: 1, max_mark: .inf, type: blank, answers: x, math: perhaps}
- {id: [2], max_mark: 0, type: blonk, answers: []}
- {id: 4, max_mark: 2000, type: multi_choice, options: ABCD, answer: AE, partial: 3, extra: 1}
- {id: 4, max_mark: two, type: choice, options: AAB, answer: AB}
- {id: 5, max_mark: 2, type: choice, options: [甲乙], answer: A}
- {id: 6, max_mark: 2, type: numeric, answer: many, unit: smoots, tolerance: -1}
- {id: 7, max_mark: 2, type: numeric, answer: 3, tolerance: 5 kg}
- {id: 8, max_mark: 2, type: short_answer, tolerance: 3}
- {id: 9, max_mark: 2, type: short_answer, rubric: [{id: a, marks: 1, criterion: b}]}
- {id: 10, max_mark: 2, type: blank, math: true, answers: ["2 3", "x +"]}
- {id: 11, max_mark: 2, type: multi_choice, options: AB, answer: A, partial: {subset: 2}}
- {id: 12, max_mark: 2, prompt: [a], answers: ~}
""",
)  # fmt: skip


@pytest.mark.parametrize("text", BROKEN)
def test_every_mistake_in_an_exam_is_told_in_chinese(text: str) -> None:
    with pytest.raises(ExamError) as refused:
        parse_exam(text, "exam.yaml")
    for problem in refused.value.problems:
        for words in (problem.message, problem.remedy):
            told = said.in_chinese(words)
            assert CHINESE.search(told), words
            assert not SENTENCE.search(re.sub("'[^']*'", "", told)), words
    assert "处理：" in said.in_chinese(str(refused.value))


def shown(page: str) -> str:
    """What stands in the boxes of problems on a page."""
    boxes = re.findall(r'<div class="problems".*?</div>(?:\s*</div>)?', page, re.S)
    assert boxes
    return unescape(re.sub(r"<[^>]+>", " ", " ".join(boxes)))


def test_a_broken_exam_on_a_chinese_page(tmp_path: Path) -> None:
    with service_of(tmp_path) as house:
        ling = house.client("ling")
        for language, chinese in (("zh", True), ("en", False)):
            ling.http.cookies.set("grader_language", language)
            page = ling.post("/exams", files={"file": ("exam.yaml", BROKEN[-1].encode())})
            assert page.status_code == 422
            cells = re.findall(r'<td class="told">(.*?)</td>', page.text, re.S)
            assert len(cells) > 20
            for cell in map(unescape, cells):
                assert bool(CHINESE.search(cell.replace("甲乙", "").replace("米/秒", ""))) == chinese, cell
                assert not chinese or not SENTENCE.search(re.sub("'[^']*'", "", cell)), cell


def test_a_broken_roster_and_a_refusal_on_chinese_pages(tmp_path: Path) -> None:
    with service_of(tmp_path) as house:
        exam, ada = house.exam(), house.client("ada")
        ada.http.cookies.set("grader_language", "zh")
        for roster in ("candidate,name\n1,A\n1,B\n,C\n", "name\nA\n", "candidate\n1\n", "candidate,name\n"):
            page = ada.post(f"/exams/{exam.id}/names", files={"file": ("roster.csv", roster.encode())})
            assert page.status_code == 422
            told = re.findall(r'<td class="told">(.*?)</td>', page.text)
            assert told
            assert all(CHINESE.search(one.replace("姓名", "")) for one in told), told
        refused = NotAllowed("nothing changed since release 2", "there is nothing to release")
        with patch("grader.service.keeping.vault.names", side_effect=refused):
            assert "自第 2 次发布以来没有变化\n  处理：没有可发布的内容" in ada.get(f"/exams/{exam.id}/names").text


def test_a_refused_change_of_the_rubric_in_chinese(tmp_path: Path) -> None:
    with service_of(tmp_path) as house:
        centre = make_centre(house)
        ling, chen = Desk(centre, "ling"), Desk(centre, "chen")
        chen.give("4")
        found = re.search(r'class="source"[^>]*>(.*?)</textarea>', ling.get("/leader/rubric").text, re.S)
        assert found is not None
        source = unescape(found[1])
        lowered = source.replace("max_mark: 4", "max_mark: 2").replace("marks: 2", "marks: 1")
        for change in ({"source": lowered, "line": "60"}, {"source": "exam: [", "line": "60"},
                       {"source": source, "line": "sixty"}, {"source": source + "extra: 1\n", "line": ""}):  # fmt: skip
            page = ling.post("/leader/rubric", **change)
            assert page.status_code == 422
            text = shown(page.text)
            assert "处理：" in text
            assert not SENTENCE.search(re.sub("'[^']*'", "", text)), text
