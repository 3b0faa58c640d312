"""The stages, wherever their work runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distributed import Client

from perenne.compute import settings
from tests import dask, tiny

MONTHS = (*tiny.MONTHS, "2021-05", "2021-06")  # the last two after `as_of`: drift examines them
PARAMS = (
    f"{tiny.PARAMS}tolerance: {{calibration: 0.05}}\n".replace("through: 2021-04", "through: 2021-06")
    .replace("sklearn.linear_model.LogisticRegression", "stages.models.Mine")
    .replace("{C: 1.0}", "{C: 1.0}\n  trusted: [stages.models.Mine]")
)
OWN = """\
from sklearn.linear_model import LogisticRegression


class Mine(LogisticRegression):
    pass
"""
LISTED = "      - stages/__init__.py\n"


def test_results_are_the_same_wherever_work_runs(tmp_path: Path) -> None:
    """`dvc repro` on two workers of a cluster, and in two processes: the bytes of this one.

    The model is the project's own code, which a worker and the scheduler do not have on their path.
    """

    def finished(dask_scheduler: Any) -> int:  # sent as it is: the scheduler has no tests
        """How many pieces of work a scheduler has seen to their end."""
        return sum(prefix.state_counts["memory"] for prefix in dask_scheduler.task_prefixes.values())

    project = tiny.project(tmp_path / "project")
    project.write("params.yaml", PARAMS)
    project.write("stages/models.py", OWN)
    project.write("dvc.yaml", project.read("dvc.yaml").replace(LISTED, f"{LISTED}      - stages/models.py\n"))
    project.write(tiny.INPUT, tiny.table(*MONTHS))
    project.repro()
    lock = project.read("dvc.lock")
    with dask.cluster(project.path, 2, path=None) as started:
        project.repro("--force", **{settings.VARIABLE: started.address})
        with Client(started.address, set_as_default=False) as client:
            assert client.run_on_scheduler(finished) >= len(MONTHS) + 2, "the stages work alone"
    assert project.read("dvc.lock") == lock
    project.write("params.yaml", f"{PARAMS}compute: {{workers: 2}}\n")
    project.repro("--force")
    assert project.read("dvc.lock") == lock
    left = [path for path in project.path.glob("data/**/.*") if path.name != ".gitignore"]
    assert [*left, *project.path.glob(".dvc/tmp/perenne/*")] == []
