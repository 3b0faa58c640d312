"""The service's metrics, for Prometheus. They contain no feature values and no ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, NamedTuple, TypedDict

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from perenne.serving.predictions import Class, PredictResult

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)


class Reading(NamedTuple):
    """A value that is read when Prometheus scrapes: a counter if the name ends in `_total`, else a gauge.

    `over` says what becomes of those of several workers; None: all have the same one.
    """

    name: str
    about: str
    labels: dict[str, str]
    value: float
    over: Literal["sum", "max"] | None = None


class _Common(TypedDict):
    namespace: str
    registry: CollectorRegistry


class ServiceMetrics:
    """The counters of one service, and the readings that it takes when Prometheus scrapes.

    Parameters
    ----------
    score_buckets
        Upper bounds of the buckets of the histogram of scores, ascending.
    readings
        Returns the current readings.
    classes
        Several that are predicted; none if a prediction is one number.
    shared
        The folder where all workers of the service keep their counters; None if there is one.

    """

    def __init__(
        self,
        score_buckets: Sequence[float],
        readings: Callable[[], Iterable[Reading]],
        classes: Iterable[Class] = (),
        shared: str | None = None,
    ) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # theirs
        self._registry = CollectorRegistry()
        own: _Common = {"namespace": "perenne", "registry": self._registry}
        self.requests = Counter("requests", "Requests answered", ["path", "status"], **own)
        self.seconds = Histogram("request_seconds", "Time to answer", ["path"], buckets=SECONDS, **own)
        self.rows = Counter("rows", "Rows scored", **own)
        self.unseen = Counter("unseen_rows", "Rows with a category that training has not seen", **own)
        self.labels = Counter("labels", "Labels received", **own)
        self.scores = Histogram("score", "Scores returned", buckets=score_buckets, **own)
        self.predicted: dict[Class, Counter] = {}
        if names := list(classes):
            by_class = Counter("predicted", "Rows by their most probable class", ["class"], **own)
            self.predicted = {name: by_class.labels(str(name)) for name in names}
        self.shadow_rows = Counter("shadow_rows", "Rows scored by the shadow", **own)
        self.shadow_dropped = Counter("shadow_dropped_rows", "Rows the shadow was too slow for", **own)
        self.shadow_failed = Counter("shadow_failed_rows", "Rows the shadow failed to score", **own)
        self._readings = readings
        self._shared = shared
        self._own: dict[str, Counter | Gauge] = {}
        self._counted: dict[tuple[str, ...], float] = {}
        self._scraped = self._registry
        if shared:
            self._scraped = CollectorRegistry()
            MultiProcessCollector(self._scraped, shared)  # type: ignore[no-untyped-call]  # theirs
            self._workers = Gauge("workers", "Processes that serve", multiprocess_mode="livesum", **own)
        self._scraped.register(_Readings(self._of_all if shared else readings))
        self._by_answer: dict[tuple[str, int], tuple[Counter, Histogram]] = {}

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count a request.

        Parameters
        ----------
        path
            The route's path, or `other`: paths that callers make up would become series without end.
        status
            The HTTP status.
        seconds
            From the request's arrival to the end of the response.

        """
        metrics = self._by_answer.get((path, status))
        if metrics is None:  # looking labels up costs more than counting
            metrics = self.requests.labels(path, status), self.seconds.labels(path)
            self._by_answer[path, status] = metrics
        metrics[0].inc()
        metrics[1].observe(seconds)

    def scored(self, results: Iterable[PredictResult]) -> None:
        """Count the rows and scores of requests that were answered."""
        for result in results:
            self.rows.inc(len(result.scores))
            for score in result.scores:
                self.scores.observe(score)
            for one in result.distributions:
                self.predicted[one.chosen].inc()
            if any(result.unseen):
                self.unseen.inc(sum(map(bool, result.unseen)))

    def text(self) -> bytes:
        """All metrics in Prometheus' text format; with several workers those of all."""
        self.share()
        return generate_latest(self._scraped)

    def share(self) -> None:
        """Write what this worker, which serves, has to say to where a scrape of another one finds it."""
        if not self._shared:
            return
        self._workers.set(1)
        for reading in self._readings():
            if reading.over:
                self._write(reading, "livesum" if reading.over == "sum" else "livemax")

    def _write(self, reading: Reading, mode: Literal["livesum", "livemax"]) -> None:
        name, about, labels, value, _ = reading
        if name not in self._own:
            own: _Common = {"namespace": "perenne", "registry": self._registry}
            self._own[name] = (
                Counter(name, about, list(labels), **own)
                if name.endswith("_total")
                else Gauge(name, about, list(labels), multiprocess_mode=mode, **own)
            )
        metric = self._own[name].labels(**labels) if labels else self._own[name]
        if isinstance(metric, Gauge):
            metric.set(value)
        else:
            key = (name, *labels.values())
            metric.inc(value - self._counted.get(key, 0))
            self._counted[key] = value

    def _of_all(self) -> Iterator[Reading]:
        return (reading for reading in self._readings() if not reading.over)


class _Readings(Collector):
    def __init__(self, readings: Callable[[], Iterable[Reading]]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        """Take the readings."""
        for name, about, labels, value, _ in self._readings():
            family = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
            metric = family(f"perenne_{name}", about, labels=list(labels))
            metric.add_metric(list(labels.values()), value)
            yield metric
