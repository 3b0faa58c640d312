"""`make bench`: the tables of speed and memory. Each figure comes beside what it is compared with.

Run on a quiet machine: everything compared is measured within one run, one thing after the other.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from tqdm import tqdm

from tests import (
    bench_adopt,
    bench_bootstrap,
    bench_bounds,
    bench_campaigns,
    bench_challengers,
    bench_classes,
    bench_concept,
    bench_counts,
    bench_covariates,
    bench_dask,
    bench_dependence,
    bench_drift,
    bench_eligible,
    bench_gate,
    bench_hourly,
    bench_labelfree,
    bench_log,
    bench_look,
    bench_million,
    bench_predict,
    bench_replay,
    bench_review,
    bench_scale,
    bench_shocks,
    bench_training,
    bench_wide,
)
from tests.bench_scale import ROWS_AT_SCALE_1, STAGES
from tests.project import clone

SIZES = {"default": 1.0} | {f"{rows:.0e}": rows / ROWS_AT_SCALE_1 for rows in (1e5, 5e5, 5e6)}

# Imports first: what is timed is the work, not the start of Python.
WARM = """
import importlib, json, sys, time
stages = [importlib.import_module(f"perenne.pipeline.{name}") for name in sys.argv[1:]]
times = {}
for stage in stages:
    start = time.perf_counter()
    stage.main()
    times[stage.__name__.split(".")[-1]] = time.perf_counter() - start
print(json.dumps(times))
"""


class Measured(NamedTuple):
    """One size: rows ingested, seconds of a forced `dvc repro`, seconds and peak MB of each stage."""

    rows: int
    repro: float
    warm: dict[str, float]
    peak: dict[str, float]

    @property
    def ratio(self) -> float:
        """How much longer the pipeline takes than its work."""
        return self.repro / sum(self.warm.values())


def measure(scale: float) -> Measured:
    """Run the pipeline at a scale in a repository of its own, in three ways."""
    with TemporaryDirectory(prefix="perenne-bench-") as folder:
        project = clone(Path(folder) / "project")
        project.edit(r"^  scale: .*", f"  scale: {scale!r}")
        start = time.perf_counter()
        project.repro("--force")
        repro = time.perf_counter() - start
        said = project.out(f"python -c '{WARM}' {' '.join(STAGES)}")
        warm = json.loads(said.splitlines()[-1])  # the line after what the stages say
        peak = {stage: bench_scale.costs(project, stage).peak for stage in STAGES}
        rows = json.loads(project.read("data/reports/validation.json"))["total"]["rows"]
    return Measured(rows, repro, warm, peak)


def exponent(sizes: list[Measured], stage: str | None = None) -> float:
    """Return how time grows with rows, as the power of rows, from the smallest size to the largest."""
    if len(sizes) < 2:
        return math.nan
    first, last = min(sizes), max(sizes)
    seconds = [m.warm[stage] if stage else m.repro for m in (first, last)]
    return math.log(seconds[1] / seconds[0]) / math.log(last.rows / first.rows)


def table(found: dict[str, Measured]) -> str:
    """Return the table of all sizes."""
    grown = list(found.values())
    head = f"{'':10}" + "".join(f"{name:>12}" for name in found) + f"{'exponent':>12}"
    lines = [head, f"{'rows':10}" + "".join(f"{m.rows:12,}" for m in found.values())]
    lines.append(
        f"{'repro, s':10}" + "".join(f"{m.repro:12.1f}" for m in found.values()) + f"{exponent(grown):12.2f}"
    )
    lines.append(f"{'warm, s':10}" + "".join(f"{sum(m.warm.values()):12.1f}" for m in found.values()))
    lines.append(f"{'ratio':10}" + "".join(f"{m.ratio:12.2f}" for m in found.values()))
    for stage in STAGES:
        cells = "".join(f"{m.warm[stage]:12.2f}" for m in found.values())
        lines.append(f"{stage:10}{cells}{exponent(grown, stage):12.2f}")
    lines.append("peak MB")
    lines += [f"{stage:10}" + "".join(f"{m.peak[stage]:12.0f}" for m in found.values()) for stage in STAGES]
    return "\n".join(lines)


def pipeline() -> str:
    """Return the table of the pipeline at every size."""
    found = {name: measure(scale) for name, scale in tqdm(SIZES.items(), desc="pipeline", unit="size")}
    return f"The pipeline: a forced dvc repro against the same stages in one warm process\n{table(found)}"


def ordinary() -> str:
    """Return the tables of decisions in ordinary life; they take three quarters of an hour."""
    parts = (bench_concept, bench_look, bench_dependence, bench_eligible, bench_campaigns)
    return "\n\n".join(part.table() for part in parts)


TABLES: dict[str, Callable[[], str]] = {
    "ordinary": ordinary,
    "pipeline": pipeline,
    "bootstrap": bench_bootstrap.table,
    "covariates": partial(bench_covariates.table, rows=1_000_000),
    "look": bench_look.table,
    "counts": bench_counts.table,
    "concept": bench_concept.table,
    "labelfree": bench_labelfree.table,
    "companies": bench_drift.companies,
    "months": bench_drift.months,
    "hourly": bench_hourly.table,
    "dask": lambda: f"{bench_training.table()}\n\n{bench_dask.table()}",
    "adopt": bench_adopt.table,
    "dependence": bench_dependence.table,
    "eligible": bench_eligible.table,
    "bounds": bench_bounds.table,
    "shocks": bench_shocks.table,
    "gate": bench_gate.table,
    "campaigns": bench_campaigns.table,
    "challengers": bench_challengers.months,
    "classes": bench_classes.table,
    "million": bench_million.table,
    "predict": bench_predict.table,
    "review": bench_review.table,
    "scale": bench_scale.table,
    "wide": bench_wide.table,
    "log": bench_log.table,
    "replay": bench_replay.companies,
    "replay-fresh": bench_replay.fresh,
    "replay-flights": bench_replay.flights,
    "replay-flights-grid": bench_replay.flights_grid,
    "replay-speed": bench_replay.speed,
}


def main() -> None:
    """Print the tables that are named, or all."""
    for name in sys.argv[1:] or TABLES:
        print(f"{TABLES[name]()}\n", flush=True)


if __name__ == "__main__":
    main()
