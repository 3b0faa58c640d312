"""Two projects whose data come from a file that DVC keeps: the least one, and the pipeline itself."""

from __future__ import annotations

from pathlib import Path

from tests import tiny
from tests.project import ROOT, Project

INPUT = "data/incoming/tiny/visits.csv"
LEAST = """\
stages:
  train:
    cmd: mkdir -p data/model && sort -r data/incoming/tiny/visits.csv > data/model/model.skops
    deps: [data/incoming/tiny/visits.csv]
    outs: [data/model/model.skops]
  evaluate:
    cmd: mkdir -p data/reports && wc -l < data/model/model.skops > data/reports/metrics.json
    deps: [data/model/model.skops]
    metrics: [data/reports/metrics.json]
"""


def least(to: Path) -> Project:
    """Return a repository with the least that can be checked out and run, in one commit."""
    project = Project(to)
    project.write(".dvc/config", "")
    project.write(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
    project.write("requirements.txt", "a==1\n")
    project.write("stages/__init__.py", (ROOT / "stages/__init__.py").read_text(encoding="utf-8"))
    project.write("stages/perenne/__init__.py", "")
    project.run("git init -q -b main")
    project.commit("first")
    return project


def least_reproduced(to: Path) -> Project:
    """Return it with an input and two stages, reproduced in a second and shared."""
    project = least(to)
    project.write(INPUT, tiny.table(*tiny.MONTHS))
    project.write("dvc.yaml", LEAST)
    _share(project)
    return project


def visits(to: Path) -> Project:
    """Return the case `tiny` with two months to measure on, reproduced in ten seconds and shared.

    Its drift is not watched: that takes as long as all the other stages, and is verified like them.
    """
    project = tiny.project(to)
    project.edit("glob: .*", 'glob: "*.csv"')
    project.edit("holdout: 1", "holdout: 2")
    project.edit(r"^  drift:\n(.*\n)*", "", "dvc.yaml")
    project.run("git rm -rq --cached data/incoming/ && rm dvc.lock")
    _share(project)
    return project


def _share(project: Project) -> None:
    """Give the input to DVC, reproduce, commit, and push to a remote beside the project."""
    project.run(f"dvc add -q {INPUT} && git add data/incoming")
    project.run("dvc remote add -q --default store ../store")
    project.repro()
    project.commit("reproduced")
    project.run("dvc push -q")
