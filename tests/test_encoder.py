"""The encoder as exams use it: whole bundles only, text stays text, marks alone and in any batch, evidence."""

from __future__ import annotations

import json
import os
import random
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bundles import ROWS, bundle, trained
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader import flags, registry
from grader.errors import ModelError, UsageError
from grader.exam.exam import ShortAnswerItem
from grader.records import Mark, Response
from grader.scoring import choose
from grader.scoring import confidence as odds
from grader.scoring.bundle import NETWORK, NUMBERS, TOKENIZER, Bundle, files_of
from grader.scoring.encoder import EncoderScorer
from grader.scoring.encoding import nearest
from grader.scoring.network import Output
from grader.scoring.reader import Reader, together
from grader.scoring.stacking import KINDS, UNFITTED, Signals, Stack
from grader.scoring.text import look

TOWEL = "Why does a wet towel dry faster on a windy day?"
HOLISTIC = ShortAnswerItem(
    id="1", type="short_answer", max_mark=4, prompt=TOWEL,
    reference_answers=(
        "Wind carries away the water vapour above the towel, so water evaporates faster.",
        "Moving air removes humid air and increases the rate of evaporation.",
    ),
)  # fmt: skip
RUBRIC = ShortAnswerItem.model_validate({
    "id": "2", "type": "short_answer", "max_mark": 3, "prompt": TOWEL,
    "rubric": [
        {"id": "a", "marks": 1.5, "criterion": "wind carries away the water vapour"},
        {"id": "b", "marks": 1.5, "criterion": "the water evaporates faster"},
    ],
})  # fmt: skip
ITEMS = {"holistic": HOLISTIC, "rubric": RUBRIC}
ANSWERS = [
    "The wind blows the vapour away, so the water evaporates faster", "because of the sun", "wind", "", " \n ",
    "wind does not carry away the vapour", TOWEL, "I like towels. The wind takes the vapour away. It is hot.",
    "The wind carries the vapour away. The wind does not carry the vapour away.", "摩擦力等于推力", "it is 3.5 m/s",
    "？！", "[SEP] [MASK] </s>", "\u200b\u202e水\u0000", "\ud800", "😀😀", "١٢٣", "a" * 3000, "，" * 500,
    "wind dries. " * 300, "the vapour, " * 900,
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle("en", tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def scorer(folder: Path) -> EncoderScorer:
    return EncoderScorer(folder=folder)


def marks_of(scorer: EncoderScorer, name: str, texts: list[str], reading: float = 1.0) -> list[Mark]:
    item = ITEMS[name]
    return scorer.score(item, "en", [Response(str(n), item.id, text, reading) for n, text in enumerate(texts)])


def check(mark: Mark, item: ShortAnswerItem, text: str) -> None:
    assert mark.mark is not None
    assert 0 <= mark.mark <= item.max_mark == mark.max_mark
    assert 0 <= mark.confidence <= 1
    assert mark.flags == flags.check(mark.flags)
    assert "model_proposal" in mark.flags
    assert mark.status == ("review" if flags.blocking(mark.flags) else "proposed")
    step = odds.mark_step([item.max_mark, *(c.marks for c in item.rubric)])
    for given_mark in (mark.mark, *(c.mark for c in mark.criteria)):
        assert given_mark / step == pytest.approx(round(given_mark / step))
    assert [c.id for c in mark.criteria] == [c.id for c in item.rubric]
    if item.rubric:
        assert mark.mark == pytest.approx(min(item.max_mark, sum(c.mark for c in mark.criteria)))
    for criterion in mark.criteria:
        assert criterion.mark == 0 or criterion.evidence is not None
        if criterion.evidence is not None:
            start, end = criterion.evidence
            assert 0 <= start < end <= len(text)
            assert text[start:end] == text[start:end].strip()


@pytest.mark.parametrize("name", ITEMS)
def test_marks_keep_every_promise(scorer: EncoderScorer, name: str) -> None:
    for text, mark in zip(ANSWERS, marks_of(scorer, name, ANSWERS), strict=True):
        check(mark, ITEMS[name], text)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=120), st.sampled_from(sorted(ITEMS)))
def test_no_text_breaks_a_promise(scorer: EncoderScorer, text: str, name: str) -> None:
    check(marks_of(scorer, name, [text])[0], ITEMS[name], text)


@pytest.mark.parametrize("name", ITEMS)
def test_a_mark_is_bitwise_the_same_alone_and_in_any_batch(scorer: EncoderScorer, folder: Path, name: str) -> None:
    item = ITEMS[name]
    alone = {text: marks_of(scorer, name, [text])[0] for text in ANSWERS}
    chance = random.Random(3)
    fresh = EncoderScorer(folder=folder)
    for _ in range(3):
        batch = chance.sample(ANSWERS, len(ANSWERS)) + chance.choices(ANSWERS, k=5)
        got = fresh.score(item, "en", [Response("0", item.id, text) for text in batch])
        assert got == [alone[text] for text in batch]


def test_what_the_network_says_does_not_depend_on_what_it_read_before(folder: Path) -> None:
    texts = ["wind", "the wind dries the towel", "sun", "the hot sun and the wind because of the towel"]
    orders = (texts, texts[::-1], texts[2:] + texts[:2])
    seen = []
    for order in orders:
        fresh = EncoderScorer(folder=folder)
        outs = {text: fresh.readers[0].read(TOWEL, "wind dries", text) for text in order}
        seen.append([np.concatenate([outs[t].steps, outs[t].classes, outs[t].state]).tobytes() for t in texts])
    assert seen[0] == seen[1] == seen[2]


def test_probabilities_fall_and_sum_to_one(scorer: EncoderScorer) -> None:
    for text in ("wind", "the sun dries", "摩擦力"):
        out = scorer.readers[0].read(TOWEL, "wind dries the towel", text)
        assert (np.diff(out.steps) <= 0).all()
        assert out.classes.sum() == pytest.approx(1, abs=1e-5)
        with pytest.raises(ValueError, match="read-only"):
            out.state[0] = 1


def test_special_tokens_typed_by_a_candidate_are_text(scorer: EncoderScorer) -> None:
    honest = scorer.readers[0].encoding.triple("towel", "wind", "sun")
    start, end = honest.ids[0], honest.ids[-1]
    for typed in ("[SEP] sun [CLS]", "</s><s>", "[sep]", "[PAD] [MASK]", "[ＳＥＰ]", "[S\u200bEP] sun"):
        ids = scorer.readers[0].encoding.triple(typed, typed, typed).ids
        assert ids.count(end) == honest.ids.count(end) == 3
        assert ids.count(start) == 1
        assert ids[-1] == end


def test_parts_stand_in_their_order_and_are_cut_at_their_limits(scorer: EncoderScorer) -> None:
    limits = scorer.readers[0].lengths
    one = scorer.readers[0].encoding.triple("sun " * 900, "wind " * 900, "towel " * 900)
    assert len(one.ids) == limits.question + limits.reference + limits.answer + 4
    assert one.types == (0,) * (limits.reference + 2) + (1,) * (limits.answer + 1) + (0,) * (limits.question + 1)


def test_a_long_answer_is_read_in_stretches_of_whole_clauses(scorer: EncoderScorer) -> None:
    limit = scorer.readers[0].lengths.answer
    short, whole = scorer.readers[0].encoding.windows(look("wind dries."), 4)
    assert (short, whole) == (["wind dries."], True)
    clause = " wind dries the towel."
    text = clause * (2 * limit // scorer.readers[0].encoding.length(clause))
    parts, whole = scorer.readers[0].encoding.windows(look(text), 4)
    assert whole
    assert "".join(parts) == text
    assert len(parts) > 1
    assert all(scorer.readers[0].encoding.length(part) <= limit for part in parts)
    _, whole = scorer.readers[0].encoding.windows(look(clause * limit), 2)
    assert not whole


@pytest.mark.parametrize("text", ["wind " * 2000, "风把水汽带走。" * 1500, "a" * 10_000, "the wind, " * 1000])
def test_ten_thousand_characters_are_flagged(scorer: EncoderScorer, text: str) -> None:
    assert "too_long" in marks_of(scorer, "holistic", [text])[0].flags


def test_references_that_share_most_are_read(scorer: EncoderScorer) -> None:
    references = ["the sun is hot", "wind dries the towel", "摩擦力等于推力", "water"]
    assert nearest(references, look("the towel dries"), 2) == ["wind dries the towel", "the sun is hot"]
    assert nearest(references, look("推力和摩擦力"))[0] == "摩擦力等于推力"
    assert nearest(["b", "a", "b"], look("z"), 3) == ["b", "a"]


def test_of_several_references_the_best_counts(scorer: EncoderScorer) -> None:
    both = ["wind carries away the vapour", "the sun is hot"]
    answer = look("hot sun and vapour")
    found, _ = scorer.readers[0].output(TOWEL, both, answer)
    single = [scorer.readers[0].output(TOWEL, [one], answer)[0].steps[3] for one in both]
    assert found.steps[3] == max(single)


def test_a_statement_taken_back_costs_its_mark(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = EncoderScorer(folder=folder)  # of its own: what an item is judged by is made ready once
    sure = Output(np.full(4, 0.99, np.float32), np.array([0.98, 0.01, 0.01], np.float32), np.zeros(4, np.float32))
    monkeypatch.setattr(Reader, "read", lambda *_: sure)
    limits = replace(scorer.bundle.limits, both=0.2, polarity=0.2)
    monkeypatch.setattr(scorer, "bundle", replace(scorer.bundle, limits=limits, stack=Stack.read(UNFITTED)))
    said = HOLISTIC.reference_answers[0]
    whole, turned = marks_of(scorer, "holistic", [said, f"{said} {said.replace('carries', 'does not carry')}"])
    assert whole.mark == 4
    assert turned.mark is not None
    assert turned.mark < 4
    assert {"contradiction", "negated_reference"} & set(turned.flags)
    assert turned.status == "review"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("holistic", "Water evaporates faster. Water evaporates slower."),
        ("holistic", "Wind carries away the water vapour. Wind does not carry away the water vapour."),
        ("rubric", "The wind carries away the water vapour. The wind never carries away water vapour."),
    ],
)
def test_a_right_statement_beside_its_opposite_costs_its_mark(
    folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str
) -> None:
    scorer = EncoderScorer(folder=folder)
    sure = Output(np.full(4, 0.99, np.float32), np.array([0.98, 0.01, 0.01], np.float32), np.zeros(4, np.float32))
    monkeypatch.setattr(Reader, "read", lambda *_: sure)
    limits = replace(scorer.bundle.limits, reversed=0.3)
    monkeypatch.setattr(scorer, "bundle", replace(scorer.bundle, limits=limits, stack=Stack.read(UNFITTED)))
    said, turned = marks_of(scorer, name, ["The wind carries away the water vapour, so it evaporates faster.", text])
    assert said.mark == ITEMS[name].max_mark
    assert "contradiction" not in said.flags
    assert turned.mark is not None
    assert turned.mark < said.mark
    assert "contradiction" in turned.flags
    assert turned.status == "review"


def test_the_opposite_of_a_reference_goes_to_a_person(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = EncoderScorer(folder=folder)
    limits = replace(scorer.bundle.limits, reversed=0.3)
    monkeypatch.setattr(scorer, "bundle", replace(scorer.bundle, limits=limits))
    for turned in marks_of(scorer, "holistic", ["Moving air decreases the rate of evaporation.", "evaporates slower"]):
        assert turned.status == "review"
    assert "contradiction" in marks_of(scorer, "holistic", ["Moving air decreases the rate of evaporation."])[0].flags


def test_blank_earns_nothing_with_the_confidence_of_the_reading(scorer: EncoderScorer) -> None:
    sure, doubtful = (marks_of(scorer, "rubric", [""], reading)[0] for reading in (1.0, 0.5))
    assert (sure.mark, sure.confidence, sure.status) == (0.0, 1.0, "proposed")
    assert "blank" in sure.flags
    assert (doubtful.confidence, doubtful.status) == (0.5, "review")


def test_doubt_of_the_reading_lowers_confidence_and_is_flagged(scorer: EncoderScorer) -> None:
    sure, doubtful = (marks_of(scorer, "holistic", ["the wind dries it"], reading)[0] for reading in (1.0, 0.6))
    assert doubtful.mark == sure.mark
    assert doubtful.confidence < sure.confidence
    assert "ocr_doubtful" in doubtful.flags
    assert "ocr_doubtful" not in sure.flags


def test_marks_say_who_gave_them_and_with_which_files(scorer: EncoderScorer) -> None:
    assert {mark.marker for mark in marks_of(scorer, "holistic", ["wind", ""])} == {"model:encoder/3"}
    names = set(scorer.models())
    own = {member.folder.name for member in scorer.bundle.members}
    assert {f"{scorer.bundle.name}/{one}/{name}" for one in own for name in (NETWORK, TOKENIZER)} <= names
    assert f"{scorer.bundle.name}/{NUMBERS}" in names
    assert "lexical.onnx" in names


def test_a_damaged_bundle_is_refused(folder: Path, tmp_path: Path) -> None:
    def copy(name: str) -> Path:
        return Path(shutil.copytree(folder, tmp_path / name, copy_function=os.symlink))

    def put(path: Path, data: bytes) -> None:
        path.unlink()
        path.write_bytes(data)

    numbers = json.loads((folder / NUMBERS).read_text())
    for number, name in enumerate(files_of(numbers)):
        broken = copy(f"broken-{number}")
        data = bytearray((broken / name).read_bytes())
        data[len(data) // 2] ^= 1
        put(broken / name, data)
        with pytest.raises(ModelError, match="damaged"):
            Bundle.open(broken)
        missing = copy(f"missing-{number}")
        (missing / name).unlink()
        with pytest.raises(ModelError, match="missing"):
            Bundle.open(missing)
    member = next(iter(numbers["members"]))
    damages = (
        {"version": "encoder/1"}, {"limits": {}}, {"stacking": {}}, {"members": {}}, {"members": [1]}, {"sha256": 3},
        {"members": {member: {}}}, {"members": {member: 3}},
    )  # fmt: skip
    for number, damage in enumerate(damages):
        other = copy(f"other-{number}")
        put(other / NUMBERS, json.dumps(numbers | damage).encode())
        with pytest.raises(ModelError):
            Bundle.open(other)
    with pytest.raises(ModelError):
        Bundle.open(tmp_path / "nothing")


def test_several_networks_are_heard_in_the_mean(tmp_path: Path) -> None:
    export = pytest.importorskip("grader.training.export").export
    both = [trained(tmp_path / str(types), types=types) for types in (2, 0)]
    export(both, ROWS, tmp_path / "both", lambda _: None)
    scorer = EncoderScorer(folder=tmp_path / "both")
    assert [reader.lengths for reader in scorer.readers] == [one.lengths for one in both]
    reading, _, whole = scorer.reading("towel", ("wind dries the towel",), look("the sun"))
    alone = [reader.output("towel", ("wind dries the towel",), look("the sun"))[0] for reader in scorer.readers]
    assert whole
    assert np.abs(alone[0].steps - alone[1].steps).max() > 1e-3
    for name in ("steps", "classes"):
        assert getattr(reading.output, name) == pytest.approx(sum(getattr(one, name) for one in alone) / 2, abs=1e-6)
    assert (np.diff(reading.output.steps) <= 0).all()
    assert (reading.output.state == np.concatenate([one.state for one in alone])).all()
    assert together(alone[:1]) is alone[0]
    names = {f"tiny/{base}/{file}" for base in ("minilm", "mpnet") for file in (NETWORK, TOKENIZER)}
    assert names <= set(scorer.models())
    for mark in scorer.score(HOLISTIC, "en", [Response("0", HOLISTIC.id, text) for text in ANSWERS]):
        assert mark.mark is not None
        assert 0 <= mark.mark <= HOLISTIC.max_mark
    _, _, whole = scorer.reading("towel", ("wind",), look("the wind dries. " * 100))
    assert not whole  # what one of them could not read was not read


def test_a_network_of_an_earlier_bundle_does_not_stay_behind(tmp_path: Path) -> None:
    export = pytest.importorskip("grader.training.export").export
    both, out = [trained(tmp_path / str(types), types=types) for types in (2, 0)], tmp_path / "out"
    export(both, ROWS[:1], out, lambda _: None)
    (out / "minilm" / "mine.txt").write_text("kept", encoding="utf-8")
    export(both[1:], ROWS[:1], out, lambda _: None)
    assert sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()) == [
        "encoder.json", "minilm/mine.txt", "mpnet/encoder.onnx", "mpnet/tokenizer.json",
    ]  # fmt: skip
    assert [member.folder.name for member in EncoderScorer(folder=out).bundle.members] == ["mpnet"]


def test_networks_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    export = pytest.importorskip("grader.training.export").export
    one, other = (trained(tmp_path / str(types), types=types) for types in (2, 0))
    for pair in ((one, one), (one, replace(other, name="more")), (one, replace(other, languages=("en",)))):
        with pytest.raises(UsageError, match="do not belong together"):
            export(pair, ROWS, tmp_path / "out", lambda _: None)
    assert not (tmp_path / "out").exists()


def test_an_unknown_provider_is_refused_in_words(folder: Path) -> None:
    with pytest.raises(UsageError, match="no provider"):
        EncoderScorer(folder=folder, provider="abacus")  # type: ignore[arg-type]


def test_the_best_scorer_there_is_gets_chosen(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr("grader.scoring.bundle.folder_for", lambda language: folder if language == "en" else None)
    monkeypatch.setattr("grader.scoring.encoder.folder_for", lambda language: folder if language == "en" else None)
    assert choose.resolve("auto", "en") == "encoder"
    assert choose.resolve("auto", "zh") == "lexical"
    assert choose.resolve("lexical", "en") == "lexical"
    assert isinstance(choose.create("auto", "en"), EncoderScorer)
    with pytest.raises(ModelError, match="no encoder"):
        choose.create("encoder", "zh")
    with pytest.raises(UsageError):
        registry.create("scorer", "nothing")


def test_stacking_never_lets_a_later_step_pass_an_earlier_one() -> None:
    stack = Stack.read({**UNFITTED, "bias": [0.0, 1.0, 2.0, 3.0], "lexical": 0.4})
    steps = stack.steps(np.array([0.6, 0.59, 0.5, 0.1]), np.array([0.9, 0.5, 0.4, 0.2]))
    assert (np.diff(steps) <= 0).all()
    raised = Stack.read({**UNFITTED, "contradictory": 1.0}).classes(np.array([0.4, 0.3, 0.3]))
    assert raised.sum() == pytest.approx(1)
    assert raised.argmax() == 1
    named = stack.named(np.array([[0.6, 0.1, 0.3], [0.6, 0.1, 0.3]]), np.array([0.2, 0.9]))
    assert named.sum(1) == pytest.approx([1, 1])
    assert named[:, 0] == pytest.approx([0.4, 0.75])
    assert named[0, 1:] == pytest.approx([0.15, 0.45])


def test_confidence_rises_with_agreement_and_damaged_numbers_are_refused() -> None:
    numbers = {**UNFITTED, "confidence": {kind: [0.8, -1.0, -0.5, -0.5, 0.1] for kind in KINDS}}
    stack = Stack.read(numbers)
    sure = [stack.sure("rubric/exact", Signals(agreement, 0.1, 0.1, 0.2)) for agreement in (0.1, 0.5, 0.9, 1.0)]
    assert sure == sorted(sure)
    assert 0 < sure[0] < sure[-1] < 1
    assert stack.sure("rubric/exact", Signals(0.9, 0.9, 0.1, 0.2)) < sure[2]
    for name, value in (("bias", [0.0]), ("confidence", {}), ("encoder", None)):
        with pytest.raises(ModelError):
            Stack.read({**numbers, name: value})


def test_the_same_answer_on_another_page_is_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer, read = EncoderScorer(folder=folder), []
    for one in scorer.readers:
        network = one.read
        monkeypatch.setattr(one, "read", lambda *texts, network=network: read.append(texts) or network(*texts))
    first = marks_of(scorer, "holistic", [ANSWERS[0]], 0.9)[0]
    count = len(read)
    again, doubted = (marks_of(scorer, "holistic", [ANSWERS[0]], reading)[0] for reading in (0.9, 0.4))
    assert 0 < count == len(read)
    assert again == first
    assert marks_of(EncoderScorer(folder=folder), "holistic", [ANSWERS[0]], 0.4)[0] == doubted
    assert doubted.confidence < first.confidence  # the reading's confidence still counts
