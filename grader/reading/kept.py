"""What is worked out once for a form and used for every page."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

_MOST = 64


def by_identity(work: Callable[Concatenate[T, P], R]) -> Callable[Concatenate[T, P], R]:
    """Keep the results for the very object given first and the (hashable) rest.

    A form is frozen but large: comparing or hashing it would cost more than the work that is saved. The
    object is held with its result, so that its identity is not given to another.
    """
    kept: dict[tuple[int, Hashable], tuple[T, R]] = {}

    @wraps(work)
    def wrapped(subject: T, *args: P.args, **options: P.kwargs) -> R:
        key: tuple[int, Any] = (id(subject), (*args, *sorted(options.items())))
        known = kept.get(key)
        if known is None:
            if len(kept) >= _MOST:
                kept.clear()
            known = kept[key] = (subject, work(subject, *args, **options))
        return known[1]

    return wrapped
