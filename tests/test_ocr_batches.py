"""Lines in batches: which go together, in which order they come back, and what happens when memory runs out.

The network runs on the processor here; the code that puts lines together is the one that a GPU uses.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from exams import BLANK, NUMERIC, make_exam
from hypothesis import example, given
from hypothesis import strategies as st
from lettering import HAND_ZH, empty, scanned, write
from onnxruntime.capi.onnxruntime_pybind11_state import InvalidArgument, RuntimeException

from grader import registry
from grader.demo.simulate import Habits, simulate_batch
from grader.errors import PageError
from grader.exam.form import load_form
from grader.ocr.batches import ALONE, BATCHED, BYTES_PER_COLUMN, Batcher, Batching
from grader.ocr.ppocr import PPOCR, RECOGNISER, VERSION
from grader.ocr.protocol import Crop
from grader.ocr.recognition import NARROWEST, WIDEST, Line, Recogniser, network_input, network_width
from grader.paper.sheets import print_sheets
from grader.reading.roster import Entry, Roster
from grader.records import Transcription
from grader.resources import model_path
from grader.run.batch import run_batch
from grader.run.executor import SerialExecutor
from grader.run.job import Job, Settings
from grader.run.replay import replay
from grader.store.store import RunStore

NO_MEMORY = (
    "[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code returned while running Conv node. Status "
    "Message: bfc_arena.cc:376 AllocateRawInternal Failed to allocate memory for requested buffer of size 8388608000"
)
TEXTS = ("光合作用", "水", "water and light", "7", "能量守恒定律", "20071", "B", "3.2m/s", "energy", "二氧化碳", "D")


class Recorder:
    """Work that notes its batches; more than `room` columns at once do not fit."""

    def __init__(self, widths: Sequence[int], room: int = 10**9, error: Exception | None = None) -> None:
        self.widths, self.room = widths, room
        self.error = error or RuntimeException(NO_MEMORY)
        self.batches: list[list[int]] = []
        self.refused = 0

    def __call__(self, numbers: Sequence[int]) -> list[str]:
        if sum(self.widths[number] for number in numbers) > self.room:
            self.refused += 1
            raise self.error
        self.batches.append(list(numbers))
        return [f"line {number}" for number in numbers]


# which lines go together


@pytest.mark.parametrize(
    ("budget", "width", "lines"),
    [
        (0, 128, 1),
        (BYTES_PER_COLUMN * 128 * 2 - 1, 128, 1),
        (BYTES_PER_COLUMN * 128 * 2, 128, 2),
        (BYTES_PER_COLUMN * 128 * 15, 128, 8),
        (BYTES_PER_COLUMN * 128 * 16, 256, 8),
        (2**40, 128, 32),
        (2**30, WIDEST, 4),
    ],
)
def test_a_batch_is_as_large_as_memory_allows(budget: int, width: int, lines: int) -> None:
    assert Batching(most=32, budget=budget).size(width) == lines


@given(st.integers(0, 2**36), st.integers(1, 64), st.integers(0, WIDEST - 1))
@example(2**36, 6, 127)
@example(2**36, 3, 127)
def test_a_batch_never_takes_more_than_its_budget(free: int, most: int, width: int) -> None:
    batching = Batching(most=most, step=64).within(free)
    lines = batching.size(width + 1)
    assert 1 <= lines <= most
    assert lines == 1 or lines * (width + 1) * BYTES_PER_COLUMN <= free / 2
    if lines > 1:
        assert 1 <= batching.halved(lines, width + 1).size(width + 1) <= lines / 2


def test_every_gpu_with_room_makes_the_same_batches() -> None:
    assert BATCHED.within(4 * 2**30) == BATCHED.within(80 * 2**30) == BATCHED


def test_lines_of_one_width_go_together_in_the_order_asked() -> None:
    widths = [128, 320, 128, 128, 320, 4096, 128, 128]
    work = Recorder(widths)
    assert Batcher(Batching(most=4)).run(widths, work) == [f"line {n}" for n in range(8)]
    assert work.batches == [[0, 2, 3, 6], [7], [1, 4], [5]]


def test_nothing_asked_is_nothing_done() -> None:
    work = Recorder([])
    assert Batcher(BATCHED).run([], work) == []
    assert work.batches == []


def test_alone_is_alone() -> None:
    widths = [128] * 5
    work = Recorder(widths)
    Batcher(ALONE).run(widths, work)
    assert work.batches == [[0], [1], [2], [3], [4]]
    assert network_width(np.zeros((48, 301), np.uint8), ALONE.step) == (301, 301), "in its own width"


@given(
    st.lists(st.sampled_from([128, 192, 256, 1024, 4096]), max_size=40), st.integers(1, 16), st.integers(4096, 20000)
)
def test_every_line_has_its_own_result_whatever_fits(widths: list[int], most: int, room: int) -> None:
    work = Recorder(widths, room)
    assert Batcher(Batching(most=most)).run(widths, work) == [f"line {n}" for n in range(len(widths))]
    assert sorted(n for batch in work.batches for n in batch) == list(range(len(widths)))
    again = Recorder(widths, room)
    Batcher(Batching(most=most)).run(widths, again)
    assert again.batches == work.batches


# when memory runs out


@pytest.mark.parametrize(
    "error",
    [
        RuntimeException(NO_MEMORY),
        RuntimeException("Non-zero status code returned while running Add node. Status Message: std::bad_alloc"),
        RuntimeException("CUDA failure 2: out of memory ; GPU=0 ; expr=cudaMalloc"),
        RuntimeException("CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0"),
        MemoryError(),
    ],
    ids=["arena", "machine", "cuda", "cublas", "python"],
)
def test_a_batch_that_does_not_fit_is_halved_until_it_does(error: Exception) -> None:
    widths = [128] * 32
    work, batcher = Recorder(widths, 128 * 5, error), Batcher(BATCHED)
    assert batcher.run(widths, work) == [f"line {n}" for n in range(32)]
    assert [len(batch) for batch in work.batches] == [4] * 8
    assert work.refused == 3  # 32, 16, 8
    more = Recorder(widths, 128 * 5, error)
    batcher.run(widths, more)
    assert more.refused == 0, "it is not tried again"
    assert batcher.batching.size(1024) == 1, "wider lines need more memory each"


def test_a_line_that_does_not_fit_alone_costs_its_page_in_words() -> None:
    widths = [128, 4096, 4096]
    with pytest.raises(PageError, match="single line of 4096 columns") as caught:
        Batcher(BATCHED).run(widths, Recorder(widths, 4000))
    assert caught.value.reason == "out_of_memory"
    assert "--retry" in caught.value.remedy


@pytest.mark.parametrize("error", [InvalidArgument("wrong shape"), ValueError("out of memory for jokes")])
def test_another_error_is_not_taken_for_want_of_memory(error: Exception) -> None:
    widths = [128] * 4
    work = Recorder(widths, 128, error)
    with pytest.raises(type(error)):
        Batcher(BATCHED).run(widths, work)
    assert work.refused == 1


_SHORT_OF_MEMORY = """
import resource, sys
import numpy as np
from grader.errors import PageError
from grader.ocr.batches import Batching
from grader.ocr.ppocr import RECOGNISER
from grader.ocr.recognition import Line, Recogniser
from grader.resources import model_path

recogniser = Recogniser(model_path(RECOGNISER), "cpu", Batching(most=16, step=64))
lines = [Line(np.full((48, 2048), 250, np.uint8))] * 16
recogniser.recognise([Line(np.full((48, 64), 250, np.uint8))])
with open("/proc/self/status") as status:
    taken = next(int(row.split()[1]) * 1024 for row in status if row.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (taken + int(sys.argv[1]) * 2**20,) * 2)
try:
    print(len(recogniser.recognise(lines)), recogniser._batcher.batching.size(2048))
except PageError as error:
    print(error.reason)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits of address space are Linux's")
def test_a_network_that_really_runs_out_of_memory_reads_in_smaller_batches() -> None:
    def read(megabytes: int) -> list[str]:
        command = [sys.executable, "-c", _SHORT_OF_MEMORY, str(megabytes)]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()

    lines, size = map(int, read(450))
    assert lines == 16
    assert size in (1, 2, 4)
    assert read(20) == ["out_of_memory"]


_PEAK = """
import sys
import numpy as np
from grader.ocr.session import Session
from grader.ocr.ppocr import RECOGNISER
from grader.resources import model_path

def peak():
    with open("/proc/self/status") as status:
        return next(int(row.split()[1]) * 1024 for row in status if row.startswith("VmHWM"))

session = Session(model_path(RECOGNISER))
session.run(np.zeros((1, 3, 48, 128), np.float32))
before = peak()
lines, width = map(int, sys.argv[1:])
session.run(np.zeros((lines, 3, 48, width), np.float32))
print((peak() - before) / (lines * width))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the peak of memory is read as Linux tells it")
@pytest.mark.parametrize(("lines", "width"), [(1, 4096), (8, 512), (32, 128)])
def test_a_column_takes_what_the_sizes_count_with(lines: int, width: int) -> None:
    command = [sys.executable, "-c", _PEAK, str(lines), str(width)]
    taken = float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert 0.5 * BYTES_PER_COLUMN < taken < 1.1 * BYTES_PER_COLUMN


# the network


@pytest.fixture(scope="module")
def lines() -> list[Line]:
    """A wide line among many short ones, and two of an alphabet of their own."""
    pictures = [scanned(write(empty(72, 40 + 34 * len(text)), text, (8, 8), HAND_ZH)) for text in TEXTS]
    wide = scanned(write(empty(60, 1700), "植物通过光合作用释放出氧气" * 3, (8, 4), HAND_ZH))
    return [*map(Line, pictures[:4]), Line(wide), *map(Line, pictures[4:]), *(Line(p, "=ABCD") for p in pictures[-1:])]


@pytest.fixture(scope="module")
def alone(lines: list[Line]) -> list[str]:
    recogniser = Recogniser(model_path(RECOGNISER), "cpu", Batching(most=1, step=64))
    return [_text(recogniser, [line])[0] for line in lines]


def _text(recogniser: Recogniser, lines: Sequence[Line]) -> list[str]:
    return ["".join(symbol.text for symbol in read.symbols) for read in recogniser.recognise(lines)]


@pytest.mark.parametrize("most", [2, 3, 4, 8, 16])
def test_batches_read_what_single_lines_read(lines: list[Line], alone: list[str], most: int) -> None:
    recogniser = Recogniser(model_path(RECOGNISER), "cpu", Batching(most=most, step=64))
    assert _text(recogniser, lines) == alone
    assert _text(recogniser, lines[::-1]) == alone[::-1]
    assert recogniser.recognise(lines) == recogniser.recognise(lines), "the same batches, the same bits"
    assert recogniser.recognise([]) == []


def test_company_changes_no_more_than_last_digits(lines: list[Line]) -> None:
    one, many = (Recogniser(model_path(RECOGNISER), "cpu", Batching(most, 64)) for most in (1, 16))
    for a, b in zip(one.recognise(lines), many.recognise(lines), strict=True):
        assert a.steps == b.steps
        assert [(s.text, s.start, s.end) for s in a.symbols] == [(s.text, s.start, s.end) for s in b.symbols]
        assert np.allclose([s.probability for s in a.symbols], [s.probability for s in b.symbols], atol=1e-4)


def test_a_small_budget_is_kept_with_the_real_network(lines: list[Line], alone: list[str]) -> None:
    budget = 4 * NARROWEST * BYTES_PER_COLUMN
    recogniser = Recogniser(model_path(RECOGNISER), "cpu", Batching(most=16, step=64, budget=budget))
    given: list[tuple[int, ...]] = []
    run = recogniser._session.run
    recogniser._session.run = lambda x: (given.append(x.shape), run(x))[1]  # type: ignore[method-assign]
    assert _text(recogniser, lines) == alone
    assert max(shape[0] * shape[3] for shape in given if shape[0] > 1) <= 4 * NARROWEST
    assert max(shape[0] for shape in given) in (2, 4)
    assert all(shape[3] % 64 == 0 for shape in given)


@given(st.integers(1, 200), st.integers(1, 9000), st.sampled_from([1, 32, 64]))
def test_a_width_depends_on_its_line_alone(height: int, width: int, step: int) -> None:
    line = np.full((height, width), 200, np.uint8)
    padded, own = network_width(line, step)
    x, filled = network_input(line, step)
    assert x.shape == (1, 3, 48, padded)
    assert own == filled <= padded <= WIDEST
    assert padded % step == 0
    assert padded - own < max(step, NARROWEST)
    assert not x[:, :, :, own:].any()


# the engine


def _crops() -> list[Crop]:
    two = write(write(empty(200, 700), "光合作用", (24, 20), HAND_ZH), "water and light", (24, 120))
    return [
        Crop(scanned(write(empty(), "光合作用需要水", font=HAND_ZH))),
        Crop(empty()),
        Crop(scanned(two), None),
        Crop(scanned(write(empty(80, 90), "B", (28, 15))), 1, "=ABCD"),
        Crop(np.zeros((3, 500), np.uint8)),
        Crop(scanned(write(empty(), "20071")), 1, "digits"),
        Crop(scanned(write(empty(80, 90), "D", (28, 15))), 1, "=ABCD"),
    ]


@pytest.fixture(scope="module")
def of_record() -> list[Transcription]:
    engine = PPOCR()
    return [engine.read(crop.picture, lines=crop.lines, alphabet=crop.alphabet) for crop in _crops()]


def test_the_engine_of_record_reads_many_as_it_reads_each_to_the_bit(of_record: list[Transcription]) -> None:
    assert PPOCR().read_many(_crops()) == of_record
    assert PPOCR().read_many(_crops()[::-1]) == of_record[::-1]
    assert PPOCR().read_many([]) == []


@pytest.mark.parametrize("most", [2, 16])
def test_the_crops_of_a_page_are_read_together(of_record: list[Transcription], most: int) -> None:
    read = PPOCR("cpu", Batching(most=most, step=64)).read_many(_crops())
    assert [(one.text, one.flags) for one in read] == [(one.text, one.flags) for one in of_record]
    assert [one.text for one in read] == ["光合作用需要水", "", "光合作用\nwater and light", "B", "", "20071", "D"]


def test_an_engine_that_reads_otherwise_has_another_name_and_says_so() -> None:
    assert (PPOCR().name, PPOCR().remark) == (VERSION, "")
    engine = PPOCR("cpu", Batching(most=8, step=64))
    assert engine.name == f"{VERSION}+batch8x64"
    assert engine.name in engine.models()
    assert "up to 8 lines" in engine.remark
    assert VERSION in engine.remark


class Batched(PPOCR):
    """An engine for the run below, named in the registry. asked: the sizes of the crops that it was asked to read
    together."""

    asked: ClassVar[list[tuple[tuple[int, ...], ...]]] = []

    def __init__(self) -> None:
        super().__init__("cpu", Batching(most=16, step=64))

    def read_many(self, crops: Sequence[Crop]) -> list[Transcription]:
        self.asked.append(tuple(crop.picture.shape for crop in crops))
        return super().read_many(crops)


def test_a_run_in_batches_records_it_and_replays_to_the_bit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.ENGINES["ocr"], "ppocr-batched", f"{__name__}:Batched")
    exam = make_exam([BLANK, NUMERIC, BLANK, BLANK])
    print_sheets(exam, tmp_path, roster=Roster([Entry("2026")]))
    form = load_form(tmp_path / "form.json")
    scans = tmp_path / "scans"
    truths = simulate_batch(exam, form, tmp_path / "paper.pdf", scans, ("2026",), seed=3, habits=Habits())
    found = {}
    for ocr in ("ppocr", "ppocr-batched"):
        job = Job(exam, form, tmp_path, settings=Settings(ocr=ocr))
        summary = run_batch(job, [scans], tmp_path / ocr, SerialExecutor())
        assert summary["counts"]["read"] == len(truths)
        assert summary["remarks"] == ([Batched().remark] if ocr == "ppocr-batched" else [])
        with RunStore.open(tmp_path / ocr) as store:
            found[ocr] = [(one.stored.item, one.stored.mark, one.stored.flags) for one in _replayed(store, "scan")]
    assert found["ppocr"] == found["ppocr-batched"]
    together = set(Batched.asked)
    assert len(together) == len(truths), "the boxes of a page at once"
    Batched.asked.clear()
    scans.rename(tmp_path / "away")
    with RunStore.open(tmp_path / "ppocr-batched") as store:
        assert len(_replayed(store, "crops")) == len(exam.items)
    assert set(Batched.asked) == together, "without the scans the same boxes are read together"


def _replayed(store: RunStore, source: str) -> list:
    replayed = list(replay(store))
    assert {one.source for one in replayed} == {source}
    assert all(one.same for one in replayed)
    assert all(a.stored.item <= b.stored.item for a, b in pairwise(replayed))
    return replayed
