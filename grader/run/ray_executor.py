"""Pages read on many machines, by Ray. Named "ray" in grader.registry; grader/run/CLUSTER.md says how to set it up.

The coordinator is the process that leads the run: it alone writes into the store, and nothing else has to survive.
Each agent of the cluster has one call under way, which carries pages there and entries back; how many pages lie at
an agent follows its pace, and gets less towards the end so that nobody waits long for the last.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

from ray.exceptions import RayError

from grader.records import PageRef
from grader.run.batch import versions
from grader.run.dispatch import Dispatch
from grader.run.executor import Reader, peak_memory
from grader.run.job import Job
from grader.run.node import Expected, fingerprint
from grader.run.parcel import pack
from grader.run.pipeline import reader_for
from grader.run.ray_cluster import Cluster, RemoteAgent
from grader.run.ray_connection import connected
from grader.run.watch import Limits
from grader.store.entry import Entry
from grader.store.leases import Leasing

_SAMPLE = 8  # scans that every node has to see


class RayExecutor:
    """Agents on the nodes of a Ray cluster.

    address: HOST:PORT of its head, or "auto". workers: how many agents in all, one a processor by default.
    page_seconds, page_memory (MiB): limits for one page. reader: makes the reader of a job; importable by name there.
    """

    def __init__(
        self,
        address: str = "auto",
        workers: int | None = None,
        page_seconds: float = Limits.seconds,
        page_memory: float = Limits.memory,
        reader: Callable[[Job], Reader] = reader_for,
    ) -> None:
        self.address = address
        self.workers = workers or 0  # once it runs: how many read
        self._wanted = workers
        self.limits = Limits(page_seconds, page_memory)
        self.reader = reader
        self.peak_memory = 0

    def run(self, job: Job, refs: Iterable[PageRef], leases: Leasing) -> Generator[Entry, None, None]:
        todo = list(refs)
        pages = Dispatch(todo, leases)
        condemned = list(pages.condemned())
        yield from condemned
        if len(condemned) == len(todo):
            return
        parcel, expected = pack(job), _expected(job, todo)
        with connected(self.address):
            cluster = Cluster(parcel, expected, self.limits, self.reader, self._wanted)
            try:
                for entry in _Shift(cluster, pages, len(todo) - len(condemned)).entries():
                    self.workers = max(self.workers, len(cluster.agents))
                    yield entry
            finally:
                cluster.end()
                self.peak_memory = peak_memory() + cluster.peak_memory


class _Shift:
    """The pages of a run and the cluster that reads them."""

    def __init__(self, cluster: Cluster, pages: Dispatch, count: int) -> None:
        self._cluster = cluster
        self._pages = pages
        self._left = count
        self._doubted: set[PageRef] = set()

    def entries(self) -> Iterator[Entry]:
        """The pages' entries as they come."""
        while self._left:
            for agent in self._cluster.wait(1.0):
                done = self._answered(agent)
                self._left -= len(done)
                yield from done
            for agent in self._cluster.gone():
                self._pages.cut_off(agent.name)

    def _answered(self, agent: RemoteAgent) -> list[Entry]:
        """Take an agent's answer and let it go on, before anything is done with the entries."""
        try:
            report = agent.answer()
        except RayError as error:
            self._cluster.dead(agent, error)
            died = self._pages.died(agent.name)
            return [died] if died else []
        stopped = [self._pages.stopped(agent.name, ref, reason) for ref, reason in report.stopped]
        done = [entry for entry in stopped if entry is not None]
        for entry in report.entries:
            if self._doubtful(entry):
                self._pages.withdraw(agent.name, entry.ref)
                self._cluster.doubt(agent.node)
            else:
                self._pages.done(agent.name, entry.ref)
                done.append(entry)
        self._cluster.keep(agent, self._more(agent, self._left - len(done)))
        return done

    def _doubtful(self, entry: Entry) -> bool:
        """True for a file that could not be opened there but can be here: the first time another node shall try."""
        if entry.reason != "unreadable_file" or entry.ref in self._doubted or not fingerprint(entry.ref):
            return False
        self._doubted.add(entry.ref)
        return True

    def _more(self, agent: RemoteAgent, left: int) -> list[PageRef]:
        """Pages to send to an agent, `left` being all that are not done."""
        if not agent.node.accepted:
            return []
        agents = [agent, *self._cluster.agents.values()]
        waiting = left - sum(self._pages.held(other.name) for other in agents)
        share = math.ceil(waiting / (2 * len(agents)))  # towards the end each gets less, so that all end together
        ahead = max(1, min(agent.ahead(), share))
        has = self._pages.held(agent.name)
        return self._pages.give(agent.name, ahead - has) if has <= ahead // 2 else []


def _expected(job: Job, todo: Sequence[PageRef]) -> Expected:
    """What every node must have: the coordinator's versions and weights, and some of the scans that it sees."""
    step = max(1, len(todo) // _SAMPLE)
    sample = {ref.file: fingerprint(ref) for ref in todo[::step][:_SAMPLE]}
    seen = {file: known for file, known in sample.items() if known}
    return Expected(versions(), reader_for(job).models(), seen)
