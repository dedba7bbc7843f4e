"""The rules of marking by several people, as properties."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.errors import UsageError
from grader.marking import appeals, sampling, scheme, seeds, statistics
from grader.marking.errors import NotAllowed
from grader.marking.scheme import Adjudication, Awaiting, Final, Given, Scheme, resolve, round_to_step, within
from grader.marking.seeds import Lift, Outcome, SeedPolicy, phase
from grader.marking.settings import ItemSettings, dump, load

MAX = 8.0
MARKS = st.integers(0, 16).map(lambda half: half / 2)
SCHEMES = st.builds(
    Scheme,
    kind=st.sampled_from(["single", "double", "two_plus_one"]),
    tolerance=st.integers(0, 6).map(lambda half: half / 2),
    step=st.sampled_from([0.5, 1.0]),
    rounding=st.sampled_from(["none", "half_up", "half_even"]),
    tie=st.sampled_from(["higher", "lower", "adjudicate"]),
    model=st.sampled_from(["off", "proposes", "second", "checker"]),
).filter(lambda s: not (s.model == "second" and s.kind == "single"))
PEOPLE = st.lists(MARKS, max_size=3).map(
    lambda marks: [Given(name, mark) for name, mark in zip("abc", marks, strict=False)]
)
MODEL = st.none() | MARKS.map(lambda mark: Given("model", mark, "model"))


def _all(people: list[Given], model: Given | None) -> list[Given]:
    return ([model] if model else []) + people


@given(SCHEMES, PEOPLE, MODEL)
def test_a_final_mark_lies_between_the_marks_it_is_made_of(
    chosen: Scheme, people: list[Given], model: Given | None
) -> None:
    found = resolve(chosen, _all(people, model))
    if isinstance(found, Final):
        made_of = [one.mark for one in _all(people, model) if one.marker in found.of]
        slack = chosen.step if chosen.rounding != "none" else 0.0
        assert min(made_of) - slack < found.mark + 1e-9
        assert found.mark - 1e-9 < max(made_of) + slack
        if all(mark % chosen.step == 0 for mark in made_of):
            assert min(made_of) <= found.mark <= max(made_of)


@given(SCHEMES, PEOPLE, MODEL)
def test_marks_that_agree_are_never_moved(chosen: Scheme, people: list[Given], model: Given | None) -> None:
    same = [dataclasses.replace(one, mark=2.5) for one in people]
    agreeing = None if model is None else dataclasses.replace(model, mark=2.5)
    found = resolve(chosen, _all(same, agreeing))
    if len(people) >= 2:
        assert isinstance(found, Final)
        assert found.mark == 2.5


@given(SCHEMES, PEOPLE, MODEL)
def test_only_within_the_tolerance_is_anything_settled(
    chosen: Scheme, people: list[Given], model: Given | None
) -> None:
    found = resolve(chosen, _all(people, model))
    if isinstance(found, Final) and len(found.of) == 2:
        one, two = (given.mark for given in _all(people, model) if given.marker in found.of)
        assert within(chosen.tolerance, one, two)


@given(SCHEMES, PEOPLE, MODEL)
def test_more_marks_never_unsettle(chosen: Scheme, people: list[Given], model: Given | None) -> None:
    """Once settled, a further person changes nothing; and at most three people are ever asked."""
    found = resolve(chosen, _all(people, model))
    if not isinstance(found, Awaiting):
        more = Given("d", 0.0)
        assert resolve(chosen, [*_all(people, model), more]) == found
    if len(people) == 3:
        assert not isinstance(found, Awaiting)


@given(SCHEMES, PEOPLE, MODEL, MODEL)
def test_the_model_counts_only_in_its_role(
    chosen: Scheme, people: list[Given], model: Given | None, other: Given | None
) -> None:
    found = resolve(chosen, _all(people, model))
    if chosen.model in ("off", "proposes"):
        assert resolve(chosen, _all(people, other)) == found
    if isinstance(found, Final) and chosen.model != "second":
        assert "model" not in found.of
    assert not isinstance(resolve(chosen, _all([], model)), Final), "no person, no final mark"


@given(SCHEMES, PEOPLE, MODEL, MARKS)
def test_a_leaders_mark_stands_above_all(chosen: Scheme, people: list[Given], model: Given | None, mark: float) -> None:
    leader = Given("ling", mark, "leader")
    assert resolve(chosen, [*_all(people, model), leader]) == Final(mark, "adjudicated", ("ling",))
    appeal = Given("zhao", 1.0, "appeal")
    assert resolve(chosen, [*_all(people, model), leader, appeal]) == Final(1.0, "appeal", ("zhao",))


def _people(*marks: float) -> list[Given]:
    return [Given(name, mark) for name, mark in zip("abc", marks, strict=False)]


@pytest.mark.parametrize(
    ("tie", "expected"),
    [("higher", 6.0), ("lower", 4.0), ("adjudicate", Adjudication("tie"))],
)
def test_a_third_mark_equally_near_to_both(tie: scheme.Tie, expected: object) -> None:
    chosen = Scheme("two_plus_one", tolerance=2, step=1, tie=tie)
    assert resolve(chosen, _people(3, 7)) == Awaiting("third")
    found = resolve(chosen, _people(3, 7, 5))
    assert (found.mark if isinstance(found, Final) else found) == expected


def test_two_plus_one_step_by_step() -> None:
    chosen = Scheme("two_plus_one", tolerance=1, step=1, rounding="half_even")
    assert resolve(chosen, []) == Awaiting("first")
    assert resolve(chosen, _people(3)) == Awaiting("second")
    assert resolve(chosen, _people(3, 4)) == Final(4.0, "agreed", ("a", "b"))  # 3.5 to even
    assert resolve(chosen, _people(2, 7)) == Awaiting("third")
    assert resolve(chosen, _people(2, 7, 6)) == Final(6.0, "closest_pair", ("b", "c"))  # 6.5 to even
    assert resolve(chosen, _people(2, 7, 5)) == Adjudication("difference")


@given(SCHEMES, PEOPLE, MODEL)
def test_people_are_asked_only_in_the_roles_of_the_scheme(
    chosen: Scheme, people: list[Given], model: Given | None
) -> None:
    found = resolve(chosen, _all(people, model))
    assert not isinstance(found, Awaiting) or found.role in scheme.roles_of(chosen)


def test_double_marking_beyond_the_tolerance_is_adjudicated() -> None:
    assert resolve(Scheme("double", tolerance=1), _people(2, 4)) == Adjudication("difference")


def test_the_checking_model_asks_for_a_third_look_but_never_counts() -> None:
    chosen = Scheme("single", tolerance=1, step=0.5, model="checker")
    far = Given("model", 6.0, "model")
    assert resolve(chosen, [far, *_people(3)]) == Awaiting("third")
    assert resolve(chosen, [far, *_people(3, 4)]) == Final(3.5, "closest_pair", ("a", "b"))
    assert resolve(chosen, [far, *_people(3, 6)]) == Adjudication("difference")
    assert resolve(chosen, _people(3)) == Final(3.0, "single", ("a",))


def test_criteria_are_kept_where_both_gave_them() -> None:
    chosen = Scheme("double", tolerance=2, step=0.5)
    one = Given("a", 3.0, criteria={"x": 2.0, "y": 1.0})
    two = Given("b", 2.0, criteria={"x": 2.0, "y": 0.0})
    found = resolve(chosen, [one, two])
    assert isinstance(found, Final)
    assert (found.mark, found.criteria) == (2.5, {"x": 2.0, "y": 0.5})
    bare = resolve(chosen, [one, Given("b", 2.0)])
    assert isinstance(bare, Final)
    assert bare.criteria is None


@given(st.integers(0, 400).map(lambda n: n / 8), st.sampled_from([0.25, 0.5, 1.0]))
def test_rounding_goes_to_the_nearest_step(value: float, step: float) -> None:
    up, even = round_to_step(value, step, "half_up"), round_to_step(value, step, "half_even")
    for rounded in (up, even):
        assert abs(rounded - value) <= step / 2
        assert rounded % step == 0
    assert round_to_step(value, step, "none") == value
    if abs(value % step - step / 2) < 1e-12:
        assert up > value
        assert (even / step) % 2 == 0


def test_tolerances_are_exact_decimals() -> None:
    assert within(0.2, 0.3, 0.1)
    assert within(0.1, 0.8, 0.7), "in binary the difference is greater"
    assert not within(0.1, 0.8, 0.69)


@pytest.mark.parametrize(
    "wrong",
    [Scheme(tolerance=4), Scheme(tolerance=-1), Scheme(step=0), Scheme(step=5), Scheme("single", 1, model="second")],
)
def test_settings_that_contradict_themselves_are_refused(wrong: Scheme) -> None:
    with pytest.raises(UsageError):
        scheme.check(wrong, 4)


@given(SCHEMES)
def test_settings_survive_the_database(chosen: Scheme) -> None:
    made = ItemSettings(chosen, SeedPolicy(rate=0.1))
    assert load(dump(made)) == made


@pytest.mark.parametrize("text", ["", "[]", '{"scheme": {"kind": "triple"}}', '{"lease": "long"}'])
def test_settings_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        load(text)


# seeds


@given(st.binary(min_size=32, max_size=32), st.sampled_from([0.05, 0.2, 0.5]))
@settings(max_examples=20)
def test_seeds_come_at_the_set_rate(secret: bytes, rate: float) -> None:
    stream = [seeds.serves_seed(secret, "chen", "4", number, rate) for number in range(2000)]
    deviation = (rate * (1 - rate) / 2000) ** 0.5
    assert abs(sum(stream) / 2000 - rate) < 6 * deviation
    assert stream == [seeds.serves_seed(secret, "chen", "4", number, rate) for number in range(2000)]
    assert stream != [seeds.serves_seed(secret, "wang", "4", number, rate) for number in range(2000)]


def _outcomes(trial: seeds.Trial, text: str) -> list[Outcome]:
    return [Outcome(trial, one == "=", one in "=~") for one in text]


def test_practice_then_qualification_then_live_marking() -> None:
    policy = SeedPolicy(rate=0.1, practice=2, qualification=4, pass_share=0.75, window=4, limit=0.75)
    history = list(_outcomes("practice", "x"))
    assert phase(policy, history) == "practice"
    history += _outcomes("practice", "x")
    assert phase(policy, history) == "qualification"
    history += _outcomes("qualification", "=x=x")
    assert phase(policy, history) == "failed"
    history += [Lift("failed")]
    assert phase(policy, history) == "qualification"
    history += _outcomes("qualification", "=x=~")
    assert phase(policy, history) == "live"
    history += _outcomes("seed", "=x===")
    assert phase(policy, history) == "live"
    history += _outcomes("seed", "x=x")
    assert phase(policy, history) == "stopped"
    assert phase(policy, [*history, Lift("stopped")]) == "live"


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 12), st.integers(0, 10).map(lambda n: n / 10))
def test_who_is_always_within_is_never_stopped(good: list[bool], window: int, limit: float) -> None:
    policy = SeedPolicy(window=window, limit=limit)
    assert not seeds.drifts(policy, [Outcome("seed", exact, True) for exact in good])
    whole = [Outcome("seed", one, one) for one in good][-window:]
    if len(whole) == window:
        agreed = sum(one.within for one in whole) / window
        assert seeds.drifts(policy, whole) == (agreed < limit - 1e-9)


def test_nobody_lifts_his_own_stop() -> None:
    assert seeds.may_lift("leader", "ling", "chen")
    assert not seeds.may_lift("leader", "ling", "ling")
    assert not seeds.may_lift("marker", "wang", "chen")


# samples and appeals


@given(st.sets(st.text("abcdefghijklmnop", min_size=3, max_size=5), min_size=1, max_size=60), st.integers(1, 30))
def test_a_sample_is_a_part_of_what_it_stands_for(population: set[str], size: int) -> None:
    names = sampling.draw(population, size, "seed")
    assert len(names) == len(set(names)) == min(size, len(population))
    assert set(names) <= population
    assert names == sampling.draw(sorted(population, reverse=True), size, "seed")


@given(st.lists(st.tuples(MARKS, MARKS), min_size=1, max_size=20), st.integers(0, 20))
def test_a_sample_is_judged_only_when_it_was_looked_at_whole(pairs: list[tuple[float, float]], looked: int) -> None:
    names = [str(n) for n in range(len(pairs))]
    model = {name: pair[0] for name, pair in zip(names, pairs, strict=True)}
    person = {name: pair[1] for name, pair in list(zip(names, pairs, strict=True))[:looked]}
    judged = sampling.judge(names, model, person, 1.0, 0.0)
    every = looked >= len(pairs)
    assert judged.complete == every
    assert judged.acceptable == (every and all(within(1.0, a, b) for a, b in pairs))


def test_an_appeal_goes_its_way() -> None:
    state = appeals.after("open", "taken")
    assert appeals.after(state, "handed_back") == "open"
    assert [appeals.outcome(2.0, mark) for mark in (3.0, 1.0, 2.0)] == ["raised", "lowered", "unchanged"]
    assert appeals.outcome(None, 0.0) == "unchanged"
    for closed in appeals.CLOSED:
        with pytest.raises(NotAllowed):
            appeals.after(closed, "taken")
    with pytest.raises(NotAllowed):
        appeals.check_may_take("chen", ["chen", "wang"])


# figures


def _row(marker: str, answer: str, mark: float, **more: object) -> statistics.Row:
    return statistics.Row(marker, "4", answer, mark, 4.0, 1.0, 0.5, **more)  # type: ignore[arg-type]


def test_figures_of_a_severe_and_a_hedging_marker() -> None:
    rows = [_row("chen", str(n), n % 5, seconds=10.0 + n) for n in range(10)]
    rows += [_row("wang", str(n), max(0.0, n % 5 - 1.0), seconds=5.0) for n in range(10)]
    rows += [_row("li", str(n), 2.9) for n in range(10, 20)]
    told = {one.marker: one for one in statistics.marker_figures(rows)}
    assert told["wang"].severity == pytest.approx(-0.8 / 4)
    assert told["chen"].severity == pytest.approx(0.8 / 4)
    assert (told["chen"].seconds, told["wang"].seconds) == (14.5, 5.0)
    assert (told["li"].hedging, told["chen"].hedging) == (1.0, 0.0)
    assert (told["li"].severity, told["li"].severity_n, told["li"].spread) == (None, 0, pytest.approx(0.0))
    people = statistics.people_with_people(rows)
    assert (people.n, people.exact, people.within) == (10, 0.2, 1.0)
    assert statistics.model_with_people(rows) == statistics.Agreement(0, None, None, None, None)


def test_a_marker_who_differs_with_himself_is_seen() -> None:
    rows = [_row("chen", "1", 2.0, text="冰"), _row("chen", "2", 4.0, text="冰"), _row("chen", "3", 1.0)]
    itself = statistics.marker_figures(rows)[0].itself
    assert (itself.n, itself.exact, itself.within, itself.mean) == (1, 0.0, 0.0, -2.0)


@given(st.lists(st.tuples(MARKS, MARKS), min_size=1, max_size=30))
def test_agreement_is_the_same_in_any_order(pairs: list[tuple[float, float]]) -> None:
    rows = [(_row("a", str(n), one / 2), _row("b", str(n), two / 2)) for n, (one, two) in enumerate(pairs)]
    there, back = statistics.agreement(rows), statistics.agreement(list(reversed(rows)))
    assert dataclasses.astuple(there) == pytest.approx(dataclasses.astuple(back), nan_ok=True)
    swapped = statistics.agreement([(two, one) for one, two in rows])
    assert swapped.mean == pytest.approx(-(there.mean or 0.0))
    assert swapped.qwk == (None if there.qwk is None else pytest.approx(there.qwk))
    perfect = statistics.agreement([(one, dataclasses.replace(one, marker="b")) for one, _ in rows])
    assert (perfect.exact, perfect.within, perfect.mean) == (1.0, 1.0, 0.0)
    assert perfect.qwk in (None, pytest.approx(1.0))
