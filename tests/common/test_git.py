"""Git as the commands outside the DAG use it, in real repositories."""

from __future__ import annotations

from pathlib import Path

import pytest

from perenne.common import git, notes
from perenne.common.errors import PerenneError
from perenne.registry import tags
from tests import hostile
from tests.project import Project, environment


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


def test_machine_without_git_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, whichever command needs it first."""
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(PerenneError, match=r"^git: there is no such command on PATH; install Git$"):
        git.succeeds("rev-parse", "--git-dir")


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


@pytest.fixture
def configured(repository: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """Return the repository of a user who has configured Git to the last key."""
    for name, value in (environment(repository.path) | hostile.settings(tmp_path / "user")).items():
        monkeypatch.setenv(name, value)
    return repository


def test_changes_do_not_depend_on_the_users_settings(configured: Project) -> None:
    """Untracked files count, in plain names, with a line end of whichever kind."""
    configured.write("new é", "")
    (configured.path / "a file").write_bytes(b"one\r\n")
    assert git.changes() == ["a file", "new é"]


def test_commit_does_not_depend_on_the_users_settings(configured: Project) -> None:
    """Unsigned, without hooks, with its message and its bytes as they were given."""
    (configured.path / "a file").write_bytes(b"one\r\ntwo\n")
    git.git("add", "--", "a*")
    git.git("commit", "--quiet", "--file=-", stdin="Größe\n\n- of a line\n# of another\n")
    assert git.git("show", "--no-patch", "--format=%B", "HEAD") == "Größe\n\n- of a line\n# of another\n"
    assert git.show("HEAD", Path("a file")) == b"one\r\ntwo\n"
    assert git.git("diff", "--name-only", "HEAD~1", "HEAD") == "a file"


def test_notes_and_tags_do_not_depend_on_the_users_settings(configured: Project) -> None:
    """Neither is pruned by a fetch, and pushing one pushes nothing else."""
    git.git("init", "--quiet", "--bare", "--object-format=sha1", str(configured.path.parent / "origin"))
    configured.run("git -C ../origin config core.hooksPath hooks")  # a server is not this user's
    git.git("remote", "add", "origin", "../origin")
    git.git("tag", "--annotate", "--message=x", "mine", "HEAD")
    notes.append("a", "b", {"c": 1})
    notes.share()
    notes.fetch()
    tags.fetch()
    assert notes.read("a", "b") == [{"c": 1}]
    assert git.git("tag", "--list") == "mine"
    assert git.git("ls-remote", "origin").split()[1::2] == [notes.REF]


def test_object_is_what_its_hash_says(repository: Project) -> None:
    """A replacement, which another one may have pushed, is not looked at."""
    before = git.git("rev-parse", "HEAD:a file")
    repository.run(f"git replace {before} $(echo forged | git hash-object -w --stdin)")
    assert git.show("HEAD", Path("a file")) == b"one\n"


def test_variables_of_a_hook_lead_nowhere_else(
    repository: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git sets them for its hooks, and a hook may run any command here."""
    other = Project(tmp_path / "other")
    other.write("b", "")
    other.run("git init -q")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "other" / ".git"))
    assert git.show("HEAD", Path("a file")) == b"one\n"
    assert git.changes() == []
    assert repository.path == Path.cwd()


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
