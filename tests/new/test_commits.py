"""Commits that hold what a template generated, found again in a history that people write."""

from __future__ import annotations

from pathlib import Path

import pytest

from perenne.common import git
from perenne.common.errors import PerenneError
from perenne.new import commits
from tests.conftest import Enter
from tests.project import Project

FILES = {"a.txt": b"one\n", ".b/c.txt": b"\xff two"}


@pytest.fixture
def repo(workplace: Project, enter: Enter) -> Project:
    """Return an empty repository, which is the current folder."""
    workplace.run("git init -q -b main")
    enter(workplace)
    return workplace


def begun(repo: Project) -> str:
    """Let a repository begin with generated files, and return the commit."""
    first = commits.commit(FILES, "1.0")
    repo.run(f"git reset -q --hard {first}")
    return first


def test_commit_holds_the_files_and_nothing_else(repo: Project) -> None:
    """Byte for byte, with its version; neither the index nor a branch knows of it."""
    repo.write("other.txt", "")
    repo.run("git add other.txt")
    first = commits.commit(FILES, "1.0")
    assert repo.out(f"git ls-tree -r --name-only {first}").split() == [".b/c.txt", "a.txt"]
    assert {name: git.show(first, Path(name)) for name in FILES} == FILES
    assert (
        repo.out(f"git log -1 --format='%(trailers:key=Perenne-Template,valueonly)' {first}").strip() == "1.0"
    )
    assert repo.out("git ls-files").split() == ["other.txt"]
    repo.run("git rev-parse --verify -q HEAD", status=1)


def test_tree_can_stand_on_a_commit(repo: Project) -> None:
    """It then has that one's other files as well."""
    begun(repo)
    assert repo.out(f"git ls-tree -r --name-only {commits.tree({'d': b''}, onto='HEAD')}").split() == [
        ".b/c.txt",
        "a.txt",
        "d",
    ]


def test_what_is_staged_stays_staged(repo: Project) -> None:
    """Files that are put into the index join what their owner has put there."""
    begun(repo)
    repo.write("mine.txt", "")
    repo.run("git add mine.txt")
    commits.stage({"d": b""})
    assert repo.out("git diff --cached --name-only").split() == ["d", "mine.txt"]


def test_newest_is_found_behind_the_owners_commits(repo: Project) -> None:
    """On whatever branch it was merged; a later version counts more than an earlier one."""
    assert commits.newest() is None
    first = begun(repo)
    repo.write("mine.txt", "")
    repo.commit("mine")
    newest = commits.newest()
    assert newest
    assert (newest.commit, newest.version) == (first, "1.0")
    second = commits.commit(FILES | {"a.txt": b"two\n"}, "2.0", parent=first)
    repo.run(f"git merge -q --no-ff -m merged {second}")
    newest = commits.newest()
    assert newest
    assert (newest.commit, newest.version) == (second, "2.0")


@pytest.mark.parametrize("pattern", ["fixed", "perl", "extended"])
def test_users_patterns_change_nothing(repo: Project, pattern: str) -> None:
    """Git may be set to read patterns in another way."""
    begun(repo)
    repo.run(f"git config grep.patternType {pattern}")
    assert commits.newest()


def test_rewritten_commit_does_not_count(repo: Project) -> None:
    """An owner's file in it would be taken for the template's, and lost in an upgrade."""
    begun(repo)
    repo.write("mine.txt", "")
    repo.run("git add mine.txt && git commit -q --amend --no-edit")
    assert "Perenne-Template: 1.0" in repo.out("git log -1")
    assert commits.newest() is None


def test_words_in_a_message_do_not_count(repo: Project) -> None:
    """A commit that speaks of a template need not be one."""
    repo.run("git commit -q --allow-empty -m 'Perenne-Template: 1.0'")
    assert commits.newest() is None


def test_unknown_committer_is_refused(repo: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line that says what to do; whoever Git knows may go on."""
    commits.identity()
    repo.run("git config user.useConfigOnly true")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.delenv(f"GIT_{who}_NAME")
        monkeypatch.delenv(f"GIT_{who}_EMAIL")
    with pytest.raises(PerenneError, match=r"Git does not know who you are: git config --global user.name"):
        commits.identity()
