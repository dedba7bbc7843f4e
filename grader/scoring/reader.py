"""One network of a bundle beside the tokenizer that belongs to it: what it says of an answer.

Of several references it reads the few that share most with the answer, and the one that makes the answer look most
correct counts. An answer longer than it reads is read in stretches of whole clauses.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from grader.providers import Provider
from grader.scoring.bundle import NETWORK, TOKENIZER, Member
from grader.scoring.encoding import Encoding, nearest
from grader.scoring.network import Network, Output
from grader.scoring.text import View

REFERENCES = 3  # read of those an item has
WINDOWS = 4  # stretches that are read of a long answer


class Reader:
    """Raises ModelError for a tokenizer that cannot be used, UsageError for a provider that is not there."""

    def __init__(self, member: Member, provider: Provider = "cpu") -> None:
        self.lengths = member.lengths
        self.encoding = Encoding.load(member.folder / TOKENIZER, member.lengths)
        self.network = Network(member.folder / NETWORK, provider)

    def read(self, question: str, reference: str, answer: str) -> Output:
        """One answer beside one reference, each cut at its limit of tokens."""
        return self.network.read(self.encoding.triple(question, reference, answer))

    def output(self, question: str, references: Sequence[str], answer: View) -> tuple[Output, bool]:
        """The network's word on an answer, and whether it read all of it. A step counts as passed where any stretch
        passes it."""
        stretches, whole = self.encoding.windows(answer, WINDOWS)
        best: Output | None = None
        for reference in nearest(references, answer, REFERENCES):
            outs = [self.read(question, reference, stretch) for stretch in stretches]
            top = max(outs, key=lambda out: float(out.steps[3]))
            found = Output(np.max([out.steps for out in outs], axis=0), top.classes, top.state)
            if best is None or found.steps[3] > best.steps[3]:
                best = found
        assert best is not None
        return best, whole


def together(outs: Sequence[Output]) -> Output:
    """What several networks say: the mean of their probabilities (a deep ensemble, Lakshminarayanan et al. 2017),
    their states side by side."""
    if len(outs) == 1:
        return outs[0]
    steps, classes = (np.mean([getattr(out, name) for out in outs], axis=0) for name in ("steps", "classes"))
    return Output(steps, classes, np.concatenate([out.state for out in outs]))
