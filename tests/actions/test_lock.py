"""A reproduced lock is committed only to a branch that has not moved, and never to the default branch."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from perenne.actions import handover, lock_job
from perenne.common.errors import PerenneError
from tests.actions.running import Runner
from tests.actions.test_comment import HERE, ended
from tests.conftest import Enter
from tests.forge.double import Double, Started
from tests.project import Project
from tests.registry.visits import least_reproduced


@pytest.fixture
def base(tmp_path: Path, host: Double, enter: Enter) -> Project:
    """Return the main branch, checked out; the review of a stale branch has uploaded its lock."""
    project = least_reproduced(tmp_path / "project")
    project.run("git init -q --bare -b main ../origin.git && git remote add origin ../origin.git")
    project.run("git push -q origin main && git checkout -q -b topic")
    project.edit("sort -r", "sort", "dvc.yaml")
    project.commit("stale")
    project.run("git push -q origin topic")
    project.repro()
    enter(project)
    handover.pack(tmp_path / "results", "main")
    archive = shutil.make_archive(str(tmp_path / "results"), "zip", tmp_path / "results")
    host.uploaded("results", Path(archive).read_bytes())
    project.run("git stash -q && git checkout -q main && rm -rf .dvc/cache")
    return project


def reviewed(host: Double, runner: Runner, base: Project, **facts: Any) -> str:
    """Have the review of the branch's head end; return that commit."""
    head = base.out("git rev-parse topic").strip()
    runner.happens(workflow_run=ended(head_sha=head) | facts, repository=HERE)
    host.requested("topic", head)
    host.requested("main", head)
    return head


def test_commit_differs_in_the_lock_alone(base: Project, host: Double, runner: Runner) -> None:
    """Its status has the review's result; nothing of the branch was checked out."""
    head = reviewed(host, runner, base)
    lock_job.lock()
    base.run("git fetch -q origin")
    assert base.out(f"git diff --name-status {head} origin/topic") == "M\tdvc.lock\n"
    assert base.out("git log -1 --format=%s origin/topic") == "Reproduce dvc.lock\n"
    ((commit, status),) = host.statuses
    assert commit == base.out("git rev-parse origin/topic").strip()
    assert (status.check, status.state) == ("Review", "success")
    assert status.description == f"reviewed at {head[:7]}"
    assert host.started == [Started("tests", "topic", "main")]
    assert base.out("git status --porcelain") == ""
    assert base.out("git branch --show-current") == "main\n"


def test_branch_that_moved_on_is_left_alone(base: Project, host: Double, runner: Runner) -> None:
    """Somebody has pushed meanwhile: their commit is kept, and has a review of its own."""
    reviewed(host, runner, base)
    base.run("git checkout -q topic && git commit -q --allow-empty -m more && git push -q origin topic")
    base.run("git checkout -q main && git branch -f topic topic~")
    with pytest.raises(PerenneError, match=r"git push: .*rejected"):
        lock_job.lock()
    assert host.writes == 0


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"head_branch": "main"}, "or to the default branch"),
        ({"head_sha": "b" * 40}, "bbbbbbb is not the head of an open pull request any more"),
        ({"head_repository": ended("eve")["head_repository"]}, "a lock is never committed to a fork"),
    ],
)
def test_nothing_is_committed_to_other_branches(
    base: Project, host: Double, runner: Runner, facts: dict[str, Any], message: str
) -> None:
    """A message says why, and the job succeeds."""
    reviewed(host, runner, base, **facts)
    refs = base.out("git ls-remote origin")
    assert message in lock_job.lock()
    assert base.out("git ls-remote origin") == refs


def test_lock_that_was_as_committed_is_left_alone(base: Project, host: Double, runner: Runner) -> None:
    """The review has uploaded no results."""
    reviewed(host, runner, base)
    host.stored.clear()
    assert lock_job.lock() == "dvc.lock was as committed: nothing to commit"
