"""A running batch as Prometheus metrics over HTTP (the extra `metrics`).

    grader_pages_total{outcome}        pages read by this call
    grader_flags_total{code}           answers that carry a flag (grader.flags)
    grader_stage_seconds_total{stage}  time by stage, of all processes
    grader_review_answers_total        answers that wait for a person
    grader_planned_pages               pages of the batch
    grader_done_pages                  of them done, by this call or an earlier one
    grader_pages_per_second            lately
    grader_left_seconds                time left at that rate; absent while it is not known
    grader_memory_bytes                resident in this process and those it started

Nothing here says who wrote what: no candidate, no file name, no answer.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from grader.errors import UsageError
from grader.run.progress import Progress
from grader.run.watch import resident


class Metrics:
    """Gives what was last shown whenever it is asked. A prometheus_client collector."""

    def __init__(self) -> None:
        self._at: Progress | None = None

    def show(self, at: Progress) -> None:
        """Where the batch stands from now on."""
        self._at = at

    def collect(self) -> Iterator[Any]:
        """Metric families of what was last shown."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        memory = sum(map(resident, _family("self")))
        yield GaugeMetricFamily("grader_memory_bytes", "Resident in this process and those it started", memory)
        at = self._at
        if at is None:
            return
        labelled = (
            ("grader_pages", "Pages of this call", "outcome", at.outcomes),
            ("grader_flags", "Answers that carry a flag", "code", at.flags),
            ("grader_stage_seconds", "Time by stage, of all processes", "stage", at.seconds),
        )
        for name, words, label, values in labelled:
            family = CounterMetricFamily(name, words, labels=[label])
            for key, value in sorted(values.items()):
                family.add_metric([key], value)
            yield family
        yield CounterMetricFamily("grader_review_answers", "Answers that wait for a person", at.flagged)
        gauges = [
            ("grader_planned_pages", "Pages of the batch", at.total),
            ("grader_done_pages", "Pages done, by this call or an earlier one", at.done),
            ("grader_pages_per_second", "Pages a second lately", at.rate),
        ]
        if at.eta_seconds is not None:
            gauges.append(("grader_left_seconds", "Time left at that rate", at.eta_seconds))
        for name, words, value in gauges:
            yield GaugeMetricFamily(name, words, value)


@contextmanager
def serving(host: str, port: int) -> Iterator[tuple[Metrics, str]]:
    """Metrics and their URL, while the block runs; port 0: any that is free. Raises UsageError where the extra is not
    installed or the port cannot be had."""
    try:
        from prometheus_client import CollectorRegistry, start_http_server
    except ModuleNotFoundError as error:
        raise UsageError("metrics need the package prometheus-client", "pip install 'grader[metrics]'") from error
    metrics, registry = Metrics(), CollectorRegistry()
    registry.register(metrics)
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as error:
        raise UsageError(f"metrics cannot be served at {host}:{port}: {error.strerror}", "name another port") from error
    try:
        yield metrics, f"http://{host}:{server.server_port}/metrics"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _family(process: int | str) -> Iterator[int | str]:
    """A process and all that it started; itself alone where the system does not tell."""
    yield process
    for children in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            started = children.read_text().split()
        except OSError:
            continue
        for child in started:
            yield from _family(int(child))
