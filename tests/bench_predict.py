"""`perenne predict` of a million rows, beside the pipeline's own `predict` of the same rows, already read."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from perenne.cases import retirement
from perenne.common import batches
from perenne.common.contract import read_contract
from tests.project import Project, clone
from tests.serving.load import assign, inside, release

ROWS = 1_000_000
SCALE = 36  # companies of which three quarters make that many rows
TREES = 200
RUNS = 3

# The command with all that it needs: Python's start, the version's files, reading, checks, writing.
COMMAND = """
import resource, subprocess, sys, time
start = time.perf_counter()
command = ["perenne", "predict", "rows.parquet", "--out", "scores.parquet"]
subprocess.run(command, check=True, stdout=sys.stderr)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""

PIPELINE = """
import resource, time
from pathlib import Path
import numpy as np
from perenne.common import batches, model, model_file
from perenne.common.contract import read_contract
from perenne.common.names import RELEASED, RELEASED_CARD
contract = read_contract("retirement")
pipeline, _ = model_file.load(RELEASED, RELEASED_CARD)
X = model.inputs(batches.read_parquet(Path("rows.parquet")), contract)
start, spent = time.perf_counter(), time.process_time()
scores = pipeline.predict_proba(X)[:, 1]
print(time.perf_counter() - start, time.process_time() - spent, end=" ")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
np.save("plain.npy", scores)
"""


def project(to: Path) -> Project:
    """Return a project with a version in prod of so many trees, and a file of so many rows."""
    made = clone(to / "project")
    made.edit(r"max_iter: .*", f"max_iter: {TREES}")
    made.repro("ingest validate split train refit")
    made.commit("v1.0.0")
    with inside(made):
        release("v1.0.0", "retirement")
        assign("v1.0.0", "retirement")
        contract = read_contract("retirement")
    first, last = pd.Period("2019Q1"), pd.Period("2019Q4")
    quarters = [rows for _, rows in retirement.simulate(first, last, seed=0, scale=SCALE)]
    rows = pd.concat(quarters[:3], ignore_index=True).iloc[:ROWS].astype({contract.target: "int64"})
    table = batches.to_table(rows, batches.schema(contract))
    batches.write_parquet(made.path / "rows.parquet", table)
    return made


def table() -> str:
    """Return seconds and MB of both, in turns; the least of some runs each."""
    with TemporaryDirectory(prefix="perenne-bench-") as folder:
        made = project(Path(folder))
        found = {"perenne predict": COMMAND, "pipeline.predict_proba": PIPELINE}
        runs: dict[str, list[list[float]]] = {name: [] for name in found}
        for _ in range(RUNS):
            for name, script in found.items():
                runs[name].append([float(each) for each in made.out(f"python -c '{script}'").split()])
        scores = pq.read_table(made.path / "scores.parquet")["score"].to_numpy()
        equal = scores.tobytes() == np.load(made.path / "plain.npy").tobytes()
    lines = [
        f"predict: {ROWS:,} rows, {TREES} trees; the scores are {'' if equal else 'NOT '}equal to the bit",
        f"{'':24}{'wall, s':>10}{'CPU, s':>10}{'peak, MB':>10}",
    ]
    for name, each in runs.items():
        wall, cpu, peak = (min(values) for values in zip(*each, strict=True))
        lines.append(f"{name:24}{wall:10.2f}{cpu:10.2f}{peak:10.0f}")
    lines.append("goal: <= 3 s and <= 500 MB")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
