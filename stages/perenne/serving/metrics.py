"""What the service counts, as Prometheus reads it. No feature and no id is in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

if TYPE_CHECKING:
    from perenne.serving.batcher import Answer

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
State = tuple[str, str, dict[str, str], float]
"""A gauge, or a counter that ends in `_total`: name, what it says, labels, value."""


class Metrics:
    """The counters of one service, and the gauges that are read from it when somebody asks."""

    def __init__(self, scores: Sequence[float], state: Callable[[], Iterable[State]]) -> None:
        """`scores`: where the histogram of scores is cut."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs
        self._registry = CollectorRegistry()
        own: Any = {"namespace": "perenne", "registry": self._registry}
        self.requests = Counter("requests", "Requests answered", ["path", "status"], **own)
        self.seconds = Histogram("request_seconds", "Time to answer", ["path"], buckets=SECONDS, **own)
        self.rows = Counter("rows", "Rows scored", **own)
        self.unseen = Counter("unseen_rows", "Rows with a category that the model has never seen", **own)
        self.labels = Counter("labels", "Labels received", **own)
        self.scores = Histogram("score", "Scores answered", buckets=scores, **own)
        self.shadow_rows = Counter("shadow_rows", "Rows scored by the shadow", **own)
        self.shadow_dropped = Counter("shadow_dropped_rows", "Rows that the shadow had no time for", **own)
        self.shadow_failed = Counter("shadow_failed_rows", "Rows that the shadow could not score", **own)
        self._registry.register(_Gauges(state))
        self._answered: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        found = self._answered.get((path, status))
        if found is None:  # looking labels up costs more than counting
            found = self.requests.labels(path, status), self.seconds.labels(path)
            self._answered[path, status] = found
        found[0].inc()
        found[1].observe(seconds)

    def scored(self, answers: Iterable[Answer]) -> None:
        """Count what was answered."""
        for answer in answers:
            self.rows.inc(len(answer.scores))
            for score in answer.scores:
                self.scores.observe(score)
            if any(answer.unseen):
                self.unseen.inc(sum(map(bool, answer.unseen)))

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)


class _Gauges(Collector):
    def __init__(self, state: Callable[[], Iterable[State]]) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """What holds now."""
        for name, told, labels, value in self._state():
            family = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            metric = family(f"perenne_{name}", told, labels=list(labels))
            metric.add_metric(list(labels.values()), value)
            yield metric
