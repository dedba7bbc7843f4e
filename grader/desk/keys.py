"""The keys of the desk: one registry that makes the help, the hints on the buttons and the behaviour.

A page gives an element the keys of an action by `attributes(action)`; desk.js presses the element when its key
is pressed. An action that is not listed here cannot have a key, and a key belongs to one action a page.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from markupsafe import Markup

from grader.report.words import Language

Page = Literal["answer", "group", "sure", "overview", "pages", "adjudicate"]


@dataclass(frozen=True)
class Key:
    """press: values of KeyboardEvent.key. shown: on the hint. pages: where the action is."""

    action: str
    press: tuple[str, ...]
    shown: str
    en: str
    zh: str
    pages: tuple[Page, ...]

    def words(self, language: Language) -> str:
        """What the key does."""
        return self.zh if language == "zh" else self.en


_EVERYWHERE: tuple[Page, ...] = ("answer", "group", "sure", "overview", "pages", "adjudicate")
_MARKING: tuple[Page, ...] = ("answer", "group", "adjudicate")

KEYS: tuple[Key, ...] = (
    Key("save", ("Enter",), "Enter", "save the mark shown; unchanged, that is the proposal",
        "保存当前分数；未改动即采纳建议分", _MARKING),
    Key("go", ("Enter",), "Enter", "go on marking", "继续评阅", ("overview",)),
    Key("mark", tuple("0123456789."), "0–9", "write a mark, then Enter", "输入分数，再按 Enter", _MARKING),
    Key("full", ("f",), "F", "full marks, saved at once", "满分并保存", _MARKING),
    Key("zero", ("z",), "Z", "no marks, saved at once", "零分并保存", _MARKING),
    Key("accept", ("a",), "A", "accept the proposal as it stands, saved at once", "采纳建议分并保存",
        ("answer", "sure")),
    Key("raise", ("r",), "R", "raise it to the leader, with the comment as the reason",
        "提交组长处理，评语即为理由", ("answer",)),
    Key("return", ("r",), "R", "hand it back to the markers", "退回评卷人", ("adjudicate",)),
    Key("comment", ("c",), "C", "write a comment; Esc leaves the box", "写评语；Esc 退出", _MARKING),
    Key("skip", ("s",), "S", "leave it for later", "稍后再评", ("answer", "adjudicate")),
    Key("back", ("b",), "B", "back to the page before", "返回上一页", _EVERYWHERE),
    Key("undo", ("u",), "U", "undo the last saved mark", "撤销上一次保存", ("answer", "group", "sure", "overview")),
    Key("group", ("g",), "G", "all identical answers together", "相同作答一起评", ("answer",)),
    Key("closer", ("+", "="), "+", "larger picture", "放大图片", (*_MARKING, "sure")),
    Key("farther", ("-",), "−", "smaller picture", "缩小图片", (*_MARKING, "sure")),
    Key("overview", ("o",), "O", "overview", "总览", ("answer", "group", "sure", "pages", "adjudicate")),
    Key("language", ("x",), "X", "中文 / English", "中文 / English", _EVERYWHERE),
    Key("help", ("?", "？"), "?", "these keys", "显示快捷键", _EVERYWHERE),
)  # fmt: skip

# Criteria take these letters in the order of the rubric; a longer rubric is clicked.
CRITERIA = "qwetyipdhjklvnm"
CRITERION = Key("criterion", tuple(CRITERIA), "Q W E …", "give or take away a criterion", "给予或取消评分点", _MARKING)

_BY_ACTION = {key.action: key for key in KEYS}


def attributes(action: str) -> Markup:
    """Attributes of the element that does the action. Raises KeyError for an action without keys."""
    return Markup('data-keys="{}"').format(" ".join(_BY_ACTION[action].press))


def hint(action: str) -> Markup:
    """The key as it stands on the button."""
    return Markup("<kbd>{}</kbd>").format(_BY_ACTION[action].shown)


def criterion_key(number: int) -> str:
    """The letter that toggles the criterion `number`, from 0; "" where the letters have run out."""
    return CRITERIA[number] if number < len(CRITERIA) else ""


def of_page(page: Page) -> list[Key]:
    """The keys that a page has, for its help."""
    return [key for key in (*KEYS, CRITERION) if page in key.pages]


def of_service_page(page: Page) -> list[Key]:
    """The same in the service, where the language is the account's and switched without a key."""
    return [key for key in of_page(page) if key.action != "language"]
