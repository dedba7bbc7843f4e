"""What the exam's rules say of a mistake, in the language of whoever mends it."""

from __future__ import annotations

from grader.exam.mistakes import in_chinese
from grader.homework.drafts import Trouble
from grader.report.words import Language


def told(trouble: Trouble, language: Language) -> Trouble:
    """The trouble in the language of whoever mends it."""
    if language == "en":
        return trouble
    return Trouble(trouble.field, in_chinese(trouble.message), in_chinese(trouble.remedy))
