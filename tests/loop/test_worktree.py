"""The worktree of a retraining: what is in it, and that it leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest

from perenne.common import git
from perenne.documents.decision import MonitorDecision, MonitoredVersion, OfferedCut
from perenne.documents.drift import ReferenceSpan
from perenne.loop import attempt, worktree
from tests import tiny
from tests.conftest import Enter
from tests.project import Project
from tests.registry import visits

MONTH = "2021-05"


@pytest.fixture
def files(tmp_path: Path, enter: Enter) -> Project:
    """Return a project whose data are files that DVC keeps, as the current folder."""
    project = tiny.project(tmp_path / "project")
    project.edit("glob: .*", 'glob: "*.csv"')
    project.run(f"git rm -rq --cached data/incoming && dvc add -q {visits.INPUT} && git add data/incoming")
    project.commit("files")
    project.run(
        "git init -q --bare ../origin.git && git remote add origin ../origin.git && git push -q origin main"
    )
    enter(project)
    return project


def decided(through: str) -> MonitorDecision:
    """Return a decision to retrain."""
    return MonitorDecision(
        case="tiny",
        champion=MonitoredVersion(version="v1.0.0", commit="c0ffee", sha256="0", as_of="2021-02"),
        through=through,
        rule={},
        drift=tiny.params().drift,
        retrained=None,
        answer="retrain",
        reasons=("because",),
        since=None,
        candidates=(),
        wait_for=None,
        reference=ReferenceSpan(first="2021-01", last="2021-02", rows=40),
        windows=(),
        slices=(),
    )


def test_files_that_have_come_are_in_the_commit(files: Project) -> None:
    """New ones and changed ones, whether or not their user has told DVC; here nothing is touched."""
    files.write("data/incoming/tiny/may.csv", tiny.table(MONTH))
    files.run(f"chmod +w {visits.INPUT}; echo '{tiny.row(99, '2021-04')}' >> {visits.INPUT}")
    before = files.out("git status --porcelain; ls -l data/incoming/tiny")
    base = git.commit("HEAD")
    found = decided(MONTH)
    candidate = OfferedCut(name="the window", as_of=MONTH, window=2, holdout=1)
    with worktree.opened(base):
        commits = []
        for _ in range(2):
            worktree.fresh(base)
            attempt.edited(found, candidate)
            attempt.keep_inputs()
            commits.append(attempt.committed(base, attempt.message(found, candidate)))
    assert commits[0] == commits[1], "the same retraining, another commit"
    assert files.out("git status --porcelain; ls -l data/incoming/tiny") == before
    changed = files.out(f"git diff --name-status {base} {commits[0]}").splitlines()
    assert changed == [
        "M\tdata/incoming/tiny/.gitignore",
        "A\tdata/incoming/tiny/may.csv.dvc",
        "M\tdata/incoming/tiny/visits.csv.dvc",
        "M\tparams.yaml",
    ]
    there = files.out(f"git show {commits[0]}:params.yaml")
    assert f"through: {MONTH}" in there
    assert f"as_of: {MONTH}" in there


def test_nothing_is_left_behind(files: Project) -> None:
    """Neither by an error, nor of what another process had left when it was killed."""
    base = git.commit("HEAD")
    left = git.folder() / worktree.PLACE
    left.mkdir(parents=True)
    (left / "junk").touch()

    def fails() -> None:
        with worktree.opened(base) as folder:
            assert not (folder / "junk").exists()
            assert Path.cwd() == folder
            assert (folder / visits.INPUT).exists()
            # A remote beside the project is found from there as well.
            assert git.git("ls-remote", "origin", "main").startswith(base)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails()
    assert Path.cwd() == files.path
    assert files.out("git worktree list").count("\n") == 1
    assert not left.exists()


def test_model_that_would_be_the_same_needs_no_commit(files: Project) -> None:
    """Where nothing has to move, what is there is offered."""
    base = git.commit("HEAD")
    found = decided("2021-04")
    with worktree.opened(base):
        attempt.edited(found, OfferedCut(name="the window", as_of="2021-04", window=2, holdout=1))
        assert attempt.committed(base, "none") == base
    assert files.out("git status --porcelain") == ""
