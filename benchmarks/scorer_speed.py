"""How fast is the encoder a core, how large, and what would int8 arithmetic change?

The same answers of held-out questions, one thread each, in turns: PyTorch eager in float32 in padded batches of 32 in
the order the answers come (what a plain script does), beside the run time that gives the marks of record (ONNX
Runtime, float32, one answer at a time, nothing cached), beside dynamic int8, which never gives the mark of record.
Times include tokenising. The whole scorer (several references, lexical judge, flags) stands below as a figure of its
own, with its peak memory in a fresh process.

    python benchmarks/scorer_speed.py --run RUN            # a training run, exported
    python benchmarks/scorer_speed.py                      # the untrained English base: times only mean something
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import harness
import numpy as np
import scorers
import torch

from grader.scoring.bundle import NETWORK
from grader.scoring.encoder import EncoderScorer
from grader.scoring.encoding import Encoded, Encoding, Lengths
from grader.scoring.network import Network
from grader.training import bases, cross_encoder, evaluation, fine_tune
from grader.training.export import Trained, dynamic_int8, export
from grader.training.recipe import Recipe
from grader.training.rows import Row
from grader.training.shipping import trained_by

BATCH = 32
WANTED = 2.4  # times eager
_MEMORY = (  # kept to what marking needs, so that the peak is the scorer's
    "import resource, sys; from pathlib import Path; from grader.scoring.encoder import EncoderScorer; "
    "from grader.exam.exam import ShortAnswerItem; from grader.records import Response; "
    "scorer = EncoderScorer(folder=Path(sys.argv[1])); "
    "item = ShortAnswerItem(id='1', type='short_answer', max_mark=4, prompt='Why?', reference_answers=('b ' * 120,)); "
    "scorer.score(item, sys.argv[2], [Response(str(n), '1', f'{n} ' * 120) for n in range(20)]); "
    "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
)


def untrained(folder: Path) -> Trained:
    """all-MiniLM-L6-v2 with fresh heads."""
    torch.manual_seed(scorers.SEED)
    state = folder / "model.pt"
    torch.save(cross_encoder.CrossEncoder(bases.minilm()).state_dict(), state)
    return Trained("untrained", "minilm", ("en",), state, bases.tokenizer("minilm"), "cls", Lengths())


def eager(model: torch.nn.Module, encoding: Encoding, rows: Sequence[Row]) -> np.ndarray:
    """n x 7 probabilities in padded batches of 32, in the order given."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(rows), BATCH):
            batch = [cross_encoder.encode(encoding, row) for row in rows[start : start + BATCH]]
            table = fine_tune.padded([(list(one.ids), list(one.types)) for one in batch], torch.device("cpu"))
            steps, classes, _ = model(*table)
            found.append(torch.cat([steps.sigmoid(), classes.softmax(1)], 1).numpy())
    return np.concatenate(found)


def one_by_one(network: Network, encoding: Encoding, rows: Sequence[Row]) -> np.ndarray:
    """n x 7 probabilities, as marks of record are made."""
    network.read.cache_clear()
    outs = [network.read(cross_encoder.encode(encoding, row)) for row in rows]
    return np.array([[*out.steps, *out.classes] for out in outs])


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
    parser.add_argument("--answers", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        run = options.run
        trained = trained_by(run, Recipe.load(harness.need(run / "recipe.json"))) if run else untrained(folder)
        held = [row for row in scorers.validation_rows() if row.language in trained.languages]
        rows = scorers.sample(held, options.answers)
        result = measured(trained, rows, folder, options.rounds)
    show(result)
    harness.write("scorer_speed", result)


def measured(trained: Trained, rows: Sequence[Row], folder: Path, rounds: int) -> dict[str, Any]:
    bundle = folder / "bundle"
    exported = export(trained, rows[:50], bundle, "int8", lambda _: None)
    scorer = EncoderScorer(folder=bundle)
    model = cross_encoder.load(trained.state, 12, 1e-12, trained.pooling)
    encoding = Encoding.load(trained.tokenizer, trained.lengths)
    network, int8 = Network(bundle / NETWORK), folder / "int8.onnx"
    dynamic_int8(bundle, int8)
    quick = Network(int8)
    work: dict[str, Callable[[], object]] = {
        "eager": lambda: eager(model, encoding, rows),
        "record": lambda: one_by_one(network, scorer.encoding, rows),
        "int8": lambda: one_by_one(quick, scorer.encoding, rows),
    }
    seconds = harness.interleaved(work, rounds)
    whole = harness.interleaved({"scorer": lambda: _all_marks(bundle, rows)}, 1)["scorer"]
    record = one_by_one(network, scorer.encoding, rows)
    inputs = [cross_encoder.encode(scorer.encoding, row) for row in rows]
    return {
        "base": trained.base,
        "trained": trained.name != "untrained",
        "n": len(rows),
        "tokens": float(np.mean([len(one.ids) for one in inputs])),
        "padding_waste": waste(inputs),
        "answers_a_second": {name: len(rows) / statistics.median(own) for name, own in seconds.items()},
        "whole_scorer": len(rows) / statistics.median(whole),
        "times_eager": {name: harness.median_ratio(seconds["eager"], own) for name, own in seconds.items()},
        "int8": changed(one_by_one(quick, scorer.encoding, rows), record),
        "eager": changed(eager(model, encoding, rows), record),
        "megabytes": exported["megabytes"] | {"int8.onnx": int8.stat().st_size / 1e6},
        "peak_megabytes": peak_megabytes(bundle, trained.languages[0]),
        "parity": exported["parity"],
    }


def _all_marks(bundle: Path, rows: Sequence[Row]) -> object:
    return evaluation.mark_rows(EncoderScorer(folder=bundle), rows)


def show(result: dict[str, Any]) -> None:
    speeds, times = result["answers_a_second"], result["times_eager"]
    names = {"eager": f"PyTorch eager, padded batches of {BATCH}", "record": "marks of record", "int8": "dynamic int8"}
    lines = [[names[key], speeds[key], times[key]] for key in names]
    lines.append(["whole scorer, loading included", result["whole_scorer"], ""])
    title = f"{result['base']}, n {result['n']}, one thread; wanted: marks of record at least {WANTED} times eager"
    harness.table(title, ["encoder", "answers/s", "times eager"], lines)
    columns = ("labels_changed_2way", "labels_changed_3way", "largest_difference")
    changes = [[names[key], *(result[key][column] for column in columns)] for key in ("int8", "eager")]
    harness.table("beside the marks of record", ["arithmetic", *columns], changes)
    sizes = ", ".join(f"{name} {size:.1f} MB" for name, size in result["megabytes"].items())
    print(f"{sizes}; peak memory {result['peak_megabytes']:.0f} MB; padding computes {result['padding_waste']:.2f} x")
    if not result["trained"]:
        print("untrained heads: changes of labels mean nothing here")


if __name__ == "__main__":
    main()
