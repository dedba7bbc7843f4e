"""report.html: one file, both languages, nothing loaded from anywhere.

Whatever a student wrote is escaped by Jinja; a content security policy forbids every outside request besides.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from grader.flags import FLAGS, Flag
from grader.report import charts
from grader.report.summary import Summary
from grader.report.thumbnails import crop_picture, page_picture
from grader.report.words import REMEDIES, WORDS, Language, word
from grader.store.store import LedgerRow, ResultRow, RunStore

MAX_CANDIDATES_SHOWN = 300


@dataclass(frozen=True)
class ReviewCard:
    """An answer that waits for a person, with its picture."""

    row: ResultRow
    picture: str


@dataclass(frozen=True)
class PageCard:
    """A page that was not read, with its picture. detail: what was met, in the words of the program."""

    row: LedgerRow
    picture: str
    detail: str


def write_html(path: Path, store: RunStore, summary: Summary, language: Language, annotated: bool) -> None:
    """Write the report of a settled run. language: shown first; the page has a switch."""
    template = _environment().get_template("report.html.j2")
    text = template.render(
        s=summary,
        language=language,
        title=summary.exam.exam.title,
        annotated=annotated,
        flags=_flag_rows(summary),
        review=list(_review_cards(store, summary)),
        not_read=list(_page_cards(summary)),
        not_read_count=summary.page_count - summary.pages["read"],
        histogram=charts.histogram(summary.scores, summary.overall.mean) if summary.overall.complete else None,
        item_map=charts.item_map(summary.items)
        if any(item.discrimination is not None for item in summary.items)
        else None,
        option_bars={item: charts.option_bars(options) for item, options in summary.options.items()},
        candidates=summary.totals if len(summary.totals) <= MAX_CANDIDATES_SHOWN else [],
        stages=sorted(summary.meta.get("seconds", {}).items(), key=lambda pair: -pair[1]),
    )
    path.write_text(text, encoding="utf-8")


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("grader.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(t=_both, flag=_flag_words, remedy=_remedy, percent=_percent, number=_number)
    return environment


def _spans(zh: str, en: str) -> Markup:
    return Markup('<span class="zh" lang="zh">{}</span><span class="en" lang="en">{}</span>').format(zh, en)


def _both(key: str, **values: object) -> Markup:
    """A word or sentence in both languages, of which the page shows one."""
    if values:
        return _spans(word(key, "zh").format(**values), word(key, "en").format(**values))
    en, zh = WORDS[key]
    return _spans(zh, en)


def _flag_words(code: str) -> Markup:
    return _spans(FLAGS[code].zh, FLAGS[code].en)


def _remedy(reason: str) -> Markup:
    en, zh = REMEDIES.get(reason, ("", ""))
    return _spans(zh, en)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


def _number(value: float | None, digits: int = 2) -> str:
    """Rounded, without needless zeros; a dash for what is not known."""
    if value is None or math.isnan(value):
        return "–"
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "−")


def _flag_rows(summary: Summary) -> list[tuple[Flag, int]]:
    """What was flagged on answers and how often, most frequent first."""
    return [(FLAGS[code], count) for code, count in summary.flags.most_common()]


def _review_cards(store: RunStore, summary: Summary) -> Iterator[ReviewCard]:
    for row in summary.review:
        written = row.item not in summary.options  # of bubbles all are shown, also the empty ones
        yield ReviewCard(row, crop_picture(store.crop(row.crop), trim=written) if row.crop else "")


def _page_cards(summary: Summary) -> Iterator[PageCard]:
    for row in summary.not_read:
        detail = row.detail.partition("\n  remedy: ")[0]
        yield PageCard(row, page_picture(row.file, row.page), detail.removeprefix(f"{row.file}: "))
