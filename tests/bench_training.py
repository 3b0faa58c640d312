"""Ten million rows of twelve features, learned on two workers of 1 GB each, and in one process."""

from __future__ import annotations

import contextlib
import hashlib
import resource
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from tqdm import tqdm

from perenne.common import batches, model, model_file
from perenne.common.contract import Contract
from perenne.common.cut import Cut
from perenne.common.params import Train
from perenne.common.typed import parse
from perenne.compute import cluster
from perenne.compute.engine import Workers
from perenne.compute.local import HERE
from perenne.pipeline import train
from tests import dask

ROWS, GROUP = 10_000_000, 250_000
TREES = 100
LIMIT = "1GB"
NUMBERS = 11
COLUMNS = {
    "at": {"role": "time", "type": "datetime"},
    "kind": {"role": "feature", "type": "category"},
    **{f"x{n}": {"role": "feature", "type": "number", "missing": True} for n in range(NUMBERS)},
    "y": {"role": "target", "type": "integer", "values": [0, 1]},
}
CUT = Cut(pd.Period("2020-03", "M"), window=1, holdout=1, label_delay=0)
OURS = Train(
    estimator="perenne.BinnedXGBClassifier",
    params={
        "n_estimators": TREES,
        "max_depth": 0,
        "max_leaves": 31,
        "grow_policy": "lossguide",
        "min_child_weight": 5.0,
        "learning_rate": 0.1,
    },
    seed=0,
)
THEIRS = Train(
    estimator="sklearn.ensemble.HistGradientBoostingClassifier",
    params={"max_iter": TREES, "max_leaf_nodes": 31, "learning_rate": 0.1, "l2_regularization": 1.0},
    seed=0,
)


class Learned(NamedTuple):
    """Log loss on rows that no model has seen, the model's sha256, and the wall time in seconds."""

    loss: float
    sha256: str
    seconds: float


def contract() -> Contract:
    """Return what the rows are."""
    rows = {"row": "a row", "task": "binary", "period": "month", "label_delay": 0, "block": "none"}
    return parse(Contract, {**rows, "columns": COLUMNS}, "contract.yaml")


def some(seed: int, rows: int = GROUP) -> pd.DataFrame:
    """Return rows: an event hangs on a few of the numbers, together, and on the kind."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(rows, NUMBERS))
    kind = rng.integers(0, 30, rows)
    logit = X[:, 0] + X[:, 1] * X[:, 2] + np.sin(2 * X[:, 3]) + 0.1 * (kind % 7) - 0.5 * np.abs(X[:, 4])
    X[:, 5][rng.random(rows) < 0.1] = np.nan
    return pd.DataFrame(
        {
            "at": pd.Timestamp("2020-01-15").as_unit("us"),
            "kind": pd.Series(kind).map("k{}".format),
            **{f"x{n}": X[:, n] for n in range(NUMBERS)},
            "y": (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype("int64"),
        }
    )


def learned(path: Path, spec: Train, fresh: pd.DataFrame, workers: Workers = HERE) -> Learned:
    """Learn from the rows of a file, as the stage `train` does."""
    start = time.perf_counter()
    made = train.made_of(path, CUT, spec, contract(), workers)
    seconds = time.perf_counter() - start
    scores, y = model.predict(made.pipeline, fresh, contract()), fresh["y"].to_numpy()
    loss = -np.mean(y * np.log(scores) + (1 - y) * np.log(1 - scores))
    return Learned(float(loss), hashlib.sha256(model_file.dumps(made.pipeline)).hexdigest(), seconds)


def peak() -> float:
    """Return the most MB that this process has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(rows: int = ROWS) -> str:
    """Return the table."""
    with TemporaryDirectory(prefix="perenne-bench-") as name, contextlib.chdir(name):
        path, like = Path("train.parquet"), batches.schema(contract())
        with pq.ParquetWriter(path, like, compression="zstd") as writer:
            for seed in tqdm(range(rows // GROUP), desc="rows", unit="group"):
                writer.write_table(batches.to_table(some(seed), like))
        fresh = some(10**6)
        with (
            dask.cluster(Path(name), 2, "--memory-limit", LIMIT) as started,
            cluster.cluster(started.address) as workers,
        ):
            workers.client.wait_for_workers(2)
            two = learned(path, OURS, fresh, workers)
            peaks = sorted(workers.client.run(peak).values())
        one = learned(path, OURS, fresh)
        theirs = learned(path, THEIRS, fresh)
    return "\n".join(
        [
            f"training: {rows:,} rows of 12 features, {TREES} trees",
            f"{'':34}{'s':>8}{'log loss':>12}",
            f"{f'two workers of {LIMIT} each':34}{two.seconds:8.0f}{two.loss:12.5f}"
            f"   peak {' and '.join(f'{each:.0f}' for each in peaks)} MB",
            f"{'one process':34}{one.seconds:8.0f}{one.loss:12.5f}   same bytes: {one.sha256 == two.sha256}",
            f"{'HistGradientBoosting':34}{theirs.seconds:8.0f}{theirs.loss:12.5f}",
        ]
    )
