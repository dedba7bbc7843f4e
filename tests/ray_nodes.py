"""A real Ray cluster of two nodes for the tests: each of one processor, in a network namespace of its own where that
is permitted, else as two raylets beside each other. Its own folder, its own token, gone afterwards whatever happened.

As on real machines, something starts a node again that ended by itself (systemd's Restart=always).
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

_RAY = Path(sys.executable).with_name("ray")
_STORE_BYTES = 80 << 20  # Ray's shared memory of a node, the least it takes
_MARK = "GRADER_TEST_NODE"  # in the environment of all that a node starts, by which it is found again


def namespaces_permitted() -> bool:
    """True where this process may make network namespaces."""
    name = f"grader-{os.getpid()}-try"
    with suppress(OSError):
        if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode == 0:
            subprocess.run(["ip", "netns", "del", name], check=True)
            return True
    return False


class Node:
    """One raylet and all that it starts. number: 1 is the head."""

    def __init__(self, cluster: TwoNodes, number: int) -> None:
        self._cluster = cluster
        self._mark = f"{cluster.name}-{number}"
        self.number = number
        self.log = cluster.folder / f"node{number}.log"
        self._keeper: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Its IP address."""
        if self._cluster.namespaces:
            return f"10.213.77.{self.number}"
        from ray.util import get_node_ip_address

        return str(get_node_ip_address())  # Ray takes it where it is told the loopback's

    @property
    def namespace(self) -> str:
        """The name of its network namespace."""
        return self._mark

    def start(self, environment: Mapping[str, str] | None = None, before: str = "true") -> None:
        """Start it and wait until it is part of the cluster. before: a shell command that runs first, in a mount
        namespace of the node's own where there are namespaces."""
        assert not self.running
        port = self._cluster.port
        where = ["--head", f"--port={port}"] if self.number == 1 else [f"--address={self._cluster.address}"]
        if self.number == 1:
            where += [f"--temp-dir={self._cluster.folder}/ray", "--include-dashboard=false", "--disable-usage-stats"]
        options = f"--node-ip-address={self.address} --num-cpus=1 --object-store-memory={_STORE_BYTES}"
        options += " --include-log-monitor=false --block"
        ray = f"{_RAY} start {' '.join(where)} {options}"
        script = f"{before} && {ray}" if self.number == 1 else f"{before} && while true; do {ray}; sleep 1; done"
        held = {**self._cluster.environment, _MARK: self._mark, **(environment or {})}
        self.log.write_bytes(b"")
        with self.log.open("ab") as log:
            command = [*self.inside(), "sh", "-c", script]
            self._keeper = subprocess.Popen(command, env=held, stdout=log, stderr=log, start_new_session=True)
        keeper = self._keeper
        waited_for(lambda: b"runtime started" in self.log.read_bytes() or keeper.poll() is not None, self.log.read_text)
        assert keeper.poll() is None, self.log.read_text()

    def inside(self) -> list[str]:
        """The beginning of a command that runs on this machine of the cluster."""
        return ["ip", "netns", "exec", self.namespace] if self._cluster.namespaces else []

    @property
    def running(self) -> bool:
        """True from when it was started until it is killed."""
        return self._keeper is not None

    def pids(self) -> list[int]:
        """Every process of the node."""
        return _marked(self._mark)

    def readers(self) -> list[int]:
        """Its worker processes that read pages."""
        return [pid for pid in self.pids() if b"multiprocessing" in _file(pid, "cmdline")]

    def kill(self) -> None:
        """Kill everything at once, as when the power goes."""
        if self._keeper is not None:
            self._keeper.kill()
            self._keeper.wait()
        self._keeper = None
        _kill(self._mark)

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Pull the plug of its network; where there are no namespaces, stop it in its tracks instead."""
        if self._cluster.namespaces:
            self._link("down")
            try:
                yield
            finally:
                self._link("up")
        else:
            with stopped(self.pids()):
                yield

    def _link(self, state: str) -> None:
        subprocess.run(["ip", "-n", self.namespace, "link", "set", "eth0", state], check=True)


class TwoNodes:
    """The cluster. environment: with its token; a coordinator needs it too and runs `inside` the head."""

    def __init__(self) -> None:
        self.name = f"grader-{os.getpid()}"
        self.namespaces = namespaces_permitted()
        self.folder = Path(tempfile.mkdtemp(prefix="gr-"))  # short: paths of sockets have a limit
        token = self.folder / "token"
        token.write_text(secrets.token_hex(32))
        token.chmod(0o600)
        self.environment = {
            **os.environ,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(token),
            "RAY_USAGE_STATS_ENABLED": "0",
            "OMP_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")]),
        }
        self.port = 6379 if self.namespaces else _free_port()
        self.head, self.other = Node(self, 1), Node(self, 2)
        # what is to be left behind by nobody is cleaned by a process that outlives this one, however it ends
        guard = [sys.executable, __file__, self.name, str(self.folder)]
        self._guard = subprocess.Popen(guard, stdin=subprocess.PIPE, start_new_session=True)
        if self.namespaces:
            self._connect()

    @property
    def address(self) -> str:
        """HOST:PORT of the head."""
        return f"{self.head.address}:{self.port}"

    def up(self) -> None:
        """Start what does not run."""
        for node in (self.head, self.other):
            if not node.running:
                node.start()

    def end(self) -> None:
        """Kill it and leave nothing behind."""
        for node in (self.other, self.head):
            node.kill()
        self._guard.communicate()

    def _connect(self) -> None:
        first, second = self.head.namespace, self.other.namespace
        commands = [f"netns add {first}", f"netns add {second}"]
        commands += [f"link add eth0 netns {first} type veth peer name eth0 netns {second}"]
        for node in (self.head, self.other):
            commands += [f"-n {node.namespace} addr add {node.address}/24 dev eth0"]
            commands += [f"-n {node.namespace} link set {link} up" for link in ("lo", "eth0")]
        for command in commands:
            subprocess.run(["ip", *command.split()], check=True)


@contextmanager
def stopped(pids: Sequence[int]) -> Iterator[None]:
    """Processes stopped in their tracks, and let go again."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def waited_for(found: Callable[[], object], why: Callable[[], str] = str, seconds: float = 90) -> None:
    """Return as soon as `found` gives something true; fail after a while, saying `why`."""
    deadline = time.monotonic() + seconds
    while not found():
        if time.monotonic() > deadline:
            raise AssertionError(f"it did not come about: {why()}")
        time.sleep(0.05)


def _marked(mark: str) -> list[int]:
    wanted = f"{_MARK}={mark}".encode()
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdecimal()]
    return [pid for pid in pids if wanted in _file(pid, "environ").split(b"\0")]


def _kill(mark: str) -> None:
    while pids := _marked(mark):  # again, for a process may just be starting another one
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def _clean_up(name: str, folder: str) -> None:
    """Once whoever holds the other end of stdin is gone."""
    sys.stdin.read()
    for number in (2, 1):
        _kill(f"{name}-{number}")
        if Path(f"/var/run/netns/{name}-{number}").exists():
            subprocess.run(["ip", "netns", "del", f"{name}-{number}"], check=False)
    shutil.rmtree(folder, ignore_errors=True)


def _file(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


if __name__ == "__main__":
    _clean_up(*sys.argv[1:])
