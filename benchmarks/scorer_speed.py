"""How fast is the encoder a core, does a mark depend on anything but its answer, and what else was tried?

The same answers of held-out questions, one thread each, in turns: PyTorch eager in float32 in padded batches of 32 in
the order the answers come (what a plain script does) and sorted by length (what a careful one does), beside the run
time that gives the marks of record (ONNX Runtime, float32, one answer at a time, nothing cached), beside dynamic int8,
which never gives the mark of record. Twice: for scores alone, an answer beside one reference; and for the whole scorer
(several references, stretches of long answers, lexical judge, flags), where eager is given the sequences that the
scorer reads and does nothing else. Times include tokenising.

Marks: bit for bit the same alone, in any batch and in any order; and computed with PyTorch's kernels, which add in
another order, as a stand-in for another processor.

    python benchmarks/scorer_speed.py --run RUN            # a training run, exported
    python benchmarks/scorer_speed.py                      # the untrained English base: times only mean something
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import harness
import numpy as np
import onnxruntime
import scorers
import torch

from grader.records import Mark
from grader.scoring.bundle import NETWORK
from grader.scoring.encoder import EncoderScorer
from grader.scoring.encoding import Encoded
from grader.scoring.network import Network, Output
from grader.training import cross_encoder, evaluation, fine_tune, stored, vocabulary
from grader.training.export import SHAPE, Trained, dynamic_int8, export
from grader.training.rows import Row
from grader.training.shipping import Run

BATCH = 32
WANTED = 2.4  # times eager
_MEMORY = (  # of the process itself, kept to what marking needs, so that the peak is the scorer's
    "import sys; from pathlib import Path; from grader.scoring.encoder import EncoderScorer; "
    "from grader.exam.exam import ShortAnswerItem; from grader.records import Response; "
    "scorer = EncoderScorer(folder=Path(sys.argv[1])); "
    "item = ShortAnswerItem(id='1', type='short_answer', max_mark=4, prompt='Why?', reference_answers=('b ' * 120,)); "
    "scorer.score(item, sys.argv[2], [Response(str(n), '1', f'{n} ' * 120) for n in range(20)]); "
    "print(next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith('VmHWM')))"
)
_NAMES = {
    "eager": f"PyTorch eager, padded batches of {BATCH}",
    "sorted": "PyTorch eager, sorted by length",
    "record": "marks of record",
    "int8": "dynamic int8",
}


def eager(model: torch.nn.Module, sequences: Sequence[Encoded], by_length: bool = False) -> np.ndarray:
    """n x 7 probabilities in padded batches of 32, in the order given or from the shortest to the longest."""
    order = list(range(len(sequences)))
    if by_length:
        order.sort(key=lambda place: len(sequences[place].ids))
    found: np.ndarray = np.empty((len(sequences), 7), np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            parts = [(list(sequences[place].ids), list(sequences[place].types)) for place in batch]
            steps, classes, _ = model(*fine_tune.padded(parts, torch.device("cpu")))
            found[batch] = torch.cat([steps.sigmoid(), classes.softmax(1)], 1).numpy()
    return found


def one_by_one(network: Network, sequences: Sequence[Encoded]) -> np.ndarray:
    """n x 7 probabilities, as marks of record are made."""
    network.read.cache_clear()
    outs = [network.read(one) for one in sequences]
    return np.array([[*out.steps, *out.classes] for out in outs])


def tried(path: Path, sequences: Sequence[Encoded], rounds: int) -> list[list[object]]:
    """What might have been faster: name, times faster than the settings in use, share of results changed."""

    def session(**wanted: Any) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        entries = wanted.pop("entries", {})
        for name, value in {**wanted}.items():
            setattr(options, name, value)
        for name, value in entries.items():
            options.add_session_config_entry(name, value)
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def alone(held: Any) -> np.ndarray:
        return np.concatenate([_run(held, [one]) for one in sequences])

    def of_equal_length(held: Any) -> np.ndarray:
        found: np.ndarray = np.empty((len(sequences), 7), np.float32)
        lengths: dict[int, list[int]] = {}
        for place, one in enumerate(sequences):
            lengths.setdefault(len(one.ids), []).append(place)
        for places in lengths.values():
            for start in range(0, len(places), BATCH):
                part = places[start : start + BATCH]
                found[part] = _run(held, [sequences[place] for place in part])
        return found

    levels = onnxruntime.GraphOptimizationLevel
    used = session()
    runs: dict[str, tuple[Callable[[Any], np.ndarray], Any]] = {
        "as it is": (alone, used),
        "batches of equal length": (of_equal_length, used),
        "subnormal numbers as zero": (alone, session(entries={"session.set_denormal_as_zero": "1"})),
        "no memory arena": (alone, session(enable_cpu_mem_arena=False)),
        "no memory pattern": (alone, session(enable_mem_pattern=False)),
        "two threads": (alone, session(intra_op_num_threads=2)),
        "graph level basic": (alone, session(graph_optimization_level=levels.ORT_ENABLE_BASIC)),
    }
    record = alone(used)
    seconds = harness.interleaved({name: partial(run, held) for name, (run, held) in runs.items()}, rounds)
    return [
        [
            name,
            harness.median_ratio(seconds["as it is"], seconds[name]),
            f"{float((run(held) != record).any(1).mean()):.1%}",
        ]
        for name, (run, held) in runs.items()
    ]


def _run(session: Any, batch: Sequence[Encoded]) -> np.ndarray:
    ids, types = (np.array([getattr(one, name) for one in batch], np.int64) for name in ("ids", "types"))
    steps, classes = session.run(["steps", "classes"], {"ids": ids, "mask": np.ones_like(ids), "types": types})
    return np.concatenate([steps, classes], 1)


def changed(given: np.ndarray, record: np.ndarray) -> dict[str, float]:
    """Share of two-way and three-way labels that differ from those of record, and the largest difference."""
    return {
        "labels_changed_2way": float(((given[:, 3] > 0.5) != (record[:, 3] > 0.5)).mean()),
        "labels_changed_3way": float((given[:, 4:].argmax(1) != record[:, 4:].argmax(1)).mean()),
        "largest_difference": float(np.abs(given - record).max()),
    }


def waste(inputs: Sequence[Encoded]) -> float:
    """Tokens that padded batches compute, over the real ones."""
    sizes = [len(one.ids) for one in inputs]
    padded = sum(max(part) * len(part) for part in (sizes[n : n + BATCH] for n in range(0, len(sizes), BATCH)))
    return padded / sum(sizes)


def peak_megabytes(bundle: Path, language: str) -> float:
    """Peak resident memory of a fresh process that marks twenty long answers."""
    command = [sys.executable, "-c", _MEMORY, str(bundle), language]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.split()[-1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, help="training run to export")
    parser.add_argument("--weights", default="int8", help="how its weights are stored")
    parser.add_argument("--answers", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        run = options.run
        trained = Run.open(harness.need(run), options.weights).trained() if run else scorers.untrained(folder)
        held = [row for row in scorers.validation_rows() if row.language in trained.languages]
        rows = scorers.sample(held, options.answers)
        result = measured(trained, rows, folder, options.rounds)
    show(result)
    harness.write("scorer_speed", result)


def measured(trained: Trained, rows: Sequence[Row], folder: Path, rounds: int) -> dict[str, Any]:
    bundle = folder / "bundle"
    exported = export([trained], rows[:50], bundle, lambda _: None)[trained.base]
    scorer = EncoderScorer(folder=bundle)
    model = in_torch(trained, rounded=False)
    member, int8 = bundle / trained.base, folder / "int8.onnx"
    network = Network(member / NETWORK)
    dynamic_int8(member, int8)
    quick = Network(int8)

    def encoded() -> list[Encoded]:
        scorer.readers[0].encoding._pieces.cache_clear()
        return [cross_encoder.encode(scorer.readers[0].encoding, row) for row in rows]

    work: dict[str, Callable[[], object]] = {
        "eager": lambda: eager(model, encoded()),
        "sorted": lambda: eager(model, encoded(), by_length=True),
        "record": lambda: one_by_one(network, encoded()),
        "int8": lambda: one_by_one(quick, encoded()),
    }
    seconds = harness.interleaved(work, rounds)
    sequences = encoded()
    record = one_by_one(network, sequences)
    read = _read_by(scorer, rows)
    whole = harness.interleaved(
        {
            "eager": lambda: eager(model, read),
            "sorted": lambda: eager(model, read, by_length=True),
            "record": lambda: _marks(scorer, rows),
        },
        max(1, rounds // 2),
    )
    return {
        "base": trained.base,
        "trained": trained.name != "untrained",
        "n": len(rows),
        "tokens": float(np.mean([len(one.ids) for one in sequences])),
        "padding_waste": waste(sequences),
        "answers_a_second": {name: len(rows) / statistics.median(own) for name, own in seconds.items()},
        "times_eager": {name: harness.median_ratio(seconds["eager"], own) for name, own in seconds.items()},
        "whole_answers_a_second": {name: len(rows) / statistics.median(own) for name, own in whole.items()},
        "whole_times_eager": {name: harness.median_ratio(whole["eager"], own) for name, own in whole.items()},
        "whole_sequences": len(read),
        "independence": independence(scorer, network, sequences, rows, record),
        "other_arithmetic": other_arithmetic(scorer, in_torch(trained, rounded=True), rows),
        "tried": tried(member / NETWORK, sequences[:100], max(1, rounds // 2)),
        "int8": changed(one_by_one(quick, sequences), record),
        "eager": changed(eager(model, sequences), record),
        "megabytes": exported["megabytes"] | {"int8.onnx": int8.stat().st_size / 1e6},
        "peak_megabytes": peak_megabytes(bundle, trained.languages[0]),
        "parity": exported["parity"],
    }


def in_torch(trained: Trained, rounded: bool) -> torch.nn.Module:
    """The network in PyTorch, its vocabulary that of the bundle; with its weights as the bundle rounds them, or as
    they were trained."""
    model = cross_encoder.load(trained.state, *SHAPE[trained.base], trained.pooling)
    kept = torch.from_numpy(vocabulary.of_languages(vocabulary.read(trained.tokenizer), trained.languages))
    words = model.base.get_input_embeddings()
    words.weight = torch.nn.Parameter(words.weight.detach()[kept].clone())
    if rounded:
        state = {name: value.numpy() for name, value in model.state_dict().items()}
        whole = {name: stored.expanded(*stored.rounded(name, value, trained.weights)) for name, value in state.items()}
        model.load_state_dict({name: torch.from_numpy(value) for name, value in whole.items()})
    return model


def _marks(scorer: EncoderScorer, rows: Sequence[Row]) -> list[Mark]:
    """The marks of a scorer that has seen nothing yet."""
    for held in (scorer._task, scorer.readers[0].network.read, scorer.readers[0].encoding._pieces):
        held.cache_clear()
    return evaluation.mark_rows(scorer, rows)


def _read_by(scorer: EncoderScorer, rows: Sequence[Row]) -> list[Encoded]:
    """The different sequences that the whole scorer reads for these answers, in that order."""
    read: list[Encoded] = []
    with reading(scorer, read.append):
        evaluation.mark_rows(scorer, rows)
    return list(dict.fromkeys(read))


@contextmanager
def reading(scorer: EncoderScorer, seen: Callable[[Encoded], object], through: Any = None) -> Iterator[None]:
    """For a while the scorer, which forgets what it knew, shows what it reads; `through` reads instead of it."""
    network, held = through or scorer.readers[0].network.read, scorer.readers[0].network
    scorer._task.cache_clear()

    class Shown:
        def read(self, one: Encoded) -> Output:
            seen(one)
            return network(one)

    scorer.readers[0].network = Shown()
    try:
        yield
    finally:
        scorer.readers[0].network = held
        scorer._task.cache_clear()


def independence(
    scorer: EncoderScorer, network: Network, sequences: Sequence[Encoded], rows: Sequence[Row], record: np.ndarray
) -> dict[str, bool]:
    """Whether probabilities and marks are the same to the last bit: in another order, in another process's session,
    and each answer alone."""
    order = np.random.default_rng(scorers.SEED).permutation(len(sequences))
    shuffled = one_by_one(network, [sequences[place] for place in order])
    together = _marks(scorer, rows)
    alone = [_marks(scorer, [row])[0] for row in rows[:40]]
    moved = _marks(scorer, [rows[place] for place in order])
    return {
        "probabilities in another order": bool((shuffled == record[order]).all()),
        "marks alone": [_told(mark) for mark in alone] == [_told(mark) for mark in together[: len(alone)]],
        "marks in another order": [_told(m) for m in moved] == [_told(together[place]) for place in order],
    }


def _told(mark: Mark) -> tuple[object, ...]:
    """All of a mark but whose it is."""
    return (mark.mark, mark.confidence, mark.status, mark.flags, mark.criteria)


def other_arithmetic(scorer: EncoderScorer, model: torch.nn.Module, rows: Sequence[Row]) -> dict[str, float]:
    """What changes where sums are taken in another order: PyTorch's kernels, one sequence at a time. model: of the
    weights as they are stored."""

    def read(one: Encoded) -> Output:
        with torch.inference_mode():
            table = fine_tune.padded([(list(one.ids), list(one.types))], torch.device("cpu"))
            steps, classes, state = model(*table)
        return Output(steps.sigmoid()[0].numpy(), classes.softmax(1)[0].numpy(), state[0].numpy())

    record = _marks(scorer, rows)
    with reading(scorer, lambda _: None, read):
        given = evaluation.mark_rows(scorer, rows)
    pairs = list(zip(record, given, strict=True))
    return {
        "marks": sum(a.mark != b.mark for a, b in pairs),
        "flags": sum(a.flags != b.flags for a, b in pairs),
        "confidences": sum(a.confidence != b.confidence for a, b in pairs),
        "largest_confidence": max(abs(a.confidence - b.confidence) for a, b in pairs),
    }


def show(result: dict[str, Any]) -> None:
    speeds, times = result["answers_a_second"], result["times_eager"]
    title = f"{result['base']}, n {result['n']}, one thread; wanted: marks of record at least {WANTED} times eager"
    lines = [[_NAMES[key], speeds[key], times[key]] for key in _NAMES]
    harness.table(title, ["scores alone", "answers/s", "times eager"], lines)
    speeds, times = result["whole_answers_a_second"], result["whole_times_eager"]
    lines = [[_NAMES[key], speeds[key], times[key]] for key in speeds]
    title = (
        f"whole scorer: {result['whole_sequences']} sequences, lexical judge and flags for the marks of record alone"
    )
    harness.table(title, ["whole scorer", "answers/s", "times eager"], lines)
    harness.table("what was tried", ["on 100 answers", "times faster", "results changed"], result["tried"])
    columns = ("labels_changed_2way", "labels_changed_3way", "largest_difference")
    changes = [[_NAMES[key], *(result[key][column] for column in columns)] for key in ("int8", "eager")]
    harness.table("beside the marks of record", ["arithmetic", *columns], changes)
    for what, same in result["independence"].items():
        print(f"{what}: {'the same, bit for bit' if same else 'CHANGED'}")
    other = result["other_arithmetic"]
    print(
        f"with PyTorch's kernels, of {result['n']} answers: {other['marks']} marks changed, {other['flags']} flags, "
        f"{other['confidences']} confidences in the fourth digit (at most by {other['largest_confidence']:.4f})"
    )
    sizes = ", ".join(f"{name} {size:.1f} MB" for name, size in result["megabytes"].items())
    print(f"{sizes}; peak memory {result['peak_megabytes']:.0f} MB; padding computes {result['padding_waste']:.2f} x")
    if not result["trained"]:
        print("untrained heads: changes of labels mean nothing here")


if __name__ == "__main__":
    main()
