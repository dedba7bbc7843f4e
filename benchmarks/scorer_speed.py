"""How fast is the encoder a core, does a mark depend on anything but its answer, and what else was tried?

The same answers of held-out questions, one thread each, in turns: PyTorch eager in float32 in padded batches of 32 in
the order the answers come (what a plain script does) and sorted by length (what a careful one does), beside the run
time that gives the marks of record (ONNX Runtime, float32, one answer at a time, nothing cached), beside dynamic int8,
which never gives the mark of record. Twice: for scores alone, an answer beside one reference; and for the whole scorer
(several references, stretches of long answers, lexical judge, flags), where eager is given the sequences that the
scorer reads and does nothing else. Times include tokenising.

Marks: bit for bit the same alone, in any batch and in any order; and computed with PyTorch's kernels, which add in
another order, as a stand-in for another processor.

    python benchmarks/scorer_speed.py                             # the two networks for English
    python benchmarks/scorer_speed.py --bundle models/scorer/zh
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
import shipped
import torch

from grader.records import Mark
from grader.scoring.bundle import Bundle, files_of, folder_for, read_numbers
from grader.scoring.encoder import EncoderScorer
from grader.scoring.encoding import Encoded
from grader.scoring.network import Network, Output
from grader.scoring.reader import Reader
from grader.training import cross_encoder, evaluation, fine_tune
from grader.training.export import dynamic_int8
from grader.training.rows import Row

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
    parser.add_argument("--bundle", type=Path, default=folder_for("en"))
    parser.add_argument("--answers", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    bundle = Bundle.open(options.bundle)
    held = [row for row in scorers.validation_rows() if row.language == bundle.languages[0]]
    result = measured(bundle, scorers.sample(held, options.answers), options.rounds)
    show(result)
    harness.write(f"scorer_speed_{bundle.languages[0]}", result)


def measured(bundle: Bundle, rows: Sequence[Row], rounds: int) -> dict[str, Any]:
    """Each network alone, then the whole scorer."""
    scorer = EncoderScorer(folder=bundle.folder)
    models = shipped.networks(bundle.folder)
    named = dict(zip(models, scorer.readers, strict=True))
    networks = {name: of_network(reader, models[name], rows, rounds) for name, reader in named.items()}
    read = _read_by(scorer, rows)

    def eagerly(by_length: bool = False) -> None:
        for model, sequences in zip(models.values(), read, strict=True):
            eager(model, sequences, by_length)

    work = {"eager": eagerly, "sorted": lambda: eagerly(by_length=True), "record": lambda: _marks(scorer, rows)}
    whole = harness.interleaved(work, max(1, rounds // 2))
    return {
        "n": len(rows),
        "files": bundle.models(),
        "networks": networks,
        "whole_answers_a_second": {name: len(rows) / statistics.median(own) for name, own in whole.items()},
        "whole_times_eager": {name: harness.median_ratio(whole["eager"], own) for name, own in whole.items()},
        "whole_sequences": sum(map(len, read)),
        "independence": independence(scorer, rows),
        "other_arithmetic": other_arithmetic(scorer, list(models.values()), rows),
        "megabytes": {
            name: (bundle.folder / name).stat().st_size / 1e6 for name in files_of(read_numbers(bundle.folder))
        },
        "peak_megabytes": peak_megabytes(bundle.folder, bundle.languages[0]),
    }


def of_network(reader: Reader, model: torch.nn.Module, rows: Sequence[Row], rounds: int) -> dict[str, Any]:
    """One network: each answer beside the reference that is nearest to it. model: the same in PyTorch."""
    path = reader.network.path

    def encoded() -> list[Encoded]:
        reader.encoding._pieces.cache_clear()
        return [cross_encoder.encode(reader.encoding, row) for row in rows]

    with tempfile.TemporaryDirectory() as scratch:
        int8 = Path(scratch) / "int8.onnx"
        dynamic_int8(path.parent, int8)
        quick, network = Network(int8), Network(path)
        work: dict[str, Callable[[], object]] = {
            "eager": lambda: eager(model, encoded()),
            "sorted": lambda: eager(model, encoded(), by_length=True),
            "record": lambda: one_by_one(network, encoded()),
            "int8": lambda: one_by_one(quick, encoded()),
        }
        seconds = harness.interleaved(work, rounds)
        sequences = encoded()
        record = one_by_one(network, sequences)
        order = np.random.default_rng(scorers.SEED).permutation(len(sequences))
        shuffled = one_by_one(network, [sequences[place] for place in order])
        return {
            "tokens": float(np.mean([len(one.ids) for one in sequences])),
            "padding_waste": waste(sequences),
            "answers_a_second": {name: len(rows) / statistics.median(own) for name, own in seconds.items()},
            "times_eager": {name: harness.median_ratio(seconds["eager"], own) for name, own in seconds.items()},
            "independent_of_order": bool((shuffled == record[order]).all()),
            "tried": tried(path, sequences[:50], max(1, rounds // 2)),
            "int8": changed(one_by_one(quick, sequences), record),
            "eager": changed(eager(model, sequences), record),
        }


def _marks(scorer: EncoderScorer, rows: Sequence[Row]) -> list[Mark]:
    """The marks of a scorer that has seen nothing yet."""
    scorer._task.cache_clear()
    for reader in scorer.readers:
        reader.network.read.cache_clear()
        reader.encoding._pieces.cache_clear()
    return evaluation.mark_rows(scorer, rows)


def _read_by(scorer: EncoderScorer, rows: Sequence[Row]) -> list[list[Encoded]]:
    """For each network, the different sequences that it reads for these answers, in that order."""
    read: list[list[Encoded]] = [[] for _ in scorer.readers]
    with reading(scorer, lambda place, one: read[place].append(one)):
        evaluation.mark_rows(scorer, rows)
    return [list(dict.fromkeys(own)) for own in read]


@contextmanager
def reading(
    scorer: EncoderScorer,
    seen: Callable[[int, Encoded], object],
    through: Callable[[int, Encoded], Output] | None = None,
) -> Iterator[None]:
    """For a while the scorer, which forgets what it knew, shows which network reads what; `through` reads instead."""
    held = [reader.network for reader in scorer.readers]
    scorer._task.cache_clear()

    class Shown:
        def __init__(self, place: int) -> None:
            self.place = place

        def read(self, one: Encoded) -> Output:
            seen(self.place, one)
            return through(self.place, one) if through else held[self.place].read(one)

    for place, reader in enumerate(scorer.readers):
        reader.network = Shown(place)
    try:
        yield
    finally:
        for reader, network in zip(scorer.readers, held, strict=True):
            reader.network = network
        scorer._task.cache_clear()


def independence(scorer: EncoderScorer, rows: Sequence[Row]) -> dict[str, bool]:
    """Whether marks are the same to the last bit in another order, and each answer alone."""
    together = _marks(scorer, rows)
    alone = [_marks(scorer, [row])[0] for row in rows[:40]]
    order = np.random.default_rng(scorers.SEED).permutation(len(rows))
    moved = _marks(scorer, [rows[place] for place in order])
    return {
        "marks alone": [_told(mark) for mark in alone] == [_told(mark) for mark in together[: len(alone)]],
        "marks in another order": [_told(m) for m in moved] == [_told(together[place]) for place in order],
    }


def _told(mark: Mark) -> tuple[object, ...]:
    """All of a mark but whose it is."""
    return (mark.mark, mark.confidence, mark.status, mark.flags, mark.criteria)


def other_arithmetic(scorer: EncoderScorer, models: Sequence[torch.nn.Module], rows: Sequence[Row]) -> dict[str, float]:
    """What changes where sums are taken in another order: PyTorch's kernels, one sequence at a time."""

    def read(place: int, one: Encoded) -> Output:
        with torch.inference_mode():
            table = fine_tune.padded([(list(one.ids), list(one.types))], torch.device("cpu"))
            steps, classes, state = models[place](*table)
        return Output(steps.sigmoid()[0].numpy(), classes.softmax(1)[0].numpy(), state[0].numpy())

    record = _marks(scorer, rows)
    with reading(scorer, lambda place, one: None, read):
        given = evaluation.mark_rows(scorer, rows)
    pairs = list(zip(record, given, strict=True))
    return {
        "marks": sum(a.mark != b.mark for a, b in pairs),
        "flags": sum(a.flags != b.flags for a, b in pairs),
        "confidences": sum(a.confidence != b.confidence for a, b in pairs),
        "largest_confidence": max(abs(a.confidence - b.confidence) for a, b in pairs),
    }


def show(result: dict[str, Any]) -> None:
    for name, network in result["networks"].items():
        _show_network(name, network, result["n"])
    speeds, times = result["whole_answers_a_second"], result["whole_times_eager"]
    lines = [[_NAMES[key], speeds[key], times[key]] for key in speeds]
    title = f"whole scorer, n {result['n']}: {result['whole_sequences']} sequences; lexical judge and flags for the "
    harness.table(title + "marks of record alone", ["whole scorer", "answers/s", "times eager"], lines)
    for what, same in result["independence"].items():
        print(f"{what}: {'the same, bit for bit' if same else 'CHANGED'}")
    other = result["other_arithmetic"]
    print(
        f"with PyTorch's kernels, of {result['n']} answers: {other['marks']} marks changed, {other['flags']} flags, "
        f"{other['confidences']} confidences in the fourth digit (at most by {other['largest_confidence']:.4f})"
    )
    sizes = ", ".join(f"{name} {size:.1f} MB" for name, size in result["megabytes"].items())
    print(f"{sizes}; peak memory {result['peak_megabytes']:.0f} MB")


def _show_network(name: str, network: dict[str, Any], n: int) -> None:
    speeds, times = network["answers_a_second"], network["times_eager"]
    title = f"{name}, n {n}, one thread; wanted: marks of record at least {WANTED} times eager"
    lines = [[_NAMES[key], speeds[key], times[key]] for key in _NAMES]
    harness.table(title, ["scores alone", "answers/s", "times eager"], lines)
    harness.table(f"{name}: what was tried", ["on 50", "times faster", "results changed"], network["tried"])
    columns = ("labels_changed_2way", "labels_changed_3way", "largest_difference")
    changes = [[_NAMES[key], *(network[key][column] for column in columns)] for key in ("int8", "eager")]
    harness.table(f"{name}: beside the marks of record", ["arithmetic", *columns], changes)
    same = "the same, bit for bit" if network["independent_of_order"] else "CHANGED"
    print(f"probabilities in another order: {same}; padding computes {network['padding_waste']:.2f} x")


if __name__ == "__main__":
    main()
