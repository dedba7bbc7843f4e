"""`grader calibrate`: learn from a human-marked sample how an exam is marked, and what may be accepted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from grader.scoring.calibration import Calibration
    from grader.scoring.marked import Sample

_WORDS = {
    "en": {
        "items": "Cross-validated on the sample: each answer marked by a model that did not see its mark",
        "item": "item  answers  within tolerance  (before)    QWK  (before)  flagged",
        "sure": "confidence: mean {mean:.3f}, right {right:.3f}, ECE {ece:.3f} (n = {n})",
        "left": "item {item}: {n} usable marked answers, fewer than {least}: left as it is",
        "risk": "Risk against coverage: answers accepted at or above a confidence, and how many are wrong",
        "level": "confidence  accepted  coverage  wrong   rate  95% upper bound",
        "yes": "Promise: accept at confidence {threshold:.4f} or above ({coverage:.0%} of the sample): at most "
        "{risk:.0%} of accepted marks are off by more than the tolerance, with 95% confidence, for answers like "
        "the sample.",
        "small": "No promise: {candidates} answers without a blocking flag cannot show a risk of {risk:.0%}; even "
        "without one error it takes {needed}. Nothing is accepted: every mark of these items goes to review. "
        "Mark more answers, or raise --risk.",
        "wrong": "No promise: at no confidence are marks right often enough to show a risk of {risk:.0%} with 95% "
        "confidence. Nothing is accepted: every mark of these items goes to review. Mark more answers, or raise "
        "--risk.",
    },
    "zh": {
        "items": "在样本上交叉验证：每份作答都由没有见过其得分的模型评分",
        "item": "题号  份数  容差内比例  （校准前）    QWK  （校准前）  带标记",
        "sure": "把握度：平均 {mean:.3f}，实际正确 {right:.3f}，ECE {ece:.3f}（n = {n}）",
        "left": "第 {item} 题：可用的已评作答 {n} 份，少于 {least} 份，不作校准",
        "risk": "风险与覆盖率：接受不低于某把握度的评分，以及其中有多少是错的",
        "level": "把握度  接受  覆盖率  错误  错误率  95% 上界",
        "yes": "保证：接受把握度不低于 {threshold:.4f} 的评分（占样本 {coverage:.0%}）：对于与样本同类的作答，有 95% "
        "的把握，被接受的评分中误差超出容差的不超过 {risk:.0%}。",
        "small": "不能保证：没有阻断标记的作答只有 {candidates} 份，不足以证明风险不超过 {risk:.0%}；即使无一错误也"
        "需要 {needed} 份。不自动接受任何评分，这些题全部送人复核。请多评一些作答，或提高 --risk。",
        "wrong": "不能保证：在任何把握度上，评分都没有准确到能以 95% 的把握证明风险不超过 {risk:.0%}。"
        "不自动接受任何评分，这些题全部送人复核。请多评一些作答，或提高 --risk。",
    },
}


@click.command()
@click.argument("exam", metavar="EXAM", type=click.Path(path_type=Path))
@click.argument("marked", metavar="MARKED.jsonl", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path, dir_okay=False), help="Calibration to write.")
@click.option("--scorer", default="auto", show_default=True, help="Scorer to learn over: encoder or lexical.")
@click.option(
    "--risk",
    default=0.05,
    show_default=True,
    type=click.FloatRange(0, 0.5, min_open=True),
    help="Largest share of accepted marks that may be off by more than the tolerance.",
)
def command(exam: Path, marked: Path, out: Path, scorer: str, risk: float) -> int:
    """Learn from MARKED.jsonl ({"candidate", "item", "text", "mark"} a row) how people mark EXAM.

    30 to 300 marked answers an item teach its habits; items with fewer than 20 are left as they are. Use the file
    with grader score --calibration and grader run --calibration. It holds no texts, but is to be kept as carefully
    as the answers.
    """
    from grader.cli.output import check_output_file
    from grader.errors import ExitCode, UsageError
    from grader.exam.load import load_exam
    from grader.scoring import calibration_file, choose, rows
    from grader.scoring.learn import learn
    from grader.scoring.marked import LEAST, check_sample

    loaded = load_exam(exam)
    given = rows.read_rows(marked)
    check_output_file(out, (exam, marked))
    sample = check_sample(loaded, given)
    for line, problem in sample.problems:
        click.echo(f"{marked}:{line}: {problem}", err=True)
    for note in sample.notes:
        click.echo(note, err=True)
    if not sample.answers:
        most = max(sample.left.values(), default=0)
        what = f"no short answer has {LEAST} usable marked answers (the most is {most}); nothing can be learned"
        raise UsageError(what, f"mark at least {LEAST} answers to an item, better 100")
    engine = choose.create(scorer, loaded.exam.language)
    if engine is None:
        raise UsageError("there is no scorer to learn over", "name --scorer lexical or encoder")
    learned = learn(loaded, engine, sample, risk, lambda name: click.echo(f"item {name} ...", err=True))
    learned = calibration_file.write(learned, out)
    for text in report(learned, sample, loaded.exam.language):
        click.echo(text, err=True)
    click.echo(f"written: {out}  sha256 {learned.sha256}", err=True)
    return ExitCode.DONE_WITH_REJECTS if sample.problems else ExitCode.DONE


def report(learned: Calibration, sample: Sample, language: str) -> list[str]:
    """What was learned, in lines for people."""
    from grader.scoring.marked import LEAST

    words, figures, promise = _WORDS[language], learned.figures, learned.promise
    lines = ["", words["items"], words["item"]]
    lines += [
        f"{name:>4}  {one['answers']:7d}  {one['within_tolerance']:16.3f}  {one['within_tolerance_before']:8.3f}  "
        f"{_number(one['qwk'])}  {_number(one['qwk_before'])}    {one['blocked']:5.1%}"
        for name, one in figures["items"].items()
    ]
    n, right = figures["answers"], figures["within_tolerance"]
    lines.append(words["sure"].format(mean=figures["mean_confidence"], right=right, ece=figures["ece"], n=n))
    lines += [words["left"].format(item=name, n=count, least=LEAST) for name, count in sample.left.items()]
    lines += ["", words["risk"], words["level"]]
    lines += [
        f"{one.confidence:10.4f}  {one.accepted:8d}  {one.coverage:8.1%}  {one.wrong:5d}  {one.rate:5.1%}  "
        f"{one.upper:8.1%}"
        for one in promise.levels
    ]
    key = "yes" if promise.threshold is not None else "small" if promise.candidates < promise.needed else "wrong"
    said = words[key].format(
        threshold=promise.threshold or 0.0, coverage=promise.coverage, risk=promise.risk,
        candidates=promise.candidates, needed=promise.needed,
    )  # fmt: skip
    return [*lines, "", said]


def _number(value: float | None) -> str:
    return f"{value:8.3f}" if value is not None else "       -"
