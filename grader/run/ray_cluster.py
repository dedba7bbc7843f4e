"""A Ray cluster as the coordinator sees it: its nodes, which of them may read, and the agents on them.

A node is asked before it reads anything (`grader.run.node.refusal`), and again when it joined anew or lost sight of
the scans. Agents are never restarted by Ray but replaced here: a node that came back may have changed.
"""

from __future__ import annotations

import logging
import pickle
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from grader import __version__
from grader.errors import GraderError
from grader.records import PageRef
from grader.run.executor import Reader
from grader.run.job import Job
from grader.run.node import Agent, Expected, Report
from grader.run.parcel import Parcel
from grader.run.ray_connection import GO_ON, ClusterLostError, first_line, silence
from grader.run.watch import Limits

log = logging.getLogger(__name__)

_LOOK_SECONDS = 2.0  # between looks for nodes that joined or left
_SILENCE_SECONDS = 30.0  # an agent answers twice a second; one that does not for so long is gone
_HEAD_SECONDS = 20.0  # for the head to answer, before the run ends
_WAIT_SECONDS = 180.0  # for a node that can read, before the run ends
_AHEAD_SECONDS = 1.0  # work that lies at an agent: twice what it does between two answers ...
_AHEAD_PAGES = (2, 64)  # ... and in pages: at least and at most
_FIRST_PAGES = 8  # for an agent whose pace is not known yet
_SHORT_LIVES = 3  # agents of a node that died in a row without having read a page


@dataclass(eq=False)
class Node:
    """A machine of the cluster. check: the question under way whether it can read; then `accepted`, or `refused`
    with the reason."""

    id: str
    address: str
    cpus: int
    check: Any = None
    accepted: bool = False
    refused: str = ""
    short_lives: int = 0


class RemoteAgent:
    """An agent on a node. Once it is there, it has one call under way at all times."""

    def __init__(self, name: str, node: Node, handle: Any) -> None:
        self.name, self.node, self._handle = name, node, handle
        self.there = False
        self.memory = self.pages = 0
        self._first: tuple[float, int] | None = None  # when the first pages were done, and how many
        self._asked = time.monotonic()
        self.call = handle.ready.remote()

    def exchange(self, refs: Sequence[PageRef]) -> None:
        """Send it pages and ask for what it has done."""
        self._asked = time.monotonic()
        self.call = self._handle.exchange.remote(refs)

    def answer(self) -> Report:
        """What the call under way gave. Raises RayError where the agent is gone or failed."""
        report: Report = ray.get(self.call)
        self.there = True
        self.memory = report.memory
        self.pages += len(report.entries)
        if report.entries:
            self.node.short_lives = 0
            self._first = self._first or (time.monotonic(), self.pages)
        return report

    def ahead(self) -> int:
        """How many pages should lie at it: some time's work at its pace."""
        if self._first is None or self._first[1] == self.pages:
            return _FIRST_PAGES
        since, first = self._first
        least, most = _AHEAD_PAGES
        pace = (self.pages - first) / max(1e-6, time.monotonic() - since)
        return min(most, max(least, round(pace * _AHEAD_SECONDS)))

    @property
    def silent(self) -> bool:
        """True once it must be taken for gone."""
        return self.there and time.monotonic() - self._asked > _SILENCE_SECONDS

    def end(self) -> None:
        """Kill it, as soon as word reaches it."""
        ray.kill(self._handle)


class Cluster:
    """The nodes that can read, with as many agents as they have processors, or `workers` in all."""

    def __init__(
        self, parcel: Parcel, expected: Expected, limits: Limits, reader: Callable[[Job], Reader], workers: int | None
    ) -> None:
        self._parcel = ray.put(parcel)
        self._expected = expected
        self._limits = limits
        self._reader = reader
        self._workers = workers
        self._nodes: dict[str, Node] = {}
        self._head: str = ray.get_runtime_context().gcs_address
        self._looked = 0.0
        self._heard = time.monotonic()  # from the head
        self._useful = time.monotonic()  # when there was an agent last
        self._made = 0
        self.agents: dict[Any, RemoteAgent] = {}  # by the call under way
        self.peak_memory = 0  # bytes, all agents together

    def wait(self, seconds: float) -> list[RemoteAgent]:
        """Agents whose answer is there, after at most that long. Looks after nodes meanwhile.

        Raises ClusterLostError where the head does not answer, no node can read, or none could for a while.
        """
        self._look()
        calls = list(self.agents)
        checks = {node.check: node for node in self._nodes.values() if node.check is not None}
        under_way = [*checks, *calls]
        if not under_way:
            time.sleep(seconds)
            return []
        ray.wait(under_way, num_returns=1, timeout=seconds)
        ready, _ = ray.wait(under_way, num_returns=len(under_way), timeout=0)
        for call in ready:
            if call in checks:
                self._checked(checks[call])
        return [self.agents.pop(call) for call in ready if call in self.agents]

    def keep(self, agent: RemoteAgent, refs: Sequence[PageRef]) -> None:
        """Let an agent whose answer was taken go on, with more pages."""
        agent.exchange(refs)
        self.agents[agent.call] = agent

    def gone(self) -> list[RemoteAgent]:
        """Agents of which nothing was heard for too long, or whose node turned out to be unfit; they are ended."""
        gone = [agent for agent in self.agents.values() if agent.silent or agent.node.refused]
        for agent in gone:
            if agent.silent:
                log.warning("nothing is heard of node %s; others read its pages", agent.node.address)
            del self.agents[agent.call]
            self._end(agent)
        return gone

    def dead(self, agent: RemoteAgent, error: RayError) -> None:
        """An agent whose answer was an error: it is replaced, unless its node only makes more of them."""
        self._end(agent)
        node = agent.node
        log.warning("an agent of node %s is gone (%s); others read its pages", node.address, first_line(error))
        node.short_lives += agent.pages == 0
        if isinstance(error, RayTaskError) and isinstance(error.cause, GraderError):
            self._refuse(node, error.cause.message)
        elif node.short_lives >= _SHORT_LIVES and node.accepted:
            self._refuse(node, f"agents end there as soon as they start ({first_line(error)})")

    def doubt(self, node: Node) -> None:
        """Ask a node again whether it can read; until it has answered it gets no pages."""
        if node.accepted:
            node.accepted = False
            node.check = self._ask(node)

    def end(self) -> None:
        """End every agent; those of a head that is gone end by themselves."""
        self._weigh()
        for agent in self.agents.values():
            self._end(agent)

    def _end(self, agent: RemoteAgent) -> None:
        if not silence(self._head):  # or the word would be waited for
            agent.end()

    def _look(self) -> None:
        if time.monotonic() - self._looked < _LOOK_SECONDS:
            return
        self._looked = time.monotonic()
        if why := silence(self._head):
            if time.monotonic() - self._heard > _HEAD_SECONDS:
                what = f"the head of the Ray cluster, {self._head}, does not answer any more: {why}"
                raise ClusterLostError(what, GO_ON)
            return
        self._heard = time.monotonic()
        alive = {found["NodeID"]: found for found in ray.nodes() if found["Alive"]}
        for id_ in self._nodes.keys() - alive.keys():
            node = self._nodes.pop(id_)
            log.warning("node %s left the cluster", node.address)
        for id_ in alive.keys() - self._nodes.keys():
            found = alive[id_]
            node = Node(id_, found["NodeManagerAddress"], int(found["Resources"].get("CPU", 0)))
            self._nodes[id_] = node
            if node.cpus:
                node.check = self._ask(node)
        for node in self._places():
            self._start(node)
        if self.agents:
            self._useful = time.monotonic()
        self._weigh()
        self._check_hope()

    def _weigh(self) -> None:
        self.peak_memory = max(self.peak_memory, sum(agent.memory for agent in self.agents.values()))

    def _places(self) -> Iterator[Node]:
        """One node for every agent that is wanted and not there, spread evenly."""
        has = Counter(agent.node.id for agent in self.agents.values())
        free = self._workers - has.total() if self._workers else sys.maxsize
        accepted = [node for node in self._nodes.values() if node.accepted]
        for number in range(max((node.cpus for node in accepted), default=0)):
            for node in accepted:
                if has[node.id] <= number < node.cpus and free > 0:
                    free -= 1
                    yield node

    def _start(self, node: Node) -> None:
        self._made += 1
        remote = ray.remote(Agent).options(num_cpus=1, max_restarts=0, scheduling_strategy=_on(node))
        agent = RemoteAgent(f"agent {self._made}", node, remote.remote(self._parcel, self._limits, self._reader))
        self.agents[agent.call] = agent

    def _ask(self, node: Node) -> Any:
        ask = ray.remote(num_cpus=0, max_calls=1, max_retries=0)(_visit()).options(scheduling_strategy=_on(node))
        return ask.remote(__version__, pickle.dumps(self._expected), self._parcel)

    def _checked(self, node: Node) -> None:
        try:
            reason = ray.get(node.check)
        except RayError as error:
            reason = f"it could not be asked ({first_line(error)})"
        node.check = None
        if reason:
            self._refuse(node, reason)
        else:
            node.accepted, self._looked = True, 0.0

    def _refuse(self, node: Node, reason: str) -> None:
        node.accepted, node.refused = False, reason
        log.warning("node %s is not used: %s", node.address, reason)

    def _check_hope(self) -> None:
        """Raise ClusterLostError where nobody reads and nobody will."""
        reasons = [f"node {node.address}: {node.refused}" for node in self._nodes.values() if node.refused]
        hopeless = bool(reasons) and len(reasons) == sum(node.cpus > 0 for node in self._nodes.values())
        if not self.agents and (hopeless or time.monotonic() - self._useful > _WAIT_SECONDS):
            what = "\n".join(["no node of the Ray cluster can read the pages", *map("  ".__add__, reasons)])
            raise ClusterLostError(what, GO_ON)


def _visit() -> Callable[[str, bytes, Any], str]:
    """A function that is sent by value, so that it can say in words that a node has no grader or another one."""

    def visit(version: str, expected: bytes, parcel: Any) -> str:
        try:
            from grader import __version__ as here

            if here != version:
                return f"it has grader {here}, the coordinator has {version}"
            from grader.run.node import refusal
        except ImportError as error:
            return f"grader cannot be loaded there ({error})"
        return refusal(pickle.loads(expected), parcel)

    return visit


def _on(node: Node) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node.id, soft=False)
