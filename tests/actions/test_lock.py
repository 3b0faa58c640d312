"""A reproduced lock, committed: only to a branch that is still where it was, and never to the default one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from perenne.actions import handover, lock
from perenne.common.errors import PerenneError
from tests.actions.test_comment import HERE, pull, run
from tests.conftest import Enter
from tests.forge.running import Runner
from tests.project import Project
from tests.registry.visits import least_reproduced


@pytest.fixture
def base(tmp_path: Path, runner: Runner, enter: Enter) -> Project:
    """Return the main branch checked out; the review of a stale branch has handed over its lock."""
    project = least_reproduced(tmp_path / "project")
    project.run("git init -q --bare -b main ../origin.git && git remote add origin ../origin.git")
    project.run("git push -q origin main && git checkout -q -b topic")
    project.edit("sort -r", "sort", "dvc.yaml")
    project.commit("stale")
    project.run("git push -q origin topic")
    project.repro()
    enter(project)
    handover.pack(tmp_path / "results", "main")
    shutil.make_archive(str(runner.folder / "artifacts" / "results"), "zip", tmp_path / "results")
    project.run("git stash -q && git checkout -q main && rm -rf .dvc/cache")
    return project


def happened(runner: Runner, base: Project, **facts: Any) -> str:
    """Let the review of the branch's head have ended, as GitHub tells of it; return that commit."""
    head = base.out("git rev-parse topic").strip()
    told = run() | {"head_sha": head} | facts
    runner.happens(workflow_run=told, repository=HERE)
    runner.knows("pulls", [pull(7, sha=head), pull(8, sha=head, branch="main")])
    return head


def test_commit_differs_in_the_lock_alone(base: Project, runner: Runner) -> None:
    """Its status says how the review went, and by whom; nothing of the branch was checked out."""
    head = happened(runner, base)
    lock.lock()
    base.run("git fetch -q origin")
    assert base.out(f"git diff --name-status {head} origin/topic") == "M\tdvc.lock\n"
    assert base.out("git log -1 --format=%s origin/topic") == "Reproduce dvc.lock\n"
    (status,) = runner.read("statuses")
    assert (status["state"], status["context"]) == ("success", "Review")
    assert runner.read("dispatches") == [{"ref": "topic", "workflow": "ci.yml"}]
    assert base.out("git status --porcelain") == ""
    assert base.out("git branch --show-current") == "main\n"


def test_branch_that_moved_on_is_left_alone(base: Project, runner: Runner) -> None:
    """Somebody has pushed meanwhile: theirs is not lost, and is reviewed by itself."""
    happened(runner, base)
    base.run("git checkout -q topic && git commit -q --allow-empty -m more && git push -q origin topic")
    base.run("git checkout -q main && git branch -f topic topic~")
    with pytest.raises(PerenneError, match=r"git push: .*rejected"):
        lock.lock()
    assert not (runner.folder / "statuses.json").exists()


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"head_branch": "main"}, "not to the default branch"),
        ({"head_sha": "b" * 40}, "no open pull request has bbbbbbb as its head any more"),
        ({"head_repository": run("eve")["head_repository"]}, "a lock is committed to no fork"),
    ],
)
def test_nothing_is_committed_where_it_has_no_place(
    base: Project, runner: Runner, facts: dict[str, Any], told: str
) -> None:
    """It says why, and the job has done its work."""
    happened(runner, base, **facts)
    refs = base.out("git ls-remote origin")
    assert told in lock.lock()
    assert base.out("git ls-remote origin") == refs


def test_lock_that_was_as_committed_is_none_of_its_business(base: Project, runner: Runner) -> None:
    """The review has handed nothing over."""
    happened(runner, base)
    (runner.folder / "artifacts" / "results.zip").unlink()
    assert lock.lock() == "dvc.lock was as committed: nothing to commit"
