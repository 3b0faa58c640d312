"""Git as the commands outside the DAG use it, in real repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

from perenne.common import git
from perenne.common.errors import PerenneError
from tests.project import Project


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return a repository with one commit, as the current folder."""
    project = Project(tmp_path / "project")
    project.write("a file", "one\n")
    project.run("git init -q -b main")
    project.commit("first")
    monkeypatch.chdir(project.path)
    return project


def test_a_file_of_a_commit_is_read_as_it_was(repository: Project) -> None:
    """Bytes for bytes, whatever the working tree holds now."""
    repository.write("a file", "two\n")
    assert git.show("HEAD", Path("a file")) == b"one\n"


def test_a_file_is_found_from_the_folder_that_the_project_is_in(
    repository: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The project may be a folder of a larger repository."""
    repository.write("below/params.yaml", "case: x\n")
    repository.commit("below")
    monkeypatch.chdir(repository.path / "below")
    assert git.show("HEAD", Path("params.yaml")) == b"case: x\n"


@pytest.mark.usefixtures("repository")
@pytest.mark.parametrize("rev", ["nothing", "--all", "HEAD; true", "main:a file", ""])
def test_what_names_no_commit_is_told(rev: str) -> None:
    """An option, a shell's command or a file is no revision."""
    with pytest.raises(PerenneError, match="is not a commit here; try git fetch"):
        git.commit(rev)


@pytest.mark.usefixtures("repository")
def test_a_missing_file_is_told() -> None:
    """A file that the commit does not have is an error that names both."""
    with pytest.raises(PerenneError, match=r"params\.yaml: not in the commit main"):
        git.show("main", Path("params.yaml"))


@pytest.mark.usefixtures("repository")
def test_gits_own_words_are_kept() -> None:
    """A failing command says what Git says, in one line."""
    with pytest.raises(PerenneError, match=r"^git branch: a branch named 'main' already exists$"):
        git.git("branch", "main")


def test_changes_are_what_no_commit_holds(repository: Project) -> None:
    """Changed, new and oddly named files alike; none after a commit."""
    assert git.changes() == []
    repository.write("a file", "two\n")
    repository.write("new 'file' é", "")
    assert git.changes() == ["a file", "new 'file' é"]


def test_the_remote_is_origin_or_the_only_one(repository: Project) -> None:
    """With several and no origin there is no guessing."""
    assert git.remote() is None
    repository.run("git remote add upstream .")
    assert git.remote() == "upstream"
    repository.run("git remote add fork .")
    with pytest.raises(PerenneError, match="which of fork, upstream"):
        git.remote()
    repository.run("git remote add origin .")
    assert git.remote() == "origin"


def test_worktrees_share_what_belongs_to_the_repository(repository: Project, tmp_path: Path) -> None:
    """A lock taken in one worktree is seen in another."""
    folder = git.folder()
    repository.run(f"git worktree add -q {tmp_path / 'other'}")
    assert git.git("-C", str(tmp_path / "other"), "rev-parse", "--git-common-dir") == str(folder)
