"""A class with homework, as a teacher makes it over HTTP."""

from __future__ import annotations

from typing import Any

from service_client import Client

CLASS = "1001 李明\n1002 王芳\n1003 赵雷\n"


def form(**more: str) -> dict[str, str]:
    """The form of two items as a browser sends it."""
    return {
        "title": "第三单元", "language": "zh",
        "item.1.id": "1", "item.1.type": "choice", "item.1.max_mark": "2", "item.1.options": "ABCD",
        "item.1.answer": "B", "item.1.prompt": "选一选",
        "item.2.id": "2", "item.2.type": "short_answer", "item.2.max_mark": "4", "item.2.prompt": "冰为什么浮在水面？",
        "item.2.reference_answers": "水结冰时体积变大，密度变小", "item.2.criterion.0": "体积变大",
        "item.2.marks.0": "2", "item.2.criterion.1": "密度变小", "item.2.marks.1": "2", **more,
    }  # fmt: skip


def made(client: Client, **more: str) -> str:
    """The address of new homework."""
    answer = client.post("/homework", **form(**more))
    assert answer.status_code == 200, answer.text
    return answer.url.path


def with_class(client: Client) -> str:
    root = made(client)
    assert client.post(f"{root}/class", **{"class": CLASS}).status_code == 200
    return root


def upload(client: Client, root: str, data: bytes, candidate: str = "", path: str = "a.jpg") -> dict[str, Any]:
    """Send one file as the page's script does."""
    headers = {"X-Upload": "1", "X-CSRF-Token": client.csrf}
    fields = {"candidate": candidate, "path": path}
    answer = client.http.post(f"{root}/upload", data=fields, files=[("files", ("upload", data))], headers=headers)
    return dict(answer.json())
