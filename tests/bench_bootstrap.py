"""What an interval costs: 1,000 resamples of 100,000 rows, all binary metrics together."""

import time
import tracemalloc
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from perenne.common.task import BINARY
from perenne.stats.bootstrap import intervals
from perenne.stats.metrics import Weighted, family

ROWS, RESAMPLES = 100_000, 1_000


def table() -> str:
    """Return seconds and peak memory for many blocks and for few, as text."""
    metrics = _metrics(np.random.default_rng(1))
    lines = [
        f"{RESAMPLES:,} resamples of {ROWS:,} rows, {len(metrics)} metrics",
        "blocks    seconds    peak MB",
    ]
    for count in (ROWS, 365):
        blocks = np.arange(ROWS) % count
        lines.append(
            f"{count:>6}    {_seconds(metrics, blocks):>7.2f}    {_megabytes(metrics, blocks):>7.1f}"
        )
    return "\n".join(lines)


def _metrics(rng: np.random.Generator) -> Mapping[str, Weighted]:
    """Prepare the metrics of a model that expects one event in ten, no two scores alike."""
    probability = rng.beta(1, 9, size=ROWS)
    y = rng.random(ROWS) < probability
    return {name: prepare(y, probability) for name, prepare in family(BINARY.metrics).items()}


def _seconds(metrics: Mapping[str, Weighted], blocks: npt.NDArray[np.intp]) -> float:
    start = time.perf_counter()
    intervals(metrics, blocks, resamples=RESAMPLES, seed=1)
    return time.perf_counter() - start


def _megabytes(metrics: Mapping[str, Weighted], blocks: npt.NDArray[np.intp]) -> float:
    # Tracing slows, and memory does not grow with the resamples: a few of them show the peak.
    tracemalloc.start()
    intervals(metrics, blocks, resamples=10, seed=1)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6
