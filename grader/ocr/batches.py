"""Which lines go through the network together.

Lines are put together only with lines of the very same width, and how wide a line is made depends on that line
alone: what the network is given for a line never depends on its company. What company can change is the order in
which a GPU sums, so the last digits of a probability. The lines of one call are grouped in the order in which they
were asked for, so the same lines make the same batches each time; batches never reach over the page that was asked
about, or no page could be derived again by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from grader.errors import PageError
from grader.providers import is_out_of_memory

# What the recogniser holds at most while it runs, for every column of a batch: measured on the processor with ONNX
# Runtime 1.31, one line of 4096 columns to sixteen of 320. Most of it is the probabilities of 18,710 classes.
BYTES_PER_COLUMN = 48_000
_SHARE = 0.5  # of the free memory: convolutions take working memory of their own, and other workers have come to stay
_PLENTY = 2**30  # bytes: as much as pays. Wherever twice of it is free, the same lines make the same batches

T = TypeVar("T")


@dataclass(frozen=True)
class Batching:
    """How lines are put together.

    most: lines of a batch. step: columns; widths are rounded up to a multiple of it, so that lines meet. budget: bytes
    that a batch may take.
    """

    most: int = 1
    step: int = 1
    budget: int = _PLENTY

    def within(self, free: int) -> Batching:
        """The same where `free` bytes of memory are free."""
        return replace(self, budget=min(self.budget, int(_SHARE * free)))

    def size(self, width: int) -> int:
        """How many lines of `width` columns go together: 1 at least. What memory allows is rounded down to a power of
        two, so that a little more or less of it changes no batch."""
        fit = max(1, self.budget // (BYTES_PER_COLUMN * width))
        return min(self.most, 1 << (fit.bit_length() - 1))

    def halved(self, lines: int, width: int) -> Batching:
        """The same where a batch of two or more lines of `width` columns did not fit."""
        return replace(self, budget=(lines // 2) * width * BYTES_PER_COLUMN)


ALONE = Batching()  # each line by itself, in its own width: the mark of record
BATCHED = Batching(most=32, step=64)  # for a GPU


class Batcher:
    """Runs work on lines in batches, smaller ones for good once memory ran out.

    batching: how lines are put together from now on.
    """

    def __init__(self, batching: Batching) -> None:
        self.batching = batching

    def run(self, widths: Sequence[int], work: Callable[[Sequence[int]], Sequence[T]]) -> list[T]:
        """The result of each line, in the order of `widths`, which are columns as the network is given them.

        work: numbers of lines of one width → their results, one each. A batch that it has no memory for is halved and
        tried again; raises PageError where a single line does not fit.
        """
        of_width: dict[int, list[int]] = {}
        for number, width in enumerate(widths):
            of_width.setdefault(width, []).append(number)
        results: dict[int, T] = {}
        for width, numbers in of_width.items():
            at = 0
            while at < len(numbers):
                batch = numbers[at : at + self.batching.size(width)]
                try:
                    results.update(zip(batch, work(batch), strict=True))
                except Exception as error:  # onnxruntime raises its own unrelated classes
                    if not is_out_of_memory(error):
                        raise
                    if len(batch) == 1:
                        raise _too_little(width) from error
                    self.batching = self.batching.halved(len(batch), width)
                else:
                    at += len(batch)
        return [results[number] for number in range(len(widths))]


def _too_little(width: int) -> PageError:
    return PageError(
        "out_of_memory",
        f"there is not enough memory to recognise a single line of {width} columns",
        "end what else uses the GPU, use fewer --workers or set GRADER_GPU_MEMORY higher, and run again with --retry",
    )
