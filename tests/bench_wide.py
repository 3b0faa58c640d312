"""Wide data: three hundred columns by a hundred thousand rows, and the CPU of each stage on them."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from tests.bench_hourly import STAGES, WARM
from tests.project import Project, clone

NUMBERS, CATEGORIES = 260, 40  # columns
ROWS = 100_000
MONTHS = 24
PARAMS = """\
case: wide
ingest: {source: files, glob: "*.parquet", through: 2022-12}
validate: {max_quarantined_share: 0.01}
split: {as_of: 2022-06, window: 14, holdout: 4}
train:
  estimator: sklearn.ensemble.HistGradientBoostingClassifier
  params: {max_iter: 100, learning_rate: 0.1}
  seed: 0
evaluate:
  {resamples: 1000, confidence: 0.95, bins: 9, importance_rows: 5000, importance_repeats: 3, seed: 0}
drift:
  {false_discovery_rate: 0.05, min_effect: 0.05, periods_per_false_alarm: 160, report_rows: 5000, seed: 0}
"""


def contract() -> str:
    """Return the contract: numbers, some of them missing, and categories of ten values."""
    numbers = [
        f"  n{i}: {{type: number, role: feature{', missing: true' if i % 4 == 0 else ''}}}"
        for i in range(NUMBERS)
    ]
    values = ", ".join(f"v{k}" for k in range(10))
    categories = [f"  c{i}: {{type: category, role: feature, values: [{values}]}}" for i in range(CATEGORIES)]
    head = "row: one claim\ntask: binary\nperiod: month\nlabel_delay: 0\nblock: none\ncolumns:"
    roles = ["  claim: {type: integer, role: entity}", "  at: {type: datetime, role: time}"]
    target = "  fraud: {type: integer, role: target, values: [0, 1]}"
    return "\n".join([head, *roles, *numbers, *categories, target, ""])


def rows(count: int = ROWS) -> pd.DataFrame:
    """Return claims of two years; ten of the numbers and two of the categories say what is a fraud."""
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(count, NUMBERS)).round(4)
    codes = rng.integers(0, 10, (count, CATEGORIES))
    logit = numbers[:, :10].sum(axis=1) / 4 + (codes[:, :2] == 0).sum(axis=1) - 2
    fraud = (rng.random(count) < 1 / (1 + np.exp(-logit))).astype("int64")
    numbers[:, ::4][rng.random((count, NUMBERS // 4)) < 0.02] = np.nan
    at = pd.Timestamp("2021-01-01").as_unit("us") + pd.to_timedelta(
        np.sort(rng.integers(0, MONTHS * 30 * 24, count)), "h"
    ).as_unit("us")
    texts = np.array([f"v{k}" for k in range(10)], dtype=object)
    return pd.DataFrame(
        {"claim": np.arange(count), "at": at}
        | {f"n{i}": numbers[:, i] for i in range(NUMBERS)}
        | {f"c{i}": texts[codes[:, i]] for i in range(CATEGORIES)}
        | {"fraud": fraud}
    )


def project(to: Path) -> Project:
    """Return a project with these rows to bring in."""
    made = clone(to)
    for file in ("params.yaml", "data/cases/wide/params.yaml"):
        made.write(file, PARAMS)
    made.write("data/cases/wide/contract.yaml", contract())
    made.run("rm -rf data/incoming/* data/raw && mkdir -p data/incoming/wide")
    rows().to_parquet(made.path / "data/incoming/wide/claims.parquet", index=False)
    return made


def table() -> str:
    """Return the CPU seconds of each stage, without the start of Python and imports."""
    with TemporaryDirectory(prefix="perenne-bench-") as folder:
        made = project(Path(folder) / "project")
        said = made.out(f"python -c '{WARM}' {' '.join(STAGES)}")
    seconds: dict[str, float] = json.loads(said.splitlines()[-1])
    lines = [f"wide: {NUMBERS + CATEGORIES} columns x {ROWS:,} rows, CPU seconds without imports"]
    lines += [f"{stage:10}{spent:8.1f}" for stage, spent in seconds.items()]
    lines.append(f"{'together':10}{sum(seconds.values()):8.1f}   (goal: 100 or less)")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
