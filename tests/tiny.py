"""A case of one's own, small enough to be read: visits by month, from CSV files."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from perenne.common import strict_yaml
from perenne.common.contract import Contract
from perenne.common.params import Params
from perenne.common.typed import parse
from tests.project import Project, clone

CONTRACT = """\
row: one visit
task: binary
period: month
label_delay: 0
columns:
  id: {type: integer, role: entity}
  seen: {type: datetime, role: time}
  size: {type: number, role: feature, range: [0, 100], missing: true}
  colour: {type: category, role: [feature, slice], values: [red, blue]}
  adult: {type: boolean, role: feature}
  member: {type: datetime, role: feature, missing: true}
  won: {type: integer, role: target, values: [0, 1]}
"""
PARAMS = """\
case: tiny
ingest:
  source: files
  glob: "*"
  through: 2021-04
validate:
  max_quarantined_share: 0.1
split:
  as_of: 2021-04
  window: 2
  holdout: 1
train:
  estimator: sklearn.linear_model.LogisticRegression
  params: {C: 1.0}
  seed: 0
evaluate: {resamples: 100, confidence: 0.95, bins: 2, importance_rows: 9, importance_repeats: 1, seed: 0}
drift: {false_discovery_rate: 0.05, min_effect: 0.05, periods_per_false_alarm: 160, report_rows: 100, seed: 0}
"""
INPUT = "data/incoming/tiny/visits.csv"
HEADER = "id,seen,size,colour,adult,member,won"
MONTHS = ("2021-01", "2021-02", "2021-03", "2021-04")


def contract(old: str = "", new: str = "", text: str = CONTRACT) -> Contract:
    """Return the contract, with one piece of its text replaced."""
    assert old in text, old
    return parse(Contract, strict_yaml.loads(text.replace(old, new)), "contract.yaml")


def params() -> Params:
    """Return the params of the case."""
    return parse(Params, strict_yaml.loads(PARAMS), "params.yaml")


def row(number: int, month: str) -> str:
    """Return a line of CSV that keeps the contract."""
    colour = ("red", "blue")[number % 2]
    return f"{number},{month}-{number % 28 + 1:02d},{number % 7}.5,{colour},true,2020-12-31,{number // 2 % 2}"


def table(*months: str, rows: int = 20) -> str:
    """Return the text of a CSV with good rows of some months."""
    lines = [row(number, month) for month in months for number in range(rows)]
    return "\n".join([HEADER, *lines, ""])


def frame(text: str) -> pd.DataFrame:
    """Return the rows of a CSV, every value as text."""
    lines = [line.split(",") for line in text.splitlines()]
    return pd.DataFrame(lines[1:], columns=lines[0], dtype="str").replace("", None)


def write_case(made: Project) -> None:
    """Write the case's contract and params into a project."""
    made.write("data/cases/tiny/contract.yaml", CONTRACT)
    made.write("data/cases/tiny/params.yaml", PARAMS)


def project(to: Path) -> Project:
    """Return a project whose current case is this one, with four months to bring in, and nothing run."""
    made = clone(to)
    write_case(made)
    made.write("params.yaml", PARAMS)
    made.run("rm -rf data/incoming/* data/raw")
    made.write(INPUT, table(*MONTHS))
    return made
