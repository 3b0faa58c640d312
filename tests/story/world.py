"""The world of the story: a company that delivers a file a quarter, a law, and later a system that fails."""

from __future__ import annotations

import pandas as pd

from perenne.cases.retirement import Retirement
from perenne.common import batches, strict_yaml
from perenne.common.contract import Contract
from perenne.common.typed import parse
from perenne.pipeline import ingest
from tests.project import Project

CONTRACT = "data/cases/retirement/contract.yaml"
LAW, FAILURE = "2021Q1", "2022Q2"  # the quarter that the law begins in, and that from which age is not known
AGE = 62.0  # what the failing system writes for everyone

FILES = """\
ingest:
  source: files
  glob: "*.parquet"
  through: 2019Q4 # the last quarter to read
"""


def move_in(project: Project) -> None:
    """Let the project take its rows from files, and ask of a model that it is worth having."""
    project.edit(r"(?s)^ingest:\n.*?(?=^validate:)", f"{FILES}\n")
    project.edit(r"floor: {min_gain: [0-9.]+}", "floor: {min_gain: 0.12}")


def deliver(project: Project, since: str, through: str) -> None:
    """Commit the file of each quarter, and again that of the one before, whose labels have come."""
    contract = parse(Contract, strict_yaml.loads(project.read(CONTRACT)), CONTRACT)
    source = Retirement(source="retirement", start="2013Q1", through=through, law=LAW, seed=0, scale=1.0)
    names = []
    for period, frame in ingest.ingest(source, contract):
        if period >= pd.Period(since) - contract.label_delay:
            names.append(f"data/incoming/retirement/{period}.parquet")
            (project.path / names[-1]).unlink(missing_ok=True)  # it may be a link into DVC's cache
            batches.write_parquet(project.path / names[-1], ingest.table(_seen(period, frame), contract))
    project.run(f"dvc add -q {' '.join(names)} && dvc push -q {' '.join(names)} && git add data/incoming")
    project.commit(f"the files of {since} to {through}")
    project.run("git push -q origin HEAD:main")


def _seen(period: pd.Period, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows as they are delivered."""
    return frame.assign(age=AGE) if str(period) >= FAILURE else frame
