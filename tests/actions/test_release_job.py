"""What the job that releases takes from the job that ran the stages: bytes with the commit's hashes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from perenne.actions import handover, release_job
from perenne.actions.release_job import COSTS, PROVEN
from perenne.common import locked
from perenne.common.errors import PerenneError
from perenne.common.names import LOCK, MODEL
from perenne.registry import costs
from tests.actions.running import Runner
from tests.conftest import Enter
from tests.forge.double import Double
from tests.project import Project
from tests.registry.visits import least_reproduced


@pytest.fixture
def made(tmp_path: Path, enter: Enter, runner: Runner, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a project whose results were proven, in the folder that is uploaded and nowhere else."""
    assert runner.folder.exists()
    monkeypatch.setenv("GITHUB_RUN_ID", "7")
    project = least_reproduced(tmp_path / "project")
    enter(project)
    handover.pack(PROVEN, None)
    (PROVEN / COSTS).write_text('{"train": [1.5, 20.0]}')
    shutil.move(PROVEN, tmp_path / "proven")
    project.run("rm -rf .dvc/cache/files data/model")
    return project


def taken(made: Project, host: Double) -> None:
    """Upload the folder, and take it."""
    archive = shutil.make_archive(str(made.path.parent / "proven"), "zip", made.path.parent / "proven")
    host.uploaded(PROVEN.name, Path(archive).read_bytes())
    release_job.proven()


def test_results_are_in_the_working_tree_and_no_stage_has_run(made: Project, host: Double) -> None:
    """Byte for byte those of the lock, with what they cost."""
    made.write("dvc.yaml", made.read("dvc.yaml").replace("sort -r", "touch ran; sort -r"))
    taken(made, host)
    made.run("git checkout -q dvc.yaml && dvc status -q")
    assert (made.path / MODEL).exists()
    assert not (made.path / "ran").exists()
    assert costs.recorded(LOCK.read_bytes()) == {"train": (1.5, 20.0)}


def test_model_that_was_exchanged_is_refused(made: Project, host: Double) -> None:
    """Whoever runs the stages can upload what he likes, but not under the hash of the commit's lock."""
    md5 = locked.load().out(MODEL).md5
    (made.path.parent / "proven" / handover.OBJECTS / md5).write_text("another")
    with pytest.raises(PerenneError, match=f"{md5}: the content of this file does not have the MD5"):
        taken(made, host)
    assert not (made.path / MODEL).exists()


def test_lock_that_is_not_the_commits_is_refused(made: Project, host: Double) -> None:
    """It would name other data."""
    lock = made.path.parent / "proven" / LOCK
    lock.write_text(lock.read_text() + "\n")
    with pytest.raises(PerenneError, match=r"^proven: its dvc\.lock is not the commit's"):
        taken(made, host)


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', '{"a": [NaN, 1]}', '{"a": [-1, 1]}', "[" * 99_999])
def test_costs_that_no_proof_writes_are_refused(made: Project, host: Double, text: str) -> None:
    """They are written into the notes that everybody reads."""
    (made.path.parent / "proven" / COSTS).write_text(text)
    with pytest.raises(PerenneError, match=r"^proven/costs\.json: not what a proof writes"):
        taken(made, host)


def test_nothing_is_released_without_a_proof(made: Project, host: Double) -> None:
    """The run has no artifact of that name."""
    assert (made.path / LOCK).exists()
    assert host.stored == []
    with pytest.raises(PerenneError, match="proven: the run has no such artifact, so nothing is proven"):
        release_job.proven()
