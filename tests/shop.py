"""A case whose features look back: orders of customers by month, and who returns what they ordered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from perenne.common import batches, strict_yaml
from perenne.common.contract import Contract
from perenne.common.typed import parse
from tests.project import Project, clone

NAME = "shop"
CONTRACT = """\
row: one order
task: binary
period: month
label_delay: 1
columns:
  customer: {type: integer, role: entity}
  ordered: {type: datetime, role: time}
  pay: {type: number, role: feature, missing: true}
  hours: {type: integer, role: source, missing: true}
  colour: {type: category, role: [feature, slice], values: [red, blue]}
  returned: {type: integer, role: target, values: [0, 1]}
derived:
  weekday: {part: weekday, of: ordered}
  pay an hour: {ratio: [pay, hours]}
  pay before: {lag: pay}
  mean pay: {mean: pay, rows: 3}
  orders lately: {count: true, within: 40 days}
  returned before: {lag: returned}
  more pay: {difference: [pay, pay before]}
"""
PARAMS = """\
case: shop
ingest: {source: files, glob: "*.csv", through: 2021-06}
validate: {max_quarantined_share: 0.1}
split: {as_of: 2021-06, window: 3, holdout: 2}
train:
  estimator: sklearn.ensemble.HistGradientBoostingClassifier
  params: {max_iter: 20, min_samples_leaf: 5}
  seed: 0
evaluate:
  {folds: 2, resamples: 100, confidence: 0.95, bins: 2, importance_rows: 99, importance_repeats: 1, seed: 0}
tolerance: {calibration: 0.5, loss: 0.05, ranking: 0.05}
drift: {false_discovery_rate: 0.05, min_effect: 0.05, periods_per_false_alarm: 160, report_rows: 100, seed: 0}
gate:
  metric: log_loss
  intent: auto
  alpha: 0.05
  rules:
    floor: {min_gain: 0}
serve:
  budget_ms: 10000
  token_sha256: null # of the tests
"""
MONTHS = tuple(str(month) for month in pd.period_range("2021-01", "2021-06", freq="M"))


def contract(old: str = "", new: str = "", text: str = CONTRACT) -> Contract:
    """Return the contract, with one piece of its text replaced."""
    assert old in text, old
    return parse(Contract, strict_yaml.loads(text.replace(old, new)), "contract.yaml")


def orders(months: tuple[str, ...] = MONTHS, customers: int = 150, seed: int = 0) -> pd.DataFrame:
    """Return orders with the delivered columns, typed: who paid more last time returns more often."""
    rng = np.random.default_rng(seed)
    pays: dict[int, float] = {}
    rows = []
    for month in months:
        start = pd.Period(month, freq="M").start_time
        for customer in range(customers):
            for day in sorted(rng.choice(28, rng.integers(0, 3), replace=False)):
                pay = round(float(rng.uniform(10, 100)), 2)
                chance = 0.9 if pays.get(customer, 50) > 55 else 0.1
                rows.append(
                    {
                        "customer": customer,
                        "ordered": start
                        + pd.Timedelta(int(day), "D")
                        + pd.Timedelta(int(rng.integers(20)), "h"),
                        "pay": pay if rng.random() > 0.05 else None,
                        "hours": int(rng.integers(0, 9)) if rng.random() > 0.05 else None,
                        "colour": ["red", "blue"][int(rng.integers(2))],
                        "returned": int(rng.random() < chance),
                    }
                )
                pays[customer] = pay
    raw = pd.DataFrame(rows)
    return pd.DataFrame({n: batches.typed(raw[n], c) for n, c in contract().raw.items()})


def project(to: Path, rows: pd.DataFrame | None = None) -> Project:
    """Return a project whose current case is this one, with its orders to bring in, and nothing run."""
    made = clone(to)
    made.write("params.yaml", PARAMS)
    made.write(f"data/cases/{NAME}/contract.yaml", CONTRACT)
    made.edit(r"(?s)^  drift:\n.*?(?=^(  )?\S|\Z)", "", "dvc.yaml")
    made.run(f"rm -rf data/incoming/* data/raw dvc.lock && mkdir data/incoming/{NAME}")
    written = orders() if rows is None else rows
    for month, part in written.groupby(written["ordered"].dt.to_period("M")):
        part.to_csv(made.path / f"data/incoming/{NAME}/{month}.csv", index=False)
    made.run(f"dvc add -q data/incoming/{NAME}/*.csv")
    return made
