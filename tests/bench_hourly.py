"""Hourly batches of a hundred rows: what a batch costs in each stage, and what three years of them would."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from tests.project import Project, clone

YEARS = 26_280  # hours of three years
ROWS = 100  # of an hour
STAGES = ["ingest", "validate", "split", "train", "evaluate", "drift"]
CONTRACT = """\
row: one payment
task: binary
period: hour
label_delay: 0
block: none
columns:
  payment: {type: integer, role: entity}
  at: {type: datetime, role: time}
  amount: {type: number, role: feature, range: [0, 10000]}
  age: {type: integer, role: feature, range: [0, 120], missing: true}
  kind: {type: category, role: [feature, slice], values: [card, cash, cheque]}
  known: {type: boolean, role: feature}
  since: {type: datetime, role: feature, missing: true}
  fraud: {type: integer, role: target, values: [0, 1]}
"""
PARAMS = """\
case: hourly
ingest: {{source: files, glob: "*.parquet", through: "{last}"}}
validate: {{max_quarantined_share: 0.01}}
split: {{as_of: "{as_of}", window: {window}, holdout: {holdout}}}
train: {{estimator: sklearn.linear_model.LogisticRegression, params: {{C: 1.0}}, seed: 0}}
evaluate: {{resamples: 100, confidence: 0.95, bins: 9, importance_rows: 900, importance_repeats: 1, seed: 0}}
tolerance: {{calibration: 0.05, loss: 0.01, ranking: 0.01}}
loop: {{alarms: 1, windows: 1, cool_down: 3, on_eligible: pull-request}}
drift:
  {{false_discovery_rate: 0.05, min_effect: 0.05, periods_per_false_alarm: 160, report_rows: 1000, seed: 0}}
"""

# Imports first, and the time of the processor: neither the start of Python nor a busy machine is counted.
WARM = """
import importlib, json, resource, sys
def spent():
    who = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in who)
times = {}
for name in sys.argv[1:]:
    stage = importlib.import_module(f"perenne.pipeline.{name}")
    before = spent()
    stage.main()
    times[name] = spent() - before
print(json.dumps(times))
"""

MONITOR = """
import json, resource, sys
from datetime import datetime
from perenne.loop.monitor import monitor
def spent():
    who = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(each.ru_utime + each.ru_stime for each in who)
before = spent()
monitor(datetime(2030, 1, 1), sys.argv[1], offline=True)
print(json.dumps({"monitor": spent() - before}))
"""


def rows(hours: int, each: int = ROWS) -> pd.DataFrame:
    """Return payments of some hours, as many in each; one in 100 has no age, and one in 20 is a fraud."""
    rng = np.random.default_rng(0)
    n = hours * each
    start = pd.Timestamp("2021-01-01").as_unit("us")
    at = start + pd.to_timedelta(np.repeat(np.arange(hours), each), "h").as_unit("us")
    amount = rng.exponential(50, n).clip(0, 10_000).round(2)
    chance = 1 / (1 + np.exp(3.5 - amount / 100))
    return pd.DataFrame(
        {
            "payment": np.arange(n),
            "at": at + pd.to_timedelta(rng.integers(0, 3600, n), "s").as_unit("us"),
            "amount": amount,
            "age": pd.Series(rng.integers(18, 90, n), dtype="Int64").mask(rng.random(n) < 0.01),
            "kind": rng.choice(["card", "cash", "cheque"], n),
            "known": rng.random(n) < 0.8,
            "since": start - pd.to_timedelta(rng.integers(1, 3_000, n), "D").as_unit("us"),
            "fraud": (rng.random(n) < chance).astype("int64"),
        }
    )


def project(to: Path, hours: int, each: int = ROWS) -> Project:
    """Return a project with hourly batches to bring in: half to train on, a quarter to watch."""
    made, start = clone(to), pd.Period("2021-01-01 00:00", "h")
    window, holdout = hours // 2, hours // 4
    as_of, last = (str(start + count - 1) for count in (window + holdout, hours))
    params = PARAMS.format(last=last, as_of=as_of, window=window, holdout=holdout)
    for file in ("params.yaml", "data/cases/hourly/params.yaml"):
        made.write(file, params)
    made.write("data/cases/hourly/contract.yaml", CONTRACT)
    made.run("rm -rf data/incoming/* data/raw && mkdir -p data/incoming/hourly")
    rows(hours, each).to_parquet(made.path / "data/incoming/hourly/payments.parquet", index=False)
    return made


def spent(hours: int) -> dict[str, float]:
    """Return the CPU seconds of each stage with so many batches."""
    with TemporaryDirectory(prefix="perenne-bench-") as folder:
        made = project(Path(folder) / "project", hours)
        said = made.out(f"python -c '{WARM}' {' '.join(STAGES)}")
    seconds: dict[str, float] = json.loads(said.splitlines()[-1])  # the line after what the stages say
    return seconds | {"together": sum(seconds.values())}


def again(hours: int) -> dict[str, tuple[float, float]]:
    """Return the CPU seconds with so many hourly batches for the first time, and with one more after that."""
    with TemporaryDirectory(prefix="perenne-bench-") as folder:
        made = project(Path(folder) / "project", hours)
        end = pd.Period("2021-01-01 00:00", "h") + hours
        before, last = str(end - 2), str(end - 1)

        def run(script: str, *given: str) -> dict[str, float]:
            said = made.out(f"python -c '{script}' {' '.join(given)}")
            seconds: dict[str, float] = json.loads(said.splitlines()[-1])
            return seconds

        made.edit(last, before)
        first = run(WARM, *STAGES, "refit")
        made.out("dvc commit -f")
        made.commit("a model")
        release(made)
        first |= run(MONITOR, f'"{before}"')
        made.edit(before, last)
        then = run(WARM, "ingest", "validate", "drift") | run(MONITOR, f'"{last}"')
    return {name: (first[name], seconds) for name, seconds in then.items()}


def release(made: Project) -> None:
    """Put the model of the last commit into prod, whatever a gate would say of it."""
    sha256 = hashlib.sha256((made.path / "data/model/model.skops").read_bytes()).hexdigest()
    made.write(".git/message", f"by hand\n\n---\nmodel: {{sha256: '{sha256}'}}\n")
    for tag in ("hourly@v1.0.0", "hourly#prod#1"):
        made.out(f"git tag -a '{tag}' -F .git/message")


def one_more(hours: int = 2_000) -> str:
    """Return what one more batch costs, with few and with many before it, and with those of three years."""
    few = hours // 4
    less, more = again(few), again(hours)
    lines = [
        f"hourly: CPU seconds of a run over {hours:,} batches, and of the next, with one more; the latter",
        f"over {few:,} as well, and over {YEARS:,} if it grows on so",
        f"{'':10}{'first run':>12}{f'next, {few:,}':>12}{f'next, {hours:,}':>14}{'three years':>14}",
    ]
    for stage, (first, then) in more.items():
        further = (then - less[stage][1]) / (hours - few)
        years = then + further * (YEARS - hours)
        lines.append(f"{stage:10}{first:12.1f}{less[stage][1]:12.1f}{then:14.1f}{years:14.1f}")
    return "\n".join(lines)


def table(hours: int = YEARS // 10) -> str:
    """Return the CPU milliseconds of each further batch, by stage, and the minutes of three years of them."""
    few = hours // 4
    before, after = spent(few), spent(hours)
    lines = [
        one_more(),
        f"hourly: CPU of {few:,} and of {hours:,} batches of {ROWS} rows; of each further one between them,",
        f"and of {YEARS:,} if all cost as much",
        f"{'':10}{f's, {few:,}':>10}{f's, {hours:,}':>10}{'ms a batch':>12}{'min, three years':>18}",
    ]
    for stage, seconds in after.items():
        further = (seconds - before[stage]) / (hours - few)
        minutes = further * YEARS / 60
        lines.append(f"{stage:10}{before[stage]:10.1f}{seconds:10.1f}{further * 1_000:12.2f}{minutes:18.1f}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
