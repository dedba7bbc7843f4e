"""Items with one right answer, and any text that might be given to them."""

from __future__ import annotations

from hypothesis import strategies as st

from grader.exam.exam import BlankItem, ChoiceItem, MultiChoiceItem, NumericItem

FULL = 3.0
_USUAL = st.sampled_from("0123456789.+-*/^=xm米秒光合作用ABC,、 ()²×")
ANYTHING = st.text(alphabet=st.characters(codec="utf-8") | _USUAL, max_size=40)


def choice(answer: str = "B", options: str = "ABCD") -> ChoiceItem:
    return ChoiceItem(id="1", type="choice", options=options, answer=answer, max_mark=FULL)


def multi(partial: float | None = 2) -> MultiChoiceItem:
    subset = None if partial is None else {"subset": partial}
    return MultiChoiceItem(id="1", type="multi_choice", options="ABCDE", answer="ACD", max_mark=FULL, partial=subset)


def blank(*answers: str, **more: object) -> BlankItem:
    return BlankItem.model_validate({"id": "1", "type": "blank", "answers": answers, "max_mark": FULL, **more})


def numeric(answer: str = "3.2", unit: str | None = "m/s", tolerance: str | None = "1%") -> NumericItem:
    return NumericItem(id="1", type="numeric", answer=answer, unit=unit, tolerance=tolerance, max_mark=FULL)
