"""Small exams for tests."""

from __future__ import annotations

from typing import Any

from grader.exam.exam import Exam


def make_exam(items: list[dict[str, Any]], language: str = "zh", title: str = "物理 第三单元") -> Exam:
    numbered = [{"id": str(n), "max_mark": 2, **item} for n, item in enumerate(items, start=1)]
    header = {"id": "test-exam", "title": title, "language": language}
    return Exam.model_validate({"exam": header, "items": numbered})


CHOICE = {"type": "choice", "options": "ABCD", "answer": "B"}
BLANK = {"type": "blank", "answers": ["光合作用"]}
NUMERIC = {"type": "numeric", "answer": 3.2, "unit": "m/s"}
SHORT = {"type": "short_answer", "prompt": "?", "reference_answers": ["因为"]}
