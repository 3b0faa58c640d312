"""The stages, wherever their work runs."""

from __future__ import annotations

from pathlib import Path

from distributed import Client

from perenne.compute import settings
from tests import dask, tiny
from tests.compute import work

MONTHS = (*tiny.MONTHS, "2021-05", "2021-06")  # the last two after `as_of`: drift examines them
PARAMS = (
    f"{tiny.PARAMS}tolerance: {{calibration: 0.05}}\n".replace("through: 2021-04", "through: 2021-06")
    .replace("sklearn.linear_model.LogisticRegression", "perenne.BinnedXGBClassifier")
    .replace("{C: 1.0}", "{n_estimators: 3}")
)


def test_results_are_the_same_wherever_work_runs(tmp_path: Path) -> None:
    """`dvc repro` on two workers of a cluster, and in two processes: the bytes of this one."""
    project = tiny.project(tmp_path / "project")
    project.write("params.yaml", PARAMS)
    project.write(tiny.INPUT, tiny.table(*MONTHS))
    project.repro()
    lock = project.read("dvc.lock")
    with dask.cluster(project.path, 2) as started:
        project.repro("--force", **{settings.VARIABLE: started.address})
        with Client(started.address, set_as_default=False) as client:
            assert client.run_on_scheduler(work.finished) >= len(MONTHS) + 2, "the stages work alone"
    assert project.read("dvc.lock") == lock
    project.write("params.yaml", f"{PARAMS}compute: {{workers: 2}}\n")
    project.repro("--force")
    assert project.read("dvc.lock") == lock
    left = [path for path in project.path.glob("data/**/.*") if path.name != ".gitignore"]
    assert [*left, *project.path.glob(".dvc/tmp/perenne/*")] == []
