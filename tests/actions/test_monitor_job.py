"""What the job that offers a retraining takes from the job that built it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from perenne.actions import handover, monitor_job
from perenne.actions.monitor_job import BUILT
from perenne.common import locked
from perenne.common.errors import PerenneError
from perenne.common.names import MODEL
from perenne.documents.decision import OfferedCut
from tests.actions.running import Runner
from tests.conftest import Enter
from tests.forge.double import Double
from tests.project import Project
from tests.registry.visits import least_reproduced

MINE = OfferedCut(name="the whole window", as_of="2021-04", window=2, holdout=1)


@pytest.fixture
def built(
    tmp_path: Path, host: Double, enter: Enter, runner: Runner, monkeypatch: pytest.MonkeyPatch
) -> Project:
    """Return a worktree with the candidate's params and a stale lock, whose results were uploaded."""
    assert runner.folder.exists()
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    project = least_reproduced(tmp_path / "project")
    enter(project)
    project.edit("sort -r", "sort", "dvc.yaml")
    project.repro()
    handover.pack(tmp_path / BUILT, "HEAD", monitor_job.named(MINE))
    archive = shutil.make_archive(str(tmp_path / "zipped"), "zip", tmp_path / BUILT)
    host.uploaded(BUILT.name, Path(archive).read_bytes())
    md5 = locked.load().out(MODEL).md5
    project.run(f"git checkout -q dvc.lock && rm -rf .dvc/cache/files/md5/{md5[:2]}/{md5[2:]} data/model")
    return project


def test_results_of_a_candidate_are_in_the_worktree_and_no_stage_has_run(built: Project) -> None:
    """They are of its params, as DVC sees it: only the clean status says so."""
    built.run("dvc status -q", status=1)
    monitor_job.taken(MINE)
    built.run("dvc status -q")


@pytest.mark.parametrize("changed", [{"as_of": "2021-03"}, {"window": 3}, {"holdout": 2}, {"name": "other"}])
def test_results_of_another_candidate_are_not_taken(built: Project, changed: dict[str, str | int]) -> None:
    """Whichever part of the candidate differs."""
    with pytest.raises(PerenneError, match="was not built in this run"):
        monitor_job.taken(MINE.model_copy(update=changed))
    assert not (built.path / MODEL).exists()
