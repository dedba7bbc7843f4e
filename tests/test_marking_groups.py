"""Which answers read alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.errors import UsageError
from grader.marking.groups import ALIKE, Text, merged, near_identical, similarity, split_name

TEXTS = st.text("水冰不大小体积变成凝固结3.2 ab", min_size=0, max_size=14)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("水凝固成冰时体积变大", "水凝固成冰时体积变小"),
        ("水凝固成冰时体积会变大", "水凝固成冰时体积不会变大"),
        ("the volume of the water increases", "the volume of the water decreases"),
        ("the water does not expand here at all", "the water does expand here at all"),
        ("速度是3.2米每秒所以先到", "速度是3.5米每秒所以先到"),
    ],
)
def test_what_decides_a_mark_is_never_a_small_difference(one: str, two: str) -> None:
    assert similarity(one, two) == 0.0
    assert near_identical([Text("1", "a", one, 3), Text("2", "b", two)], 1.0) == []


def test_slips_of_the_pen_are_near_identical() -> None:
    texts = [
        Text("1", "a", "水凝固成冰时体积变大了", 5),
        Text("2", "b", "水凝固成冰时体积变大", 2),
        Text("3", "c", "水疑固成冰时体积变大了", 1),
        Text("4", "d", "蒸发吸热", 4),
        Text("5", "e", "", 9),
    ]
    (found,) = near_identical(texts, 1.0)
    assert found.clusters == ("a", "b", "c")
    assert found.likeness[0] == 1.0
    assert min(found.likeness) >= ALIKE


def test_a_model_that_marks_them_apart_keeps_them_apart() -> None:
    one, two = Text("1", "a", "水凝固成冰时体积变大了", 5, 4.0), Text("2", "b", "水凝固成冰时体积变大", 2, 2.0)
    assert near_identical([one, two], 1.0) == []
    assert len(near_identical([one, two], 2.0)) == 1


@given(st.lists(TEXTS, unique=True, max_size=12), st.randoms(use_true_random=False))
def test_groups_do_not_depend_on_the_order_and_never_share(written: list[str], random: object) -> None:
    texts = [Text(f"n{n}", f"c{n}", text, 1 + n % 3) for n, text in enumerate(written)]
    found = near_identical(texts, 1.0, 0.6)
    shuffled = list(texts)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert near_identical(shuffled, 1.0, 0.6) == found
    members = [name for group in found for name in group.clusters]
    assert len(members) == len(set(members))
    assert all(len(group.clusters) > 1 for group in found)


@given(TEXTS, TEXTS)
def test_likeness_is_mutual(one: str, two: str) -> None:
    assert similarity(one, two) == similarity(two, one)
    assert 0.0 <= similarity(one, two) <= 1.0
    assert similarity(one, one) == 1.0


def test_names_of_groups() -> None:
    assert merged(["b", "a", "b"]) == "b"
    with pytest.raises(UsageError):
        merged(["a", "a"])
    assert split_name("a", ["a", "a.0001"]) == "a.0002"
    assert split_name("a.0001", ["a", "a.0001"]) == "a.0002", "a part of a part stands beside the others"
