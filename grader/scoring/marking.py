"""From responses to marks, and who has the last word.

Rules mark choice, multi_choice, blank and numeric items; their marks are final unless something about the
reading or the answer needs a person. A scorer proposes marks for short answers; those are never final here.
Nothing depends on the other responses: the same response gets the same mark in any batch, in any order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from grader import flags
from grader.exam.exam import BlankItem, ChoiceItem, Exam, Item, MultiChoiceItem, NumericItem, ShortAnswerItem
from grader.records import CriterionMark, Mark, Response, Status
from grader.scoring import lookalike
from grader.scoring.blank import score_blank
from grader.scoring.choice import score_choice, score_multi_choice
from grader.scoring.normal import normalise
from grader.scoring.numeric import score_numeric
from grader.scoring.protocol import Scorer
from grader.scoring.verdict import Verdict

_UNREAD = frozenset(("missing_page", "field_outside", "timed_out", "out_of_memory", "crashed"))  # nobody saw an answer


@dataclass(frozen=True)
class Settings:
    """When a reading is too doubtful to be final.

    doubtful_below: a reading of lower confidence goes to a person, whatever it says.
    ambiguous_below: characters read with lower confidence are replaced by their look-alikes in turn; if
    that would change the mark, a person looks.
    """

    doubtful_below: float = 0.6
    ambiguous_below: float = 0.9


def mark_responses(
    exam: Exam, responses: Sequence[Response], scorer: Scorer | None, settings: Settings | None = None
) -> list[Mark]:
    """One mark a response, in order. scorer None leaves short answers to people (flag no_scorer)."""
    settings = settings or Settings()
    items = {item.id: item for item in exam.items}
    proposals = _propose(exam, items, responses, scorer)
    marks = []
    for response in responses:
        item = items.get(response.item)
        if item is None:
            marks.append(_unknown(response))
        elif _nothing_written(response):
            marks.append(_mark_nothing(item, response, settings))
        elif isinstance(item, ShortAnswerItem):
            marks.append(_settle(proposals[_key(response)], response, settings))
        else:
            marks.append(_mark_by_rule(item, response, settings))
    return marks


def apply_rule(item: Item, text: str) -> Verdict:
    """What the rule of an objective item says about a text."""
    if isinstance(item, ChoiceItem):
        return score_choice(item, text)
    if isinstance(item, MultiChoiceItem):
        return score_multi_choice(item, text)
    if isinstance(item, BlankItem):
        return score_blank(item, text)
    if isinstance(item, NumericItem):
        return score_numeric(item, text)
    raise TypeError(f"{item.type} items have no rule")


def _mark_by_rule(item: Item, response: Response, settings: Settings) -> Mark:
    verdict = apply_rule(item, response.text)
    found = [*response.flags, *_reading_flags(item, response, settings), *verdict.flags]
    if not flags.blocking(tuple(found)) and _look_alikes_decide(item, response, verdict, settings):
        found.append("ocr_ambiguous")
    codes = flags.check(tuple(found))
    return Mark(
        candidate=response.candidate,
        item=item.id,
        mark=verdict.mark,
        max_mark=item.max_mark,
        confidence=_confidence(verdict, response),
        status="review" if verdict.mark is None or flags.blocking(codes) else "final",
        flags=codes,
        marker=verdict.marker,
    )


def _confidence(verdict: Verdict, response: Response) -> float:
    """A rule is as sure as the reading; where it is in doubt itself, a toss-up; without a mark, nothing."""
    if verdict.mark is None:
        return 0.0
    return min(response.confidence, 0.5) if flags.blocking(verdict.flags) else response.confidence


def _reading_flags(item: Item, response: Response, settings: Settings) -> list[str]:
    if response.confidence >= settings.doubtful_below:
        return []
    by_mark = isinstance(item, ChoiceItem | MultiChoiceItem) and response.transcription is None
    return ["mark_doubtful" if by_mark else "ocr_doubtful"]


def _look_alikes_decide(item: Item, response: Response, verdict: Verdict, settings: Settings) -> bool:
    """Whether another reading of doubtful characters in handwriting would give another mark."""
    transcription = response.transcription
    if transcription is None or transcription.text.strip() != response.text.strip():
        return False
    below = settings.ambiguous_below
    if isinstance(item, BlankItem) and verdict.mark == 0:
        written = [response.text.strip(), normalise(response.text)]
        for answer in item.answers:
            if any(lookalike.doubtful_at(transcription, text, answer, below) for text in written):
                return True
    most = 8 if isinstance(item, BlankItem) and item.math else 64
    return any(
        apply_rule(item, other).mark not in (verdict.mark, None)
        for other in lookalike.readings(transcription, below, most)
    )


def _nothing_written(response: Response) -> bool:
    return not response.text.strip()


def _mark_nothing(item: Item, response: Response, settings: Settings) -> Mark:
    """No answer earns nothing, unless the reading says that there may be one."""
    found = [*response.flags, *_reading_flags(item, response, settings)]
    if not flags.blocking(tuple(found)):
        found.append("blank")
    codes = flags.check(tuple(found))
    unread = bool(_UNREAD & set(codes))
    short = isinstance(item, ShortAnswerItem)
    status: Status = "review" if flags.blocking(codes) else "proposed" if short else "final"
    sure = 0.0 if unread else response.confidence
    rubric = item.rubric if isinstance(item, ShortAnswerItem) and not unread else ()
    criteria = tuple(CriterionMark(criterion.id, 0.0, sure) for criterion in rubric)
    mark = None if unread else 0.0
    return Mark(
        response.candidate,
        item.id,
        mark,
        item.max_mark,
        sure,
        status,
        codes,
        "rule:nothing_written/1",
        criteria,
    )


def _unknown(response: Response) -> Mark:
    codes = flags.check((*response.flags, "unknown_item"))
    return Mark(response.candidate, response.item, None, 0.0, 0.0, "review", codes)


Key = tuple[str, str, float]


def _key(response: Response) -> Key:
    return response.item, response.text, response.confidence


def _propose(
    exam: Exam, items: dict[str, Item], responses: Sequence[Response], scorer: Scorer | None
) -> dict[Key, Mark]:
    """The scorer's proposal for every different short answer, item by item."""
    different: dict[str, dict[Key, Response]] = {}
    for response in responses:
        if isinstance(items.get(response.item), ShortAnswerItem) and not _nothing_written(response):
            different.setdefault(response.item, {}).setdefault(_key(response), response)
    proposals: dict[Key, Mark] = {}
    for name, group in different.items():
        item = items[name]
        assert isinstance(item, ShortAnswerItem)
        if scorer is None:
            left = Mark("", name, None, item.max_mark, 0.0, "review", ("no_scorer",))
            proposals.update(dict.fromkeys(group, left))
        else:
            given = scorer.score(item, exam.exam.language, list(group.values()))
            proposals.update(zip(group, given, strict=True))
    return proposals


def _settle(proposal: Mark, response: Response, settings: Settings) -> Mark:
    """A proposal becomes this response's mark: proposed, or for review, never final."""
    low = ("ocr_doubtful",) if response.confidence < settings.doubtful_below else ()
    codes = flags.check((*response.flags, *proposal.flags, *low))
    to_review = proposal.mark is None or proposal.status == "review" or flags.blocking(codes)
    status: Status = "review" if to_review else "proposed"
    return replace(proposal, candidate=response.candidate, flags=codes, status=status)
